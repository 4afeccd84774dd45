"""Requests that send no answer back: they go on from nothing, and ask again only what is all the same."""

from __future__ import annotations

import pytest

from tests.unit.core.test_history import ASK, HOLD, LAST, MORE, asked, model
from tests.unit.core.test_history_again import EDITED, kinds

BEGINS = ("begins", None, [])


def system(text: str) -> tuple[str, str]:
    return ("system", text)


def user(text: str) -> tuple[str, str]:
    return ("user", text)


@pytest.mark.parametrize(
    "ticks",
    [
        pytest.param([[system("trade"), user(f"price {at}"), user("decide")] for at in range(3)], id="a message apart"),
        pytest.param([[user(f"price {at}"), user("decide")] for at in range(3)], id="no instructions"),
        pytest.param([[system(f"price 100.{at}"), user("decide")] for at in range(3)], id="in the instructions"),
        pytest.param([[system("translate"), ASK], [system("rate it as a critic"), ASK]], id="two personas"),
        pytest.param(
            [[system(f"price {at}"), user("example"), HOLD, user("decide")] for at in range(3)], id="with an example"
        ),
        pytest.param([[system(f"may {word}"), ASK] for word in ("buy", "sell")], id="no month"),
    ],
)
def test_a_bot_without_history_goes_on_from_nothing(ticks: list[list[tuple[str, str]]]) -> None:
    found = kinds(*(asked(number, *tick, says=f"answer {number}") for number, tick in enumerate(ticks, 1)))
    assert found == [BEGINS] * len(ticks)


def test_the_very_same_is_asked_again_also_after_others() -> None:
    one, other = [system("translate"), ASK], [system("rate it"), ASK]
    found = kinds(asked(1, *one), asked(2, *other), asked(3, *one), asked(4, *other, says="", end=""), asked(5, *other))
    assert found == [BEGINS, BEGINS, ("regenerates", 1, []), ("regenerates", 2, []), ("retries", 4, [])]


@pytest.mark.parametrize(
    "times",
    [
        ("9:05", "10:15:59.123"),
        ("2026-01-01", "2026-11-30"),
        ("2026-01-01T09:05:00Z", "2026-01-01 09:05:01+02:00"),
        ("9 am", "10:15 p.m."),
        ("1 o'clock", "12 o’clock"),
        ("Monday, 30 November 2026, 17:45", "Tue, 1st Dec 2026, 8:00"),
        ("November 30, 2026", "May 1, 2027"),
        ("30.11.2026", "1/12/26"),
    ],
)
def test_a_clock_in_the_instructions_hides_no_question_that_is_asked_again(times: tuple[str, str]) -> None:
    first, other, second = (system(f"You trade. It is {time} now.") for time in (times[0], "late", times[1]))
    found = kinds(asked(1, first, ASK), asked(2, other, ASK), asked(3, second, ASK))
    assert found == [BEGINS, BEGINS, ("regenerates", 1, EDITED)]


def test_what_was_asked_before_and_more_leaves_the_answer_out() -> None:
    assert kinds(asked(1, ASK), asked(2, ASK, MORE))[1] == ("continues", 1, ["answer_dropped"])
    clocked = kinds(asked(1, system("9:00"), ASK), asked(2, system("9:01"), ASK, MORE))[1]
    assert (*clocked[:2], sorted(clocked[2])) == ("continues", 1, ["answer_dropped", "message_edited"])
    assert kinds(asked(1, system("be bold"), ASK), asked(2, system("be careful"), ASK, MORE))[1] == BEGINS
    assert kinds(asked(1, ASK), asked(2, ASK, HOLD, MORE, says="x"), asked(3, MORE))[2] == BEGINS


def test_an_answer_that_was_forged_is_no_example() -> None:
    found = kinds(asked(1, ASK), asked(2, ASK, HOLD, MORE, says="x"), asked(3, ASK, model("sell"), MORE))
    assert found[2] == ("regenerates", 2, ["answer_edited"])
    assert kinds(asked(1, ASK), asked(2, ASK, model("sell"), LAST))[1] == ("continues", 1, ["answer_edited"])
