"""The lock under which a store file is created, written and checkpointed: one thread of one process."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Final

from recorder.clock import Clock, SystemClock
from recorder.errors import StoreUnreachable
from recorder.locks import LockFile

_FIRST_WAIT: Final = 0.0002
_LONGEST_WAIT: Final = 0.005


class StoreLock:
    """A context manager; the file is made with mode 0600 and never removed.

    The file is opened anew each time, so that threads exclude each other as processes do.

    :param path: the lock's file.
    :param is_folder: it is a folder that serves as one; it has to be there.
    :param timeout: seconds to wait: whoever holds the lock longer is stopped or hangs.
    """

    def __init__(
        self, path: Path, *, is_folder: bool = False, timeout: float = 30.0, clock: Clock | None = None
    ) -> None:
        self._path = path
        self._flags = os.O_RDONLY if is_folder else os.O_RDWR | os.O_CREAT
        self._timeout_ns = int(timeout * 1e9)
        self._clock = clock or SystemClock()
        self._held = threading.local()

    def __enter__(self) -> None:
        """Wait for the lock.

        :raises StoreUnreachable: it was not free in time, or its file cannot be opened.
        """
        try:
            file = LockFile(self._path, flags=self._flags)
        except OSError as error:
            raise StoreUnreachable(f"{self._path} cannot be opened: {error.strerror}") from error
        try:
            self._wait(file)
        except BaseException:
            file.close()
            raise
        self._held.file = file

    def _wait(self, file: LockFile) -> None:
        deadline = self._clock.monotonic_ns() + self._timeout_ns
        pause = _FIRST_WAIT
        while not file.acquire(blocking=False):
            if self._clock.monotonic_ns() >= deadline:
                raise StoreUnreachable(f"{self._path} stayed locked: another process holds the store")
            self._clock.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_WAIT)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Explicitly: a process forked without Python's knowledge would otherwise keep the lock.
        self._held.file.release()
        self._held.file.close()
