"""Which threads are in the middle of a write, and what waits until they are not."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recorder.errors import RecordingError

_get_ident = threading.get_ident


class Writes:
    """The writes of one recorder that are under way.

    The garbage collector runs finalizers wherever it likes, and so does the system signal handlers, also in a thread
    that holds the locks of the write path: what such a one writes goes elsewhere, or waits.

    :ivar under_way: threads inside a write, and how many writes of theirs: all but one of them are on hold.
    :ivar later: what waits until a thread is in no write any more.
    """

    def __init__(self) -> None:
        self.under_way: dict[int, int] = {}
        self.later: deque[Callable[[], None]] = deque()

    def on_hold(self) -> int:
        """Return how many writes of the current thread are on hold, seen from within one."""
        return max(self.under_way.get(_get_ident(), 0) - 1, 0)

    @property
    def interrupted(self) -> bool:
        """Whether the current thread is in the middle of a write."""
        return _get_ident() in self.under_way

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Mark the current thread as being in the middle of a write."""
        thread, under_way = _get_ident(), self.under_way
        outer = under_way.get(thread, 0)
        try:
            under_way[thread] = outer + 1
            yield
        finally:
            self.end(thread, outer)

    def end(self, thread: int, outer: int) -> None:
        """Take note that a write is over; where it was none in the middle of another, do what waits for that.

        :param outer: how many there were when it began.
        """
        if outer:
            self.under_way[thread] = outer
            return
        self.under_way.pop(thread, None)
        while self.later:
            try:
                self.later.popleft()()
            except (IndexError, RecordingError):
                return  # another thread took it; or the loss is noted, and nobody is here to be told

    def defers(self, call: Callable[[], None]) -> bool:
        """Keep *call* for a moment later, if this thread is inside a write; return whether it was kept."""
        if not self.interrupted:
            return False
        self.later.append(call)
        return True
