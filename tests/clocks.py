"""A clock that a test drives."""

from __future__ import annotations

from recorder.clock import SystemClock


class DrivenClock(SystemClock):
    """Time stands still but for those who sleep.

    :ivar slept: every wait, in seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 1_000_000_000
        self.slept: list[float] = []
        self.wall_ns = lambda: 1_790_000_000_000_000_000 + self.now_ns
        self.monotonic_ns = lambda: self.now_ns
        self.sleep = self._sleep

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(seconds * 1e9)
