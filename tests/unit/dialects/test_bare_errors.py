"""Errors among the events of a stream that no event carries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.dialects.base import Clues
from recorder.dialects.openai_chat import DIALECT
from tests.building import URL, delta
from tests.unit.dialects.wire import sse

EVENT = sse(delta(content="a"))
ERROR = {"error": {"code": 503, "message": 'a: "b"', "details": [{"x": None}]}}


def errors(body: bytes, cuts: tuple[int, ...] = ()) -> tuple[Any, ...]:
    reader = DIALECT.reader(Clues(URL, "text/event-stream", body))
    at = 0
    for cut in (*cuts, len(body)):
        reader.feed(body[at:cut])
        at = cut
    return reader.close().errors


@pytest.mark.parametrize("indent", [None, 2, 4])
@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
@pytest.mark.parametrize("before", [EVENT, b"", b": hi\n\n"])
@pytest.mark.parametrize("after", [b"", EVENT])
def test_an_object_without_data(indent: int | None, ending: str, before: bytes, after: bytes) -> None:
    if after and not (before and ending == "\n\n"):
        return
    body = before + json.dumps(ERROR, indent=indent).encode() + ending.encode() + after
    assert errors(body) == (ERROR["error"],)
    assert errors(body, tuple(range(len(body)))) == (ERROR["error"],)


def test_two_of_them() -> None:
    bare = json.dumps(ERROR, indent=1).encode() + b"\n\n"
    assert errors(EVENT + bare + EVENT + bare) == (ERROR["error"], ERROR["error"])


@pytest.mark.parametrize(
    "bare",
    [
        b'{"message": "no error"}\n\n',
        b'{"error": null}\n\n',
        b'{"error": "cut\n\n',
        b'["error"]\n\n',
        b"nonsense: 1\n\n",
        b'data: {"error": "pending"}\n',
        b'data: {"error": "pending"}',
    ],
)
def test_nothing_else_is_one(bare: bytes) -> None:
    assert errors(EVENT + bare) == ()
