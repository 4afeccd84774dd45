"""The write path of one recorder: streams → spool → drainer → store, and how it is doing."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from recorder.clock import Clock, id_bytes
from recorder.core.events import meta_text
from recorder.core.journal_facts import PreviousJournal
from recorder.core.receipts import Receipt
from recorder.core.redaction import Redaction
from recorder.core.sealing import InTheClear, Openings, in_the_clear
from recorder.errors import RecordingError, StoreUnreachable
from recorder.recording import forks
from recorder.recording.journal import PULSE, Journal
from recorder.recording.lanes import Lanes
from recorder.recording.losses import Losses, say_what_stays
from recorder.recording.mover import Health, Mover, health_of
from recorder.recording.previous import Before, take_over
from recorder.recording.recovery import Recovered
from recorder.recording.reserve import Reserve, mark_closed
from recorder.recording.rounds import Rounds
from recorder.recording.store_outage import say_failing
from recorder.recording.streams import StreamWriter
from recorder.recording.unended import Unended, Unfinished
from recorder.recording.writes import Writes
from recorder.store.base import EventLog

_log = logging.getLogger("recorder")

DURABILITIES: Final = ("delivered", "batched", "synced")
FAILURE_POLICIES: Final = ("spool", "raise")
_FIRST_PAUSE: Final = 0.02  # seconds between two looks whether everything is in the store
_LONGEST_PAUSE: Final = 0.5  # the same where the store fails
_get_ident = threading.get_ident
_FORK_WAIT: Final = 0.5  # seconds that a batch may have taken in all which a fork waits for: see docs/design.md


class WritePath:
    """Everything between an event and the store, for one process.

    :param directory: the spool directory of the store.
    :param open_store: opens the store for writing.
    :param make_mover: makes what brings a process's spool to the store.
    :param make_apart: the same for a forked child in which the store must not be opened: see :meth:`before_fork`.
    :param configuration: how the recorder was set up, for the journal; None where none is kept.
    :param openings: how event streams are opened, in the clear by default.
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
        configuration: Mapping[str, Any] | None = None,
        openings: Openings | None = None,
    ) -> None:
        self.clock, self.redaction, self.must_record = clock, redaction, must_record
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
        self._configuration, self._openings = configuration, openings or InTheClear()
        self._begin_anew()
        self._streams: weakref.WeakSet[StreamWriter] = weakref.WeakSet()
        self.recovered = Recovered()
        forks.ALIVE.add(self)

    def _begin_anew(self, forked: PreviousJournal | None = None) -> None:
        """Make what a forked child does not share with its parent, whose journal is *forked*."""
        kept = self._configuration is not None
        self._opening = threading.RLock()
        self._writes, self._unended, self._losses = Writes(), Unended(), Losses()
        self._upkeep = Rounds("recorder-upkeep", self._keep_up, pulse=PULSE if kept else None)
        writer = StreamWriter(self._spool.first, self.clock, self.instance, self.instance, self.clock.secret(32))
        facts, spool, writes = self._configuration or {}, self._spool, self._writes
        place = lambda: spool.for_journal(writes.on_hold())  # noqa: E731 - both are made anew with the journal
        self._journal = Journal(writer, place, self.clock, facts, kept=kept, previous=forked, on_hold=writes.on_hold)

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
            say_failing(str(error))
            self._mover.start_failed(str(error))
            self._begin_journal(Before())
            return
        try:
            self.recovered, before = take_over(
                self._directory, store, self.clock, self.instance, self._configuration, must=self.must_record
            )
        except BaseException:
            store.close()
            raise
        self._mover.adopt(store, [id_bytes(name) for name in self.recovered.instances])
        self._begin_journal(before)

    def _begin_journal(self, before: Before) -> None:
        if self._configuration is None:
            return
        with self._writes.inside():
            self._journal.begin(before.journal)
            if before.changed is not None:
                self._journal.tell("configuration_changed", before.changed)
        for closed in self.recovered.closed:
            self.tell("exchange_closed", closed)
        self._upkeep.wake()

    def open_stream(self, *, clear: bool = False) -> StreamWriter:
        """Return the writer of a new event stream, not sealed if *clear*; nothing is written before its first event."""
        if not self.closed:
            self._reserve.keep()
        spool, clock = self._spool.of_thread(self._mover.damaged_lanes), self.clock
        opening = in_the_clear if clear else self._openings.opening
        writer = StreamWriter(spool, clock, clock.new_id(), self.instance, clock.secret(32), opening)
        with self._opening:
            self._streams.add(writer)
        return writer

    def begin(self, exchange: Unfinished) -> tuple[WritePath, StreamWriter]:
        """Return who writes the stream of *exchange*, and where; it is told when recording stops before its end."""
        writer = self.open_stream()
        self._unended.add(exchange, writer)
        return self, writer

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
        thread, writes = _get_ident(), self._writes
        outer = writes.under_way.get(thread, 0)
        try:
            writes.under_way[thread] = outer + 1
            if self.closed and type_name != b"recorder_closed":
                return
            if outer:  # a signal handler, or a finalizer, records while this thread is in the middle of a write
                safe = writer.write_beside(self._spool.beside(outer), type_name, flags, meta, body)
            else:
                safe = writer.write(type_name, flags, meta, body)
            if writer.ended:
                self._ended(writer)
            if self._mover.idle:
                self._mover.wake()
            if self._defers and self._upkeep.idle:
                self._upkeep.wake()
        finally:
            if outer:
                writes.under_way[thread] = outer
            else:
                writes.under_way.pop(thread, None)
                if writes.later:
                    writes.end(thread, 0)
        if not safe:
            self._note_loss(writer)

    def defers(self, call: Callable[[], None]) -> bool:
        """Keep *call* for a moment later, if this thread is inside a write; return whether it was kept."""
        return self._writes.defers(call)

    def announce(self, writer: StreamWriter) -> int | None:
        """Say in the journal that an exchange begins; return its number there, or None where no journal is kept.

        :raises RecordingError: it could not be written, and what is not recorded must not happen.
        """
        if self.closed:
            return None
        with self._writes.inside():
            safe = self._journal.opened(writer)
        if not safe or (self._journal.kept and not self._upkeep.started):
            self._upkeep.wake()
        if not safe and self.must_record:
            reason = self._spool.error or "another write is under way"
            self.forget(writer)
            raise RecordingError(f"the request was not sent because it cannot be recorded: {reason}")
        return writer.number

    def write_apart(self, writer: StreamWriter, kind: str, type_name: str, facts: Mapping[str, Any]) -> None:
        """Record an event of a stream that is no exchange, and say so in the journal.

        :param kind: of the stream: see :class:`~recorder.core.journal_facts.StreamWrittenMeta`.
        :raises RecordingError: it could not be written, and what is not recorded must not happen.
        """
        self.write(writer, type_name.encode(), 0, meta_text(facts).encode())
        with self._writes.inside():
            self._journal.written(writer, kind)

    def tell(self, type_name: str, facts: Mapping[str, Any]) -> bool:
        """Say something in the journal; return whether that is safe."""
        with self._writes.inside():
            safe = self._journal.tell(type_name, facts)
        if self._mover.idle:
            self._mover.wake()
        return safe

    def _note_loss(self, writer: StreamWriter) -> None:
        reason = self._spool.error or "the spool could not be written"  # before the upkeep finds it well again
        if self.must_record and self.forget(writer):
            raise RecordingError(f"the request was not sent because it cannot be recorded: {reason}")
        self._losses.note(writer, reason)
        self._upkeep.wake()
        if self.must_record:
            raise RecordingError(f"the exchange is not being recorded ({reason}): free the spool's disk")

    def give_up(self, writer: StreamWriter, reason: str) -> None:
        """Record that the rest of a stream is missing."""
        self._losses.note_rest(writer, reason)
        if not writer.report_gap(reason):
            self._upkeep.wake()
            return
        with self._writes.inside():
            self._losses.mend(self._journal.dropped, self._mended)

    def _mended(self, writer: StreamWriter) -> None:
        if writer.ended:
            self._ended(writer)

    def _ended(self, writer: StreamWriter) -> None:
        """Take note that an exchange has ended, and maybe grown after that; called in the middle of a write."""
        self._unended.discard(writer)
        if not self._journal.closed(writer):
            self._upkeep.wake()

    def forget(self, writer: StreamWriter) -> bool:
        """Record nothing of a stream of which nothing is recorded yet; return whether that is so."""
        withdrawn = writer.withdraw()
        if withdrawn:
            with self._writes.inside():
                self._ended(writer)
        return withdrawn

    def check(self, writer: StreamWriter) -> None:
        """Refuse to go on where the next request could not be recorded; nothing is recorded of a refused one.

        Whether the spool takes the request shows when it is written there, before it is sent.

        :raises RecordingError: only where what is not recorded must not happen.
        """
        spool, mover = self._spool, self._mover
        trouble = mover.error or mover.damage or spool.sync_error or spool.removed
        if self.must_record and (reason := trouble or self._openings.check()):
            self.forget(writer)
            raise RecordingError(f"the request was not sent because it cannot be recorded: {reason}")

    @property
    def reaches_store(self) -> bool:
        """Whether nothing is known that keeps what is in the spool from the store."""
        return not (self._mover.error or self._mover.damage)

    def _keep_up(self) -> bool:
        """What is to be done between two writes; return whether to come back soon."""
        if self._writes.interrupted:  # a signal handler asks for it, in the middle of a write
            return True
        with self._writes.inside():
            self._spool.check()
            told = self._journal.pay()
            if self._journal.sample():
                self._mover.wake()
            flushed = self._spool.flush()
            self._losses.mend(self._journal.dropped, self._mended)
        return bool(self._losses) or not (flushed and told)

    def flush(self, timeout: float) -> bool:
        """Move everything written so far to the store; return whether that worked within *timeout* seconds.

        In the middle of a write, from a signal handler, it is tried once: what is on hold cannot be waited for.
        """
        on_hold = self._writes.interrupted
        deadline = self.clock.monotonic_ns() + int(timeout * 1e9)
        pause = _FIRST_PAUSE
        while True:
            self._keep_up()
            self._mover.drain(max(deadline - self.clock.monotonic_ns(), 0) / 1e9, apart=not on_hold)
            done = self._mover.error is None and self._spool.pending(self._mover.drained) == 0
            if done or on_hold or self.clock.monotonic_ns() >= deadline:
                return done
            self.clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE) if self._mover.error is not None else _FIRST_PAUSE

    def seal(self, stream: bytes, timeout: float) -> Receipt:
        """Have all that was recorded sealed; return the proof for a stream. Raises as :meth:`Mover.seal` does."""
        self._keep_up()
        return self._mover.seal(stream, timeout)

    def health(self) -> Health:
        """Return how recording is doing."""
        return health_of(self._spool, self._mover, lost_events=self._losses.events, unreported_gaps=len(self._losses))

    def close(self, timeout: float) -> None:
        """Bring everything to the store and stop; what the store does not take stays in the spool."""
        if self.closed:
            return
        self._upkeep.stop(timeout)
        self._mover.retire()
        self._unended.end()
        self.closed = True
        self._unended.end()  # those that began in the meantime
        self._unended.end_dropped(self.write, self.forget)
        forks.ALIVE.discard(self)
        self._keep_up()
        if self._losses or not self._stop_journal():  # its end comes after those of the exchanges
            self._use_reserve()
        self._reserve.free()
        drained = self._mover.stop(timeout, lambda done: self._spool.pending(done) == 0)
        if not drained and (left := self._spool.pending(self._mover.drained)):
            self._losses.events += say_what_stays(left, self._directory, self._spool, self._mover)
        self._spool.close(drained=drained)
        self._openings.close()

    def abandon(self) -> None:
        """Stop before anything was recorded: nothing is left in the spool's place, and nobody asks the store again."""
        self.closed = True
        forks.ALIVE.discard(self)
        self._upkeep.stop(0)
        self._mover.retire()
        self._spool.close(drained=True)
        self._openings.close()

    def _use_reserve(self) -> None:
        """Write the gaps and ends that are owed in the room that was kept for them; say what fits nowhere."""
        self._losses.use_reserve(self._reserve, self._spool, interrupted=self._writes.interrupted)
        self._keep_up()
        with self._writes.inside():
            unreported, owing = self._losses.forgo(self._journal.dropped, self._ended)
        reason = self._spool.error or self._directory
        self._losses.say_what_is_lost(unreported, owing, reason)
        if not (ended := self._stop_journal()):
            _log.critical("recorder: there was no room for the end of the journal: %s", reason)
            self._losses.give_up()
        if owing or not ended:
            mark_closed(self._directory, self.instance)

    def _stop_journal(self) -> bool:
        with self._writes.inside():
            told = self._journal.stop()
            return self._spool.flush() and told

    def before_fork(self) -> None:
        """Let no child inherit a connection in the middle of a transaction.

        Where a batch takes too long, the child would find SQLite's locks taken: it leaves the store to another process.
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
        if (store := self._mover.inherited()) is not None:
            forks.INHERITED.append(store)
        self._spool.after_fork(self.instance)
        self._reserve.after_fork()
        self._begin_anew(self._journal.left())
        if not self._clean:
            _log.warning("recorder: forked while the store was being written: a process drains for this child")
            self._make_mover, self.apart = self._make_apart, True
        self._mover = self._make_mover(self._spool, self.instance)
