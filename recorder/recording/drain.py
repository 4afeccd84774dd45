"""The drainer: moves events from the spool to the store in large batches.

One thread per recorder. It reads the spool files back, so that nothing queues up in memory however
long the store is away, and it commits how far it came together with the events: killed at any
moment, it goes on (or recovery does) exactly after the last event that the store has.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from recorder.core.codec import decode_batch
from recorder.core.events import Event, StreamOpened
from recorder.errors import RecorderError
from recorder.recording.spool import HEADER_SIZE
from recorder.store.base import EventStore, SpoolMark

_log = logging.getLogger("recorder")

INTERVAL: Final = 0.02  # seconds between two batches while events arrive
_ROUNDS_TO_IDLE: Final = 50
_BATCH_BYTES: Final = 256 * 1024
_LONGEST_WAIT: Final = 5.0  # seconds between two tries to reach a store that fails


class Drainable(Protocol):
    """A spool file as the drainer sees it."""

    @property
    def id(self) -> bytes:
        """Id of the file."""
        ...

    @property
    def fd(self) -> int:
        """Descriptor to read from."""
        ...


class Source(Protocol):
    """Where spool files come from and go to."""

    def files(self) -> Sequence[Drainable]:
        """Return the files, oldest first; only the last one is still appended to."""
        ...

    def drop(self, spool: bytes) -> None:
        """Remove the file of that id: it is drained whole and no longer appended to."""
        ...


def read_batch(fd: int, start: int, limit: int = _BATCH_BYTES) -> tuple[list[StreamOpened], list[Event], int]:
    """Return openings and events of a spool file from byte *start* on, and the offset after them.

    A record larger than *limit* is read whole; a torn record at the end is left for later.

    :raises CorruptRecording: the file is damaged at that place.
    """
    while True:
        data = os.pread(fd, limit, start)
        openings, events, end = decode_batch(data)
        if end or len(data) < limit:
            return openings, events, start + end
        limit *= 4


def drain_file(store: EventStore, file: Drainable, start: int) -> tuple[int, int]:
    """Move everything that a spool file holds from *start* on; return the new offset and the number of events.

    :raises RecorderError: the store or the file failed; what was committed before stays.
    """
    moved = 0
    while True:
        openings, events, end = read_batch(file.fd, start)
        if end == start:
            return start, moved
        store.append(openings, events, SpoolMark(file.id, start, end))
        start = end
        moved += len(events)


class Drainer:
    """Drains one process's spool from a thread of its own.

    :param source: the spool's files.
    :param open_store: opens the store for writing; called again after a failure.
    :param between: called in every round, for upkeep that shares the thread.
    """

    def __init__(self, source: Source, open_store: Callable[[], EventStore], between: Callable[[], None]) -> None:
        self._source = source
        self._open_store = open_store
        self._between = between
        self._store: EventStore | None = None
        self._drained: dict[bytes, int] = {}
        self._moving = threading.Lock()
        self._awake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.idle = True
        self.events = 0
        self.error: str | None = None

    @property
    def drained(self) -> int:
        """Bytes of the files that still exist which the store has."""
        return sum(self._drained.values())

    def adopt(self, store: EventStore) -> None:
        """Use a store that is open already."""
        self._store = store

    def wake(self) -> None:
        """Say that an event was written while :attr:`idle`. Starts the thread on first use."""
        self.idle = False
        with self._moving:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="recorder-drainer", daemon=True)
                self._thread.start()
        self._awake.set()

    def _run(self) -> None:
        empty = 0
        delay = INTERVAL
        while not self._stop.is_set():
            self._between()
            empty = 0 if self.drain() else empty + 1
            delay = INTERVAL if self.error is None else min(delay * 2, _LONGEST_WAIT)
            if empty > _ROUNDS_TO_IDLE and self.error is None:
                self._sleep_until_woken()
                empty = 0
            self._stop.wait(delay)

    def _sleep_until_woken(self) -> None:
        self._awake.clear()
        self.idle = True
        self._between()
        if not self.drain() and not self._stop.is_set():  # written between the last look and the flag
            self._awake.wait()
        self.idle = False

    def drain(self) -> bool:
        """Move what is in the spool now; return whether there was anything. A failure is kept in :attr:`error`."""
        with self._moving:
            try:
                moved = self._drain_files()
            except RecorderError as error:
                self._failed(error)
                return False
            if self.error is not None:
                _log.warning("recorder: the store answers again; what was kept in the spool is there now")
                self.error = None
            return moved

    def _drain_files(self) -> bool:
        moved = False
        if self._store is None:
            self._store = self._open_store()
        *full, current = self._source.files()
        for file in [*full, current]:
            start = self._drained.get(file.id)
            if start is None:
                start = max(self._store.drained(file.id), HEADER_SIZE)
            self._drained[file.id], events = drain_file(self._store, file, start)
            self.events += events
            moved = moved or events > 0
            if file is not current:
                self._store.forget_spool(file.id)
                self._source.drop(file.id)
                del self._drained[file.id]
        return moved

    def _failed(self, error: RecorderError) -> None:
        if self.error is None:
            _log.warning("recorder: the store fails, events are kept in the spool: %s", error)
        self.error = str(error)
        self._drained.clear()  # what was committed is the store's word, not ours
        if self._store is not None:
            self._store.close()
            self._store = None

    def stop(self, timeout: float) -> bool:
        """Drain what is there, stop the thread, close the store; return whether everything is in the store.

        :param timeout: seconds to wait for a batch that is under way.
        """
        self._stop.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        if not self._moving.acquire(timeout=timeout):
            return False
        self._moving.release()
        self.drain()
        if self._store is None:
            return False
        if self.error is None:
            for file in self._source.files():
                self._store.forget_spool(file.id)
        self._store.close()
        self._store = None
        return self.error is None
