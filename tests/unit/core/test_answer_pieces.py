"""Messages of the model that come one after the other are one answer to whoever reads them."""

from __future__ import annotations

import pytest

from recorder.core.answer_pieces import begun, joined, repeats, runs, together
from recorder.core.messages import Message, TextPart, ToolCallPart


def said(role: str, text: str = "a") -> Message:
    return Message(role, (TextPart(text),))


@pytest.mark.parametrize(
    ("roles", "found"),
    [
        ("", []),
        ("m", []),
        ("um", []),
        ("umm", [(1, 3)]),
        ("mmummmu", [(0, 2), (3, 6)]),
        ("msm", []),
        ("ama", [(0, 3)]),
    ],
)
def test_runs_are_of_several_messages_of_the_model(roles: str, found: list[tuple[int, int]]) -> None:
    names = {"m": "model", "a": "assistant", "u": "user", "s": "system"}
    assert list(runs([said(names[role]) for role in roles])) == found


def test_what_a_request_ends_with_is_begun() -> None:
    one, two = said("assistant", "a"), said("assistant", "b")
    assert list(begun([said("user"), one, two])) == [one, two]
    assert list(begun([one, said("user")])) == []
    assert list(begun([])) == []


def test_joined_they_have_the_parts_of_all() -> None:
    call = ToolCallPart("{}", "c", "f")
    one = said("assistant", "a")
    assert joined([one]) is one
    assert joined([one, Message("assistant", (call,))]) == Message("assistant", (TextPart("a"), call))


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["a"], ["a"]),
        (["I would ", "hold"], ["I would ", "hold"]),
        (["I would ", "I would hold"], ["I would hold"]),
        (["I would", " I would hold"], [" I would hold"]),
        (["I ", "would ", "I would hold", " it"], ["I would hold", " it"]),
        (["I would", "I would", " hold"], ["I would", "I would", " hold"]),
        (["hold", "on", "hold"], ["hold", "on", "hold"]),
        ([" ", " hold"], [" ", " hold"]),
        (["1", "10"], ["1", "10"]),
        (["[", "[1],[2]]"], ["[", "[1],[2]]"]),
        (["[", "[1]"], ["[1]"]),
        (["{", '{"lots": 10}'], ['{"lots": 10}']),
    ],
)
def test_what_the_next_message_repeats_and_goes_on_from_is_said_once(texts: list[str], found: list[str]) -> None:
    assert together([said("assistant", text) for text in texts]) == joined([said("assistant", text) for text in found])
    if len(texts) == 2:
        assert repeats(said("assistant", texts[0]), said("assistant", texts[1])) == (len(found) == 1)


def test_only_text_is_repeated() -> None:
    called = Message("assistant", (TextPart("I would"), ToolCallPart("{}", "c", "f")))
    told = said("assistant", "I would hold")
    assert not repeats(called, told)
    assert together([called, told]) == joined([called, told])
    both = Message("assistant", (*told.parts, *called.parts[1:]))
    assert together([said("assistant", "I would"), both]) == both
