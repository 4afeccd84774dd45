"""The spool: where an event is safe before its chunk is delivered.

A spool is a directory of append-only files, one or more per recorder process, 0600, each locked for
as long as its owner lives. A file begins with a header of 48 bytes (magic, id of the file, id of the
instance) and goes on with the records of :mod:`recorder.core.codec`. An event is written with one
``write``: it is in the page cache then, which survives the process, and a fork, but not the power.

Traps that shaped this file: a roll-over that opens the next file while a write to the old one is on
its way loses that write (so both happen under one lock); a short write leaves half a record (it is
cut off again); a forked child shares the lock with its parent (it closes its copy and starts a file
of its own); an interrupt between the write and the note of it would have the next event take the same
place in its chain (so it is settled what was written); the garbage collector may run a finalizer that
records something while its thread holds the lock (so the lock is re-entrant).
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from recorder.clock import Clock
from recorder.errors import CorruptRecording, StoreUnreachable
from recorder.locks import LockFile

_log = logging.getLogger("recorder")

MAGIC: Final = b"recorder-spool\x01\n"
HEADER_SIZE: Final = 48
SUFFIX: Final = ".spool"
ROLL_SIZE: Final = 32 * 1024 * 1024  # bytes; a drained file of this size is replaced and removed
BUFFER_LIMIT: Final = 8 * 1024 * 1024  # bytes held in memory by durability "batched"
_FLUSH_SIZE: Final = 256 * 1024
_TRIES: Final = 5


class SpoolHeader(NamedTuple):
    """The ids at the beginning of a spool file, 16 bytes each."""

    spool: bytes
    instance: bytes


def read_header(path: Path) -> SpoolHeader:
    """Return the header of a spool file.

    :raises CorruptRecording: it is not a spool file.
    :raises FileNotFoundError: it is gone (drained meanwhile).
    """
    with path.open("rb") as file:
        header = file.read(HEADER_SIZE)
    if len(header) != HEADER_SIZE or not header.startswith(MAGIC):
        raise CorruptRecording(f"{path.name} is not a spool file")
    return SpoolHeader(header[16:32], header[32:48])


def spool_files(directory: Path) -> list[Path]:
    """Return the spool files of a directory, oldest first; an empty list where there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(path for path in directory.iterdir() if path.suffix == SUFFIX)
    return []


def lane_of(path: Path) -> int:
    """Return the lane of a spool file, which its name ends with: ``ID-LANE.spool``."""
    return int(path.stem.partition("-")[2] or 0)


