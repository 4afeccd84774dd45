"""Messages and words compared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recorder.core.comparing import Run, compare, words
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


def test_what_is_no_text_is_compared_too() -> None:
    results = [Message("tool", (ToolResultPart("c", text=text),)) for text in ("done", "failed")]
    assert [one.change for one in compare(results[:1], results[1:])] == ["changed"]
    assert [one.role for one in compare([Message(None)], [Message(None)])] == ["role not sent"]
