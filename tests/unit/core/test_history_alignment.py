"""What is asked with every request stands at its end, and is no earlier message that moved there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.conversation import Relation
from tests.unit.core.test_history import ASK, LAST, MORE, SYSTEM, asked, model, relations, told

HOLD = model("hold what you have until the price has left the channel")
TREND = model("the trend of the last ten days is not broken yet")
REMINDER = ("user", "remember: be brief")
RULES = ("user", "obey the rules")
INSTRUCTED = ("system", "remember: be brief")


@pytest.mark.parametrize("reminders", [[REMINDER], [INSTRUCTED], [REMINDER, RULES], [RULES, INSTRUCTED]])
@pytest.mark.parametrize("instructions", [[SYSTEM], []])
def test_a_standing_reminder_at_the_end_that_is_not_kept_moves_no_answer(
    reminders: list[tuple[str, str]], instructions: list[tuple[str, str]]
) -> None:
    first = asked(1, *instructions, ASK, *reminders, says=HOLD[1])
    second = asked(2, *instructions, ASK, HOLD, MORE, *reminders, says=TREND[1])
    third = asked(3, *instructions, ASK, HOLD, MORE, TREND, LAST, *reminders, says="no")
    found = relations(first, second, third)
    assert [(one.kind, one.of) for one in found[1:]] == [("continues", first.id), ("continues", second.id)]
    assert [told(one) for one in found] == [[], *[["message_dropped"] * len(reminders)] * 2]


def test_a_nudge_that_is_all_that_is_asked_moves_no_answer() -> None:
    nudge = ("user", "go on with the next step")
    first = asked(1, SYSTEM, ASK, nudge, says=HOLD[1])
    second = asked(2, SYSTEM, ASK, HOLD, nudge, says=TREND[1])
    third = asked(3, SYSTEM, ASK, HOLD, TREND, nudge, says="no")
    found = relations(first, second, third)
    assert [told(one) for one in found] == [[], ["message_dropped"], ["message_dropped"]]


def test_an_answer_that_was_edited_before_a_standing_reminder_is_told_as_that() -> None:
    first = asked(1, SYSTEM, ASK, REMINDER, says=HOLD[1])
    edited = asked(2, SYSTEM, ASK, model("sell what you have before the price has left the channel"), MORE, REMINDER)
    found = relations(first, edited)[1]
    assert (found.kind, found.of, told(found)) == ("continues", first.id, ["message_dropped", "answer_edited"])


def test_an_answer_that_was_dropped_before_a_standing_reminder_is_told_as_that() -> None:
    first = asked(1, SYSTEM, ASK, REMINDER, says=HOLD[1])
    second = asked(2, SYSTEM, ASK, HOLD, MORE, REMINDER, says=TREND[1])
    dropped = asked(3, SYSTEM, ASK, HOLD, MORE, LAST, REMINDER)
    found = relations(first, second, dropped)[2]
    assert (found.of, [kind for kind in told(found) if kind.startswith("answer")]) == (second.id, ["answer_dropped"])


def test_answers_that_changed_places_are_moved_before_a_standing_reminder_too() -> None:
    first = asked(1, SYSTEM, ASK, REMINDER, says=HOLD[1])
    second = asked(2, SYSTEM, ASK, HOLD, MORE, REMINDER, says=TREND[1])
    moved = asked(3, SYSTEM, ASK, TREND, MORE, HOLD, LAST, REMINDER)
    found = relations(first, second, moved)[2]
    assert [kind for kind in told(found) if kind.startswith("answer")] == ["answer_moved", "answer_moved"]


def test_the_same_question_again_after_an_edit_stays_in_its_place() -> None:
    first, second = asked(1, SYSTEM, ASK, says=HOLD[1]), asked(2, SYSTEM, ASK, HOLD, MORE, says=TREND[1])
    again = asked(3, SYSTEM, ASK, model("sell what you have before the price has left the channel"), MORE)
    found = relations(first, second, again)[2]
    assert (found.kind, found.of, told(found)) == ("regenerates", second.id, ["answer_edited"])


def test_a_beginning_of_the_answer_that_is_not_kept_is_no_answer_that_moved() -> None:
    begun = model("{")
    first = asked(1, ASK, begun, says='"a": 1}')
    second = asked(2, ASK, model('"a": 1}'), MORE, begun, says='"b": 2}')
    third = asked(3, ASK, model('"a": 1}'), MORE, model('"b": 2}'), LAST, begun)
    found = relations(first, second, third)
    assert [told(one) for one in found] == [[], ["message_dropped"], ["message_dropped"]]
    assert (found[1].of, found[2].of) == (first.id, second.id)
    kept = asked(4, ASK, model('{"a": 1}'), MORE)
    assert relations(first, kept)[1] == Relation("continues", first.id)


@given(st.data())
def test_a_window_that_slides_under_a_standing_reminder_changes_nothing(data: st.DataObject) -> None:
    lead = data.draw(st.sampled_from([[], [SYSTEM]]))
    reminders = data.draw(st.sampled_from([[REMINDER], [INSTRUCTED], [REMINDER, RULES], [RULES, INSTRUCTED]]))
    window, exchanges, history = data.draw(st.sampled_from([4, 6, 100])), [], list[tuple[str, str]]()
    for number in range(data.draw(st.integers(2, 7))):
        question = ("user", data.draw(st.sampled_from(["go on", "next?", f"question {number}"])))
        says = f"what was answered to question {number} in more words than an example has"
        exchanges.append(asked(number + 1, *lead, *history[-window:], question, *reminders, says=says))
        history += [question, model(says)]
    found = relations(*exchanges)
    assert [one.of for one in found[1:]] == [one.id for one in exchanges[:-1]]
    assert {kind for one in found for kind in told(one)} <= {"message_dropped", "older_messages_dropped"}
