"""How many messages an exchange took over from the one that it extends."""

from __future__ import annotations

from recorder.core.conversation import Conversation
from recorder.formats.repeats import Repeats, repeated_of
from tests.unit.core.test_history_states import model, sent, user
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


def test_what_is_gone_on_from_by_its_name_is_not_repeated() -> None:
    first, second = sent(1, "q1", "a1"), sent(2, "q2", "a2", previous_response_id="resp_1")
    beside = sent(3, [user("q2"), model("a2"), user("q3")], previous_response_id="resp_1")
    third = sent(4, "q4", previous_response_id="resp_2")
    talk = (first, second, beside, third)
    parents = {second.id: first.id, beside.id: second.id, third.id: second.id}
    repeats = Repeats(Conversation("c", None, tuple(one.id for one in talk), parents))
    assert [repeats.take(one) for one in talk] == [0, 0, 2, 0]
    assert [repeated_of(second, first), repeated_of(beside, second), repeated_of(third, second)] == [0, 2, 0]
    assert repeated_of(ONES[2], ONES[1]) == 3
