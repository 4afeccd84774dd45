"""What bounds events in time: their leaves, and the time stamps of others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.clock_bounds import SEAL_LAG_NS, Bounds, Late
from recorder.core.events import Event
from recorder.core.seal_times import SealedLeaf, SealTimes, TimeStamp, Untimely
from recorder.core.time_verdict import Verdict, verdict_of
from tests.building import identity

SECOND = 1_000_000_000
NOON = 1_790_000_000 * SECOND


def event(at: int, version: int, number: int = 1) -> Event:
    """An event *at* seconds after noon."""
    return Event(identity(number), version, "chunk_received", NOON + at * SECOND, at, b"i" * 16, 0, None, b"", b"")


def leaf(number: int, at: int, length: int = 10, stream: int = 1) -> SealedLeaf:
    return SealedLeaf(number, identity(stream), length, NOON + at * SECOND)


def stamp(size: int, at: int, known_in: int | None = None) -> TimeStamp:
    moment = NOON + at * SECOND
    return TimeStamp(size, moment - SECOND, moment + SECOND, "tsa.example", known_in)


def checked(
    events: Sequence[Event],
    leaves: Sequence[SealedLeaf],
    *stamps: TimeStamp,
    late_because: Late | None = None,
) -> tuple[list[Untimely], Verdict]:
    bounds = Bounds(SealTimes(stamps))
    found = [finding for each in leaves for finding in bounds.leaf(each)]
    stream = bounds.stream([each for each in leaves if each.stream == identity(1)], late_because)
    found += [finding for each in events if (finding := stream.take(each)) is not None]
    return found, verdict_of(bounds)


def test_what_is_sealed_at_once_and_stamped_is_bounded() -> None:
    found, verdict = checked([event(0, 1), event(1, 2)], [leaf(0, 2, 2)], stamp(1, 10))
    assert found == []
    assert verdict.answer == "yes"
    assert "2 of 2 events are under a time stamp" in verdict.words[0]
    assert "tsa.example over 1 leaves" in verdict.words[0]


def test_without_a_time_stamp_nothing_is_bounded() -> None:
    found, verdict = checked([event(0, 1)], [leaf(0, 1, 1)])
    assert (found, verdict.answer) == ([], "not proved")
    assert verdict.words[0].startswith("no event is under a time stamp")
    assert "1 events are sealed and not under a time stamp" in verdict.words[1]


def test_without_a_ledger_nothing_is_bounded() -> None:
    found, verdict = checked([event(0, 1)], [])
    assert (found, verdict.answer) == ([], "not proved")
    assert "1 events are not sealed" in verdict.words[1]


def test_what_came_after_the_newest_time_stamp_is_bounded_in_part() -> None:
    found, verdict = checked([event(0, 1), event(20, 2), event(30, 3)], [leaf(0, 1, 1), leaf(5, 21, 2)], stamp(1, 10))
    assert (found, verdict.answer) == ([], "partly")
    assert "1 of 3 events are under a time stamp" in verdict.words[0]
    assert any("1 events are sealed and not under" in word for word in verdict.words)
    assert any("1 events are not sealed" in word for word in verdict.words)


def test_an_event_that_says_to_be_much_older_than_its_seal_is_back_dated() -> None:
    found, verdict = checked([event(0, 1), event(1, 2)], [leaf(0, 3600, 2)], stamp(1, 3700))
    assert [(one.version, one.kind, one.field) for one in found] == [(1, "back_dated", "wall_ns")]
    assert "leaf 0, the first that seals it, was sealed" in found[0].detail
    assert verdict.answer == "no"


def test_each_leaf_tells_its_first_event_only() -> None:
    events = [event(version, version) for version in range(1, 7)]
    found, _ = checked(events, [leaf(0, 3600, 3), leaf(1, 3601, 6)])
    assert [one.version for one in found] == [1, 4]


def test_what_the_journal_explains_is_counted_and_no_finding() -> None:
    found, verdict = checked(
        [event(0, 1), event(1, 2)], [leaf(0, 3600, 2)], stamp(1, 3700), late_because=Late("its process had died")
    )
    assert (found, verdict.answer) == ([], "partly")
    assert any("2 events were sealed more than 60 s after the time that they say" in word for word in verdict.words)


def test_what_explains_nothing_is_said_with_the_finding_and_age_by_itself() -> None:
    events, leaves = [event(0, 1), event(1, 2)], [leaf(0, 3600, 2)]
    (found,), verdict = checked(events, leaves, stamp(1, 3700), late_because=Late("nobody signed that", "nobody"))
    assert found.detail.endswith("or sealed late; nobody signed that")
    assert verdict.answer == "no"
    none, verdict = checked(events, leaves, stamp(1, 3700), late_because=Late("it is older", "age"))
    assert (none, verdict.answer) == ([], "partly")
    assert any(word.startswith("2 events say to be older than the ledger: nothing but") for word in verdict.words)
    assert not any("tells why" in word for word in verdict.words)


def test_a_back_dated_stream_with_back_dated_leaves_contradicts_the_leaf_before() -> None:
    honest = leaf(0, 3600, 1, stream=2)
    found, verdict = checked([event(0, 1)], [honest, leaf(1, 1, 1)])
    assert [(one.kind, one.field) for one in found] == [("back_dated", "sealed_ns")]
    assert verdict.answer == "no"


def test_a_back_dated_leaf_contradicts_a_time_stamp_that_the_log_knew_of() -> None:
    # Everything of the log's own clock was rewritten, only the time stamp could not be.
    leaves = [leaf(0, 0, 1), leaf(1, 1, 2), leaf(2, 2, 3)]
    found, verdict = checked([event(0, 1), event(1, 2), event(2, 3)], leaves, stamp(1, 3600, known_in=1))
    # Leaf 0 was there at 13:00 and may be older; leaf 2 was made after leaf 1, which was made after 13:00.
    assert [(one.kind, one.field, one.version) for one in found] == [
        ("back_dated", "sealed_ns", 3),
        ("back_dated", "wall_ns", 3),
    ]
    assert "it was sealed after a time stamp by tsa.example of" in found[1].detail
    assert verdict.answer == "no"


def test_a_time_stamp_that_the_log_does_not_know_of_says_nothing_about_later_leaves() -> None:
    leaves = [leaf(0, 0, 1), leaf(1, 1, 2)]
    assert checked([event(0, 1), event(1, 2)], leaves, stamp(1, 3600))[0] == []


def test_what_says_to_be_newer_than_its_seal_has_a_wrong_clock() -> None:
    found, verdict = checked([event(100, 1)], [leaf(0, 1, 1)], stamp(1, 2))
    assert [(one.kind, one.field) for one in found] == [("clock", "wall_ns")]
    assert "the clock of its host was ahead" in found[0].detail
    assert verdict.answer == "no"


def test_a_leaf_that_says_to_be_newer_than_its_time_stamp_has_a_wrong_clock() -> None:
    found, _ = checked([event(100, 1)], [leaf(0, 101, 1)], stamp(1, 10))
    assert [(one.kind, one.field) for one in found] == [("clock", "sealed_ns"), ("clock", "wall_ns")]
    assert "tsa.example stamped it" in found[0].detail
    assert "tsa.example stamped it" in found[1].detail


def test_the_earliest_time_stamp_over_a_leaf_is_its_ceiling() -> None:
    seals = SealTimes([stamp(5, 50), stamp(9, 20), stamp(2, 10)])
    assert [seals.ceiling(number).size for number in (0, 1)] == [2, 2]  # type: ignore[union-attr]  # there is one
    # The larger checkpoint was stamped earlier: it holds them too.
    assert [seals.ceiling(number).size for number in (2, 4, 5, 8)] == [9] * 4  # type: ignore[union-attr]  # there is one
    assert seals.ceiling(9) is None


def test_the_latest_time_stamp_that_was_known_is_the_floor() -> None:
    seals = SealTimes([stamp(1, 50, known_in=1), stamp(3, 20, known_in=4), stamp(5, 90, known_in=6)])
    assert seals.floor(1) is None
    floors = [seals.floor(number) for number in (2, 5, 7)]
    assert [(floor.leaf, (floor.at - NOON) // SECOND) for floor in floors if floor is not None] == [
        (1, 49),
        (1, 49),
        (6, 89),
    ]


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 200)), min_size=1, max_size=6),
)
def test_an_honest_log_has_no_findings_however_it_was_sealed_and_stamped(
    gaps: list[int], stamped: list[tuple[int, int]]
) -> None:
    """Each event is sealed 5 s later, each checkpoint stamped some time later, each stamp sealed when it was there."""
    times = [sum(gaps[: at + 1]) for at in range(len(gaps))]
    leaves = [leaf(at, when + 5, at + 1) for at, when in enumerate(times)]
    stamps = []
    for last, delay in stamped:
        last = min(last, len(times) - 1)
        at = times[last] + 5 + delay
        after = [each for each in range(last + 1, len(times)) if times[each] + 5 >= at]
        stamps.append(stamp(last + 1, at, known_in=after[0] if after else None))
    events = [event(when, at + 1) for at, when in enumerate(times)]
    found, verdict = checked(events, leaves, *stamps)
    assert found == []
    whole = max(one.size for one in stamps) == len(leaves)
    assert verdict.answer == ("yes" if whole else "partly")


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_whatever_is_older_than_its_seal_allows_is_found(lag: int, sealed: int) -> None:
    found, _ = checked([event(sealed - lag, 1)], [leaf(0, sealed, 1)])
    assert [one.kind for one in found] == (["back_dated"] if lag * SECOND > SEAL_LAG_NS else [])


@pytest.mark.parametrize("until", [1, 2, None])
def test_what_is_said_of_some_events_explains_no_later_ones(until: int | None) -> None:
    late = Late("somebody vouches for it", until=until)
    assert [late.explains(version) for version in (1, 2)] == [True, until != 1]
    assert not Late("nobody signed it", "nobody", until).explains(1)
