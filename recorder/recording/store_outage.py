"""Whether the store takes what is brought to it: what it said when it failed, or that it says nothing at all.

A store that hangs (a server that is stopped, a machine that is frozen, a file that somebody keeps locked) fails no
call: whoever calls it just waits. So a thread of its own looks how long that has lasted.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Final

from recorder.clock import Clock
from recorder.recording.rounds import INTERVAL

_log = logging.getLogger("recorder")

#: Seconds without an answer after which a store counts as one that fails. Longer than the five for which SQLite waits
#: for a lock and Postgres for a connection: what ends then says itself why.
OVERDUE: Final = 10.0
_LONGEST_WAIT: Final = 5.0  # seconds between two tries to reach a store that fails
_TELL_EVERY: Final = 1.0  # seconds


def say_failing(reason: str) -> None:
    """Say that an outage of the store began."""
    _log.warning("recorder: the store fails, events are kept in the spool: %s", reason)


def say_well() -> None:
    """Say that it is over."""
    _log.warning("recorder: the store answers again; what was kept in the spool is there now")


class StoreOutage:
    """How a store does that one drainer calls.

    :param silent: is told each second for how long the store has not answered, and None when it does again.
    :ivar failure: why the last call failed, or None.
    """

    def __init__(self, clock: Clock, silent: Callable[[str | None], None] = lambda reason: None) -> None:
        self._clock = clock
        self._tell = silent
        self.failure: str | None = None
        self._pause, self._retry_at = INTERVAL, 0
        self._since: int | None = None  # the last progress of what is under way
        self._silent = False  # that it is overdue was told
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._sleeping, self._stopped = True, False
        self._wakes: SimpleQueue[None] = SimpleQueue()

    @property
    def waited(self) -> float:
        """Seconds since what is under way began, or came a step further; 0 where nothing is."""
        since = self._since
        return 0.0 if since is None else (self._clock.monotonic_ns() - since) / 1e9

    @property
    def error(self) -> str | None:
        """Why the store does not take what is brought to it, or None."""
        waited = self.waited
        return self.failure if waited < OVERDUE else f"the store has not answered for {int(waited)} s"

    def left_of(self, patience: float) -> float:
        """Return the seconds to wait for what is under way, which may take *patience* in all if the store is well."""
        return 0.0 if self.error is not None else max(patience - self.waited, 0.0)

    @property
    def too_early(self) -> bool:
        """Whether it failed a moment ago: it is tried again ever more slowly."""
        return self.failure is not None and self._clock.monotonic_ns() < self._retry_at

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the store while it is called."""
        with self._lock:
            self._since = self._clock.monotonic_ns()
        if self._sleeping:
            self._wake()
        try:
            yield
        finally:
            self._answered(None)

    def moved(self) -> None:
        """Take note that what is under way came a step further: a backlog of minutes is no outage."""
        if self._since is not None:
            self._answered(self._clock.monotonic_ns())

    def moving(self, go_on: Callable[[], bool]) -> Callable[[], bool]:
        """Return *go_on* for work that asks it before each step."""

        def ask() -> bool:
            self.moved()
            return go_on()

        return ask

    def _answered(self, since: int | None) -> None:
        with self._lock:
            self._since = since
            silent, self._silent = self._silent, False
        if silent and self.failure is None:
            say_well()
            self._tell(None)

    def over(self) -> None:
        """Take note that all that was asked for was done."""
        failure, self.failure = self.failure, None
        self._pause = INTERVAL
        if failure is not None:
            with self._lock:
                self._silent = False
            say_well()

    def failed(self, reason: str) -> bool:
        """Take note that a call failed; return whether that is the first that is heard of this outage."""
        with self._lock:
            first = self.failure is None and not self._silent
            self.failure, self._silent = reason, False
        self._pause = min(self._pause * 2, _LONGEST_WAIT)
        self._retry_at = self._clock.monotonic_ns() + int(self._pause * 1e9)
        if first:
            say_failing(reason)
        return first

    def _wake(self) -> None:
        if self._thread is None and not self._stopped:
            arguments = (weakref.ref(self), self._wakes)
            thread = self._thread = threading.Thread(
                target=_watch, args=arguments, name="recorder-store-watch", daemon=True
            )
            try:
                thread.start()
                weakref.finalize(self, self._wakes.put, None).atexit = False
            except RuntimeError as error:  # no thread is left, or the interpreter is shutting down
                _log.info("recorder: nobody looks whether the store answers: %s", error)
                self._thread = None
        if self._thread is not None:
            self._wakes.put(None)

    def _looks_on(self) -> tuple[bool, float | None]:
        """Return whether to go on looking, and the seconds until then; None: until it is woken."""
        if self._stopped:
            return False, None
        pause = self._look()
        if pause is None:
            self._sleeping = True
            if self._since is not None:  # begun between the look and the flag
                self._sleeping, pause = False, 0.0
        return True, pause

    def _look(self) -> float | None:
        """Tell of a store that is overdue; return the seconds until the next look, or None where nothing is under way.

        Of batches that come every few milliseconds hardly one wakes this thread: the look that is due finds the last.
        """
        with self._lock:
            if self._since is None:
                return None
            left = OVERDUE - self.waited
            if left > 0:
                return left
            first, self._silent = self.failure is None and not self._silent, True
            reason = self.error
        if first and reason is not None:
            say_failing(reason)
        self._tell(reason)
        return _TELL_EVERY

    def stop(self) -> None:
        """Look no more; whoever asks is told all the same."""
        self._stopped = True
        self._wakes.put(None)


def _watch(watched: weakref.ref[StoreOutage], wakes: SimpleQueue[None]) -> None:
    """Look as often as it is asked for; who drops a drainer without a word has dropped this as well."""
    while (outage := watched()) is not None:
        goes_on, pause = outage._looks_on()
        if not goes_on:
            return
        del outage
        with suppress(Empty):
            wakes.get(timeout=pause)
        if (outage := watched()) is not None:
            outage._sleeping = False
        del outage
