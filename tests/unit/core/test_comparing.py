"""Messages and words compared."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core import comparing
from recorder.core.comparing import Run, compare, words
from recorder.core.message_text import message_text
from recorder.core.messages import Message, TextPart, ToolResultPart


def said(role: str, text: str) -> Message:
    return Message(role, (TextPart(text),))


@given(st.text("ab .\n", max_size=40), st.text("ab .\n", max_size=40))
def test_the_runs_are_both_texts(first: str, second: str) -> None:
    runs = list(words(first, second))
    assert "".join(run.text for run in runs if run.change != "added") == first
    assert "".join(run.text for run in runs if run.change != "removed") == second
    if first == second:
        assert all(run.change == "same" for run in runs)


def test_words_not_letters_are_compared() -> None:
    assert list(words("Buy 10 lots.", "Buy 100 lots.")) == [
        Run("same", "Buy "),
        Run("removed", "10"),
        Run("added", "100"),
        Run("same", " lots."),
    ]


def test_very_long_texts_are_compared_by_lines() -> None:
    first = "word " * 30_000 + "\nend"
    (same, removed, added) = words(first, first[:-3] + "other")
    assert (same.change, removed, added) == ("same", Run("removed", "end"), Run("added", "other"))


def test_messages_are_the_same_changed_removed_or_added() -> None:
    first = [said("system", "be kind"), said("user", "buy ten lots now"), said("assistant", "no")]
    second = [said("system", "be kind"), said("user", "buy two lots now"), said("assistant", "no"), said("user", "why")]
    assert [(one.change, one.role) for one in compare(first, second)] == [
        ("same", "system"),
        ("changed", "user"),
        ("same", "assistant"),
        ("added", "user"),
    ]
    assert [one.change for one in compare(second, first)][-1] == "removed"


def test_messages_of_other_roles_are_other_messages() -> None:
    assert [(one.change, one.role) for one in compare([said("user", "x")], [said("assistant", "x")])] == [
        ("removed", "user"),
        ("added", "assistant"),
    ]


def test_a_message_that_has_nothing_of_the_other_among_more_is_another_one() -> None:
    found = compare([said("user", "alpha beta")], [said("user", "gamma"), said("user", "delta")])
    assert [one.change for one in found] == ["removed", "added", "added"]


QUESTION = "Buy 10 lots of EURUSD at the market, with a stop below the low of the day."
EDITED = QUESTION.replace("10", "100")
MARKED = (Run("same", "Buy "), Run("removed", "10"), Run("added", "100"), Run("same", QUESTION[6:]))


@pytest.mark.parametrize(
    ("first", "second", "changes"),
    [
        ([said("system", "be kind"), said("user", QUESTION)], [said("user", EDITED)], ["removed", "changed"]),
        ([said("user", QUESTION)], [said("system", "be kind"), said("user", EDITED)], ["added", "changed"]),
        ([said("user", "hello there"), said("user", QUESTION)], [said("user", EDITED)], ["removed", "changed"]),
        (
            [said("user", "hello there"), said("assistant", "yes?"), said("user", QUESTION)],
            [said("user", EDITED), said("assistant", "Bought, at 1.0850")],
            ["removed", "removed", "changed", "added"],
        ),
        ([said("user", QUESTION), said("user", "good bye")], [said("user", EDITED)], ["changed", "removed"]),
    ],
)
def test_a_message_more_or_fewer_before_it_does_not_hide_the_words_of_an_edit(
    first: list[Message], second: list[Message], changes: list[str]
) -> None:
    found = compare(first, second)
    assert [one.change for one in found] == changes
    (edit,) = [one for one in found if one.change == "changed"]
    assert edit.runs == MARKED


def test_of_several_that_are_alike_the_one_that_is_most_so_is_the_one() -> None:
    found = compare([said("user", QUESTION)], [said("user", QUESTION[:40] + "?"), said("user", EDITED)])
    assert [one.change for one in found] == ["added", "changed"]
    found = compare(
        [said("user", "alpha beta gamma"), said("user", QUESTION)], [said("user", EDITED), said("user", "x")]
    )
    assert [one.change for one in found] == ["removed", "changed", "added"]


def test_the_same_words_in_another_order_are_another_message() -> None:
    first, second = (" ".join(f"{number:04}" for number in numbers) for numbers in (range(40), range(40, 0, -1)))
    found = compare([said("system", "s"), said("user", first)], [said("user", second)])
    assert [one.change for one in found] == ["removed", "removed", "added"]


MESSAGES = st.lists(st.builds(said, st.sampled_from(["user", "assistant"]), st.text("ab .", max_size=12)), max_size=9)


@given(MESSAGES, MESSAGES)
def test_the_differences_are_both_conversations(first: list[Message], second: list[Message]) -> None:
    found = compare(first, second)
    for side, other, messages in (("removed", "added", first), ("added", "removed", second)):
        told = [
            (one.role, "".join(run.text for run in one.runs if run.change != other))
            for one in found
            if one.change != other
        ]
        assert told == [(message.role, message_text(message)) for message in messages], side
    assert found == compare(first, second)


@pytest.mark.parametrize("fewer", [1, 40])
def test_a_long_conversation_of_which_every_message_was_edited_is_compared_in_time_that_its_length_bounds(
    monkeypatch: pytest.MonkeyPatch, fewer: int
) -> None:
    compared = 0
    like = comparing._Bag.like

    def counting(one: comparing._Bag, other: comparing._Bag) -> float:
        nonlocal compared
        compared += 1
        return like(one, other)

    monkeypatch.setattr(comparing._Bag, "like", counting)
    first = [said("user" if number % 2 else "assistant", f"{number:05} " * 5 + "a") for number in range(600)]
    second = [said(str(one.role), message_text(one)[:-1] + "b") for one in first[fewer:]]
    found = compare(first, second)
    assert [one.change for one in found] == ["removed"] * fewer + ["changed"] * (600 - fewer)
    assert all(run.text in ("a", "b") for one in found[fewer:] for run in one.runs if run.change != "same")
    assert compared < 600 * 200


def test_nothing_alike_in_two_long_conversations_ends_too() -> None:
    first = [said("user", chr(ord("a") + number % 9) * 3) for number in range(300)]
    second = [said("user", chr(ord("k") + number % 9) * 3) for number in range(301)]
    found = compare(first, second)
    assert Counter(one.change for one in found) == {"removed": 300, "added": 301}
    assert Counter(one.change for one in compare(first[:1], second)) == {"removed": 1, "added": 301}
    alone = [*second[:200], said("user", "aaa b"), *second[200:]]
    assert Counter(one.change for one in compare(first[:1], alone)) == {"changed": 1, "added": 301}


def test_what_is_no_text_is_compared_too() -> None:
    results = [Message("tool", (ToolResultPart("c", text=text),)) for text in ("done", "failed")]
    assert [one.change for one in compare(results[:1], results[1:])] == ["changed"]
    assert [one.role for one in compare([Message(None)], [Message(None)])] == ["role not sent"]
