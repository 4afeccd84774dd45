"""Files that outlive a loss of power: what was written is forced to the medium, the names of the files too."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path


def fdatasync(fd: int) -> None:
    """Force a file's data to the medium (on macOS ``F_FULLFSYNC``: fsync stops at the drive's cache)."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def sync_directory(directory: Path) -> None:
    """Force a directory's entries to the medium, where that can be asked for."""
    if hasattr(os, "O_DIRECTORY"):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def make_directory(directory: Path) -> None:
    """Make a directory that only its owner may look into, and those above it that are missing, to last.

    :raises OSError: it cannot be made.
    """
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in missing:
        sync_directory(each.parent)


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data*, which a single write need not.

    :raises OSError: it cannot be written; a part of it may be there.
    """
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def write_private(path: Path, data: bytes, *, made: Path, replace: bool) -> None:
    """Write a whole file that only its owner may read, so that nobody ever sees half of it.

    :param made: where it is written before it gets its name; in the same directory.
    :param replace: whether there may be such a file, whose place it takes.
    :raises FileExistsError: there is one, and *replace* is off.
    :raises OSError: it cannot be written; nothing is changed.
    """
    try:
        fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            write_all(fd, data)
            fdatasync(fd)
        finally:
            os.close(fd)
        if replace:
            made.replace(path)
        else:
            os.link(made, path)
        sync_directory(path.parent)
    finally:
        with suppress(FileNotFoundError):
            made.unlink()
