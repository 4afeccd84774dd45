"""How fast recorded reads come back: at once, as recorded, or at any factor of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from recorder.clock import Clock, SystemClock
from recorder.core.tape import NEVER
from recorder.errors import ConfigurationError, RecordingEnded
from recorder.replay.virtual_clock import ClockLine, TimeLine, VirtualClock

#: What the operating system says of a read that took too long.
TIMED_OUT: Final = "timed out"
_HEAD_START: Final = 2.0  # seconds from the beginning of a deadline to its request, at most: DNS, TCP, TLS, a proxy


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
        self._line: TimeLine = (
            clock.time_line()
            if isinstance(clock, VirtualClock)
            else ClockLine(clock, waits_by_loop=type(clock) is SystemClock)
        )

    def start(self) -> Pace:
        """Return a pace whose request is sent now."""
        return Pace(self._factor, self._clock)

    @property
    def passes(self) -> bool:
        """Whether time passes: at a pace above 0, or by a virtual clock, whose test has chosen the pace itself."""
        return self._factor > 0 or isinstance(self._clock, VirtualClock)

    def left(self, elapsed_ns: int) -> float:
        """Return the seconds until what was recorded *elapsed_ns* after its request is due; 0 where it is."""
        if not self._factor:
            return 0.0
        return max(int(elapsed_ns * self._factor) - self._line.passed_ns(), 0) / 1e9

    async def rest(
        self,
        elapsed_ns: int,
        sleep: Callable[[float], Awaitable[None]],
        timeout: float | None = None,
    ) -> None:
        """Do as :meth:`wait` does, in a task.

        :param sleep: lets other tasks go on meanwhile; a clock that a test drives waits by itself.
        :raises TimeoutError: it is not due by the *timeout*; tasks say nothing of it.
        :raises RecordingEnded: it never comes, and the client has no timeout.
        """
        left, fires = self._patience(elapsed_ns, timeout)
        if left > 0 and self._line.waits_by_loop:
            await sleep(left)
        elif left > 0:
            await sleep(0)  # tasks that ask at the same moment do so before it passes
            self._line.sleep(left)
        if fires:
            raise TimeoutError

    async def linger(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Let the program's own deadline come, in a task, where the recorded program went away.

        A deadline of the program (``asyncio.timeout``) began before the request was sent, by as long as it took to make
        the client and the connection. That takes no time here, so that the same deadline is due a little after the
        moment at which it fired when it was recorded: whoever has one goes away now, as then.

        :param sleep: as for :meth:`rest`.
        """
        if self._factor and self._line.waits_by_loop:
            await sleep(_HEAD_START * max(self._factor, 1.0))

    def wait(self, elapsed_ns: int, timeout: float | None = None, says: str = TIMED_OUT) -> None:
        """Return when what was recorded *elapsed_ns* after its request is due.

        :param timeout: how long the client waits for it at most, in seconds.
        :param says: what is said then.
        :raises TimeoutError: it is not due by then.
        :raises RecordingEnded: it never comes, and the client has no timeout.
        """
        left, fires = self._patience(elapsed_ns, timeout)
        if left > 0:
            self._line.sleep(left)
        if fires:
            raise TimeoutError(says)

    def _patience(self, elapsed_ns: int, timeout: float | None) -> tuple[float, bool]:
        """Return how long to wait in seconds, and whether the client gives up then."""
        if elapsed_ns == NEVER:
            if timeout is None:
                raise RecordingEnded(
                    "nothing more comes here, and the client has no timeout for a read: it would wait for ever, or "
                    "for as long as a timeout for the whole lets it"
                )
            return (timeout if self._factor else 0.0), True
        left = self.left(elapsed_ns)
        return (left, False) if timeout is None or left <= timeout else (timeout, True)
