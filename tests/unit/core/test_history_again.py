"""Requests that ask again although something before the question differs: instructions with a clock, an edit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.conversation import Relation
from recorder.core.history import History
from recorder.core.rebuilt import Rebuilt
from tests.unit.core.test_history import ASK, HOLD, LAST, MORE, SYSTEM, TREND, asked, model, relations, told

CLOCKS = [("system", f"it is {hour} o'clock") for hour in range(12)]


def kinds(*exchanges: Rebuilt) -> list[tuple[str, int | None, list[str]]]:
    """Return the relation of each, with the place of the other one from 1, and its findings."""
    ids = [one.id for one in exchanges]
    return [
        (relation.kind, ids.index(relation.of) + 1 if relation.of else None, told(relation))
        for relation in relations(*exchanges)
    ]


EDITED = ["message_edited"]


def test_a_clock_in_the_instructions_hides_no_regeneration() -> None:
    found = kinds(
        asked(1, CLOCKS[1], ASK),
        asked(2, CLOCKS[2], ASK, says="sell"),
        asked(3, CLOCKS[3], ASK, model("sell"), MORE, says="the trend"),
        asked(4, CLOCKS[4], ASK, model("sell"), MORE, says="a hunch"),
        asked(5, CLOCKS[5], ASK, model("sell"), MORE, model("a hunch"), LAST),
        asked(6, CLOCKS[6], ASK, HOLD, LAST),
        asked(7, CLOCKS[7], ASK, model("sell"), LAST),
    )
    assert found == [
        ("begins", None, []),
        ("regenerates", 1, EDITED),
        ("continues", 2, EDITED),
        ("regenerates", 3, EDITED),
        ("continues", 4, EDITED),
        ("continues", 1, EDITED),
        ("forks", 2, EDITED),
    ]


def test_a_clock_in_the_instructions_hides_no_retry() -> None:
    found = kinds(
        asked(1, CLOCKS[1], ASK, says="", end=""),
        asked(2, CLOCKS[2], ASK),
        asked(3, CLOCKS[3], ASK, HOLD, MORE, says="the tr", end=""),
        asked(4, CLOCKS[4], ASK, HOLD, MORE, says="the", end=""),
        asked(5, CLOCKS[5], ASK, HOLD, MORE, says="the trend"),
        asked(6, CLOCKS[6], ASK, HOLD, MORE, TREND, LAST),
    )
    assert found == [
        ("begins", None, []),
        ("retries", 1, EDITED),
        ("continues", 2, EDITED),
        ("retries", 3, EDITED),
        ("retries", 4, EDITED),
        ("continues", 5, EDITED),
    ]


def test_a_clock_after_the_history_hides_neither() -> None:
    found = kinds(
        asked(1, ASK, CLOCKS[1]),
        asked(2, ASK, CLOCKS[2], says="sell"),
        asked(3, ASK, model("sell"), CLOCKS[3], MORE, says="the trend"),
        asked(4, ASK, model("sell"), CLOCKS[4], MORE),
        asked(5, ASK, model("sell"), CLOCKS[5], LAST),
    )
    assert [(kind, of) for kind, of, _ in found] == [
        ("begins", None),
        ("regenerates", 1),
        ("continues", 2),
        ("regenerates", 3),
        ("forks", 2),
    ]
    assert not any("answer_dropped" in findings for *_, findings in found)


@pytest.mark.parametrize(
    ("again", "findings"),
    [
        ([ASK, model("sell"), MORE], ["answer_edited"]),
        ([("user", "buy now?"), HOLD, MORE], ["message_edited"]),
        ([SYSTEM, ASK, HOLD, MORE], ["message_inserted"]),
        ([HOLD, MORE], ["older_messages_dropped"]),
    ],
)
@pytest.mark.parametrize(("end", "kind"), [("stop", "regenerates"), ("", "retries")])
def test_an_edit_is_told_and_the_answer_that_was_asked_for_again_is_not_called_dropped(
    again: list[tuple[str, str]], findings: list[str], end: str, kind: str
) -> None:
    first, second = asked(1, ASK), asked(2, ASK, HOLD, MORE, says="the trend", end=end)
    assert kinds(first, second, asked(3, *again))[2] == (kind, 2, findings)


def test_a_side_request_drops_no_answer_and_asks_nothing_again() -> None:
    title, main = ("system", "make a title"), asked(1, ASK)
    side, on = asked(2, title, ASK, says="Buying"), asked(3, ASK, HOLD, MORE)
    assert kinds(main, side, on) == [
        ("begins", None, []),
        ("begins", None, []),
        ("continues", 1, []),
    ]
    assert kinds(side, main, on)[1:] == [("begins", None, []), ("continues", 2, [])]
    # With a clock in the main conversation, and the side request at its end.
    later = [asked(4, CLOCKS[1], ASK), asked(5, CLOCKS[2], ASK, HOLD, ("user", "title?"), says="Buying")]
    assert kinds(*later, asked(6, CLOCKS[3], ASK, HOLD, MORE))[2] == ("forks", 1, EDITED)


def test_the_same_words_after_an_answer_are_no_question_again() -> None:
    yes, call = ("user", "yes"), model("on")
    static = kinds(asked(1, yes, says="on"), asked(2, yes, call, yes, says="on"))
    clocked = kinds(asked(1, CLOCKS[1], yes, says="on"), asked(2, CLOCKS[2], yes, call, yes, says="on"))
    assert (static[1], clocked[1]) == (("continues", 1, []), ("continues", 1, EDITED))
    edited = kinds(asked(1, CLOCKS[1], yes, says="on"), asked(2, CLOCKS[2], yes, model("off"), yes))
    assert (edited[1][0], edited[1][1], sorted(edited[1][2])) == ("continues", 1, ["answer_edited", "message_edited"])
    dropped = kinds(asked(1, CLOCKS[1], yes, says="on"), asked(2, CLOCKS[2], yes, yes))
    assert (dropped[1][0], sorted(dropped[1][2])) == ("continues", ["answer_dropped", "message_edited"])


def test_an_answer_that_the_program_began_may_be_asked_for_again() -> None:
    begun = model("I would ")
    found = kinds(
        asked(1, CLOCKS[1], ASK, begun),
        asked(2, CLOCKS[2], ASK, begun),
        asked(3, CLOCKS[3], ASK, model("I would hold"), MORE),
        asked(4, CLOCKS[3], ("user", "why, and why not?"), model("I would hold"), MORE, begun),
        asked(5, CLOCKS[4], ("user", "why?!"), model("I would hold"), MORE, begun),
    )
    assert found[1:3] == [("regenerates", 1, EDITED), ("continues", 2, EDITED)]
    assert (found[4][0], found[4][1]) == ("regenerates", 4)


def test_what_fits_exactly_comes_before_what_fits_but_for_instructions() -> None:
    bold, careful = ("system", "be bold"), ("system", "be careful")
    found = kinds(
        asked(1, bold, ASK),
        asked(2, careful, ASK),
        asked(3, bold, ASK, HOLD, MORE, says="the trend"),
        asked(4, careful, ASK, HOLD, MORE, says="a hunch"),
        asked(5, bold, ASK, HOLD, MORE, TREND, LAST),
    )
    assert found[1:] == [
        ("begins", None, []),
        ("continues", 1, []),
        ("continues", 2, []),
        ("continues", 3, []),
    ]


def test_a_request_without_a_question_asks_nothing_again() -> None:
    assert kinds(asked(1, CLOCKS[1]), asked(2, CLOCKS[2])) == [("begins", None, [])] * 2


def test_an_error_is_gone_on_from_with_the_question_once() -> None:
    """What had no answer is not taken for one that was asked twice in a row."""
    failed = asked(1, ASK, says="", end="")
    assert kinds(failed, asked(2, ASK, ASK, MORE))[1] == ("continues", 1, [])
    assert relations(failed, asked(2, ASK))[1] == Relation("retries", failed.id)


@given(st.data(), st.sampled_from(["it is 10:{:02}", "{}"]))
def test_a_clock_changes_no_relation_and_is_all_that_is_told(data: st.DataObject, clock: str) -> None:
    """A number that is no time changes what has no history: it may be a price, about which the same is asked."""
    static = [asked(1, SYSTEM, ASK, says="ok")]
    clocked = [asked(1, ("system", clock.format(1)), ASK, says="ok")]
    grown, begun = [[ASK, model("ok")]], [True]
    for number in range(2, data.draw(st.integers(2, 8)) + 1):
        history = list(data.draw(st.sampled_from(grown)))
        if data.draw(st.booleans()):
            history.append(("user", data.draw(st.sampled_from(["go", "yes"]))))
        else:
            history.pop()
        says, end = data.draw(st.sampled_from(["ok", "no"])), data.draw(st.sampled_from(["stop", ""]))
        static.append(asked(number, SYSTEM, *history, says=says, end=end))
        clocked.append(asked(number, ("system", clock.format(number)), *history, says=says, end=end))
        grown.append([*history, model(says)])
        begun.append(history == [ASK] and clock == "{}")
    plain, found = kinds(*static), kinds(*clocked)
    plain = [("begins", None, []) if begins else one for one, begins in zip(plain, begun, strict=True)]
    assert [one[:2] for one in found] == [one[:2] for one in plain]
    assert [findings for *_, findings in found] == [[] if kind == "begins" else EDITED for kind, *_ in plain]


def test_a_clock_costs_no_look_at_all_that_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first exchange, before which nothing was said, is compared with every one before it."""
    looked: list[int] = []
    changed = History._changed
    monkeypatch.setattr(
        History, "_changed", lambda self, lines, exact: looked.append(len(lines)) or changed(self, lines, exact)
    )
    said: list[tuple[str, str]] = []
    exchanges = []
    for turn in range(40):
        said.append(("user", f"question {turn}"))
        for again in range(2):
            number = 2 * turn + again
            exchanges.append(asked(number + 1, ("system", f"10:{number:02}"), *said, says=f"answer {turn} {again}"))
        said.append(model(f"answer {turn} 1"))
    found = kinds(*exchanges)
    assert [kind for kind, *_ in found] == ["begins", "regenerates", *["continues", "regenerates"] * 39]
    assert looked == [2]
