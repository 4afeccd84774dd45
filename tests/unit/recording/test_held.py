"""Durability ``batched`` on a disk that is full: bounded work, nothing seen that is not there, every loss told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import recorder.recording.spool as spool_module
from recorder.recording.held import BUFFER_LIMIT
from recorder.recording.spool_file import HEADER_SIZE
from tests.unit.recording.disks import Disk, SmallDisk, spool_at, written


def test_a_full_disk_makes_an_append_no_dearer(tmp_path: Path, small: SmallDisk) -> None:
    spool, clock = spool_at(tmp_path, "batched", wait=0.1)
    small.room = 0
    record = b"y" * 1000
    safe = [spool.append(record) for _ in range(12_000)]
    assert safe == [True] * (BUFFER_LIMIT // 1000) + [False] * (12_000 - BUFFER_LIMIT // 1000)
    assert sum(clock.slept) == pytest.approx(0.1)
    assert max(small.asked) <= 256 * 1024
    assert len(small.asked) < 20  # those of the wait, and not one for each append
    clock.sleep(1.0)
    small.asked.clear()
    assert not spool.append(record)
    assert len(small.asked) == 1
    small.room = 1 << 30
    clock.sleep(1.0)
    assert spool.append(record)
    assert spool.error is None
    assert spool.flush()
    assert len(written(spool)) == 1000 * (safe.count(True) + 1)


def test_what_is_held_is_written_as_far_as_there_is_room(tmp_path: Path, small: SmallDisk) -> None:
    spool, _ = spool_at(tmp_path, "batched", wait=0.0)
    records = [b"%05d" % number * 100 for number in range(100)]
    small.room = 10_123
    assert all(spool.append(record) for record in records)
    assert not spool.flush()
    assert written(spool) == b"".join(records[:20])
    assert spool.error is not None
    assert spool.pending({}) == 50_000
    small.room = 1_000_000
    assert spool.flush()
    assert written(spool) == b"".join(records)


def test_what_is_cut_off_again_is_not_read_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk) -> None:
    spool, _ = spool_at(tmp_path, wait=0.0)
    spool.append(b"whole")
    (file,) = spool.files()
    seen = []
    real = os.fstat

    def looking(fd: int) -> os.stat_result:
        seen.append(file.read(HEADER_SIZE, 99))
        return real(fd)

    monkeypatch.setattr(spool_module.os, "fstat", looking)
    disk.how = "short"
    assert not spool.append(b"cut off")
    assert seen == [b"whole"]


def test_a_record_that_memory_does_not_hold_is_written_at_once(tmp_path: Path, small: SmallDisk) -> None:
    spool, _ = spool_at(tmp_path, "batched", wait=0.0)
    assert spool.append(b"before")
    large = b"z" * (BUFFER_LIMIT + 1)
    assert spool.append(large)
    assert written(spool) == b"before" + large
    small.room = 0
    assert not spool.append(large)
    small.room = 1 << 30
    assert spool.append(b"after")
    assert spool.flush()
    assert written(spool) == b"before" + large + b"after"
