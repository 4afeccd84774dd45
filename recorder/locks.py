"""Locks across processes that die with their owner.

``flock`` on POSIX: the lock belongs to the open file, is released when the last descriptor of it is
closed, and so tells a living owner from a dead one without looking at anybody's age. Where there is
no ``fcntl`` (Windows), ``msvcrt`` locks a byte far behind the end of the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int, *, blocking: bool) -> None:
        os.lseek(fd, 1 << 40, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_LOCK if blocking else msvcrt.LK_NBLCK, 1)

    def _unlock(fd: int) -> None:
        os.lseek(fd, 1 << 40, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(fd: int, *, blocking: bool) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


class LockFile:
    """A file that one process at a time may hold exclusively.

    :param path: made with mode 0600 where it is missing.
    :param flags: how to open it.
    :raises OSError: it cannot be opened.
    """

    def __init__(self, path: Path, *, flags: int = os.O_RDWR | os.O_CREAT) -> None:
        self.fd = os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o600)

    def acquire(self, *, blocking: bool = True) -> bool:
        """Take the lock; return False when another process holds it and *blocking* is off."""
        try:
            _lock(self.fd, blocking=blocking)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self) -> None:
        """Give the lock back; the file stays open."""
        _unlock(self.fd)

    def close(self) -> None:
        """Close the file, and give the lock back unless a forked child still has it open."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> LockFile:
        self.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()
