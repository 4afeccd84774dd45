"""In which order exchanges were sent, whatever clocks said."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from recorder.core.sent_order import Sent, sent_order

P, Q = b"p" * 16, b"q" * 16


def identity(number: int, version: int = 7) -> bytes:
    return (number << 80 | version << 76 | 0b10 << 62).to_bytes(16, "big")


A, B, C, D = map(identity, range(1, 5))


def test_of_one_process_the_ids_tell_and_not_its_clock() -> None:
    assert sent_order([Sent(C, 400, P), Sent(A, 1000, P), Sent(B, 399, P)]) == [A, B, C]


def test_between_processes_the_clocks_tell() -> None:
    assert sent_order([Sent(A, 500, P), Sent(B, 100, Q)]) == [B, A]
    assert sent_order([Sent(A, 500), Sent(B, 100)]) == [B, A], "nobody knows of which"


def test_what_was_sent_before_a_clock_was_set_back_is_not_later_than_what_came_after_it() -> None:
    sent = [Sent(A, 1000, P), Sent(B, 400, P), Sent(C, 500, Q), Sent(D, 300, Q)]
    assert sent_order(sent) == [C, D, A, B]


def test_what_goes_on_from_something_comes_after_it() -> None:
    sent = [Sent(A, 1000, P), Sent(B, 400, Q), Sent(C, 500, Q)]
    assert sent_order(sent, [(A, B)]) == [A, B, C]
    assert sent_order(sent, [(A, identity(9)), (A, A)]) == [B, C, A], "others are passed over"


def test_ids_that_were_made_without_a_clock_say_nothing() -> None:
    first, second = identity(1, 8), identity(2, 8)
    assert sent_order([Sent(first, 20, P), Sent(second, 10, P)]) == [second, first]


_SENT = st.lists(
    st.builds(
        Sent,
        st.integers(0, 30).map(identity),
        st.integers(0, 20),
        st.sampled_from([None, P, Q]),
    ),
    unique_by=lambda one: one.id,
    max_size=15,
)


@given(_SENT, st.lists(st.tuples(st.integers(0, 30).map(identity), st.integers(0, 30).map(identity))), st.randoms())
def test_everything_has_a_place_and_always_the_same_one(
    sent: list[Sent], follows: list[tuple[bytes, bytes]], chosen: Random
) -> None:
    """Also where what follows what goes round in a circle."""
    found = sent_order(sent, follows)
    assert sorted(found) == sorted(one.id for one in sent)
    chosen.shuffle(sent)
    chosen.shuffle(follows)
    assert sent_order(sent, follows) == found


@given(_SENT)
def test_the_order_of_each_process_is_kept(sent: list[Sent]) -> None:
    found = sent_order(sent)
    for process in (P, Q):
        own = {one.id for one in sent if one.instance == process}
        assert [one for one in found if one in own] == sorted(own)
