"""Dialects of other packages: whatever they return, it is reported in one line and harms nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.messages import (
    Answer,
    Choice,
    Message,
    RequestReading,
    TextPart,
    TokenCounts,
    ToolCallPart,
)
from recorder.core.rebuilt import Rebuilt
from recorder.dialects import base
from recorder.dialects.foreign import ForeignDialect
from recorder.dialects.rebuild import rebuild
from recorder.errors import DialectError
from tests.building import ExchangeBuilder, delta
from tests.unit.formats.made import said

BODY = b"ACME says hi"
NUMBER: Any = 5  # where something else belongs
TEXT: Any = "1"


def answer(*parts: Any, **fields: Any) -> Answer:
    choice = Choice(0, Message("assistant", parts or (TextPart("hi", ((10, 12),)),)), ("stop",), finish="stop")
    return Answer(**({"dialect": "acme", "shape": "text", "understood": True, "choices": (choice,)} | fields))


class Acme:
    """A dialect that returns what it is told to."""

    name: Any = "acme"

    def __init__(self, close: Any = None, claim: Any = None, reading: Any = None) -> None:
        self._close, self._claim, self._reading = close or (lambda: answer()), claim, reading

    def claims(self, clues: base.Clues) -> Any:
        return float(clues.body.startswith(b"ACME")) if self._claim is None else self._claim

    def read_request(self, url: str, payload: Any) -> Any:
        return self._reading

    def reader(self, clues: base.Clues) -> Any:
        return self

    def feed(self, data: bytes) -> None:
        pass

    def close(self) -> Any:
        return self._close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rebuilt]:
    ours = base.dialects()

    def rebuilt(dialect: Acme, body: bytes = BODY) -> Rebuilt:
        monkeypatch.setattr(base, "dialects", lambda: (*ours, ForeignDialect(dialect)))
        built = ExchangeBuilder().request({"messages": [{"role": "user", "content": "q"}]}).response(headers=[])
        exchange = fold((built.chunks(body) if body else built.sse(delta(content="ok"))).completed().events)
        assert exchange is not None
        return rebuild(exchange)

    return rebuilt


def failures(rebuilt: Rebuilt) -> list[str]:
    return [fact.detail for fact in rebuilt.anomalies if fact.kind == "dialect_failed"]


def test_one_that_does_as_it_should_is_read(read: Callable[..., Rebuilt]) -> None:
    call = ToolCallPart("{}", "c", "order", complete=True, arguments={}, ranges=((0, 4), (4, 5)))
    whole = answer(call, said("user", "x").parts[0], tokens=TokenCounts(1), extras={"a": [1, {"b": None}]})
    found = read(Acme(lambda: whole))
    assert (found.answer, failures(found)) == (whole, [])
    assert read(Acme(), b"").answer.dialect == "openai_chat"


class Unsayable(Exception):
    def __str__(self) -> str:
        raise ValueError


def _raising(error: Exception) -> Callable[[], Any]:
    def close() -> Any:
        raise error

    return close


@pytest.mark.parametrize(
    ("close", "reason"),
    [
        (lambda: None, "its answer is None"),
        (lambda: "x", "its answer is a value of the type str"),
        (lambda: answer(choices=None), "its answer has None for choices"),
        (lambda: answer(choices=[]), "its answer has a value of the type list for choices"),
        (lambda: answer("text"), "its answer has a value of the type str for choices[0].message.parts[0]"),
        (
            lambda: answer(TextPart(NUMBER)),
            "its answer has a value of the type int for choices[0].message.parts[0].text",
        ),
        (lambda: answer(extras={"x": {1, 2}}), "its answer has a value in extras that is no JSON"),
        (lambda: answer(extras={1: 2}), "its answer has a value of the type dict for extras"),
        (lambda: answer(extras={"x": [{1: 2}]}), "its answer has a value in extras that is no JSON"),
        (lambda: answer(errors=(object(),)), "its answer has a value in errors[0] that is no JSON"),
        (lambda: answer(events=True), "its answer has a value of the type bool for events"),
        (lambda: answer(tokens=TokenCounts(TEXT)), "its answer has a value of the type str for tokens.input"),
        (lambda: answer(dialect="acme\ud800"), r"its answer is of the dialect 'acme\ud800'"),
        (lambda: answer(shape="round"), "its answer has the shape 'round', which there is not"),
        (
            lambda: answer(choices=(Choice(0, Message(None), finish="done"),)),
            "its answer has the finish 'done', which there is not",
        ),
        (
            lambda: answer(TextPart("hi", ((5, 10**9),))),
            "its answer has a part from the bytes 5 to 1000000000, which are none of the body's",
        ),
        (
            lambda: answer(TextPart("hi", ((5, 6), (2, 3)))),
            "its answer has a part from the bytes 2 to 3, which are none of the body's",
        ),
        (_raising(LookupError("two\nlines \ud800")), "LookupError: two lines \ufffd"),
        (_raising(Unsayable()), "Unsayable"),
    ],
)
def test_what_is_wrong_with_an_answer_is_told_and_it_is_opaque(
    read: Callable[..., Rebuilt], close: Callable[[], Any], reason: str
) -> None:
    found = read(Acme(close))
    assert (found.answer.dialect, failures(found)) == ("opaque", [f"the dialect acme failed: {reason}"])


@pytest.mark.parametrize("claim", ["1", 1j, [1], float("nan"), 5.0, -0.1, float("inf")])
def test_a_claim_that_is_none_wins_nothing(read: Callable[..., Rebuilt], claim: Any) -> None:
    chat = read(Acme(claim=claim), b"")
    assert (chat.answer.dialect, failures(chat)) == ("openai_chat", [])
    (told,) = failures(read(Acme(claim=claim)))
    assert told == f"the dialect acme failed: it claims a body by {claim!r}, and not by a number from 0 to 1"


@pytest.mark.parametrize(
    "reading",
    ["junk", RequestReading("acme", (TEXT,)), RequestReading("other"), RequestReading("acme", model=NUMBER)],
)
def test_a_request_that_it_misreads_is_read_by_others(read: Callable[..., Rebuilt], reading: Any) -> None:
    found = read(Acme(reading=reading))
    assert found.answer.dialect == "acme"
    assert found.reading is not None
    assert found.reading.dialect == "openai_chat"


def test_a_request_that_it_reads_is_its_own(read: Callable[..., Rebuilt]) -> None:
    reading = RequestReading("acme", (said("user", "q"),), "m", 1)
    assert read(Acme(reading=reading)).reading == reading


@pytest.mark.parametrize("name", [5, None, "", " ", "acme\ud800", "two\nlines"])
def test_a_name_that_cannot_be_shown_is_none(name: Any) -> None:
    dialect = Acme()
    dialect.name = name
    with pytest.raises(DialectError, match="its name is"):
        ForeignDialect(dialect)
