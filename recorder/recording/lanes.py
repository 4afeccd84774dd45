"""Several spools side by side, so that threads do not queue up at one lock.

Every append holds its spool's lock, and the interpreter may go to another thread just then: while the
kernel writes, or because a thread's time is up. With one lock for all, a thread that has to wait for the
lock gets it when it does not have the interpreter, whoever has the interpreter then has to wait for the
lock, and so on for ever: a convoy (measured with eight busy threads: 30 µs an event in place of 10; with
64 streams and a write for each event: a 99th percentile of 5–15 ms in place of 1 ms). So a thread keeps
to one lane, and an event stream, whose order counts, to the lane of the thread that opened it.

A signal handler, or a finalizer, may record something while its thread is in the middle of an append:
that goes to a lane of its own, since nothing can be appended to the first until the handler returns.

The journal, which all threads append to, has a lane of its own: it is written to twice per exchange, and who waits
there has no other lane locked. Where more is promised than that a process may be killed, there is only one lane: what
a sync brings to the medium, or a buffer to the file, is everything that was appended before, the journal's as well.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Final

from recorder.clock import Clock
from recorder.errors import StoreError
from recorder.recording.held import Author, Undo
from recorder.recording.mapped_file import suits
from recorder.recording.spool import Spool
from recorder.recording.spool_file import SpoolFile

_log = logging.getLogger("recorder")

_LANES: Final = 8
_SPARE: Final = 1000  # the lane of all threads where every other one is damaged; those in between are for nested writes
JOURNAL: Final = 1001  # the lane of the journal


def is_beside(lane: int) -> bool:
    """Whether a lane is for what is recorded in the middle of another write: its streams go on in other lanes."""
    return _LANES <= lane < _SPARE


class Lanes:
    """The spools of one recorder; a lane is made when the first thread comes that keeps to it.

    The parameters are those of :class:`~recorder.recording.spool.Spool`.

    :raises StoreUnreachable: the directory cannot be written.
    """

    def __init__(self, directory: Path, instance: bytes, clock: Clock, *, durability: str, wait: float) -> None:
        self._directory = directory
        self.instance = instance
        self._clock = clock
        self._durability = durability
        self._wait = wait
        self._mapped = durability == "delivered" and suits(directory)  # to sync a mapping holds up who writes to it
        self._lock = threading.RLock()
        self._turn = itertools.count()
        self._own = threading.local()
        self._told = False
        self._width = _LANES if durability == "delivered" else 1
        self._lanes: dict[int, Spool] = {0: self._made(0)}

    def _made(self, number: int) -> Spool:
        return Spool(
            self._directory,
            self.instance,
            self._clock,
            durability=self._durability,
            wait=self._wait,
            lane=number,
            mapped=self._mapped,
        )

    @property
    def first(self) -> Spool:
        """The spool that is always there."""
        return self._lanes[0]

    def of_thread(self, avoid: frozenset[int] = frozenset()) -> Spool:
        """Return the spool that the current thread keeps to.

        :param avoid: lanes in which a file is damaged: what is appended there waits for recovery.
        """
        number: int | None = getattr(self._own, "lane", None)
        if number is None or number in avoid:
            turns = (next(self._turn) % self._width for _ in range(self._width))
            number = self._own.lane = next((turn for turn in turns if turn not in avoid), _SPARE)
        return self._lanes.get(number) or self._opened(number)

    def beside(self, depth: int) -> Spool | None:
        """Return a spool that no write of the current thread is on hold in; None where none can be made.

        :param depth: how many of its writes are on hold, each in a lane of its own.
        """
        number = _LANES + depth - 1
        spool = self._lanes.get(number) or self._opened(number)
        return spool if spool is self._lanes.get(number) else None

    def for_journal(self, depth: int) -> Spool | None:
        """Return the spool that the journal goes to from the current thread; None where none can be made.

        :param depth: how many of its writes are on hold.
        """
        if self._width == 1:
            return self.beside(depth) if depth else self._lanes[0]
        spool = self._lanes.get(JOURNAL) or self._opened(JOURNAL)
        return spool if spool is self._lanes.get(JOURNAL) else None

    def _opened(self, number: int) -> Spool:
        with self._lock:
            if number not in self._lanes:
                try:
                    self._lanes[number] = self._made(number)
                except StoreError as error:
                    if not self._told:  # it is tried again for every thread: once an outage is enough
                        self._told = True
                        _log.warning(
                            "recorder: threads share a spool file for now, no further one can be made: %s", error
                        )
                    return self._lanes[0]
                self._told = False
            return self._lanes[number]

    def _all(self) -> list[Spool]:
        return list(self._lanes.values())

    @property
    def defers(self) -> bool:
        """Whether something may have to be done a moment after an append, to keep what the durability promises."""
        return self._lanes[0].defers

    @property
    def error(self) -> str | None:
        """Why one of the spools cannot be written, or None."""
        return next((lane.error for lane in self._all() if lane.error), None)

    @property
    def sync_error(self) -> str | None:
        """Why one of them could once not be brought to the medium, or None."""
        return next((lane.sync_error for lane in self._all() if lane.sync_error), None)

    @property
    def removed(self) -> str | None:
        """Why one of them is gone when the process ends, or None."""
        return next((lane.removed for lane in self._all() if lane.removed), None)

    def check(self) -> None:
        """Go on in new files, with what was in the old ones, where somebody removed these."""
        for lane in self._all():
            lane.check()

    def flush(self) -> bool:
        """Write what ``batched`` durability holds in memory, sync what ``synced`` owes; return success."""
        flushed = [lane.flush() for lane in self._all()]  # every one, whatever became of the others
        return all(flushed)

    def give_up(self) -> list[Author]:
        """Hold nothing in memory any more; return whose records were held, which they have taken back."""
        lanes, of = self._all(), defaultdict[Author, list[Undo]](list)
        try:
            for lane in lanes:  # a stream may go on in another one
                for author, undo in lane.withdraw():
                    of[author].append(undo)
            for author, undone in of.items():
                author.take_back(sorted(undone, key=attrgetter("version")))
        finally:
            for lane in lanes:
                lane.accept()
        return list(of)

    def start_over(self) -> None:
        """Go on in other files where those that there are cannot be written."""
        for lane in self._all():
            lane.start_over()

    def files(self) -> list[SpoolFile]:
        """Return this process's files, the oldest of each lane first; the last of each is still appended to."""
        return [file for lane in self._all() for file in lane.files()]

    def drop(self, spool: bytes) -> None:
        """Remove the file of that id: it is drained whole and no longer appended to."""
        for lane in self._all():
            lane.drop(spool)

    def pending(self, drained: Mapping[bytes, int]) -> int:
        """Return how many bytes wait for the store.

        :param drained: how far the store has each file, by id.
        """
        return sum(lane.pending(drained) for lane in self._all())

    def after_fork(self, instance: bytes) -> None:
        """Go on in a forked child: what the lanes hold is the parent's."""
        self._lock = threading.RLock()
        self.instance = instance
        for lane in self._all():
            lane.after_fork(instance)

    def close(self, *, drained: bool) -> None:
        """Give the files up, removing them where everything in them has been drained."""
        for lane in self._all():
            lane.close(drained=drained)
