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
from typing import Final

from recorder.clock import Clock
from recorder.durable import fdatasync, sync_directory
from recorder.errors import StoreUnreachable
from recorder.recording.held import BUFFER_LIMIT, Author, Held, Receipt, Undo
from recorder.recording.mapped_file import MappedSpoolFile
from recorder.recording.spool_file import HEADER_SIZE, SpoolFile, copy_records
from recorder.recording.spool_outage import SpoolOutage

_log = logging.getLogger("recorder")

ROLL_SIZE: Final = 32 * 1024 * 1024  # bytes; a drained file of this size is replaced and removed
_FLUSH_SIZE: Final = 256 * 1024  # bytes that durability "batched" collects, and writes at once
_RETRY: Final = 100_000_000  # nanoseconds between two tries of the appends to write what is held in memory
_TRIES: Final = 5
_REMOVED: Final = "what is recorded is lost when the program ends, unless the folder is put back"


#: A write that has not been noted yet: file, start, size, receipt; without a receipt it is of what is held.
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
        self._clock = clock
        self.instance = instance
        self._batched = durability == "batched"
        self._synced = durability == "synced"
        self._mapped = mapped and not self._batched  # of many records at once, as many are written as there is room for
        self.defers = self._batched or self._synced
        self._outage = SpoolOutage(directory, clock, wait)
        self._lock, self._syncing = threading.RLock(), threading.RLock()
        self._held, self._again_at, self._refusing = Held(), 0, False
        self._appended = self._synced_up_to = 0  # records; what is between the two may be lost with the power
        self._roll_at = ROLL_SIZE
        self._full: list[SpoolFile] = []
        self._given_up: list[SpoolFile] = []
        self._file: SpoolFile | None = None
        self.sync_error: str | None = None
        self.removed: str | None = None
        self._draft: _Draft | None = None
        try:
            self._file = self._new_file()
        except OSError as error:
            raise StoreUnreachable(f"cannot write to {directory} ({error.strerror}): choose another store") from error

    @property
    def error(self) -> str | None:
        """Why it cannot be written, or None."""
        return self._outage.error

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
                if self.defers or self._draft is not None or self._file is None or self._outage.lasts:
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
                receipt.safe = self._held.ends_with(receipt.record)
                self._held.recount()
            return bool(receipt.safe)

    def _try_to_settle(self) -> None:
        try:
            self._settle()
        except OSError as error:  # it is tried again before anything else is written
            _log.warning("recorder: the spool %s cannot be looked at: %s", self.directory, error.strerror)

    def _settle(self) -> None:
        draft = self._draft
        if draft is not None:
            file, start, size, receipt = draft
            sizes = (size,) if receipt is not None else map(len, self._held.first(size))
            self._note(draft, file.settle(start, *sizes))

    def _note(self, draft: _Draft, written: int) -> None:
        """Note how much of a write is there; what an interrupt leaves undone is done again by the next call."""
        receipt = draft[3]
        self._appended += written > 0
        if receipt is not None:
            receipt.safe = written > 0
        elif written:
            rest = self._held.after(written)
            self._held, self._draft = rest, None
        self._draft = None

    def _hold(self, receipt: Receipt) -> bool:
        size = len(receipt.record)
        if self._refusing or (self._held.size + size > BUFFER_LIMIT and not self._flush_held(self._again_at)):
            receipt.safe = False
            return False
        if size > BUFFER_LIMIT:
            return self._write(receipt)
        self._held.add(receipt)
        receipt.safe = True
        if self._held.size >= _FLUSH_SIZE:
            self._flush_held(self._again_at)
        return True

    def _flush_held(self, not_before: int = 0) -> bool:
        """Write what is held, piece by piece; return whether nothing is any more.

        :param not_before: while the disk does not take it, it is not tried before that moment.
        """
        if self.error is not None and self._clock.monotonic_ns() < not_before:
            return False
        while self._held.size:
            if not self._write(None):
                self._again_at = self._clock.monotonic_ns() + _RETRY
                return False
        return True

    def _write(self, receipt: Receipt | None) -> bool:
        """Write a record, or a piece of what is held."""
        try:
            size = self._append_to_file(receipt)
        except OSError as error:
            return self._write_in_trouble(receipt, error)
        if self._outage.lasts and not self._held.size:
            self._outage.wrote(size)
        return True

    def _append_to_file(self, receipt: Receipt | None) -> int:
        if self._draft is not None:
            self._settle()
        if self._file is None:
            self._file = self._new_file()
        file, records = self._file, self._held.first(_FLUSH_SIZE) if receipt is None else [receipt.record]
        size = sum(map(len, records))
        self._draft = draft = (file, file.size, size, receipt)
        self._note(draft, file.append_some(records) if receipt is None else file.append(receipt.record))
        if file.size >= self._roll_at:
            self._roll()
        return size

    def _write_in_trouble(self, receipt: Receipt | None, error: OSError) -> bool:
        size = 0 if receipt is None else len(receipt.record)  # what is held comes in order: any of it is a sign
        written = self._outage.passes(error, size, lambda: self._append_to_file(receipt))
        if receipt is not None:
            receipt.safe = written
        return written

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
            written = self._flush_held()
        self._sync()
        return written

    def withdraw(self) -> list[tuple[Author, Undo]]:
        """Give up what is held in memory; return what its authors need to take it back.

        Until they have, and :meth:`accept` is called, nothing is held: it would follow on what is given up.
        """
        with self._lock:
            self._try_to_settle()
            if not self._held.size or self._draft is not None:
                return []
            self._refusing, held, self._held = True, self._held, Held()
            return held.undone()

    def accept(self) -> None:
        """Hold again what is appended."""
        self._refusing = False

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
        return self._held.size + sum(max(size - drained.get(key, HEADER_SIZE), 0) for key, size in files)

    def after_fork(self, instance: bytes) -> None:
        """Go on in a forked child: the parent's files, their lock and what they hold are the parent's.

        The child's own file is made when it has something to write.
        """
        for file in [*self._given_up, *self._full, *([self._file] if self._file is not None else [])]:
            file.let_go()
        self._lock, self._syncing = threading.RLock(), threading.RLock()
        self._held, self._refusing, self._draft = Held(), False, None
        self._full, self._given_up, self._file = [], [], None
        self.instance = instance
        self.removed = None
        self._outage.forget()

    def close(self, *, drained: bool) -> None:
        """Give the files up, removing them where everything in them has been drained."""
        with self._lock:
            if self._held.size:
                _log.critical("recorder: %d bytes of events could be written nowhere and are lost", self._held.size)
            for file in [*self.files(), *self._given_up]:
                file.close(remove=drained)
            self._full, self._given_up, self._file = [], [], None
        if drained:
            with suppress(OSError):  # another process's files are in it, or it was never empty
                self.directory.rmdir()
