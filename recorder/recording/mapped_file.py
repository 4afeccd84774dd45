"""A spool file that is appended to through memory, so that an append is no system call.

``os.write`` gives the interpreter to another thread, and waits to get it back: with a few busy threads
that costs more than everything else that an event needs (docs/design.md has the figures). A copy into a
shared mapping of the file is in the page cache just the same: it survives the death of the process.

But a copy holds the interpreter, and a page that the kernel has to make writable first may make it wait
for the disk: then the whole program would stand still. So pages are made writable ahead of the copy by a
call that does *not* hold the interpreter (zeros are read into them, :func:`os.readv`), and count as
writable only for a moment, far shorter than the kernel leaves a changed page alone. A disk that is slow
or full shows there, as a wait of one thread or an OSError, and never as a signal: the blocks are allocated
by then.

Bytes are copied before the size at their beginning, so that a record is there whole or not at all,
whatever moment the process dies at. Zeros follow the last record.
"""

from __future__ import annotations

import mmap
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final

from recorder.recording.spool_file import SIZE_FIELD, SMALLEST_AHEAD, SpoolFile

CAPACITY: Final = SMALLEST_AHEAD  # bytes of the mapping; nothing is allocated for what is not used
_ALLOCATED_AT_ONCE: Final = 256 * 1024
_WINDOW: Final = 16 * 1024  # bytes made writable ahead
# Nanoseconds for which they count as writable. The kernel writes changed pages back, and has them made
# writable again, after 30 seconds, or after 5 when memory is short.
_FRESH: Final = 1_000_000_000

#: File systems on which allocated blocks can be written to, and a mapping waits for no network.
_LOCAL: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs"})


def suits(directory: Path) -> bool:
    """Whether spool files of *directory* can be mapped: it is on a local file system of a known kind."""
    if not sys.platform.startswith("linux") or not os.access("/dev/zero", os.R_OK):
        return False
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
        return filesystem_of(directory.resolve(), mounts) in _LOCAL
    except OSError:
        return False


def filesystem_of(path: Path, mounts: str) -> str | None:
    """Return the type of the file system that holds *path*.

    :param mounts: what ``/proc/self/mountinfo`` says, see proc_pid_mountinfo(5).
    """
    found, depth = None, -1
    for line in mounts.splitlines():
        fields, separator, kind = line.partition(" - ")
        if not separator:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields.split(" ")[4]))
        if path.is_relative_to(point) and len(point.parts) >= depth:  # the last of several at one point covers it
            found, depth = kind.split(" ")[0], len(point.parts)
    return found


class MappedSpoolFile(SpoolFile):
    """A spool file whose records are copied into a shared mapping of it.

    :raises OSError: it cannot be created, allocated or mapped.
    """

    _flags: ClassVar = 0
    _map: mmap.mmap | None = None
    _zeros = -1
    _capacity = _allocated = _ready = _fresh_until = 0

    def _begin(self) -> None:
        self._zeros = os.open("/dev/zero", os.O_RDONLY | os.O_CLOEXEC)
        self._extend(CAPACITY)

    def append(self, data: bytes) -> int:
        """Append *data* whole or not at all; return its size.

        :raises OSError: there is no room for it.
        """
        start = self.size
        end = start + len(data)
        if end > self._ready or self._monotonic_ns() > self._fresh_until:
            self._make_ready(end)
        memory = self._map
        assert memory is not None
        memory[start + SIZE_FIELD : end] = data[SIZE_FIELD:]
        memory[start : start + SIZE_FIELD] = data[:SIZE_FIELD]
        self.size = end
        return end - start

    def _make_ready(self, end: int) -> None:
        """Have the file's pages from its last record to *end*, and some more, writable now."""
        wanted = max(end, self.size + _WINDOW)
        if wanted > self._capacity:
            self._extend(2 * wanted)
        if wanted > self._allocated:
            more = max(wanted - self._allocated, _ALLOCATED_AT_ONCE)
            os.posix_fallocate(self.fd, self._allocated, min(more, self._capacity - self._allocated))
            self._allocated = min(self._allocated + more, self._capacity)
        self._zero(self.size, wanted)
        self._ready, self._fresh_until = wanted, self._monotonic_ns() + _FRESH

    def _zero(self, start: int, end: int) -> None:
        """Overwrite with zeros; the interpreter is free meanwhile."""
        assert self._map is not None
        with memoryview(self._map) as memory:
            while start < end:
                with memory[start:end] as part:
                    start += os.readv(self._zeros, [part])

    def _extend(self, capacity: int) -> None:
        os.ftruncate(self.fd, capacity)
        self._map, self._capacity = mmap.mmap(self.fd, capacity), capacity

    def settle(self, start: int, *sizes: int) -> int:
        """After an append at *start* of unknown outcome: return how many bytes are there, or clear its place.

        :param sizes: of what was to be appended, all of it or nothing.
        :raises OSError: the place cannot be cleared.
        """
        assert self._map is not None
        size = sum(sizes)
        if any(self._map[start : start + min(SIZE_FIELD, size)]):
            self.size = start + size
            return size
        self.size = start
        self._zero(start, min(start + size, self._allocated))
        return 0

    def read(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes from *start* on; the interpreter is not given away for that."""
        memory = self._map
        return memory[start : min(start + size, self.size)] if memory is not None else b""

    def close(self, *, remove: bool) -> None:
        """Give the file up, without what was allocated for nothing."""
        if not remove and self.fd >= 0:
            with suppress(OSError):  # nobody reads what is behind the last record
                os.ftruncate(self.fd, self.size)
        super().close(remove=remove)

    def let_go(self) -> None:
        """Close what this process has of the file, and leave the file as it is."""
        self._map = None  # not closed: the drainer may be reading just now
        zeros, self._zeros = self._zeros, -1
        if zeros >= 0:
            os.close(zeros)
        super().let_go()
