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
