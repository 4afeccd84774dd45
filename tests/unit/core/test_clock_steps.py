"""Steps of a wall clock are found whatever the order of the events; what is no step is none."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.clock_steps import STEP_NS, ClockReadings, Step
from recorder.core.events import Event
from tests.building import identity

SECOND = 1_000_000_000
BEGAN = 1_790_000_000 * SECOND
INSTANCE = b"i" * 16


def event(mono_ns: int, offset_ns: int = 0, *, number: int = 1, version: int = 1, instance: bytes = INSTANCE) -> Event:
    """An event at *mono_ns*, of a host whose wall clock is off by *offset_ns*."""
    return Event(
        identity(number), version, "chunk_received", BEGAN + mono_ns + offset_ns, mono_ns, instance, 0, None, b"", b""
    )


def read(events: Iterable[Event], **settings: int) -> ClockReadings:
    readings = ClockReadings(**settings)
    for each in events:
        readings.take(each)
    return readings


def steps(events: Iterable[Event], **settings: int) -> list[Step]:
    return read(events, **settings).steps()


def every_second(start: int, end: int, offset_ns: int = 0, **more: int) -> list[Event]:
    return [event(at * SECOND, offset_ns, version=at + 1, **more) for at in range(start, end)]


def test_a_steady_clock_has_no_steps() -> None:
    assert steps(every_second(0, 1000)) == []


def test_nothing_has_no_steps() -> None:
    assert steps([]) == []


@pytest.mark.parametrize("by", [-3600 * SECOND, -SECOND, SECOND, 86_400 * SECOND])
@pytest.mark.parametrize("at", [1, 30, 60, 61, 199])
def test_a_step_is_found_at_the_first_event_after_it(by: int, at: int) -> None:
    [found] = steps(every_second(0, at) + every_second(at, 200, by))
    assert found == Step(INSTANCE, by, identity(1), at + 1, BEGAN + at * SECOND + by)


def test_a_step_there_and_back_is_two() -> None:
    events = every_second(0, 20) + every_second(20, 23, -300 * SECOND) + every_second(23, 300)
    assert [step.by_ns // SECOND for step in steps(events)] == [-300, 300]


def test_a_step_there_and_back_within_the_last_minute_is_found() -> None:
    events = every_second(0, 20) + every_second(20, 23, -300 * SECOND) + every_second(23, 50)
    assert [step.by_ns // SECOND for step in steps(events)] == [-300]


def test_a_single_reading_that_was_held_up_is_no_step() -> None:
    held_up = event(90 * SECOND + 1, -3 * SECOND, version=999)
    readings = read([*every_second(0, 200), held_up])
    assert readings.steps() == []
    assert readings.lone == 1


def test_a_single_reading_that_was_held_up_in_the_last_minute_is_no_step() -> None:
    readings = read([*every_second(0, 50), event(30 * SECOND + 1, -3 * SECOND, version=999)])
    assert readings.steps() == []
    assert readings.lone == 1


def test_a_single_reading_between_minutes_that_agree_is_no_step() -> None:
    readings = read(
        [event(0), event(SECOND), event(90 * SECOND, -3 * SECOND), event(150 * SECOND), event(160 * SECOND)]
    )
    assert readings.steps() == []
    assert readings.lone == 1


def test_a_single_reading_after_which_nothing_agrees_with_what_was_before_is_a_step() -> None:
    found = steps([event(0), event(90 * SECOND, -3 * SECOND), event(150 * SECOND, -3 * SECOND)])
    assert [step.by_ns // SECOND for step in found] == [-3]


def test_a_last_reading_alone_is_a_step() -> None:
    assert len(steps([*every_second(0, 10), event(100 * SECOND, -3 * SECOND)])) == 1


def test_many_small_steps_are_one() -> None:
    creeping = [event(minute * 60 * SECOND, -minute * STEP_NS // 2) for minute in range(60)]
    assert steps(creeping)


def test_a_clock_that_is_slewed_is_not_stepped() -> None:
    day = [event(minute * 60 * SECOND, minute * 60 * 500_000) for minute in range(24 * 60)]  # 500 millionths
    assert steps(day) == []
    assert steps(day, slew_ppm=0)


def test_made_up_clocks_of_a_minute_are_found_and_only_some_of_them_kept() -> None:
    events = [event(30 * SECOND + at, at * SECOND, version=at + 1) for at in range(1_500)]
    assert len(read(events).as_json()) == 1_000
    assert steps(events)


def test_processes_have_clocks_of_their_own() -> None:
    other = every_second(0, 100, 7 * 3600 * SECOND, instance=b"j" * 16)  # rebooted: another origin
    mixed = [each for pair in zip(every_second(0, 100), other, strict=True) for each in pair]
    assert steps(mixed) == []


def test_a_finding_says_where_and_by_how_much() -> None:
    [back] = steps(every_second(0, 10) + every_second(10, 20, -90 * SECOND))
    finding = back.as_untimely()
    assert (finding.version, finding.field, finding.kind) == (11, "wall_ns", "clock")
    assert "set back by 90.000 s" in finding.detail
    assert "slept" not in finding.detail
    [forward] = steps(every_second(0, 10) + every_second(10, 20, 1500 * SECOND))
    assert "set forward by 1,500.000 s, or the host slept" in forward.as_untimely().detail


@given(
    st.lists(st.integers(0, 600 * SECOND), min_size=1, max_size=60),
    st.integers(-STEP_NS // 5, STEP_NS // 5),
    st.randoms(use_true_random=False),
)
def test_jitter_is_never_a_step(at: list[int], jitter: int, order: random.Random) -> None:
    events = [event(mono, order.randint(-abs(jitter), abs(jitter))) for mono in at]
    order.shuffle(events)
    assert steps(events) == []


@given(
    st.integers(2, 200),
    st.integers(2, 200),
    st.integers(2 * STEP_NS, 10**6 * SECOND) | st.integers(-(10**6) * SECOND, -2 * STEP_NS),
    st.randoms(use_true_random=False),
)
def test_a_step_is_found_once_in_whatever_order_the_events_come(
    before: int, after: int, by: int, order: random.Random
) -> None:
    events = every_second(0, before) + every_second(before, before + after, by)
    order.shuffle(events)
    [found] = steps(events)
    assert abs(found.by_ns - by) <= STEP_NS
    assert found.version == before + 1
