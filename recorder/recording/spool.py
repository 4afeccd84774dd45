"""The spool: where an event is safe before its chunk is delivered.

A spool is a directory of append-only files, one or more per recorder process, 0600, each locked for
as long as its owner lives. A file begins with a header of 48 bytes (magic, id of the file, id of the
instance) and goes on with the records of :mod:`recorder.core.codec`. An event is written with one
``write``, or copied into a mapping of the file: it is in the page cache then, which survives the process,
and a fork, but not the power.

Traps that shaped this file: a roll-over that opens the next file while a write to the old one is on
its way loses that write (so both happen under one lock); a short write leaves half a record (it is
cut off again); a forked child shares the lock with its parent (it closes its copy and starts a file
of its own); an interrupt between the write and the note of it would have the next event take the same
place in its chain (so the file is asked what was written, before anything else is); the garbage collector may
run a finalizer that records something while its thread holds the lock (so the lock is re-entrant).
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from recorder.clock import Clock
from recorder.durable import fdatasync, sync_directory
from recorder.errors import StoreUnreachable
from recorder.recording.mapped_file import MappedSpoolFile
from recorder.recording.spool_file import HEADER_SIZE, SpoolFile, copy_records

_log = logging.getLogger("recorder")

ROLL_SIZE: Final = 32 * 1024 * 1024  # bytes; a drained file of this size is replaced and removed
BUFFER_LIMIT: Final = 8 * 1024 * 1024  # bytes held in memory by durability "batched"
_FLUSH_SIZE: Final = 256 * 1024
_TRIES: Final = 5
_REMOVED: Final = "what is recorded is lost when the program ends, unless the folder is put back"
_CALM: Final = 30_000_000_000  # nanoseconds after a wait in which a spool that is in and out of trouble waits no more


class Receipt:
    """What became of one record, whatever interrupts its append.

    :ivar safe: whether it is in the spool; None while that is not settled.
    :ivar then: what its author has to take note of when it is.
    """

    __slots__ = ("record", "safe", "then")

    def __init__(self, record: bytes, then: Any = None) -> None:
        self.record = record
        self.safe: bool | None = None
        self.then = then


#: A write that has not been noted yet: file, start, size, receipt; without a receipt it is the buffer's.
_Draft = tuple[SpoolFile, int, int, Receipt | None]


class Spool:
    """What a recorder appends to.

    :param directory: made with mode 0700 where it is missing.
    :param durability: ``delivered``, ``batched`` or ``synced``.
    :param wait: seconds for which the first failing append of an outage is tried again.
    :param lane: its number among the spools of a recorder.
    :param mapped: append through memory where that is possible: see :mod:`recorder.recording.mapped_file`.
    :raises StoreUnreachable: the directory cannot be written.
    :ivar defers: something may have to be done a moment after an append, to keep what the durability promises.
    :ivar error: why it cannot be written, or None.
    :ivar sync_error: why it could once not be brought to the medium, or None; what a kernel has failed to
        write back it does not report twice, so this stays.
    :ivar removed: who appends to it appends to a file that was removed, and why there is no other yet; or None.
    """

    def __init__(
        self,
        directory: Path,
        instance: bytes,
        clock: Clock,
        *,
        durability: str,
        wait: float,
        lane: int = 0,
        mapped: bool = False,
    ) -> None:
        self.directory = directory
        self._lane = lane
        self._mapped = mapped
        self._clock = clock
        self.instance = instance
        self._batched = durability == "batched"
        self._synced = durability == "synced"
        self.defers = self._batched or self._synced
        self._wait = wait
        self._lock, self._syncing = threading.RLock(), threading.RLock()
        self._buffer = bytearray()
        self._appended = self._synced_up_to = 0  # records; what is between the two may be lost with the power
        self._roll_at = ROLL_SIZE
        self._full: list[SpoolFile] = []
        self._given_up: list[SpoolFile] = []
        self._file: SpoolFile | None = None
        self.error: str | None = None
        self.sync_error: str | None = None
        self.removed: str | None = None
        self._draft: _Draft | None = None
        self._outage: tuple[int, int] | None = None  # when the last wait ended, and the size of what failed
        try:
            self._file = self._new_file()
        except OSError as error:
            raise StoreUnreachable(f"cannot write to {directory} ({error.strerror}): choose another store") from error

    def _new_file(self) -> SpoolFile:
        for _ in range(_TRIES):
            self.directory.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):  # another process has just tidied up here
                file = self._mapped_file() or SpoolFile(self.directory, self.instance, self._clock, self._lane)
                if self._synced:
                    sync_directory(self.directory)
                return file
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _mapped_file(self) -> SpoolFile | None:
        if not self._mapped:
            return None
        try:
            return MappedSpoolFile(self.directory, self.instance, self._clock, self._lane)
        except FileNotFoundError:
            raise
        except OSError as error:  # a quota, a limit on the size of files, a nearly full disk: a plain one may do
            _log.info("recorder: no mapped spool file in %s: %s", self.directory, error.strerror)
            return None

    def append(self, record: bytes, *, sync: bool = False, receipt: Receipt | None = None) -> bool:
        """Append a record; return whether it is safe.

        :param sync: under ``synced`` durability, return only when it would survive a loss of power.
        :param receipt: the record's, if the caller wants to know what became of it even where this raises.
        """
        if receipt is None:
            receipt = Receipt(record)
        with self._lock:
            try:
                if self.defers or self._draft is not None or self._file is None or self.error or self._outage:
                    safe = self._hold(receipt) if self._batched else self._write(receipt)
                else:
                    file = self._file  # the hot path: what the methods below do, without their calls
                    self._draft = (file, file.size, len(record), receipt)
                    try:
                        file.append(record)
                    except OSError as error:
                        return self._write_in_trouble(receipt, error)
                    receipt.safe, self._draft = True, None
                    if file.size >= self._roll_at:
                        self._roll()
                    return True
            except BaseException:
                self.settle(receipt)
                raise
        if sync and safe:
            self._sync()
        return safe

    def settle(self, receipt: Receipt) -> bool:
        """Find out what became of a record whose append was interrupted; return whether it is safe.

        Interrupted itself, it can be called again at any time.
        """
        with self._lock:
            self._try_to_settle()
            if receipt.safe is None and (self._draft is None or self._draft[3] is not receipt):
                receipt.safe = self._batched and self._buffer.endswith(receipt.record)
            return bool(receipt.safe)

    def _try_to_settle(self) -> None:
        try:
            self._settle()
        except OSError as error:  # it is tried again before anything else is written
            _log.warning("recorder: the spool %s cannot be looked at: %s", self.directory, error.strerror)

    def _settle(self) -> None:
        draft = self._draft
        if draft is not None:
            file, start, size, _ = draft
            self._note(draft, file.settle(start, size))

    def _note(self, draft: _Draft, written: bool) -> None:
        """Note what became of a write; whatever of it an interrupt leaves undone is done again by the next call."""
        _, _, size, receipt = draft
        self._appended += written
        if receipt is not None:
            receipt.safe = written
        elif written:
            self._buffer, self._draft = self._buffer[size:], None
        self._draft = None

    def _hold(self, receipt: Receipt) -> bool:
        self._buffer += receipt.record
        receipt.safe = True
        if len(self._buffer) < _FLUSH_SIZE or self._flush_buffer() or len(self._buffer) <= BUFFER_LIMIT:
            return True
        self._buffer, receipt.safe = self._buffer[: -len(receipt.record)], False
        return False

    def _flush_buffer(self) -> bool:
        if self._buffer:
            self._write(None)
        return not self._buffer

    def _write(self, receipt: Receipt | None) -> bool:
        """Write a record, or the buffer."""
        try:
            size = self._append_to_file(receipt)
        except OSError as error:
            return self._write_in_trouble(receipt, error)
        if self.error is not None or self._outage is not None:
            self._leave_trouble(size)
        return True

    def _append_to_file(self, receipt: Receipt | None) -> int:
        if self._draft is not None:
            self._settle()
        data = bytes(self._buffer) if receipt is None else receipt.record
        if self._file is None:
            self._file = self._new_file()
        file, size = self._file, len(data)
        self._draft = draft = (file, file.size, size, receipt)
        file.append(data)
        self._note(draft, True)
        if file.size >= self._roll_at:
            self._roll()
        return size

    def _leave_trouble(self, size: int) -> None:
        self.error = None
        if self._outage is not None and size >= self._outage[1]:
            self._outage = None
            _log.warning("recorder: the spool %s can be written again", self.directory)

    def _write_in_trouble(self, receipt: Receipt | None, error: OSError) -> bool:
        written = self._waited_for_room(receipt, error)
        if receipt is not None:
            receipt.safe = written
        return written

    def _waited_for_room(self, receipt: Receipt | None, error: OSError) -> bool:
        now = self._clock.monotonic_ns()
        reason = f"{self.directory}: {error.strerror}"
        if self.error is not None or (self._outage is not None and now < self._outage[0] + _CALM):
            self.error = reason
            return False  # what is small may fit in between: the program is not held up again for that
        deadline = now + int(self._wait * 1e9)
        while self._clock.monotonic_ns() < deadline:
            self._clock.sleep(0.01)
            with suppress(OSError):
                self._append_to_file(receipt)
                return True
        size = len(self._buffer) if receipt is None else len(receipt.record)
        self.error, self._outage = reason, (self._clock.monotonic_ns(), size)
        _log.critical("recorder: the spool %s: events are being lost until it can be written", self.error)
        return False

    def _sync(self) -> None:
        """Bring to the medium what is appended; whose records another thread's sync brings there waits for that one."""
        if not self._synced:
            return
        wanted = self._appended
        with self._syncing:
            file, brings = self._file, self._appended
            if file is None or self._synced_up_to >= wanted:
                return
            try:
                fdatasync(file.fd)
                self._synced_up_to = max(brings, self._synced_up_to)
            except OSError as error:
                if self._file is not file:
                    return  # it is full, and was synced before the next one was begun
                if self.sync_error is None:
                    _log.critical("recorder: the spool %s cannot be synced: %s", self.directory, error.strerror)
                self.sync_error = f"{self.directory} cannot be synced: {error.strerror}"

    def flush(self) -> bool:
        """Write what ``batched`` durability holds in memory, sync what ``synced`` owes; return success."""
        with self._lock:
            self._try_to_settle()
            written = self._flush_buffer()
        self._sync()
        return written

    def files(self) -> list[SpoolFile]:
        """Return this process's files, oldest first; the last is the one being appended to.

        Whoever asks does not wait for an append, which may be on hold. A file is among the full ones before the
        next one is there to be appended to: looked at in this order, none is missed.
        """
        file = self._file
        full = [each for each in self._full if each is not file]
        return full if file is None else [*full, file]

    def _roll(self) -> None:
        """Go on in a new file; while none can be made, in the one there is."""
        try:
            file = self._new_file()
        except OSError as error:
            _log.warning("recorder: no new spool file yet: %s", error.strerror)
            self._roll_at += ROLL_SIZE
            return
        self._roll_at = ROLL_SIZE
        if self._file is not None:
            self._sync()
            self._full, self._file = [*self._full, self._file], file

    def check(self) -> None:
        """Where somebody removed the file that is appended to, go on in a new one with what was in it.

        As long as this process has it open nothing is missing, but when it ends all of it would be.
        """
        if not self._is_removed():
            return
        with self._lock:
            if self._draft is not None or not self._is_removed():
                return  # whoever is appending comes first, and this once more; or another thread has done it
            try:
                self._replace_removed()
            except OSError as error:
                first, self.removed = self.removed is None, f"{self.directory} was removed: {error.strerror}"
                if first:
                    _log.critical("recorder: the spool %s: %s", self.removed, _REMOVED)

    def _is_removed(self) -> bool:
        return self._file is not None and self._file.removed

    def _replace_removed(self) -> None:
        removed, new = [file for file in self.files() if file.removed], self._new_file()
        copy_records(removed, new)
        self._full, self._file = [file for file in self._full if file not in removed], new
        self._given_up += removed  # not closed: the drainer may be reading just now
        self.removed, self._synced_up_to = None, -1
        _log.warning("recorder: the spool %s was removed, and made anew with what was in it", self.directory)

    def start_over(self) -> None:
        """Where a mapped file cannot be written, go on in a plain one: it takes no more of the disk than it needs."""
        with self._lock:
            if self.error is None or self._file is None or not isinstance(self._file, MappedSpoolFile):
                return
            with suppress(OSError):
                file = SpoolFile(self.directory, self.instance, self._clock, self._lane)
                self._full, self._file = [*self._full, self._file], file

    def _let_go(self, drained: Mapping[bytes, int]) -> None:
        """Close full files that a drainer process has removed: it says nothing of them any more."""
        for file in [file for file in self._full if file.id not in drained and not file.path.exists()]:
            self._full.remove(file)
            file.close(remove=False)

    def drop(self, spool: bytes) -> None:
        """Remove the file of that id: it is drained whole and no longer appended to."""
        with self._lock:
            for file in [file for file in self._full if file.id == spool]:
                self._full.remove(file)
                file.close(remove=True)

    def pending(self, drained: Mapping[bytes, int]) -> int:
        """Return how many bytes wait for the store.

        :param drained: how far the store has each file, by id.
        """
        with self._lock:
            self._let_go(drained)
            files = [(file.id, file.size) for file in self.files()]
        return len(self._buffer) + sum(max(size - drained.get(key, HEADER_SIZE), 0) for key, size in files)

    def after_fork(self, instance: bytes) -> None:
        """Go on in a forked child: the parent's files, their lock and what they hold are the parent's.

        The child's own file is made when it has something to write.
        """
        for file in [*self._given_up, *self._full, *([self._file] if self._file is not None else [])]:
            file.let_go()
        self._lock, self._syncing = threading.RLock(), threading.RLock()
        self._buffer, self._draft = bytearray(), None
        self._full, self._given_up, self._file = [], [], None
        self.instance = instance
        self.error = self._outage = self.removed = None

    def close(self, *, drained: bool) -> None:
        """Give the files up, removing them where everything in them has been drained."""
        with self._lock:
            if self._buffer:
                _log.critical("recorder: %d bytes of events could be written nowhere and are lost", len(self._buffer))
            for file in [*self.files(), *self._given_up]:
                file.close(remove=drained)
            self._full, self._given_up, self._file = [], [], None
        if drained:
            with suppress(OSError):  # another process's files are in it, or it was never empty
                self.directory.rmdir()
