"""The drainer: moves events from the spool to the store in large batches.

It reads the spool files back, so that nothing queues up in memory however long the store is away, and
it commits how far it came together with the events: killed at any moment, it goes on (or recovery
does) exactly after the last event that the store has. It runs in a thread of the recorder's process,
or in a process of its own (:mod:`recorder.recording.drainer_process`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from recorder.clock import Clock
from recorder.core.codec import decode_batch
from recorder.core.events import Event, StreamOpened
from recorder.core.receipts import Receipt
from recorder.errors import CorruptRecording, RecorderError, StoreUnreachable, VersionConflict
from recorder.ledger.sealer import RETRY, Sealer, Sealing
from recorder.recording.batches import BATCH_BYTES, Laned, Source, forget_files, move_batch, read_batch
from recorder.recording.brought import Brought
from recorder.recording.forks import close_store, let_go_of_store
from recorder.recording.lanes import JOURNAL, is_beside
from recorder.recording.order import in_order
from recorder.recording.rounds import Rounds
from recorder.recording.spool_file import HEADER_SIZE
from recorder.recording.store_outage import StoreOutage
from recorder.recording.stuck import Stuck
from recorder.store.base import EventLog, SpoolMark

_log = logging.getLogger("recorder")

_LARGEST_BATCH: Final = 8 * BATCH_BYTES  # while more comes in than such batches take away
_LEAST_BYTES: Final = 32 * 1024  # of one file, in a batch over several


class Drainer:
    """Drains one process's spool.

    :param source: the spool's files.
    :param open_store: opens the store for writing; called again after a failure.
    :param at_rest: gets the store when nothing has been recorded for a second, and a function that says
        when something is again: for work that can wait.
    :param dead: recorders that died, and of which the store may hold more than is sealed.
    :param signed: is told of each checkpoint that was signed.
    :param brought: what a process that drained this spool before has brought to the store.
    :param silent: is told each second for how long the store has not answered, and None when it does again.
    :ivar drained: how far the store has each file, by id.
    :ivar events: moved so far.
    :ivar conflicts: events set aside in ``*.conflicts`` files, because the store has others in their place.
    """

    def __init__(
        self,
        source: Source,
        open_store: Callable[[], EventLog],
        clock: Clock,
        at_rest: Callable[[EventLog, Callable[[], bool]], None] | None = None,
        dead: Sequence[bytes] = (),
        signed: Callable[[str], None] = lambda note: None,
        brought: Brought | None = None,
        silent: Callable[[str | None], None] = lambda reason: None,
    ) -> None:
        self._source, self._open_store, self._clock, self._at_rest = source, open_store, clock, at_rest
        self._store: EventLog | None = None
        self._confirmed: set[bytes] = set()  # files whose offset this very store has told
        self._moving = threading.Lock()
        self._rounds = Rounds("recorder-drainer", self.round, self._rest, pulse=RETRY)
        self._batch, self._paused = BATCH_BYTES, False
        self._giving_way = False  # somebody waits for what is under way to end: begin nothing
        self._stuck, self._outage = Stuck(clock), StoreOutage(clock, silent)
        self.brought = brought or Brought()
        self._counted: dict[bytes, int] = {}  # up to where the events of each file are counted
        self.drained: dict[bytes, int] = {}
        self.events = self.conflicts = 0
        self._sealer = Sealer(clock, signed, self._outage.moved)
        self._synced, self._dead = True, dead

    @property
    def error(self) -> str | None:
        """Why the store does not take the events, or None."""
        return self._outage.error

    @property
    def damage(self) -> str | None:
        """Which spool files cannot be read on, and where; or None."""
        return self._stuck.damage

    @property
    def damaged_lanes(self) -> frozenset[int]:
        """The lanes that they are in."""
        return self._stuck.lanes

    @property
    def sealing(self) -> Sealing:
        """How sealing is doing."""
        return self._sealer.state()

    @property
    def idle(self) -> bool:
        """Whether nobody is looking into the spool."""
        return self._rounds.idle

    def wake(self) -> None:
        """Say that there is something in the spool; never waits."""
        self._rounds.wake()

    def adopt(self, store: EventLog, dead: Sequence[bytes] = ()) -> None:
        """Use a store that is open already.

        :param dead: recorders that died, and of which it may hold more than is sealed.
        """
        self._store = store
        self._sealer.begin(store, dead)

    def inherited(self) -> EventLog | None:
        """Return the store that a forked child must neither use nor close."""
        return self._store

    def start_failed(self, reason: str) -> None:
        """Take note that the store could not be opened; try again from the thread."""
        self._outage.failure = reason
        self.wake()

    def round(self) -> bool:
        """Drain unless the store failed a moment ago; return whether to come back soon."""
        if self._outage.too_early:
            return True
        return self.drain() or self.error is not None or self._stuck.only_held or self._sealer.waits

    def _rest(self, go_on: Callable[[], bool]) -> None:
        if self._at_rest is None or self.error is not None:
            return
        with self._moving:
            if self._store is None or self._giving_way:
                return
            try:
                with self._outage.watched():
                    self._at_rest(self._store, self._outage.moving(lambda: go_on() and not self._giving_way))
            except RecorderError as error:
                _log.info("recorder: what can wait was not done: %s", error)
            except Exception:  # noqa: BLE001 - as below: a defect of ours must not end the thread
                _log.exception("recorder: a defect in what is done at rest")

    def drain(self, timeout: float | None = None, *, apart: bool = False) -> bool:
        """Move what is in the spool now; return whether there was anything.

        A failure is kept in :attr:`error`.

        :param timeout: seconds after which no further batch is begun.
        :param apart: have the thread do it, if there is one, and wait no longer for a store that hangs.
        """
        if apart and timeout is not None:
            return bool(self._rounds.within(timeout, lambda: self.drain(timeout)))
        deadline = None if timeout is None else self._clock.monotonic_ns() + int(timeout * 1e9)
        if not self._moving.acquire(timeout=-1 if timeout is None else timeout):
            return False
        try:
            now = self._clock.monotonic_ns
            if self._giving_way:
                return False
            with self._outage.watched():
                return self._drained(lambda: not self._giving_way and (deadline is None or now() < deadline))
        finally:
            self._moving.release()

    def _drained(self, go_on: Callable[[], bool], *, to_be_sealed: bool = False) -> bool:
        """Do a round; return whether anything was moved.

        :param to_be_sealed: the caller does that next: a commit of events need not wait for the medium before.
        """
        try:
            self._source.check()
            self._synced = not to_be_sealed
            moved = self._drain_files(go_on)
            if self._store is not None and not to_be_sealed:
                self._sealer.round(self._store)
        except RecorderError as error:
            self._failed(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a defect of ours must not end the thread: events stay in the spool
            _log.exception("recorder: a defect in the drainer")
            self._failed(f"a defect of recorder: {type(error).__name__}")
            return False
        self._outage.over()
        return moved

    def _drain_files(self, go_on: Callable[[], bool]) -> bool:
        if self._store is None:
            self._store = self._open_store()
            self.brought.require_in(self._store)
            self._sealer.begin(self._store, self._dead)
            self._dead = ()
        self._store.check_present()
        moved = False
        while go_on():
            files = self._source.files()  # every time: other lanes may have begun since
            for file in files:
                if file.id not in self._confirmed:
                    self.brought.require_in(self._store)
                    there = max(self._store.drained(file.id), HEADER_SIZE)
                    if there > self.drained.get(file.id, HEADER_SIZE):  # by a process that died, or nobody heard of it
                        self._sealer.take(self._store, self._source.instance)
                    self.drained[file.id] = there
                    self._confirmed.add(file.id)
            if not self._drain_once(self._store, files):
                self._drop_full_ones(self._store, files)
                break
            moved = True
            self._outage.moved()
            if self._synced:  # not only when everything is there: that may take hours after an outage, or never be so
                self._sealer.round(self._store)
        return moved

    def _drain_once(self, store: EventLog, files: Sequence[Laned]) -> bool:
        """Move one batch, whatever lanes its events are in, in one transaction; return whether there was any."""
        files = sorted(files, key=attrgetter("lane"))  # the journal last: it says of what was read before that it began
        each = max(self._batch // len(files), _LEAST_BYTES) if files else 0
        growing = {file.lane: file.id for file in files}
        openings: list[StreamOpened] = []
        events: list[Event] = []
        marks: list[SpoolMark] = []
        found: dict[bytes, Laned] = {}
        damaged: dict[int, str] = {}  # lane -> where
        taken: set[int] = set()
        counts: dict[bytes, int] = {}
        for file in files:
            if file.lane in taken or file.lane in damaged:
                continue  # a stream may go on in its lane's next file: the older one comes first
            start, limit = self.drained[file.id], self._batch if file.lane == JOURNAL else each
            again = self._counted.get(file.id, start) - start  # another store, or an older one, has it now
            try:
                opened, told, end = read_batch(file, start, min(again, limit) if again > 0 else limit)
                if end == start and file.id != growing[file.lane] and file.holds_more(start):
                    raise CorruptRecording("no record begins there, but there is more behind it")
            except CorruptRecording as error:  # who is in another lane goes on
                damaged[file.lane] = f"{file.path.name}, after byte {start}: {error}"
                continue
            if end > start:
                counts[file.id] = 0 if again > 0 else len(told)
                openings += opened
                events += told
                marks.append(SpoolMark(file.id, start, end))
                found[file.id] = file
                taken.add(file.lane)
        if marks and (damaged or any(is_beside(lane) for lane in growing)):
            ordered = in_order(store, [(found[mark.spool], mark) for mark in marks])
            openings, events, marks = ordered.openings, ordered.events, ordered.marks
            counts = {key: count for key, count in ordered.counts.items() if counts[key]}
            waiting = [found[key] for key in found if key in ordered.held]
            self._stuck.note_held(waiting, self.drained, damaged)
        self._stuck.note_damage(damaged)
        if not marks:
            return False
        if self._move(store, [found[mark.spool] for mark in marks], openings, events, marks):
            self.events += sum(counts.values())
        more_waits = any(mark.end - mark.start > each // 2 for mark in marks)
        self._batch = min(self._batch * 2, _LARGEST_BATCH) if more_waits else BATCH_BYTES
        return True

    def _move(
        self,
        store: EventLog,
        files: Sequence[Laned],
        openings: Sequence[StreamOpened],
        events: Sequence[Event],
        marks: Sequence[SpoolMark],
    ) -> bool:
        """Commit a batch over several files; return False where that went file by file, and is counted."""
        try:
            store.append(openings, events, *marks, synced=self._synced)
        except VersionConflict:  # file by file: who is not in conflict goes on
            for file, mark in zip(files, marks, strict=True):
                opened, told, _ = decode_batch(file.read(mark.start, mark.end - mark.start))
                moved = move_batch(store, file, opened, told, mark)
                self._outage.moved()
                self.drained[file.id] = self._counted[file.id] = moved.end
                self.events += moved.events
                self.conflicts += moved.conflicts
            self._sealer.moved(list(store.heads(list({event.stream for event in events})).values()))
            return False
        self._sealer.moved(events)
        self.brought.note(events)
        self.drained.update({mark.spool: mark.end for mark in marks})
        self._counted.update({mark.spool: max(mark.end, self._counted.get(mark.spool, 0)) for mark in marks})
        return True

    def _drop_full_ones(self, store: EventLog, files: Sequence[Laned]) -> None:
        """Remove the files that are drained whole and no longer appended to."""
        growing = {file.lane: file.id for file in files}
        for file in files:
            if file.id != growing[file.lane] and file.lane not in self.damaged_lanes and not self._stuck.holds(file.id):
                if store.drained(file.id) != self.drained.pop(file.id):
                    raise StoreUnreachable(f"{store.name} was replaced by an older copy while this program recorded")
                store.forget_spool(file.id)
                self.brought.shorten()
                self._source.drop(file.id)
                self._confirmed.discard(file.id)
                self._counted.pop(file.id, None)

    def _failed(self, reason: str) -> None:
        level = logging.INFO if self._outage.failed(reason) else logging.DEBUG  # once an outage is enough
        self._confirmed.clear()  # what was committed is the store's word, not ours
        self._close_store(level)

    def _close_store(self, level: int = logging.INFO) -> bool:
        store, self._store = self._store, None
        return store is None or close_store(store, level)

    def _let_go_of_store(self) -> bool:
        store, self._store = self._store, None
        return store is None or let_go_of_store(store)

    def seal(self, stream: bytes, timeout: float) -> Receipt:
        """Seal as :meth:`Mover.seal` says, and raise as it does; wait *timeout* seconds for what is under way."""
        deadline = self._clock.monotonic_ns() + int(timeout * 1e9)
        if not self._moving.acquire(timeout=timeout):
            raise StoreUnreachable(f"nothing could be sealed within {timeout:g} s: the store is busy")
        try:  # gives way to no fork: what is asked for has to be in the store
            with self._outage.watched():
                self._drained(lambda: self._clock.monotonic_ns() < deadline, to_be_sealed=True)
            if self._store is None or self.error is not None:
                raise StoreUnreachable(f"nothing can be sealed: {self.error or 'the store is not open'}")
            receipt = self._sealer.seal(self._store, stream)
            assert receipt is not None
            return receipt
        finally:
            self._moving.release()
            # What can wait is done a moment later. Who does rounds by himself gets no thread that does them as well.
            if self._rounds.started:
                self._rounds.wake()

    def pause(self, timeout: float) -> bool:
        """Have no transaction and no connection open until :meth:`resume`: the process is about to fork.

        SQLite keeps its locks in memory that a child inherits: one held there is never given back.

        :param timeout: seconds that a batch under way may take in all, where the store is well; no other one is begun.
        :return: whether that worked.
        """
        self._giving_way = True
        self._paused = self._moving.acquire(timeout=self._outage.left_of(timeout))
        if not self._paused:
            return False
        self._confirmed.clear()
        return self._let_go_of_store()

    def resume(self) -> None:
        """Go on after the fork, in the parent."""
        self._giving_way = False
        if self._paused:
            self._paused = False
            self._moving.release()

    def retire(self) -> None:
        """Start no thread any more; one that runs does the last round."""
        if not self._rounds.started:
            self._rounds.stop(0)
            self._outage.stop()

    def leave(self, timeout: float, is_there: Callable[[Mapping[bytes, int]], bool]) -> None:
        """Drain, and end the thread; what is noted in the store of the spool stays there."""
        self.stop(timeout, lambda _: False)

    def stop(self, timeout: float, is_empty: Callable[[Mapping[bytes, int]], bool]) -> bool:
        """Drain what is there, end the thread, close the store; return whether everything is in the store.

        :param timeout: seconds; where the store hangs for longer, the thread is left to that.
        :param is_empty: tells from :attr:`drained` whether nothing is left in the spool.
        """
        deadline = self._clock.monotonic_ns() + int(timeout * 1e9)
        done = self._rounds.within(timeout, lambda: self._end(deadline, is_empty))
        if done is None:
            self._outage.failure = self._outage.failure or f"it has not answered within {timeout:g} s"
        self._rounds.stop(max(deadline - self._clock.monotonic_ns(), 0) / 1e9)
        self._outage.stop()
        return bool(done)

    def _end(self, deadline: int, is_empty: Callable[[Mapping[bytes, int]], bool]) -> bool:
        self._rounds.stop(0)  # no further round, which would open the store again
        left = max(deadline - self._clock.monotonic_ns(), 0) / 1e9
        self.drain(left)
        done = self.error is None and is_empty(self.drained)
        if not self._moving.acquire(timeout=left):
            return False
        try:
            if self._store is not None:
                self._sealer.end(self._store)
            if done and self._store is not None:
                forget_files(self._store, self._source.files())
            self._close_store()
        finally:
            self._moving.release()
        return done
