"""Frames of Bedrock Converse, and answers read from them."""

from __future__ import annotations

from typing import Any

from recorder.core.messages import Answer
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues
from recorder.dialects.bedrock_converse import DIALECT
from tests.unit.dialects.answers import read_by, rebuilt_from
from tests.unit.dialects.wire import EVENTSTREAM, framed

HOST = "https://bedrock-runtime.region.example"
URL = f"{HOST}/model/vendor.model-v1%3A0/converse-stream"
USAGE = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12, "cacheReadInputTokens": 3}
STARTED = framed("messageStart", {"role": "assistant", "p": "abc"})
METADATA = framed("metadata", {"metrics": {"latencyMs": 5}, "usage": USAGE, "p": "abcdef"})


def opened(index: Any, **start: Any) -> bytes:
    return framed("contentBlockStart", {"contentBlockIndex": index, "start": start, "p": "a"})


def piece(index: Any, **delta: Any) -> bytes:
    return framed("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abcd"})


def stopped(index: Any) -> bytes:
    return framed("contentBlockStop", {"contentBlockIndex": index, "p": "ab"})


def ended(reason: Any = "end_turn", **fields: Any) -> bytes:
    return framed("messageStop", {"stopReason": reason, "p": "abc", **fields}) + METADATA


def called(index: int = 0, **fields: Any) -> bytes:
    return opened(index, toolUse={"toolUseId": "t1", "name": "buy", **fields})


def read(body: bytes, kind: str = EVENTSTREAM) -> Answer:
    return read_by(DIALECT, Clues(URL, kind, body))


def rebuilt(body: bytes, kind: str = EVENTSTREAM, url: str = URL) -> Rebuilt:
    return rebuilt_from(body, kind, url)


def parts(*frames: bytes) -> tuple[Any, ...]:
    return read(b"".join(frames)).choices[0].message.parts
