"""A spool on a disk that fails when it is told to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import recorder.recording.spool as spool_module
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE
from tests.clocks import DrivenClock

INSTANCE = b"i" * 16


def spool_at(directory: Path, durability: str = "delivered", wait: float = 0.1) -> tuple[Spool, DrivenClock]:
    clock = DrivenClock()
    return Spool(directory, INSTANCE, clock, durability=durability, wait=wait), clock


def written(spool: Spool) -> bytes:
    return b"".join(file.path.read_bytes()[HEADER_SIZE:] for file in spool.files())


class Disk:
    """Fails writes on demand: ``full``, ``short`` (half of the data), or an interrupt after the write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.how = ""
        self.real = os.write
        monkeypatch.setattr(spool_module.os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if self.how == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.how == "short":
            return self.real(fd, data[: len(data) // 2])
        written = self.real(fd, data)
        if self.how == "interrupt":
            self.how = ""
            raise KeyboardInterrupt
        return written


class SmallDisk:
    """Has room for so many bytes; a write of more is cut short, as a kernel does it.

    :ivar asked: the size of each write.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 30
        self.asked: list[int] = []
        self._write, self._cut = os.write, os.ftruncate
        monkeypatch.setattr(spool_module.os, "write", self.write)
        monkeypatch.setattr(spool_module.os, "ftruncate", self.cut)

    def write(self, fd: int, data: bytes) -> int:
        self.asked.append(len(data))
        if data and not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(fd, data[: self.room])
        self.room -= written
        return written

    def cut(self, fd: int, size: int) -> None:
        self.room += os.fstat(fd).st_size - size
        self._cut(fd, size)
