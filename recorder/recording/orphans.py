"""Spool files that no process owns any more: found, locked, and told whose they were.

A file's header has no checksum of its own, but what it says is said elsewhere too: the file's name has its id and that
of the process that made it, which each of its records names as well. Where they differ, the header is damaged, and is
not believed. Where nothing else is left of a file, as after a loss of power, its name tells whose exchanges to close.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.clock import ID_SIZE
from recorder.core.codec import BROKEN_OFF_HEAD, broken_off_end
from recorder.core.record_search import RecordSearch
from recorder.errors import CorruptRecording
from recorder.locks import LockFile
from recorder.recording.batches import read_batch
from recorder.recording.spool_file import (
    HEADER_SIZE,
    MAGIC,
    SIZE_FIELD,
    SMALLEST_AHEAD,
    SpoolHeader,
    is_zero,
    owner_of,
    read_at,
    read_header,
    read_records,
    spool_files,
)

_A_FEW: Final = 4096  # bytes: of the first record, no more than it needs


@dataclass(slots=True)
class Orphan:
    """A spool file that no process owns.

    :ivar id: of the file, as the store's bookkeeping has it; empty where nothing tells it.
    :ivar owner: id of the process that wrote it; None where nothing tells it.
    :ivar fault: what is wrong with its header, or None; by itself that costs nothing but the header.
    :ivar damage: what is wrong behind the header; None as long as nothing is known.
    :ivar kept: whether it is set aside: not everything in it is in the store.
    """

    path: Path
    lock: LockFile
    id: bytes = b""
    owner: bytes | None = None
    fault: str | None = None
    damage: str | None = None
    kept: bool = False

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self.lock.fd).st_size

    def read(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes from *start* on; nothing where no record begins."""
        return read_records(self.lock.fd, self.path, start, size)

    def bytes_at(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes from *start* on, whatever they are."""
        return read_at(self.lock.fd, self.path, start, size)

    def require_nothing_behind(self, end: int) -> None:
        """Look at what stands behind the last record.

        The last record of a file that was allocated ahead may be missing unnoticed: zeros follow it in any case.

        :raises CorruptRecording: something that no record and no append that was broken off there accounts for.
        """
        size = self.size
        if size < SMALLEST_AHEAD and self.bytes_at(end, SIZE_FIELD) == bytes(SIZE_FIELD):
            raise CorruptRecording(f"zeros stand at byte {end}, where a record must have been")
        at = end + broken_off_end(self.bytes_at(end, BROKEN_OFF_HEAD), size - end)
        if not is_zero(self.lock.fd, self.path, at):
            raise CorruptRecording(f"no record begins at byte {end}, but there is more behind it")

    def identify(self) -> None:
        """Find out whose file it is; a header that its name or its records contradict is at fault."""
        first, named = self._first(), owner_of(self.path)
        try:
            header = read_header(self.path)
        except CorruptRecording:
            self.fault = "its header cannot be read"
            self.id, self.owner = _id_of(self.path) or b"", first or named or self._last(None)
            if first is None and (self.size < HEADER_SIZE or not any(self.bytes_at(0, len(MAGIC)))):  # it had one once
                self.damage = "its beginning is not on the disk, and nothing tells what was in it"
            return
        self.id = _id_of(self.path) or header.spool
        if self.id != header.spool:
            self.fault = "its header has another id than its name"
        if first is None and named is None and self.bytes_at(HEADER_SIZE, 1):
            first = self._last(header.instance)
        self.owner = first or named or header.instance
        if self.owner != header.instance:
            self.fault = "its header names another process than its records or its name"

    def _first(self) -> bytes | None:
        """Return who wrote the record behind the header: nothing that was sent can stand there."""
        try:
            openings, events, _ = read_batch(self, HEADER_SIZE, _A_FEW)
        except CorruptRecording:
            return None
        named = [opening.instance for opening in openings] + [event.instance for event in events]
        return named[0] if named else None

    def _last(self, named: bytes | None) -> bytes | None:
        """Return *named* if any readable record names it, else who wrote the last one: none stands in its payload."""
        data = self.bytes_at(0, self.size)
        if named is not None and any(True for _ in RecordSearch(data, 0, named)):
            return named
        search = RecordSearch(data)
        last: bytes | None = None
        for found in search:
            last = found.record.instance
        return None if search.exhausted else last


def _id_of(path: Path) -> bytes | None:
    """Return the id that a spool file's name begins with; None where it has another name."""
    with suppress(ValueError):
        identity = bytes.fromhex(path.stem.partition("-")[0])
        return identity if len(identity) == ID_SIZE else None
    return None


def take_orphans(directory: Path, held: ExitStack) -> tuple[dict[bytes, list[Orphan]], list[Orphan]]:
    """Lock the files of dead processes in a directory; they stay locked while *held* is open.

    A process that dies between two looks may have one file whose lock was still held and one whose lock
    was free: such a process is left for the next recovery, its older events have to be drained first.

    :return: the files by the process that wrote them, the oldest first, and those that nothing tells the owner of.
    """
    found: defaultdict[bytes, list[Orphan]] = defaultdict(list)
    nobodys = []
    for path in spool_files(directory):
        orphan = _take(path, held)
        if orphan is not None and orphan.owner is not None:
            found[orphan.owner].append(orphan)
        elif orphan is not None:
            nobodys.append(orphan)
    for orphan in list(nobodys):
        claimed = orphan.bytes_at(
            HEADER_SIZE - ID_SIZE, ID_SIZE
        )  # no proof, but one who died here is likelier than none
        if claimed in found:
            orphan.owner = claimed
            found[claimed] = sorted([*found[claimed], orphan], key=lambda one: one.path)
            nobodys.remove(orphan)
    taken = {orphan.path for orphan in (*nobodys, *(one for each in found.values() for one in each))}
    left = {header.instance for header in headers(directory, but=taken)}
    return {dead: orphans for dead, orphans in found.items() if dead not in left}, nobodys


def headers(directory: Path, but: Iterable[Path]) -> list[SpoolHeader]:
    """Return the headers of the spool files of a directory, but those of some; what has none is passed over."""
    found = []
    for path in spool_files(directory):
        if path not in but:
            with suppress(FileNotFoundError, CorruptRecording):
                found.append(read_header(path))
    return found


def any_left(directory: Path) -> bool:
    """Whether a spool file lies in a directory whose process is dead; nothing is taken over.

    What cannot be opened for writing, on a disk that is only read, is not told.
    """
    return any(_is_free(path) is True for path in spool_files(directory))


def any_owned(directory: Path) -> bool:
    """Whether a spool file lies in a directory whose process lives."""
    return any(_is_free(path) is False for path in spool_files(directory))


def _is_free(path: Path) -> bool | None:
    """Return whether a spool file has no owner; None where it cannot be opened for writing, or is gone."""
    with suppress(OSError), closing(LockFile(path, flags=os.O_RDWR)) as lock:
        if not lock.acquire(blocking=False):
            return False
        lock.release()
        return True
    return None


def _take(path: Path, held: ExitStack) -> Orphan | None:
    """Lock a spool file that has no owner; None where it has one, or is gone."""
    try:
        lock = LockFile(path, flags=os.O_RDWR)
    except FileNotFoundError:
        return None
    if not lock.acquire(blocking=False):
        lock.close()
        return None
    held.callback(let_go, lock)
    orphan = Orphan(path, lock)
    try:
        orphan.identify()
    except FileNotFoundError:  # another process has recovered it between the two looks
        return None
    return orphan


def let_go(lock: LockFile) -> None:
    """Give a lock back and close its file."""
    lock.release()
    lock.close()
