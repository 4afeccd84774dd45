"""A spool that somebody removed while its recorder lives."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE, spool_files
from tests.clocks import DrivenClock
from tests.unit.recording.disks import INSTANCE, Disk, spool_at, written


@pytest.mark.parametrize("mapped", [False, True])
def test_a_spool_that_was_removed_is_made_anew_with_what_was_in_it(
    tmp_path: Path, mapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    parent = tmp_path / "folder"
    parent.mkdir()
    spool = Spool(parent / "spool", INSTANCE, DrivenClock(), durability="delivered", wait=0.1, mapped=mapped)
    assert spool.append(b"\0\0\0\5one")
    spool.check()
    before = spool.files()
    assert caplog.records == []
    shutil.rmtree(parent)
    assert spool.append(b"\0\0\0\5two")
    for _ in range(2):  # it is said once
        spool.check()
        assert "No such file or directory" in (spool.removed or "")
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert spool.files() == before
    parent.mkdir()
    spool.check()
    assert spool.removed is None
    assert spool.append(b"\0\0\0\7three")
    (path,) = spool_files(parent / "spool")
    assert path.read_bytes()[HEADER_SIZE:].rstrip(b"\0") == b"\0\0\0\5one\0\0\0\5two\0\0\0\7three"
    spool.close(drained=False)


def test_a_removed_spool_for_which_there_is_no_room_stays_what_it_is(tmp_path: Path, disk: Disk) -> None:
    spool, _ = spool_at(tmp_path / "spool")
    assert spool.append(b"abc" * 20)
    shutil.rmtree(tmp_path / "spool")
    disk.how = "full"
    spool.check()
    assert "No space left" in (spool.removed or "")
    disk.how = ""
    spool.check()
    assert spool.removed is None
    assert written(spool) == b"abc" * 20
    spool.close(drained=True)


def test_a_full_file_that_was_removed_is_kept_until_it_is_drained(tmp_path: Path) -> None:
    spool, _ = spool_at(tmp_path / "spool")
    spool._roll_at = 100
    assert spool.append(bytes(200))
    full, growing = spool.files()
    full.path.unlink()
    assert spool.pending({full.id: HEADER_SIZE, growing.id: HEADER_SIZE}) == 200
    assert spool.pending({growing.id: HEADER_SIZE}) == 0  # as a drainer process tells it
    assert spool.files() == [growing]
    spool.close(drained=True)


def test_a_removed_spool_is_made_anew_once_however_many_threads_look(tmp_path: Path) -> None:
    spool, _ = spool_at(tmp_path / "spool")
    assert spool.append(b"abc" * 20)
    shutil.rmtree(tmp_path / "spool")
    with spool._lock:  # as an append has it: all of them see that it is gone before the first can mend that
        looking = [threading.Thread(target=spool.check) for _ in range(4)]
        for thread in looking:
            thread.start()
        while any(not thread.is_alive() for thread in looking):
            pass
        time.sleep(0.05)
    for thread in looking:
        thread.join()
    assert [file.path for file in spool.files()] == spool_files(tmp_path / "spool")
    assert written(spool) == b"abc" * 20
    spool.close(drained=True)
