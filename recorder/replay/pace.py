"""How fast recorded reads come back: at once, as recorded, or at any factor of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from recorder.clock import Clock, SystemClock
from recorder.errors import ConfigurationError


class Pace:
    """Waits for the moments at which reads were recorded.

    :param factor: 0 for at once, 1 as recorded, 2 for twice as slow.
    :param clock: tells the time and waits; a test drives its own.
    :raises ConfigurationError: the factor is no number, or negative, or endless.
    """

    def __init__(self, factor: float, clock: Clock) -> None:
        given: object = factor
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < float("inf"):
            raise ConfigurationError(f"pace={factor!r} is not a factor: use 0 (at once), 1 (as recorded) or another")
        self._factor = factor
        self._clock = clock
        self._origin = clock.monotonic_ns()

    def start(self) -> Pace:
        """Return a pace whose request is sent now."""
        return Pace(self._factor, self._clock)

    def left(self, elapsed_ns: int) -> float:
        """Return the seconds until what was recorded *elapsed_ns* after its request is due; 0 where it is."""
        if not self._factor:
            return 0.0
        due = self._origin + int(elapsed_ns * self._factor)
        return max(due - self._clock.monotonic_ns(), 0) / 1e9

    async def rest(self, elapsed_ns: int, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Do as :meth:`wait` does, in a task.

        :param sleep: lets other tasks go on meanwhile; a clock that a test drives waits by itself.
        """
        left = self.left(elapsed_ns)
        if left > 0 and type(self._clock) is SystemClock:
            await sleep(left)
        elif left > 0:
            self._clock.sleep(left)

    def wait(self, elapsed_ns: int) -> None:
        """Return when what was recorded *elapsed_ns* after its request is due."""
        left = self.left(elapsed_ns)
        if left > 0:
            self._clock.sleep(left)
