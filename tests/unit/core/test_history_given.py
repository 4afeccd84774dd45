"""Which exchange gave an answer that is sent back."""

from __future__ import annotations

from recorder.core.history_given import Given
from recorder.core.history_tellings import tellings_of
from recorder.core.messages import Message, TextPart
from tests.unit.core.test_history_states import sent


def said(role: str, text: str) -> Message:
    return Message(role, (TextPart(text),))


def test_an_answer_is_of_the_exchange_that_gave_it_there_else_of_the_last_that_said_the_same() -> None:
    given = Given()
    one, other = sent(1, "q1", "hold"), sent(2, "q2", "hold")
    for exchange in (one, other):
        for telling in tellings_of(exchange, given.lines(exchange.request_messages, ())):
            given.remember(exchange, telling)
    history = [said("user", "q1"), said("assistant", "hold"), said("user", "q2"), said("assistant", "hold")]
    history += [said("user", "q3"), said("assistant", "hold"), said("assistant", "buy")]
    assert [line.by for line in given.lines(history, ())] == [None, one.id, None, other.id, None, other.id, None]


def test_what_was_answered_before_the_recording_began_is_of_nobody() -> None:
    given = Given()
    lines = given.lines([said("user", "q0"), said("assistant", "hold"), said("user", "q1")], ())
    assert given.takes(lines)
    assert not given.takes(lines)
    assert [line.given for line in given.lines([line.message for line in lines], ())] == [False, True, False]


def test_what_is_sent_is_no_piece_of_what_the_provider_kept() -> None:
    given = Given()
    exchange = sent(1, "q1", "hold")
    for telling in tellings_of(exchange, given.lines(exchange.request_messages, ())):
        given.remember(exchange, telling)
    history = [said("user", "q1"), said("assistant", "hold"), said("assistant", " on")]
    assert len(given.lines(history[:2] + history[2:], (), 2)) == 3