class SpoolFile:
    """One spool file that this process owns: created, locked, appended to.

    :param lane: files of one process and lane follow one another.
    :raises OSError: it cannot be created.
    """

    def __init__(self, directory: Path, instance: bytes, clock: Clock, lane: int = 0) -> None:
        self.id = clock.new_id()
        self.lane = lane
        self.path = directory / f"{self.id.hex()}-{lane}{SUFFIX}"
        unborn = self.path.with_suffix(".new")  # nobody may find it before it is locked
        self._lock = LockFile(unborn, flags=os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        self.fd = self._lock.fd
        try:
            self._lock.acquire()  # at most another process's look whether anybody has it
            self.size = 0
            self.append(MAGIC + self.id + instance)
            unborn.rename(self.path)
        except BaseException:
            self._lock.close()
            unborn.unlink(missing_ok=True)
            raise

    def append(self, data: bytes) -> None:
        """Append *data* whole or not at all.

        :raises OSError: it could not be written.
        """
        if os.write(self.fd, data) != len(data):
            self.settle()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += len(data)

    def settle(self, size: int = -1) -> bool:
        """After a write of *size* bytes whose outcome is not known: tell whether it is there, cut off a part of it.

        :raises OSError: the file cannot be cut.
        """
        actual = os.fstat(self.fd).st_size
        if actual == self.size + size:
            self.size = actual
            return True
        if actual != self.size:
            os.ftruncate(self.fd, self.size)
        return False

    def read(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes from *start* on."""
        return read_at(self.fd, self.path, start, size)

    def close(self, *, remove: bool) -> None:
        """Give the file up; its lock becomes free, so what is left in it is for recovery."""
        if remove:
            self.path.unlink(missing_ok=True)
        self._lock.close()


def read_at(fd: int, path: Path, start: int, size: int) -> bytes:
    """Return up to *size* bytes of an open file from *start* on, without moving its position."""
    if hasattr(os, "pread"):
        return os.pread(fd, size, start)
    with path.open("rb") as file:  # Windows
        file.seek(start)
        return file.read(size)


class Spool:
    """What a recorder appends to.

    :param directory: made with mode 0700 where it is missing.
    :param durability: ``delivered``, ``batched`` or ``synced``.
    :param wait: seconds for which the first failing append of an outage is tried again.
    :param lane: its number among the spools of a recorder.
    :raises StoreUnreachable: the directory cannot be written.
    :ivar error: why it cannot be written, or None.
    :ivar sync_error: why it could once not be brought to the medium, or None; what a kernel has failed to
        write back it does not report twice, so this stays.
    :ivar interrupted: the record during whose append an interrupt came, if it was written all the same.
    """

    def __init__(
        self, directory: Path, instance: bytes, clock: Clock, *, durability: str, wait: float, lane: int = 0
    ) -> None:
        self.directory = directory
        self._lane = lane
        self._clock = clock
        self._instance = instance
        self._batched = durability == "batched"
        self._synced = durability == "synced"
        self._wait = wait
        self._lock = threading.RLock()
        self._buffer = bytearray()
        self._dirty = False
        self._roll_at = ROLL_SIZE
        self._full: list[SpoolFile] = []
        self._file: SpoolFile | None = None
        self.error: str | None = None
        self.sync_error: str | None = None
        self.interrupted: bytes | None = None
        try:
            self._file = self._new_file()
        except OSError as error:
            raise StoreUnreachable(f"cannot write to {directory} ({error.strerror}): choose another store") from error

    def _new_file(self) -> SpoolFile:
        for _ in range(_TRIES):
            self.directory.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):  # another process has just tidied up here
                file = SpoolFile(self.directory, self._instance, self._clock, self._lane)
                self._sync_directory()
                return file
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    @property
    def defers(self) -> bool:
        """Whether something may have to be done a moment after an append, to keep what the durability promises."""
        return self._batched or self._synced

    def append(self, record: bytes, *, sync: bool = False) -> bool:
        """Append a record; return whether it is safe.

        :param sync: under ``synced`` durability, return only when it would survive a loss of power.
        """
        with self._lock:
            try:
                if self._batched:
                    self._buffer += record
                    return len(self._buffer) < _FLUSH_SIZE or self._flush_buffer() or self._fits(record)
                if not self._write(record):
                    return False
                self._dirty = True
                if sync and self._synced:
                    self._sync()
                return True
            except BaseException:
                self._interrupted_at(record)
                raise

    def _interrupted_at(self, record: bytes) -> None:
        if self._batched:
            if self._file is not None and self._file.settle(len(self._buffer)):
                self._buffer.clear()
                self.interrupted = record
            elif self._buffer.endswith(record):
                self.interrupted = record
        elif self._file is not None and self._file.settle(len(record)):
            self.interrupted = record

    def _fits(self, record: bytes) -> bool:
        if len(self._buffer) <= BUFFER_LIMIT:
            return True
        del self._buffer[-len(record) :]
        return False

    def _flush_buffer(self) -> bool:
        if self._buffer and self._write(bytes(self._buffer)):
            self._buffer.clear()
        return not self._buffer

    def _write(self, data: bytes) -> bool:
        try:
            self._append_to_file(data)
        except OSError as error:
            return self._write_in_trouble(data, error)
        if self.error is not None:
            _log.warning("recorder: the spool %s can be written again", self.directory)
            self.error = None
        return True

    def _append_to_file(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._new_file()
        self._file.append(data)
        if self._file.size >= self._roll_at:
            self._roll()

    def _write_in_trouble(self, data: bytes, error: OSError) -> bool:
        if self.error is not None:
            return False  # the wait of this outage is over: the program is not held up again
        deadline = self._clock.monotonic_ns() + int(self._wait * 1e9)
        while self._clock.monotonic_ns() < deadline:
            self._clock.sleep(0.01)
            with suppress(OSError):
                self._append_to_file(data)
                return True
        self.error = f"{self.directory}: {error.strerror}"
        _log.critical("recorder: the spool %s: events are being lost until it can be written", self.error)
        return False

    def _sync(self) -> None:
        if self._file is None:
            return
        try:
            _fdatasync(self._file.fd)
            self._dirty = False
        except OSError as error:
            if self.sync_error is None:
                _log.critical("recorder: the spool %s cannot be synced: %s", self.directory, error.strerror)
            self.sync_error = f"{self.directory} cannot be synced: {error.strerror}"

    def _sync_directory(self) -> None:
        if self._synced and hasattr(os, "O_DIRECTORY"):
            fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def flush(self) -> bool:
        """Write what ``batched`` durability holds in memory, sync what ``synced`` owes; return success."""
        with self._lock:
            written = self._flush_buffer()
            if self._synced and self._dirty:
                self._sync()
            return written

    def files(self) -> list[SpoolFile]:
        """Return this process's files, oldest first; the last is the one being appended to."""
        with self._lock:
            return [*self._full, *([self._file] if self._file is not None else [])]

    def _roll(self) -> None:
        """Go on in a new file; while none can be made, in the one there is."""
        full, self._file = self._file, None
        try:
            self._file = self._new_file()
        except OSError as error:
            _log.warning("recorder: no new spool file yet: %s", error.strerror)
            self._file = full
            self._roll_at += ROLL_SIZE
            return
        self._roll_at = ROLL_SIZE
        if full is not None:
            self._full.append(full)

    def _let_go(self) -> None:
        """Close full files that a drainer process has removed."""
        for file in [file for file in self._full if not file.path.exists()]:
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
            self._let_go()
            files = [(file.id, file.size) for file in self.files()]
        return len(self._buffer) + sum(max(size - drained.get(key, HEADER_SIZE), 0) for key, size in files)

    def after_fork(self, instance: bytes) -> None:
        """Go on in a forked child: the parent's files, their lock and what they hold are the parent's.

        The child's own file is made when it has something to write.
        """
        for file in [*self._full, *([self._file] if self._file is not None else [])]:
            file.close(remove=False)
        self._lock = threading.RLock()
        self._buffer = bytearray()
        self._full = []
        self._instance = instance
        self._file = None
        self.error = None

    def close(self, *, drained: bool) -> None:
        """Give the files up, removing them where everything in them has been drained."""
        with self._lock:
            if self._buffer:
                _log.critical("recorder: %d bytes of events could be written nowhere and are lost", len(self._buffer))
            for file in self.files():
                file.close(remove=drained)
            self._full, self._file = [], None
        if drained:
            with suppress(OSError):  # another process's files are in it, or it was never empty
                self.directory.rmdir()


def _fdatasync(fd: int) -> None:
    """Force a file's data to the medium (on macOS ``F_FULLFSYNC``: fsync stops at the drive's cache)."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)
