"""Several bots in one conversation, whose windows leave nothing but an answer that all of them were given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.test_history import SYSTEM, asked, model
from tests.unit.core.test_history_again import kinds
from tests.unit.core.test_history_windows import OLDER

Said = list[tuple[str, str]]
Found = list[tuple[str, int | None, list[str]]]


def run(
    bots: str,
    window: int,
    question: Callable[[str, int], str],
    says: Callable[[int], str] = lambda _: "HOLD",
    before: Callable[[str, int], Said] = lambda *_: [SYSTEM],
) -> tuple[Found, list[int | None]]:
    """Return what is told of each exchange, and from which one its bot had gone on."""
    said: dict[str, Said] = {bot: [] for bot in bots}
    last: dict[str, int | None] = dict.fromkeys(bots)
    exchanges, expected = [], []
    for number, bot in enumerate(bots, 1):
        said[bot].append(("user", question(bot, number)))
        exchanges.append(asked(number, *before(bot, number), *said[bot][-window:], says=says(number)))
        said[bot].append(model(says(number)))
        expected.append(last[bot])
        last[bot] = number
    return kinds(*exchanges), expected


@pytest.mark.parametrize("bots", ["ABABABAB", "AABBAABB", "ABBAABBA", "ABCABCABC", "AAABABBB"])
@pytest.mark.parametrize(
    "question",
    [
        pytest.param(lambda bot, _: f"{bot}?", id="the same each time"),
        pytest.param(lambda bot, number: f"{bot} at 1.{number:02}: buy or hold?", id="with a price"),
    ],
)
@pytest.mark.parametrize("before", [[], [SYSTEM]])
def test_each_bot_goes_on_from_what_it_had_asked(bots: str, question: Callable[[str, int], str], before: Said) -> None:
    found, expected = run(bots, 2, question, before=lambda *_: before)
    assert [(kind, of) for kind, of, _ in found] == [("continues" if of else "begins", of) for of in expected]
    assert all(findings == (OLDER if kind == "continues" else []) for kind, _, findings in found)


def test_instructions_of_its_own_tell_a_bot_from_another() -> None:
    found, expected = run("ABABBAAB", 2, lambda *_: "Next?", before=lambda bot, _: [("system", f"You are bot {bot}.")])
    assert [of for _, of, _ in found] == expected
    found, expected = run(
        "ABABBAAB", 2, lambda *_: "Next?", before=lambda bot, at: [("system", f"{bot}: it is 10:{at:02}")]
    )
    assert [of for _, of, _ in found] == expected


def test_what_two_bots_ask_in_the_same_words_goes_on_from_the_last_answer() -> None:
    found, _ = run("ABAB", 2, lambda *_: "Next?", says=str)
    assert [of for _, of, _ in found] == [None, 1, 1, 2]
    found, _ = run("ABAB", 2, lambda _, number: f"Price {number}?")
    assert found[2:] == [("continues", 2, OLDER), ("continues", 3, OLDER)]


@given(st.lists(st.sampled_from("AB"), min_size=3, max_size=10), st.integers(2, 6), st.integers(1, 3))
def test_no_bot_is_accused_for_what_another_one_was_answered(bots: list[str], window: int, answers: int) -> None:
    found, expected = run(
        "".join(bots),
        window,
        lambda bot, number: f"{bot} at {number}?",
        says=lambda number: f"HOLD {number % answers}",
    )
    assert {finding for *_, findings in found for finding in findings} <= set(OLDER)
    assert [of for _, of, _ in found] == expected


@given(st.lists(st.sampled_from(["q", "r", "s"]), min_size=3, max_size=8), st.integers(1, 3))
def test_a_bot_that_began_anew_goes_on_from_its_own_last_answer(questions: list[str], before: int) -> None:
    """What was asked before it began anew may be asked again: it has asked the same itself."""
    words = {"q": "Buy dollars?", "r": "Buy euros?", "s": "Buy yen?"}
    turns = [words[one] for one in ("q", "r", "s")] + [words[one] for one in questions]
    exchanges = [asked(1, ("user", turns[0]), says="HOLD")]
    exchanges += [asked(at, model("HOLD"), ("user", turns[0]), says="HOLD") for at in range(2, before + 1)]
    began = len(exchanges) + 1
    exchanges.append(asked(began, SYSTEM, ("user", turns[0]), says="HOLD"))
    for text in turns[1:]:
        exchanges.append(asked(len(exchanges) + 1, SYSTEM, model("HOLD"), ("user", text), says="HOLD"))
    found = kinds(*exchanges)[began:]
    assert [of for _, of, _ in found] == list(range(began, began + len(found)))
