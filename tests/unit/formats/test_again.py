"""Documents of exchanges whose requests repeat each other: each message is written once, the text is the same."""

from __future__ import annotations

import json

import pytest

from recorder.core.messages import Message, OtherPart, TextPart
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.formats.again import Again
from recorder.formats.jsonl import FORMAT, Documents
from tests.unit.formats.made import said, told

ODD = Message("user", (OtherPart("x", {"n": float("nan"), "half": "\ud83d", "deep": [{}, [], {"a": [1, "\n"]}]}),))


def exchanges() -> list[Rebuilt]:
    history = [said("user", "One?"), said("assistant", "line\u2028two\u0085three"), ODD, said("user", "x" * 5000)]
    return [told(history[:size], said("assistant", "a"), number=size) for size in (1, 2, 3, 4, 4, 0)]


@pytest.mark.parametrize("indent", [None, 2])
def test_documents_are_as_json_writes_them(indent: int | None) -> None:
    made = Documents(None, indent)
    for rebuilt in exchanges():
        text = made(rebuilt)
        value = json.loads(text)
        assert text == json.dumps(value, ensure_ascii=False, indent=indent)
        shown = as_json(rebuilt)
        assert list(value)[: len(shown)] == list(shown)
        assert {name: value[name] for name in shown} == json.loads(json.dumps(shown))


def test_a_line_is_one_whatever_its_reader_takes_for_the_end_of_one() -> None:
    lines = list(FORMAT.render(exchanges()))
    assert all(len(line.splitlines()) == 1 for line in lines)
    assert json.loads(lines[1])["messages"][1]["parts"][0]["text"] == "line\u2028two\u0085three"


def test_the_same_object_is_made_once_and_an_equal_one_again() -> None:
    asked: list[Message] = []

    def make(message: Message) -> str:
        asked.append(message)
        return message.text

    made, message = Again(make, len), Message("user", (TextPart("a"),))
    assert [made(message) for _ in range(3)] == ["a"] * 3
    made(Message("user", (TextPart("a"),)))
    assert len(asked) == 2


def test_what_is_large_or_many_is_not_kept() -> None:
    made = Again(lambda message: message.text, len)
    kept = [Message("user", (TextPart(str(at)),)) for at in range(40_000)]
    assert [made(message) for message in kept] == [message.text for message in kept]
    made(Message("user", (TextPart("x" * 10_000),)))
    assert len(made._new) + len(made._old) <= 2 * 8192
    assert all(len(text) < 10 for _, text in made._new.values())
