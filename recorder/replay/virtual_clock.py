"""A clock that nobody waits for: who sleeps by it moves it on.

::

    clock = VirtualClock()
    with Player("sqlite:///recordings.db", pace=1.0, clock=clock) as player:
        ...                                     # gaps of minutes pass at once,
        clock.now(), clock.monotonic()          # and whoever asks this clock sees that they have passed

What it shows when several answers are replayed at once. Each exchange has a *time line* of its own. It begins at what
the clock shows when its request is sent; on it passes what its reader waits for it, and what the reader's thread sleeps
by this clock meanwhile. Whether a timeout fires is decided on that line alone, so that it does not depend on what other
threads do. The clock itself shows the furthest moment that any line has come to, and never goes back: of two answers
that take 3 and 5 seconds, asked for at the same moment, both are over when it shows 5. Threads do not ask at the same
moment: one that comes after another has waited begins later, and the clock ends between the longest and the sum.

In an event loop of :meth:`VirtualClock.event_loop` nothing of that is needed: tasks wait for their moments in order.
"""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from recorder.clock import Clock, SystemClock
from recorder.errors import ConfigurationError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST: Final = 100 * 365 * 86400.0  # more is a mistake in the unit


class VirtualClock:
    """Shows the time of a replay; sleeping by it takes none. Thread-safe.

    Give it to a :class:`~recorder.Player`, and to the code under test where that takes a clock or a ``sleep``.

    :param start: what it shows first, with a time zone. Where it is left out, the moment at which the first of the
        recorded requests was sent, as soon as a player has the clock.
    :raises ConfigurationError: *start* is no moment with a time zone.
    """

    def __init__(self, start: datetime | None = None) -> None:
        machine = SystemClock()
        self.new_id = machine.new_id
        self.secret = machine.secret
        self._lock = threading.Lock()
        self._passed_ns = 0
        self._start_ns = None if start is None else _since_1970(start)
        self._own = threading.local()

    def now(self) -> datetime:
        """Return what it shows, in UTC.

        :raises ConfigurationError: it has no start yet.
        """
        return _EPOCH + timedelta(microseconds=self.wall_ns() // 1000)

    def time(self) -> float:
        """Return what it shows in seconds since 1970, as ``time.time`` does.

        :raises ConfigurationError: it has no start yet.
        """
        return self.wall_ns() / 10**9

    def monotonic(self) -> float:
        """Return the seconds that have passed since it was made; they never get fewer."""
        return self.monotonic_ns() / 10**9

    def wall_ns(self) -> int:
        """Return what it shows in nanoseconds since 1970.

        :raises ConfigurationError: it has no start yet.
        """
        if self._start_ns is None:
            raise ConfigurationError(
                "the virtual clock shows nothing yet: give it to a Player with recordings first, or say start="
            )
        return self._start_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Return the nanoseconds that have passed since it was made."""
        with self._lock:
            return self._passed_ns

    def advance(self, seconds: float) -> None:
        """Let time pass.

        :raises ConfigurationError: it is no number of seconds, or a negative one.
        """
        given: object = seconds
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= _LONGEST:
            raise ConfigurationError(f"{seconds!r} is no number of seconds: use 0 or more")
        spent = round(given * 1e9)
        with self._lock:
            self._passed_ns += spent
        self._own.slept = getattr(self._own, "slept", 0) + spent

    def sleep(self, seconds: float) -> None:
        """Let time pass, as ``time.sleep`` does, and return at once.

        :raises ConfigurationError: it is no number of seconds, or a negative one.
        """
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """Let time pass, as ``asyncio.sleep`` does; other tasks go on meanwhile.

        :raises ConfigurationError: it is no number of seconds, or a negative one.
        """
        import asyncio

        if self.runs_loop():
            await asyncio.sleep(seconds)
        else:
            self.advance(seconds)
            await asyncio.sleep(0)

    def event_loop(self) -> AbstractEventLoop:
        """Return a new event loop of asyncio that lives by this clock.

        When all tasks wait, it moves the clock on to the moment for which the first of them does. So
        ``asyncio.sleep``, ``asyncio.timeout`` and whatever else takes its time from the loop passes in no wall time,
        and in the order in which it would have passed: ``asyncio.Runner(loop_factory=clock.event_loop)``.
        """
        from recorder.replay.virtual_loop import VirtualEventLoop

        return VirtualEventLoop(self)

    def start_at(self, wall_ns: int) -> None:
        """Show that moment at the beginning, unless it is known already what is shown."""
        with self._lock:
            if self._start_ns is None:
                self._start_ns = wall_ns

    @property
    def started(self) -> bool:
        """Whether it is known what it shows."""
        return self._start_ns is not None

    def reach(self, monotonic_ns: int) -> None:
        """Move on to a moment, where that has not passed yet."""
        with self._lock:
            self._passed_ns = max(self._passed_ns, monotonic_ns)

    def slept_here(self) -> tuple[int, int]:
        """Return the calling thread's number, and the nanoseconds that it has slept by this clock."""
        return threading.get_ident(), getattr(self._own, "slept", 0)

    def runs_loop(self) -> bool:
        """Whether the caller runs in an event loop that lives by this clock."""
        if "asyncio" not in sys.modules:
            return False
        from asyncio import get_running_loop

        try:
            return getattr(get_running_loop(), "clock", None) is self
        except RuntimeError:  # there is none
            return False

    def time_line(self) -> TimeLine:
        """Return the time line of an exchange whose request is sent now."""
        return ClockLine(self, waits_by_loop=True) if self.runs_loop() else _OwnLine(self)


class TimeLine(Protocol):
    """The time of one exchange, from its request on.

    :ivar waits_by_loop: in a task, the loop waits for it, so that other tasks go on meanwhile.
    """

    waits_by_loop: bool

    def passed_ns(self) -> int:
        """Return the nanoseconds since the request was sent."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class ClockLine:
    """The clock's own time: a real one, or that of a loop that lives by it, where everybody's moments come in order."""

    def __init__(self, clock: Clock, *, waits_by_loop: bool) -> None:
        self.waits_by_loop = waits_by_loop
        self._clock = clock
        self._begins = clock.monotonic_ns()

    def passed_ns(self) -> int:
        """Return the nanoseconds since the request was sent."""
        return self._clock.monotonic_ns() - self._begins

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._clock.sleep(seconds)


class _OwnLine:
    """What the reader of one answer waited for it, and what its thread slept meanwhile."""

    waits_by_loop = False

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._begins = clock.monotonic_ns()
        self._passed = 0
        self._thread, self._slept = clock.slept_here()

    def passed_ns(self) -> int:
        thread, slept = self._clock.slept_here()
        if thread == self._thread:
            self._passed += slept - self._slept
        self._thread, self._slept = thread, slept
        return self._passed

    def sleep(self, seconds: float) -> None:
        self._passed = self.passed_ns() + round(seconds * 1e9)
        self._clock.reach(self._begins + self._passed)


def _since_1970(moment: datetime) -> int:
    """:raises ConfigurationError: it is no moment with a time zone."""
    given: object = moment
    if not isinstance(given, datetime) or given.tzinfo is None:
        raise ConfigurationError(f"start={moment!r} is no moment: use a datetime with a time zone")
    return (given - _EPOCH) // timedelta(microseconds=1) * 1000
