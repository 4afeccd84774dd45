"""Histories of which the end is sent back: what fits from the end is no edit, whatever is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.test_history import ASK, HOLD, MORE, SYSTEM, asked, model
from tests.unit.core.test_history_again import kinds

NEXT = ("user", "Next order?")
OLDER = ["older_messages_dropped"]


def sliding(
    answers: list[str],
    window: int,
    before: Callable[[int], list[tuple[str, str]]] = lambda _: [],
    question: Callable[[int], str] = lambda _: NEXT[1],
) -> list[tuple[str, int | None, list[str]]]:
    said: list[tuple[str, str]] = []
    exchanges = []
    for number, answer in enumerate(answers, 1):
        said.append(("user", question(number)))
        exchanges.append(asked(number, *before(number), *said[-window:], says=answer))
        said.append(model(answer))
    return kinds(*exchanges)


@pytest.mark.parametrize("window", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("before", [[], [SYSTEM]])
def test_a_window_over_the_same_question_slides(window: int, before: list[tuple[str, str]]) -> None:
    found = sliding([f"BUY {lots} lots" for lots in range(1, 9)], window, lambda _: before)
    whole = (window + 1) // 2
    assert found[:whole] == [("begins", None, []), *(("continues", at, []) for at in range(1, whole))]
    assert found[whole:] == [("continues", at, OLDER) for at in range(whole, 8)]


def test_a_window_that_has_slid_slides_on_where_it_says_what_was_said_before() -> None:
    """The fifth request is the third one again, word by word."""
    found = sliding(["HOLD", "BUY"] * 4, 5, lambda _: [SYSTEM])
    assert found[3:] == [("continues", at, OLDER) for at in range(3, 8)]


@pytest.mark.parametrize("kept", [3, 5])
@pytest.mark.parametrize("role", ["system", "user"])
def test_a_summary_of_what_was_dropped_hides_nothing(kept: int, role: str) -> None:
    answers = [f"BUY {lots} lots" for lots in range(1, 8)]

    def before(number: int) -> list[tuple[str, str]]:
        return [SYSTEM, *([(role, "so far: " + ", ".join(answers[: number - 2]))] if 2 * number - 1 > kept else [])]

    found = sliding(answers, kept, before)
    assert [(kind, of) for kind, of, _ in found] == [
        ("begins", None),
        *(("continues", number) for number in range(1, 7)),
    ]
    told = {finding for *_, findings in found for finding in findings}
    if role == "system":
        assert told <= {"older_messages_dropped", "message_edited", "message_inserted"}
    # What a message stands for that takes the place of another one: those that are gone are told one by one.
    assert {finding for finding in told if finding.startswith("answer_")} <= {"answer_dropped"}


def test_what_another_exchange_answered_to_the_question_that_is_sent_back_is_no_edit() -> None:
    found = kinds(
        asked(1, ("user", "q1"), says="a1"),
        asked(2, ("user", "q1"), model("a1"), ("user", "q2"), says="a2"),
        asked(3, ("user", "summary"), ("user", "q2"), says="another"),
        asked(4, ("user", "summary"), ("user", "q2"), model("a2"), ("user", "q3"), says="a3"),
    )
    assert found[3] == ("continues", 2, ["older_messages_dropped", "message_inserted"])


def test_the_last_answer_that_was_forged_in_a_window_is_found() -> None:
    first, second = asked(1, NEXT, says="BUY 1"), asked(2, NEXT, model("BUY 1"), NEXT, says="BUY 2")
    found = kinds(first, second, asked(3, NEXT, model("BUY 200"), NEXT))
    assert [finding for finding in found[2][2] if finding == "answer_edited"] == ["answer_edited"]


def test_what_is_asked_again_with_less_of_its_history_goes_on_from_nothing_newer() -> None:
    found = kinds(asked(1, ASK), asked(2, ASK, HOLD, MORE, says="x"), asked(3, HOLD, MORE, says="y"))
    assert found[2] == ("regenerates", 2, OLDER)


@pytest.mark.parametrize("questions", [1, 2, 4])
@pytest.mark.parametrize("answers", [["HOLD"] * 5, ["HOLD", "BUY"] * 3, ["1", "2", "3", "4", "5"]])
@pytest.mark.parametrize("cut", [{2}, {3}, {2, 4}, {3, 4, 5}])
@pytest.mark.parametrize("before", [[], [SYSTEM]])
def test_a_window_slides_on_after_a_retry(
    questions: int, answers: list[str], cut: set[int], before: list[tuple[str, str]]
) -> None:
    """Also where what it sends then is what it had sent before, word by word."""
    said: list[tuple[str, str]] = []
    exchanges = []
    expected: list[tuple[str, int | None]] = []
    for turn in range(1, 6):
        said.append(("user", f"question {turn % questions}"))
        number = len(exchanges) + 1
        expected.append(("continues", number - 1) if turn > 1 else ("begins", None))
        if turn in cut:
            exchanges.append(asked(number, *before, *said[-2:], says=answers[turn - 1], end=""))
            expected.append(("retries", number))
        exchanges.append(asked(len(exchanges) + 1, *before, *said[-2:], says=answers[turn - 1]))
        said.append(model(answers[turn - 1]))
    assert [(kind, of) for kind, of, _ in kinds(*exchanges)] == expected


def test_of_two_that_fit_the_answer_that_was_complete_is_gone_on_from() -> None:
    """An answer that was cut may have all the words of one that was not."""
    whole, cut = asked(1, ASK), asked(2, ASK, end="")
    on = asked(3, ASK, HOLD, MORE)
    assert kinds(whole, cut, on)[1:] == [("regenerates", 1, []), ("continues", 1, [])]
    assert kinds(cut, whole, on)[1:] == [("retries", 1, []), ("continues", 2, [])]
    cut_later = asked(2, HOLD, MORE, end="")
    assert kinds(whole, cut_later, asked(3, HOLD, ("user", "two")))[2] == ("forks", 1, OLDER)
    for first, second in ((asked(1, NEXT, says="A", end=""), asked(2, NEXT, NEXT, says="A")),):
        assert kinds(first, second, asked(3, NEXT, model("A"), NEXT))[2] == ("continues", 2, OLDER)


def test_an_answer_that_is_left_out_of_a_history_is_found() -> None:
    first, second = asked(1, SYSTEM, ASK), asked(2, SYSTEM, ASK, HOLD, MORE, says="the trend")
    assert kinds(first, second, asked(3, SYSTEM, ASK, HOLD, MORE, NEXT))[2] == ("continues", 2, ["answer_dropped"])
    clocked = asked(3, ("system", "be bold"), ASK, HOLD, MORE, NEXT)
    assert kinds(first, second, clocked)[2] == ("continues", 2, ["message_edited", "answer_dropped"])
    failed = asked(2, SYSTEM, ASK, HOLD, MORE, says="", end="")
    assert kinds(first, failed, asked(3, SYSTEM, ASK, HOLD, MORE, NEXT))[2] == ("continues", 2, [])


@given(
    st.lists(st.sampled_from(["HOLD", "BUY 1", "BUY 2", "BUY 3"]), min_size=2, max_size=9),
    st.integers(2, 9),
    st.sampled_from([1, 2, 9]),
    st.booleans(),
)
def test_no_window_is_accused_of_anything(answers: list[str], window: int, questions: int, clocked: bool) -> None:
    found = sliding(
        answers,
        window,
        lambda number: [("system", f"it is 10:{number:02}" if clocked else "trade")],
        lambda number: f"question {number % questions}",
    )
    told = {finding for *_, findings in found for finding in findings}
    assert told <= {"older_messages_dropped", "message_edited"} if clocked else told <= set(OLDER)
