"""Events of Anthropic Messages, and answers read from them."""

from __future__ import annotations

from typing import Any

from recorder.core.messages import Answer
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.anthropic_messages import DIALECT
from recorder.dialects.base import Clues
from tests.unit.dialects.answers import read_by, rebuilt_from
from tests.unit.dialects.wire import SSE, sse

URL = "https://api.example.test/v1/messages"


def started(**fields: Any) -> dict[str, Any]:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 1},
    }
    return {"type": "message_start", "message": message | fields}


def opened(index: Any, kind: str = "text", **fields: Any) -> dict[str, Any]:
    block = {"type": "text", "text": ""} if kind == "text" else {"type": kind}
    return {"type": "content_block_start", "index": index, "content_block": block | fields}


def piece(index: Any, kind: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def text(index: int, piece_of_text: str) -> dict[str, Any]:
    return piece(index, "text_delta", text=piece_of_text)


def arguments(index: int, piece_of_json: str) -> dict[str, Any]:
    return piece(index, "input_json_delta", partial_json=piece_of_json)


def stopped(index: Any) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str | None = "end_turn", usage: Any = None, **fields: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None, **fields}
    return [
        {"type": "message_delta", "delta": delta, "usage": usage or {"output_tokens": 7}},
        {"type": "message_stop"},
    ]


PING = {"type": "ping"}
CALL = {"id": "toolu_1", "name": "buy", "input": {}}


def read(body: bytes, kind: str = SSE) -> Answer:
    return read_by(DIALECT, Clues(URL, kind, body))


def streamed(*values: Any) -> Answer:
    return read(sse(*values, named="type"))


def rebuilt(body: bytes, kind: str = SSE) -> Rebuilt:
    return rebuilt_from(body, kind, URL)


def parts(answer: Answer) -> tuple[Any, ...]:
    return answer.choices[0].message.parts
