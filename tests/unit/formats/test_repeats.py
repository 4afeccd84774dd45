"""How many messages an exchange took over from the one that it extends."""

from __future__ import annotations

from recorder.core.conversation import Conversation
from recorder.formats.repeats import Repeats
from tests.unit.formats.made import said, told

ONES = [told([said("user", "x")] * number, said("assistant", "a"), number=number) for number in (1, 2, 3)]
FIRST, SECOND, THIRD = (one.id for one in ONES)


def test_those_of_the_request_and_the_answer_are_repeated() -> None:
    repeats = Repeats(Conversation("c", None, (FIRST, SECOND, THIRD), {SECOND: FIRST, THIRD: FIRST}))
    assert [repeats.take(one) for one in ONES] == [0, 2, 2]


def test_what_an_exchange_extends_may_not_be_there() -> None:
    repeats = Repeats(Conversation("c", None, (SECOND, THIRD), {SECOND: FIRST, THIRD: SECOND}))
    assert [repeats.take(one) for one in ONES[1:]] == [None, 3]


def test_without_a_conversation_nothing_is_repeated() -> None:
    repeats = Repeats(None)
    assert [repeats.take(one) for one in ONES] == [0, 0, 0]
