"""One file of the spool: its header, its lock, and appending to it whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from recorder.clock import ID_SIZE, Clock
from recorder.errors import CorruptRecording
from recorder.locks import LockFile
from recorder.store.base import SPOOL_HEADER

MAGIC: Final = b"recorder-spool\x01\n"
HEADER_SIZE: Final = SPOOL_HEADER
SUFFIX: Final = ".spool"
SIZE_FIELD: Final = 4  # bytes at the beginning of a record that tell its size, which is never 0
#: Bytes of the smallest file that is allocated ahead and may end in zeros (docs/format.md): never to become more.
SMALLEST_AHEAD: Final = 32 * 1024 * 1024
_ZEROS: Final = bytes(1024 * 1024)


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
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        return sorted(directory / entry.name for entry in entries if entry.name.endswith(SUFFIX) and entry.is_file())
    return []


def lane_of(path: Path) -> int:
    """Return the lane of a spool file, which is in its name: ``ID-LANE-INSTANCE.spool``."""
    return int([*path.stem.split("-"), "0"][1])


def owner_of(path: Path) -> bytes | None:
    """Return the id of the process that a spool file's name ends with; None where it has another name."""
    with suppress(IndexError, ValueError):
        identity = bytes.fromhex(path.stem.split("-")[2])
        return identity if len(identity) == ID_SIZE else None
    return None


class SpoolFile:
    """One spool file that this process owns: created, locked, appended to.

    :param lane: files of one process and lane follow one another.
    :raises OSError: it cannot be created.
    """

    #: How the file is opened, besides being made.
    _flags: ClassVar = os.O_APPEND

    def __init__(self, directory: Path, instance: bytes, clock: Clock, lane: int = 0) -> None:
        self.id = clock.new_id()
        self.lane = lane
        # Whose it is stands in its name: a directory is on the disk before what is in its files, if power is lost.
        self.path = directory / f"{self.id.hex()}-{lane}-{instance.hex()}{SUFFIX}"
        unborn = self.path.with_suffix(".new")  # nobody may find it before it is locked
        self._lock = LockFile(unborn, flags=os.O_RDWR | os.O_CREAT | os.O_EXCL | self._flags)
        self.fd = self._lock.fd
        self._monotonic_ns = clock.monotonic_ns
        try:
            self._lock.acquire()  # at most another process's look whether anybody has it
            self.size = 0
            self._begin()
            self.append(MAGIC + self.id + instance)
            unborn.rename(self.path)
        except BaseException:
            self.let_go()
            unborn.unlink(missing_ok=True)
            raise

    def _begin(self) -> None:
        """Make ready what :meth:`append` needs; the file is empty."""

    def append(self, data: bytes) -> int:
        """Append *data* whole or not at all; return its size.

        :raises OSError: it could not be written.
        """
        if os.write(self.fd, data) != len(data):
            self.settle(self.size, len(data))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += len(data)
        return len(data)

    def append_some(self, records: Sequence[bytes]) -> int:
        """Append as many of *records*, one at least, as there is room for; return the number of bytes.

        None that was there whole, be it for a moment, is cut off again: a drainer process may have read it.

        :raises OSError: there is no room for the first one.
        """
        data = b"".join(records)
        if os.write(self.fd, data) == len(data):
            self.size += len(data)
            return len(data)
        if written := self.settle(self.size, *map(len, records)):
            return written
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def settle(self, start: int, *sizes: int) -> int:
        """After a write at *start* of unknown outcome: cut off what is not whole; return how many bytes are.

        The size that was noted says nothing: it may or may not have been noted when the interrupt came.

        :param sizes: of what was to be written, of which each part is to be there whole or not at all.
        :raises OSError: the file cannot be asked, or cut.
        """
        actual = os.fstat(self.fd).st_size
        whole = max((end for end in accumulate(sizes, initial=0) if start + end <= actual), default=0)
        if actual > start + whole:
            os.ftruncate(self.fd, start + whole)
        self.size = start + whole
        return whole

    @property
    def removed(self) -> bool:
        """Whether no directory has it any more: it is gone when this process lets it go."""
        return os.fstat(self.fd).st_nlink == 0

    def read(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes from *start* on; none of a write that may still be cut off again."""
        return read_at(self.fd, self.path, start, max(min(size, self.size - start), 0))

    def holds_more(self, end: int) -> bool:
        """Whether there is anything behind byte *end* of a file that is no longer appended to."""
        return self.size > end

    def close(self, *, remove: bool) -> None:
        """Give the file up; its lock becomes free, so what is left in it is for recovery."""
        if remove:
            self.path.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Close what this process has of the file, and leave the file as it is: another process may own it."""
        self.fd = -1  # the system gives the number to whoever opens something next
        self._lock.close()


def read_records(fd: int, path: Path, start: int, size: int) -> bytes:
    """Return up to *size* bytes of another process's open file from *start* on; nothing where no record begins.

    Its owner may have allocated what is still to come: then zeros follow the last record.
    """
    head = read_at(fd, path, start, min(size, SIZE_FIELD))
    return read_at(fd, path, start, size) if any(head) else b""


def read_at(fd: int, path: Path, start: int, size: int) -> bytes:
    """Return up to *size* bytes of an open file from *start* on, without moving its position."""
    if hasattr(os, "pread"):
        return os.pread(fd, size, start)
    with path.open("rb") as file:  # Windows
        file.seek(start)
        return file.read(size)


def is_zero(fd: int, path: Path, start: int) -> bool:
    """Whether nothing but zeros stands in an open file from byte *start* on."""
    while block := read_at(fd, path, start, len(_ZEROS)):
        if block != _ZEROS[: len(block)]:
            return False
        start += len(block)
    return True


def copy_records(files: Iterable[SpoolFile], new: SpoolFile) -> None:
    """Append what is in some files to a new one, or remove that.

    :raises OSError: there is no room for it.
    """
    try:
        for file in files:
            new.append(file.read(HEADER_SIZE, file.size - HEADER_SIZE))
    except BaseException:
        new.close(remove=True)
        raise
