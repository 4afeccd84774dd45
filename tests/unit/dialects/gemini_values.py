"""Values of Gemini, and answers read from them."""

from __future__ import annotations

from typing import Any

from recorder.core.messages import Answer
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, choose
from recorder.dialects.gemini import DIALECT
from tests.unit.dialects.answers import read_by, rebuilt_from
from tests.unit.dialects.wire import SSE, sse

URL = "https://ai.example/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
VERTEX = "https://eu.example/v1/projects/p/locations/l/publishers/google/models/gemini-x:streamGenerateContent"
USAGE = {"promptTokenCount": 8, "totalTokenCount": 8}


def said(*parts: Any, finish: Any = None, **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, **fields}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "gemini-x", "responseId": "r"}


def crlf(*values: Any) -> bytes:
    return sse(*values).replace(b"\n", b"\r\n")


CALL = {"functionCall": {"name": "buy", "args": {"lots": 10}}, "thoughtSignature": "sig"}


def read(body: bytes, url: str = URL, kind: str = "", *, chosen: bool = True) -> Answer:
    clues = Clues(url, kind, body)
    assert not chosen or choose(clues).name == "gemini"
    return read_by(DIALECT, clues)


def streamed(*values: Any) -> Answer:
    return read(crlf(*values))


def rebuilt(body: bytes, kind: str = SSE, status: int = 200, url: str = URL, request: Any = None) -> Rebuilt:
    return rebuilt_from(body, kind, url, request, status=status)
