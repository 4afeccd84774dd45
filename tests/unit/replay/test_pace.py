"""When recorded reads come back."""

from __future__ import annotations

import pytest

from recorder.errors import ConfigurationError
from recorder.replay.pace import Pace
from tests.clocks import DrivenClock


@pytest.mark.parametrize(("factor", "waits"), [(0, []), (1, [0.5, 1.5]), (2, [1.0, 3.0]), (0.1, [0.05, 0.15])])
def test_reads_are_due_at_their_moment(factor: float, waits: list[float]) -> None:
    clock = DrivenClock()
    pace = Pace(factor, clock).start()
    for elapsed in (500_000_000, 2_000_000_000, 2_000_000_000):
        pace.wait(elapsed)
    assert clock.slept == pytest.approx(waits)


def test_a_reader_that_is_late_does_not_wait() -> None:
    clock = DrivenClock()
    pace = Pace(1, clock).start()
    clock.now_ns += 10**10
    pace.wait(10**9)
    assert clock.slept == []


@pytest.mark.parametrize("factor", [-1, float("inf"), float("nan")])
def test_what_is_no_factor(factor: float) -> None:
    with pytest.raises(ConfigurationError):
        Pace(factor, DrivenClock())
