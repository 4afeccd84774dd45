"""Spool files: whole records or none, whatever the disk and the process do."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

import pytest

import recorder.recording.spool as spool_module
from recorder.errors import CorruptRecording, StoreUnreachable
from recorder.recording.spool import BUFFER_LIMIT, Receipt
from recorder.recording.spool_file import HEADER_SIZE, MAGIC, SpoolFile, read_at, read_header, spool_files
from tests.unit.recording.disks import INSTANCE, Disk, spool_at, written


def test_a_file_is_private_locked_and_has_a_header(tmp_path: Path) -> None:
    spool, _ = spool_at(tmp_path / "spool")
    (path,) = spool_files(tmp_path / "spool")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_bytes().startswith(MAGIC)
    assert read_header(path).instance == INSTANCE
    assert read_header(path).spool == spool.files()[0].id
    spool.close(drained=False)
    assert path.exists()
    path.write_bytes(b"something else")
    with pytest.raises(CorruptRecording, match="is not a spool file"):
        read_header(path)
    assert spool_files(path) == spool_files(tmp_path / "none") == []


def test_what_is_appended_is_there_and_drained_files_go(tmp_path: Path) -> None:
    spool, _ = spool_at(tmp_path / "spool")
    assert spool.append(b"one")
    assert spool.append(b"two", sync=True)
    (file,) = spool.files()
    assert file.read(HEADER_SIZE, 99) == b"onetwo" == read_at(file.fd, file.path, HEADER_SIZE, 6)
    assert spool.pending({}) == 6
    assert spool.pending({file.id: HEADER_SIZE + 4}) == 2
    spool.close(drained=True)
    assert not (tmp_path / "spool").exists()


def test_reading_where_there_is_no_pread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    monkeypatch.delattr(os, "pread")
    assert read_at(-1, tmp_path / "x", 3, 4) == b"3456"


def test_a_short_write_is_cut_off_again(tmp_path: Path, disk: Disk) -> None:
    spool, clock = spool_at(tmp_path)
    assert spool.append(b"first-")
    disk.how = "short"
    assert not spool.append(b"torn half")
    assert written(spool) == b"first-"
    disk.how = ""
    assert spool.append(b"second")
    assert written(spool) == b"first-second"
    assert clock.slept


def test_the_first_failure_of_an_outage_is_waited_for_and_no_other(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    spool, clock = spool_at(tmp_path, wait=0.1)
    disk.how = "full"
    assert not spool.append(b"lost")
    assert sum(clock.slept) == pytest.approx(0.1)
    assert not spool.append(b"lost")
    assert not spool.append(b"lost")
    assert sum(clock.slept) == pytest.approx(0.1)
    assert spool.error == f"{tmp_path}: No space left on device"
    disk.how = ""
    assert spool.append(b"kept")
    assert spool.error is None
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL, logging.WARNING]


def test_what_is_small_and_fits_in_between_does_not_begin_another_outage(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    spool, clock = spool_at(tmp_path, wait=0.1)
    for _ in range(5):
        disk.how = "full"
        assert not spool.append(b"large" * 100)
        assert spool.error is not None
        disk.how = ""
        assert spool.append(b"a gap")
        assert spool.error is None  # on_failure="raise" may try again
    assert sum(clock.slept) == pytest.approx(0.1)
    assert len(caplog.records) == 1
    clock.sleep(31)
    clock.slept.clear()
    disk.how = "full"
    assert not spool.append(b"large" * 100)
    assert sum(clock.slept) == pytest.approx(0.1)
    disk.how = ""
    assert spool.append(b"large" * 100)
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL, logging.CRITICAL, logging.WARNING]
    clock.slept.clear()
    disk.how = "full"
    assert not spool.append(b"x")
    assert sum(clock.slept) == pytest.approx(0.1)


def test_a_file_that_cannot_be_looked_at_is_settled_later(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, _ = spool_at(tmp_path)
    receipt = Receipt(b"one")
    disk.how = "interrupt"

    def failing(_: int) -> os.stat_result:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(spool_module.os, "fstat", failing)
        with pytest.raises(KeyboardInterrupt):
            spool.append(receipt.record, receipt=receipt)
        assert receipt.safe is None
    assert spool.append(b"two")
    assert receipt.safe
    assert written(spool) == b"onetwo"


def test_a_failure_that_passes_while_it_is_waited_for_is_none(tmp_path: Path, disk: Disk) -> None:
    spool, clock = spool_at(tmp_path)
    disk.how = "full"

    def sleep(seconds: float) -> None:
        disk.how = ""

    clock.sleep = sleep
    assert spool.append(b"kept")
    assert (spool.error, written(spool)) == (None, b"kept")


@pytest.mark.parametrize("durability", ["delivered", "synced"])
def test_after_an_interrupt_it_is_known_whether_the_record_is_there(
    tmp_path: Path, disk: Disk, durability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, _ = spool_at(tmp_path, durability)
    disk.how = "interrupt"
    record = b"written and interrupted"
    receipt, other = Receipt(record), Receipt(b"never written")
    with pytest.raises(KeyboardInterrupt):
        spool.append(record, receipt=receipt)
    assert receipt.safe
    assert spool.append(b", next")
    assert written(spool) == record + b", next"

    def before(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(spool_module.os, "write", before)
        with pytest.raises(KeyboardInterrupt):
            spool.append(other.record, receipt=other)
    assert other.safe is False
    assert written(spool) == record + b", next"


def test_after_an_interrupt_batched_knows_too(tmp_path: Path, disk: Disk) -> None:
    spool, _ = spool_at(tmp_path, "batched")
    assert spool.append(b"a")
    disk.how = "interrupt"
    big = b"b" * 300_000
    receipt = Receipt(big)
    with pytest.raises(KeyboardInterrupt):
        spool.append(big, receipt=receipt)
    assert receipt.safe
    assert spool.pending({}) == 300_001
    assert spool.append(b"c")
    spool.flush()
    assert written(spool) == b"a" + big + b"c"


def test_batched_waits_for_the_flush_and_holds_a_bounded_amount(tmp_path: Path, disk: Disk) -> None:
    spool, _ = spool_at(tmp_path, "batched", wait=0.0)
    assert spool.append(b"x" * 1000)
    assert written(spool) == b""
    assert spool.pending({}) == 1000
    assert spool.flush()
    assert len(written(spool)) == 1000
    disk.how = "full"
    piece = b"y" * (1 << 20)
    accepted = [spool.append(piece) for _ in range(12)]
    assert accepted == [True] * 8 + [False] * 4
    assert BUFFER_LIMIT == 8 << 20
    assert not spool.flush()
    disk.how = ""
    assert spool.flush()
    assert len(written(spool)) == 1000 + (8 << 20)


def test_what_batched_could_write_nowhere_is_told_at_the_end(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    spool, _ = spool_at(tmp_path, "batched", wait=0.0)
    spool.append(b"lost")
    disk.how = "full"
    spool.flush()
    spool.close(drained=False)
    assert "4 bytes of events could be written nowhere" in caplog.text


def test_a_large_file_is_rolled_over_and_a_drained_one_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "ROLL_SIZE", 1000)
    spool, _ = spool_at(tmp_path)
    spool._roll_at = 1000
    for number in range(7):
        assert spool.append(b"%d" % number * 400)
    files = spool.files()
    assert [file.size for file in files] == [HEADER_SIZE + 1200, HEADER_SIZE + 1200, HEADER_SIZE + 400]
    assert [file.path for file in files] == spool_files(tmp_path)
    spool.drop(files[0].id)
    assert spool_files(tmp_path) == [file.path for file in spool.files()] == [file.path for file in files[1:]]
    files[1].path.unlink()  # as a drainer process does
    assert spool.pending({}) == 400
    assert len(spool.files()) == 1
    spool.drop(b"unknown")


def test_no_new_file_no_roll_over(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "ROLL_SIZE", 1000)
    spool, _ = spool_at(tmp_path)
    spool._roll_at = 1000

    def no_file(*_: object) -> SpoolFile:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(spool_module, "SpoolFile", no_file)
        for _ in range(5):
            assert spool.append(b"z" * 400)  # the one there is goes on
    assert len(spool.files()) == 1
    for _ in range(3):
        assert spool.append(b"z" * 400)
    assert len(spool.files()) == 2


def test_a_directory_that_vanishes_while_a_file_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = SpoolFile, []

    def vanishing(directory: Path, *rest: object) -> SpoolFile:
        tries.append(directory)
        if len(tries) < 3:
            directory.rmdir()
        return real(directory, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(spool_module, "SpoolFile", vanishing)
    spool, _ = spool_at(tmp_path / "spool")
    assert len(tries) == 3
    spool.close(drained=True)

    def always(directory: Path, *rest: object) -> SpoolFile:
        raise FileNotFoundError

    monkeypatch.setattr(spool_module, "SpoolFile", always)
    with pytest.raises(StoreUnreachable, match="choose another store"):
        spool_at(tmp_path / "spool")


def test_a_file_that_cannot_be_begun_leaves_nothing_behind(tmp_path: Path, disk: Disk) -> None:
    disk.how = "full"
    with pytest.raises(StoreUnreachable, match="No space left"):
        spool_at(tmp_path / "spool")
    assert list((tmp_path / "spool").iterdir()) == []


def test_after_a_fork_the_parents_file_is_let_go_and_an_own_one_made_when_needed(tmp_path: Path) -> None:
    parent, _ = spool_at(tmp_path)
    parent.append(b"of the parent")
    child, _ = spool_at(tmp_path)
    child.append(b"inherited")
    inherited = child.files()[0]
    child.after_fork(b"c" * 16)
    assert child.files() == []
    assert child.flush()
    assert child.append(b"own")
    assert read_header(child.files()[0].path).instance == b"c" * 16
    assert child.files()[0].path != inherited.path
    child.close(drained=True)


def test_synced_syncs_and_says_when_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool, _ = spool_at(tmp_path, "synced")
    synced: list[int] = []
    monkeypatch.setattr(spool_module, "fdatasync", synced.append)
    assert spool.defers
    assert spool.append(b"chunk")
    assert synced == []
    assert spool.append(b"end", sync=True)
    assert len(synced) == 1
    spool.flush()
    assert len(synced) == 1
    spool.append(b"chunk")
    spool.flush()
    assert len(synced) == 2

    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(spool_module, "fdatasync", failing)
    for _ in range(2):
        assert spool.append(b"end", sync=True)
    assert spool.sync_error == f"{tmp_path} cannot be synced: Input/output error"
    assert caplog.text.count("cannot be synced") == 1
    spool.after_fork(INSTANCE)
    spool._sync()  # nothing is open: nothing to sync
