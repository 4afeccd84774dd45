"""The verdict on the times of a store, with what is said of the hosts' clocks."""

from __future__ import annotations

from recorder.core.clock_bounds import Bounds
from recorder.core.clock_samples import ClockSamples
from recorder.core.seal_times import SealTimes
from recorder.core.time_verdict import verdict_of
from tests.unit.core.test_clock_bounds import event, leaf, stamp


def test_steps_and_samples_are_part_of_the_verdict() -> None:
    bounds = Bounds(SealTimes([stamp(1, 10)]))
    bounds.leaf(leaf(0, 1, 1))
    bounds.stream([leaf(0, 1, 1)]).take(event(0, 1))
    assert verdict_of(bounds).answer == "yes"
    stepped = verdict_of(bounds, steps=2, samples=ClockSamples(1, 1, 1, 4000))
    assert stepped.answer == "no"
    assert "stepped 2 times" in stepped.words[-1]
    assert "an error of at most 4.000 ms" in stepped.words[-2]


def test_nothing_under_a_time_stamp_is_not_proved_and_a_contradiction_is_a_no() -> None:
    bounds = Bounds(SealTimes([]))
    bounds.leaf(leaf(0, 1, 1))
    bounds.stream([leaf(0, 1, 1)]).take(event(0, 1))
    assert verdict_of(bounds).answer == "not proved"
    assert verdict_of(bounds, steps=1).answer == "no"
