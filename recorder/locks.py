"""Locks across processes that die with their owner.

``flock`` on POSIX: the lock belongs to the open file, is released when the last descriptor of it is
closed, and so tells a living owner from a dead one without looking at anybody's age. Where there is
no ``fcntl`` (Windows), ``msvcrt`` locks a byte far behind the end of the file.

A forked child inherits the open file, and with it the lock: were it kept open, the death of the
parent would not free it. So a child closes every lock file of its parent, first thing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

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


#: Whether a directory can be opened and locked like a file.
LOCKS_DIRECTORIES: Final = sys.platform != "win32"


class LockFile:
    """A file that one process at a time may hold exclusively.

    :param path: made with mode 0600 where it is missing; a directory with ``flags=os.O_RDONLY``.
    :param flags: how to open it.
    :raises OSError: it cannot be opened.
    """

    def __init__(self, path: Path, *, flags: int = os.O_RDWR | os.O_CREAT) -> None:
        self.fd = os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o600)
        _open[id(self)] = self

    def acquire(self, *, blocking: bool = True) -> bool:
        """Take the lock; return False when another process holds it and *blocking* is off."""
        try:
            _lock(self.fd, blocking=blocking)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self) -> None:
        """Give the lock back, also when another descriptor of the same open file lives on; the file stays open."""
        if self.fd >= 0:
            _unlock(self.fd)

    def close(self) -> None:
        """Close the file, which gives the lock back; closing twice is fine."""
        _open.pop(id(self), None)
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def __enter__(self) -> LockFile:
        self.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


_open: dict[int, LockFile] = {}


def _close_inherited() -> None:
    for file in list(_open.values()):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)
