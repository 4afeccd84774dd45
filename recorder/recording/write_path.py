"""The write path of one recorder: streams → spool → drainer → store, and how it is doing."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from recorder.clock import Clock
from recorder.core.redaction import Redaction
from recorder.errors import RecordingError, StoreUnreachable
from recorder.recording.drain import Drainer
from recorder.recording.recovery import Recovered, recover
from recorder.recording.spool import Spool
from recorder.recording.streams import StreamWriter
from recorder.store.base import EventStore

_log = logging.getLogger("recorder")

DURABILITIES: Final = ("delivered", "batched", "synced")
FAILURE_POLICIES: Final = ("spool", "raise")


@dataclass(frozen=True, slots=True)
class Health:
    """How recording is doing.

    :ivar ok: nothing fails and nothing was lost.
    :ivar store_error: why the store cannot be written, or None.
    :ivar spool_error: why the spool cannot be written, or None.
    :ivar pending_bytes: bytes in the spool that the store does not have yet.
    :ivar drained_events: events that this process has moved to the store.
    :ivar lost_events: events that could be written nowhere; each loss is in a ``gap_recorded``.
    :ivar unreported_gaps: event streams with a loss whose ``gap_recorded`` could not be written yet.
    """

    ok: bool
    store_error: str | None
    spool_error: str | None
    pending_bytes: int
    drained_events: int
    lost_events: int
    unreported_gaps: int


class Unfinished(Protocol):
    """An exchange that may still be open when its recorder is closed."""

    def recorder_closed(self) -> None:
        """Record that what follows is not recorded, unless the exchange has ended."""
        ...


class WritePath:
    """Everything between an event and the store, for one process.

    :param directory: the spool directory of the store.
    :param open_store: opens the store for writing.
    :param must_record: under ``on_failure="raise"``: what cannot be recorded must not happen.
    :param wait: seconds for which an append to a failing spool is tried again.
    """

    def __init__(
        self,
        directory: Path,
        open_store: Callable[[], EventStore],
        clock: Clock,
        redaction: Redaction,
        *,
        durability: str,
        must_record: bool,
        wait: float,
    ) -> None:
        self.clock = clock
        self.redaction = redaction
        self.must_record = must_record
        self.instance = clock.new_id()
        self.closed = False
        self._open_store = open_store
        self._directory = directory
        self._spool = Spool(directory, self.instance, clock, durability=durability, wait=wait)
        self._drainer = Drainer(self._spool, open_store, self._upkeep)
        self._streams: weakref.WeakSet[StreamWriter] = weakref.WeakSet()
        self._unfinished: weakref.WeakSet[Unfinished] = weakref.WeakSet()
        self._mending: list[StreamWriter] = []
        self._lost = 0
        self._lock = threading.Lock()
        self.recovered = Recovered()
        _OPEN.add(self)

    def start(self) -> None:
        """Open the store and take over what dead processes left.

        A store that cannot be reached is no error unless what is not recorded must not happen.

        :raises StoreError: the store is not one that can be written.
        """
        try:
            store = self._open_store()
        except StoreUnreachable as error:
            if self.must_record:
                raise
            _log.warning("recorder: the store fails, events are kept in the spool: %s", error)
            self._drainer.error = str(error)
            self._drainer.wake()
            return
        self._drainer.adopt(store)
        self.recovered = recover(self._directory, store, self.clock, self.instance)
        if self.recovered.died:
            _log.warning("recorder: closed %d exchanges of processes that died", len(self.recovered.died))

    def open_stream(self, stream: bytes | None = None) -> StreamWriter:
        """Return the writer of a new event stream; nothing is written before its first event."""
        identity = self.clock.new_id() if stream is None else stream
        writer = StreamWriter(self._spool, self.clock, identity, self.instance, self.clock.secret(32))
        self._streams.add(writer)
        return writer

    def watch(self, exchange: Unfinished) -> None:
        """Have *exchange* told when recording stops before it has ended."""
        self._unfinished.add(exchange)

    def write(
        self,
        writer: StreamWriter,
        type_name: bytes,
        flags: int = 0,
        meta: bytes | None = None,
        body: bytes | None = None,
    ) -> None:
        """Record an event.

        :raises RecordingError: it could not be written, and what is not recorded must not happen.
        """
        if self.closed:
            return
        safe = writer.write(type_name, flags, meta, body)
        if self._drainer.idle:
            self._drainer.wake()
        if not safe:
            self._note_loss(writer)

    def _note_loss(self, writer: StreamWriter) -> None:
        with self._lock:
            self._lost += 1
            if writer not in self._mending:
                self._mending.append(writer)
        if self.must_record:
            raise RecordingError(f"the exchange is not being recorded ({self._spool.error}): free the spool's disk")

    def check(self) -> None:
        """Refuse to go on where the next request could not be recorded.

        :raises RecordingError: only where what is not recorded must not happen.
        """
        if self.must_record and (self._spool.error or self._drainer.error):
            reason = self._drainer.error or self._spool.error
            raise RecordingError(f"the request was not sent because it cannot be recorded: {reason}")

    def _upkeep(self) -> None:
        """What the drainer's thread does between two batches."""
        self._spool.flush()
        self._spool.roll()
        if self._mending:
            with self._lock:
                self._mending = [writer for writer in self._mending if not writer.mend()]

    def flush(self, timeout: float) -> bool:
        """Move everything written so far to the store; return whether that worked within *timeout* seconds."""
        deadline = self.clock.monotonic_ns() + int(timeout * 1e9)
        while True:
            self._upkeep()
            self._drainer.drain()
            done = self._drainer.error is None and self._spool.pending(self._drainer.drained) == 0
            if done or self.clock.monotonic_ns() >= deadline:
                return done
            self.clock.sleep(0.02)

    def health(self) -> Health:
        """Return how recording is doing."""
        store_error, spool_error = self._drainer.error, self._spool.error
        return Health(
            ok=store_error is None and spool_error is None and not self._lost,
            store_error=store_error,
            spool_error=spool_error,
            pending_bytes=self._spool.pending(self._drainer.drained),
            drained_events=self._drainer.events,
            lost_events=self._lost,
            unreported_gaps=len(self._mending),
        )

    def close(self, timeout: float) -> None:
        """Bring everything to the store and stop; what the store does not take stays in the spool."""
        if self.closed:
            return
        for exchange in list(self._unfinished):
            exchange.recorder_closed()
        self.closed = True
        _OPEN.discard(self)
        self._upkeep()
        drained = self._drainer.stop(timeout) and self._spool.pending(self._drainer.drained) == 0
        if not drained:
            _log.error(
                "recorder: %d bytes stay in %s: `recorder recover` brings them to the store",
                self._spool.pending(self._drainer.drained),
                self._directory,
            )
        self._spool.close(drained=drained)

    def after_fork(self) -> None:
        """Go on in a forked child with an identity, a spool file and a drainer of its own."""
        self.instance = self.clock.new_id()
        for writer in self._streams:
            writer.disown()
        self._streams.clear()
        self._unfinished.clear()
        self._mending = []
        self._lost = 0
        self._lock = threading.Lock()
        self._spool.after_fork(self.instance)
        self._drainer = Drainer(self._spool, self._open_store, self._upkeep)


# A forked child must let go of its parent's spool lock at once, even if it never records anything:
# only the process knows that it was forked, so this one registration is per process, not per recorder.
_OPEN: weakref.WeakSet[WritePath] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for path in list(_OPEN):
        path.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
