"""The write path of one recorder: streams → spool → drainer → store, and how it is doing."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from recorder.clock import Clock, id_bytes
from recorder.core.receipts import Receipt
from recorder.core.redaction import Redaction
from recorder.errors import RecordingError, StoreError, StoreUnreachable
from recorder.recording import forks
from recorder.recording.batches import events_left
from recorder.recording.lanes import Lanes
from recorder.recording.mover import Health, Mover
from recorder.recording.recovery import Recovered, recover
from recorder.recording.reserve import Reserve, mark_closed
from recorder.recording.rounds import Rounds
from recorder.recording.spool_file import HEADER_SIZE
from recorder.recording.streams import StreamWriter, Unfinished
from recorder.store.base import EventLog

_log = logging.getLogger("recorder")

DURABILITIES: Final = ("delivered", "batched", "synced")
FAILURE_POLICIES: Final = ("spool", "raise")
_FIRST_PAUSE: Final = 0.02  # seconds between two looks whether everything is in the store
_LONGEST_PAUSE: Final = 0.5  # the same where the store fails
_get_ident = threading.get_ident
_FORK_WAIT: Final = 2.0  # seconds that a fork waits for a batch that is under way


class WritePath:
    """Everything between an event and the store, for one process.

    :param directory: the spool directory of the store.
    :param open_store: opens the store for writing.
    :param make_mover: makes what brings a process's spool to the store.
    :param make_apart: the same for a forked child in which the store must not be opened: see :meth:`before_fork`.
    :param must_record: under ``on_failure="raise"``: what cannot be recorded must not happen.
    :param wait: seconds for which an append to a failing spool is tried again.
    """

    def __init__(
        self,
        directory: Path,
        open_store: Callable[[], EventLog],
        make_mover: Callable[[Lanes, bytes], Mover],
        clock: Clock,
        redaction: Redaction,
        *,
        durability: str,
        must_record: bool,
        wait: float,
        make_apart: Callable[[Lanes, bytes], Mover] | None = None,
    ) -> None:
        self.clock = clock
        self.redaction = redaction
        self.must_record = must_record
        self.instance = clock.new_id()
        self.closed = False
        self.apart = False  # the store must not be opened in this process
        self._open_store = open_store
        self._make_mover = make_mover
        self._make_apart = make_apart or make_mover
        self._clean = True  # a child that is forked now inherits nothing of an open store
        self._directory = directory
        self._spool = Lanes(directory, self.instance, clock, durability=durability, wait=wait)
        self._defers = self._spool.defers
        self._reserve = Reserve(directory, clock)
        self._mover = make_mover(self._spool, self.instance)
        self._upkeep = Rounds("recorder-upkeep", self._keep_up)
        self._streams: weakref.WeakSet[StreamWriter] = weakref.WeakSet()
        self._unfinished: weakref.WeakSet[Unfinished] = weakref.WeakSet()
        self._unended: set[StreamWriter] = set()  # of exchanges, whether or not anybody still holds these
        self._mending: list[StreamWriter] = []
        self._lost = 0
        self._lock = threading.RLock()
        self._writing: dict[int, int] = {}  # threads inside a write, and how many of these are on hold
        self._later: deque[Callable[[], None]] = deque()
        self.recovered = Recovered()
        forks.ALIVE.add(self)

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
            self._mover.start_failed(str(error))
            return
        try:
            self._recover(store)
        except BaseException:
            store.close()
            raise
        self._mover.adopt(store, [id_bytes(name) for name in self.recovered.instances])

    def _recover(self, store: EventLog) -> None:
        """Take over what dead processes left; whatever goes wrong with *their* spools can wait."""
        try:
            self.recovered = recover(self._directory, store, self.clock, self.instance)
        except StoreError as error:
            if self.must_record:
                raise
            _log.warning("recorder: what a dead process left stays in %s for now: %s", self._directory, error)
        if died := len(self.recovered.died):
            _log.warning("recorder: closed %d exchange%s of processes that died", died, "" if died == 1 else "s")

    def open_stream(self, stream: bytes | None = None) -> StreamWriter:
        """Return the writer of a new event stream; nothing is written before its first event."""
        identity = self.clock.new_id() if stream is None else stream
        if not self.closed:
            self._reserve.keep()
        spool = self._spool.of_thread(self._mover.damaged_lanes)
        writer = StreamWriter(spool, self.clock, identity, self.instance, self.clock.secret(32))
        with self._lock:
            self._streams.add(writer)
        return writer

    def watch(self, exchange: Unfinished, writer: StreamWriter) -> None:
        """Have *exchange* told when recording stops before it has ended, and its stream ended even if it is gone."""
        with self._lock:
            self._unfinished.add(exchange)
            self._unended.add(writer)

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
        thread, writing = _get_ident(), self._writing
        outer = writing.get(thread, 0)
        try:
            writing[thread] = outer + 1
            if self.closed and type_name != b"recorder_closed":
                return
            if outer:  # a signal handler, or a finalizer, records while this thread is in the middle of a write
                safe = writer.write_beside(self._spool.beside(outer), type_name, flags, meta, body)
            else:
                safe = writer.write(type_name, flags, meta, body)
            if self._mover.idle:
                self._mover.wake()
            if self._defers and self._upkeep.idle:
                self._upkeep.wake()
        finally:
            if outer:
                writing[thread] = outer
            else:
                writing.pop(thread, None)
            if self._later and not outer:
                self._do_later()
        if writer.ended:
            self._unended.discard(writer)
        if not safe:
            self._note_loss(writer)

    def defers(self, call: Callable[[], None]) -> bool:
        """Keep *call* for a moment later, if this thread is inside a write; return whether it was kept.

        The garbage collector runs finalizers wherever it likes, and so does the system signal handlers, also
        in a thread that holds the locks of the write path: a response that is collected or closed there
        tells of its end when they are free.
        """
        if threading.get_ident() not in self._writing:
            return False
        self._later.append(call)
        return True

    def _do_later(self) -> None:
        while self._later:
            try:
                self._later.popleft()()
            except (IndexError, RecordingError):
                return  # another thread took it; or the loss is noted, and nobody is here to be told

    def _note_loss(self, writer: StreamWriter) -> None:
        reason = self._spool.error or "the spool could not be written"  # before the upkeep finds it well again
        if self.must_record and self.forget(writer):
            raise RecordingError(f"the request was not sent because it cannot be recorded: {reason}")
        with self._lock:
            self._lost += writer.newly_lost()
            if writer not in self._mending:
                self._mending.append(writer)
        self._upkeep.wake()
        if self.must_record:
            raise RecordingError(f"the exchange is not being recorded ({reason}): free the spool's disk")

    def give_up(self, writer: StreamWriter, reason: str) -> None:
        """Record that the rest of a stream is missing."""
        with self._lock:
            self._lost += 1
        if not writer.report_gap(reason):
            with self._lock:
                self._mending.append(writer)
            self._upkeep.wake()

    def forget(self, writer: StreamWriter) -> bool:
        """Record nothing of a stream of which nothing is recorded yet; return whether that is so."""
        withdrawn = writer.withdraw()
        if withdrawn:
            self._unended.discard(writer)
        return withdrawn

    def check(self, writer: StreamWriter) -> None:
        """Refuse to go on where the next request could not be recorded; nothing is recorded of a refused one.

        Whether the spool takes the request shows when it is written there, before it is sent.

        :raises RecordingError: only where what is not recorded must not happen.
        """
        spool, mover = self._spool, self._mover
        if self.must_record and (trouble := mover.error or mover.damage or spool.sync_error or spool.removed):
            self.forget(writer)
            raise RecordingError(f"the request was not sent because it cannot be recorded: {trouble}")

    @property
    def reaches_store(self) -> bool:
        """Whether nothing is known that keeps what is in the spool from the store."""
        return not (self._mover.error or self._mover.damage)

    def _keep_up(self) -> bool:
        """What is to be done between two writes; return whether to come back soon."""
        thread = threading.get_ident()
        if self._writing.get(thread):  # a signal handler asks for it, in the middle of a write
            return True
        try:
            self._writing[thread] = 1
            self._spool.check()
            flushed = self._spool.flush()
            with self._lock:
                owing = list(self._mending)
            mended = [writer for writer in owing if writer.mend()]
            with self._lock:
                self._mending = [writer for writer in self._mending if writer not in mended]
        finally:
            self._writing.pop(thread, None)
        self._do_later()
        return bool(self._mending) or not flushed

    def flush(self, timeout: float) -> bool:
        """Move everything written so far to the store; return whether that worked within *timeout* seconds.

        In the middle of a write, from a signal handler, it is tried once: what is on hold cannot be waited for.
        """
        on_hold = threading.get_ident() in self._writing
        deadline = self.clock.monotonic_ns() + int(timeout * 1e9)
        pause = _FIRST_PAUSE
        while True:
            self._keep_up()
            self._mover.drain(timeout)
            done = self._mover.error is None and self._spool.pending(self._mover.drained) == 0
            if done or on_hold or self.clock.monotonic_ns() >= deadline:
                return done
            self.clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE) if self._mover.error is not None else _FIRST_PAUSE

    def seal(self, stream: bytes, timeout: float) -> Receipt:
        """Bring all that was recorded to the store and have it sealed; return the proof for a stream.

        :raises ConfigurationError: the store has no ledger, or its key is not here.
        :raises StoreError: the store, or what is outside of it, fails.
        :raises NotFound: nothing of the stream was recorded.
        """
        self._keep_up()
        return self._mover.seal(stream, timeout)

    def health(self) -> Health:
        """Return how recording is doing."""
        self._spool.check()
        store_error, spool_error = self._mover.error, self._spool.error or self._spool.sync_error or self._spool.removed
        spool_error = spool_error or self._mover.damage
        conflicts = self._mover.conflicts
        return Health(
            ok=store_error is None and spool_error is None and not self._lost and not conflicts,
            store_error=store_error,
            spool_error=spool_error,
            pending_bytes=self._spool.pending(self._mover.drained),
            drained_events=self._mover.events,
            lost_events=self._lost,
            unreported_gaps=len(self._mending),
            conflicts=conflicts,
            sealing=self._mover.sealing,
        )

    def close(self, timeout: float) -> None:
        """Bring everything to the store and stop; what the store does not take stays in the spool."""
        if self.closed:
            return
        self._upkeep.stop(timeout)
        self._mover.retire()
        self._end_exchanges()
        self.closed = True
        self._end_exchanges()  # those that began in the meantime
        self._end_dropped()
        forks.ALIVE.discard(self)
        self._keep_up()
        if self._mending:
            self._use_reserve()
        self._reserve.free()
        pending = self._spool.pending
        drained = self._mover.stop(timeout, lambda done: pending(done) == 0)
        if not drained and (left := pending(self._mover.drained)):
            self._say_what_stays(left)
        self._spool.close(drained=drained)

    def abandon(self) -> None:
        """Stop before anything was recorded: nothing is left in the spool's place, and nobody asks the store again."""
        self.closed = True
        forks.ALIVE.discard(self)
        self._upkeep.stop(0)
        self._mover.retire()
        self._spool.close(drained=True)

    def _say_what_stays(self, left: int) -> None:
        where, drained = self._directory, self._mover.drained
        self._spool.check()
        if self._spool.removed is None:
            brings = "what can be read of them" if self._mover.damage else "them"
            _log.error("recorder: %d bytes stay in %s: `recorder recover` brings %s to the store", left, where, brings)
            return
        gone = [file for file in self._spool.files() if file.removed]
        lost = sum(events_left(file, drained.get(file.id, HEADER_SIZE)) for file in gone)
        self._lost += lost
        _log.critical("recorder: %d events are lost: the spool %s", lost, self._spool.removed)

    def _use_reserve(self) -> None:
        """Write the gaps and ends that are owed in the room that was kept for them; say what fits nowhere."""
        self._reserve.free()
        self._spool.start_over()
        self._keep_up()
        with self._lock:
            owing = list(self._mending)
            unreported = sum(writer.forgo() for writer in owing)
            self._lost += sum(writer.newly_lost() for writer in owing)
        if owing:
            told = "events of %d exchanges are lost, and there was no room to record that: %s"
            reason = self._spool.error or self._directory
            _log.critical("recorder: %d " + told, unreported, len(owing), reason)
            mark_closed(self._directory, self.instance)
        elif self._lost:
            _log.warning("recorder: %d events were lost; the exchanges say so: see gap_recorded", self._lost)

    def _end_exchanges(self) -> None:
        with self._lock:
            unfinished = list(self._unfinished)
        for exchange in unfinished:
            try:
                exchange.recorder_closed()
            except RecordingError as error:
                _log.error("recorder: the end of an exchange could not be recorded: %s", error)

    def _end_dropped(self) -> None:
        """End the streams of exchanges that the garbage collector is at just now: they come too late for that."""
        for writer in [writer for writer in self._unended.copy() if writer.is_open]:
            try:
                self.write(writer, b"recorder_closed")
            except RecordingError as error:
                _log.error("recorder: the end of an exchange could not be recorded: %s", error)

    def before_fork(self) -> None:
        """Let no child inherit a connection in the middle of a transaction.

        Where a batch takes too long for that, the child would find the locks in SQLite's memory taken for
        ever: it leaves the store to another process.
        """
        self._clean = self._mover.pause(_FORK_WAIT)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._mover.resume()

    def after_fork(self) -> None:
        """Go on in a forked child with an identity, a spool file and a drainer of its own."""
        self.instance = self.clock.new_id()
        for writer in self._streams:
            writer.disown()
        self._streams = weakref.WeakSet()
        self._unfinished, self._unended = weakref.WeakSet(), set()
        self._mending = []
        self._lost = 0
        self._lock = threading.RLock()
        self._writing = {}
        self._later.clear()
        if (store := self._mover.inherited()) is not None:
            forks.INHERITED.append(store)
        self._spool.after_fork(self.instance)
        self._reserve.after_fork()
        self._upkeep = Rounds("recorder-upkeep", self._keep_up)
        if not self._clean:
            _log.warning("recorder: forked while the store was being written: a process drains for this child")
            self._make_mover, self.apart = self._make_apart, True
        self._mover = self._make_mover(self._spool, self.instance)
