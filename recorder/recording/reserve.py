"""Room on the spool's disk that is kept for the last words of a recorder.

A disk that is full when a recorder is closed would leave the recording silent about what was lost, and
without the ends that the exchanges had: it would look as if the process had died. So a small file
is kept beside the spool, and removed when there is nothing else left to write these few events with.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from recorder.clock import Clock
from recorder.locks import LockFile

_log = logging.getLogger("recorder")

SIZE: Final = 256 * 1024  # bytes: the gap and the end of two hundred exchanges, and what the journal says of them
_CLOSED: Final = ".closed"
_RETRY: Final = 1_000_000_000  # nanoseconds between two tries to make it


class Reserve:
    """The room of one recorder.

    :param directory: the spool's.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._path: Path | None = None
        self._lock: LockFile | None = None
        self._retry_at = 0
        self._taking = threading.Lock()  # nobody waits for it: one thread takes the room, the others go on

    def keep(self) -> None:
        """Take the room, unless that was done; a disk that has none is asked again later."""
        if self._wanted() and self._taking.acquire(blocking=False):
            try:
                if self._wanted():
                    self._take()
            finally:
                self._taking.release()

    def _wanted(self) -> bool:
        return self._path is None and self._clock.monotonic_ns() >= self._retry_at

    def _take(self) -> None:
        # Recovery removes what has this ending, and whose owner is dead.
        path = self._directory / f"{self._clock.new_id().hex()}-reserve.new"
        try:
            lock = LockFile(path, flags=os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except OSError:
            self._retry_at = self._clock.monotonic_ns() + _RETRY
            return
        self._path, self._lock = path, lock
        try:
            lock.acquire()
            whole = os.write(lock.fd, bytes(SIZE)) == SIZE
        except OSError:
            whole = False
        if not whole:
            self._retry_at = self._clock.monotonic_ns() + _RETRY
            self.free()

    def free(self) -> None:
        """Give the room back."""
        path, lock = self._path, self._lock
        self._path = self._lock = None
        if path is not None and lock is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            lock.close()

    def after_fork(self) -> None:
        """Begin anew in a forked child: the room is the parent's."""
        if self._lock is not None:
            self._lock.close()
        self._path = self._lock = None
        self._taking = threading.Lock()


def marker_of(directory: Path, instance: bytes) -> Path:
    """Return where the sign lies that a recorder was closed in good order, and could not write that."""
    return directory / f"{instance.hex()}{_CLOSED}"


def mark_closed(directory: Path, instance: bytes) -> None:
    """Leave that sign for recovery; an empty file takes no room."""
    try:
        marker_of(directory, instance).touch(mode=0o600)
    except OSError as error:
        _log.warning("recorder: recovery will take the recorder for one that died: %s", error.strerror)


def marked_closed(directory: Path) -> list[tuple[Path, bytes]]:
    """Return the signs in a directory, and whose they are."""
    found = []
    for path in sorted(directory.glob(f"*{_CLOSED}")):
        with suppress(ValueError):
            found.append((path, bytes.fromhex(path.stem)))
    return found
