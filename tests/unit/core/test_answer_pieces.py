"""Messages of the model that come one after the other are one answer to whoever reads them."""

from __future__ import annotations

import pytest

from recorder.core.answer_pieces import begun, call_ids, called_apart, joined, repeats, result_ids, runs, together
from recorder.core.messages import Message, TextPart, ToolCallPart, ToolResultPart


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


def called(*ids: str, text: str = "") -> Message:
    calls = [ToolCallPart("{}", identity, "buy") for identity in ids]
    return Message("assistant", (*([TextPart(text)] if text else []), *calls))


def result(*ids: str) -> Message:
    return Message("tool", tuple(ToolResultPart(identity, None, "ok") for identity in ids))


@pytest.mark.parametrize(
    ("messages", "first", "pieces"),
    [
        ([called("a"), result("a"), called("b"), result("b")], 0, [0, 2]),
        ([called("a"), result("a"), called("b"), result("b"), said("user")], 0, [0, 2]),
        ([said("user"), said("assistant"), called("a"), result("a"), called("b")], 1, [1, 2, 4]),
        ([called("a", text="I buy"), result("a"), called("b"), called("c"), result("c"), result("b")], 0, [0, 2, 3]),
        ([called("x"), said("user"), called("a"), result("a"), called("b"), result("b")], 2, [2, 4]),
    ],
)
def test_calls_with_their_results_between_may_have_been_made_together(
    messages: list[Message], first: int, pieces: list[int]
) -> None:
    found = called_apart(messages)
    assert found is not None
    assert (found[0], list(found[1])) == (first, [messages[at] for at in pieces])


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [called("a", "b"), result("a", "b")],
        [called("a"), called("b"), result("a"), result("b")],
        [called("a"), result("a"), called("a"), result("a")],
        [called("a"), result("a"), called("b", text="and then"), result("b")],
        [called("a"), said("user"), called("b"), result("b")],
        [called("a"), result("b"), called("b"), result("b")],
        [called("a"), result("a"), called("b"), result("b"), said("assistant")],
        [message for at in range(65) for message in (called(f"c{at}"), result(f"c{at}"))],
    ],
)
def test_others_were_not(messages: list[Message]) -> None:
    assert called_apart(messages) is None


def test_ids_are_told_where_all_are_there() -> None:
    assert call_ids(called("a", "b")) == ["a", "b"]
    assert call_ids(Message("assistant", (ToolCallPart("{}"),))) == []
    assert call_ids(Message("user", (ToolCallPart("{}", "a"),))) == []
    assert result_ids(result("a")) == ["a"]
    assert result_ids(Message("tool", (TextPart("ok"),), tool_call_id="a")) == ["a"]
    assert result_ids(Message("user", (ToolResultPart("a"), TextPart("and?")))) == result_ids(said("tool")) == []
