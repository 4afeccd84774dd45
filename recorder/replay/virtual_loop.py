"""An event loop of asyncio that lives by a virtual clock.

The loop asks its selector to wait until the next timer is due. This one looks what is ready, and where nothing is, it
moves the clock on to that moment instead of waiting. No part of asyncio is replaced: a loop's selector and its ``time``
are what its interface lets one choose.
"""

from __future__ import annotations

import asyncio
import selectors
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from recorder.clock import SystemClock

if TYPE_CHECKING:
    from recorder.replay.virtual_clock import VirtualClock


Arguments = TypeVarTuple("Arguments")
Value = TypeVar("Value")


class _Leaping(selectors.DefaultSelector):
    """Waits in no time, unless only something outside the loop can go on.

    :ivar threads: how many calls of the loop run in other threads.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self._wall = SystemClock().monotonic_ns
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; where nothing is, move the clock on by *timeout* seconds."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            return super().select(None)  # no timer: somebody else has to wake the loop
        if not self.threads:
            self._clock.advance(max(timeout, 1e-9))
            return ready
        began = self._wall()  # a thread is at work, which may take its time: nothing leaps ahead of it
        ready = super().select(timeout)
        self._clock.advance(min(max((self._wall() - began) / 1e9, 1e-9), timeout))
        return ready


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """See :meth:`recorder.VirtualClock.event_loop`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._leaping = _Leaping(clock)
        super().__init__(self._leaping)

    def time(self) -> float:
        """Return the seconds that have passed on the clock."""
        return self.clock.monotonic()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Arguments], Value], *args: *Arguments
    ) -> Future[Value]:
        """Run a call in another thread; until it is over, time passes as it does on the wall."""
        future = super().run_in_executor(executor, func, *args)
        self._leaping.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: object) -> None:
        self._leaping.threads -= 1
