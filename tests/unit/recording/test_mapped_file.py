"""Spool files that are appended to through memory: whole records or none, and no waiting for the disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from recorder.core.codec import decode_batch, encode_opened
from recorder.core.events import StreamOpened
from recorder.locks import LockFile
from recorder.recording import mapped_file
from recorder.recording.batches import read_batch
from recorder.recording.mapped_file import CAPACITY, MappedSpoolFile, filesystem_of, suits
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE, SpoolFile, read_header, read_records
from tests.clocks import DrivenClock

INSTANCE = b"i" * 16
RECORD = encode_opened(StreamOpened(b"s" * 16, INSTANCE, b"k" * 32))

pytestmark = pytest.mark.skipif(not suits(Path(tempfile.gettempdir())), reason="spool files cannot be mapped here")


@pytest.fixture
def clock() -> DrivenClock:
    return DrivenClock()


@pytest.fixture
def file(tmp_path: Path, clock: DrivenClock) -> MappedSpoolFile:
    return MappedSpoolFile(tmp_path, INSTANCE, clock)


def _calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The system calls of appends, from now on."""
    made: list[str] = []

    def counted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        return lambda *arguments: (made.append(name), real(*arguments))[1]

    for name in ("readv", "posix_fallocate", "ftruncate", "write"):
        monkeypatch.setattr(mapped_file.os, name, counted(name, getattr(os, name)))
    return made


def test_what_is_appended_is_in_the_file_and_zeros_follow(file: MappedSpoolFile) -> None:
    file.append(RECORD)
    file.append(RECORD)
    data = file.path.read_bytes()
    assert read_header(file.path) == (file.id, INSTANCE)
    assert data[HEADER_SIZE : file.size] == RECORD * 2 == file.read(HEADER_SIZE, 10_000)
    assert file.read(file.size, 10) == b""
    assert not any(data[file.size :])
    assert decode_batch(data[HEADER_SIZE:])[2] == 2 * len(RECORD)
    assert file.path.stat().st_blocks * 512 < 1 << 20  # the rest is a hole
    file.close(remove=True)
    assert not file.path.exists()


def test_most_appends_are_no_system_call(file: MappedSpoolFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.append(RECORD)
    made = _calls(monkeypatch)
    for _ in range(100):
        file.append(RECORD)
    assert made == []
    for _ in range(10_000):
        file.append(RECORD)
    assert set(made) == {"readv", "posix_fallocate"}
    assert len(made) < 100
    file.close(remove=True)


def test_pages_count_as_writable_only_for_a_moment(
    file: MappedSpoolFile, clock: DrivenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.append(RECORD)
    made = _calls(monkeypatch)
    file.append(RECORD)
    assert made == []
    clock.sleep(1.1)
    file.append(RECORD)
    assert made == ["readv"]
    assert file.read(HEADER_SIZE, 10_000) == RECORD * 3
    file.close(remove=True)


def test_a_record_larger_than_the_mapping(file: MappedSpoolFile) -> None:
    large = b"\1" * (CAPACITY + 1)
    file.append(RECORD)
    file.append(large)
    file.append(RECORD)
    assert file.read(HEADER_SIZE, 1 << 30) == RECORD + large + RECORD
    file.close(remove=True)


def test_a_disk_that_is_full_is_an_error_before_anything_is_written(
    file: MappedSpoolFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.append(RECORD)

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(mapped_file.os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space left"):
            file.append(b"x" * (1 << 20))
        assert not file.settle(file.size, 1 << 20)
        file.append(RECORD)  # what was allocated before is there still
    file.append(RECORD)
    assert file.read(HEADER_SIZE, 1 << 20) == RECORD * 3
    file.close(remove=True)


def test_what_was_copied_without_its_size_is_not_there(file: MappedSpoolFile) -> None:
    file.append(RECORD)
    start = file.size
    memory = file._map
    assert memory is not None
    memory[start + 4 : start + 1000] = b"\7" * 996  # the death of the process, or an interrupt, before the last step
    assert read_records(file.fd, file.path, start, 4096) == b""
    assert not file.settle(start, 1000)
    file.append(RECORD)
    assert not any(file.path.read_bytes()[file.size :])
    memory[file.size : file.size + len(RECORD)] = RECORD  # an interrupt after it
    assert file.settle(file.size, len(RECORD))
    assert file.read(HEADER_SIZE, 1000) == RECORD * 3
    file.close(remove=True)


def test_a_file_that_is_left_has_no_spare_room(file: MappedSpoolFile) -> None:
    file.append(RECORD)
    file.close(remove=False)
    assert file.path.stat().st_size == file.size
    lock = LockFile(file.path, flags=os.O_RDWR)
    assert lock.acquire(blocking=False)
    lock.close()


def test_who_lets_go_leaves_it_to_who_goes_on(file: MappedSpoolFile) -> None:
    file.append(RECORD)
    pid = os.fork()
    if pid == 0:
        file.let_go()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    file.append(RECORD)
    assert file.path.stat().st_size == CAPACITY
    assert file.read(HEADER_SIZE, 1000) == RECORD * 2
    file.close(remove=True)


def test_a_second_look_finds_what_was_not_copied_in_order(tmp_path: Path) -> None:
    class Racing:
        """The first look sees the size, and not yet what was written before it."""

        id, path = b"f" * 16, tmp_path
        looks = 0

        def read(self, start: int, size: int) -> bytes:
            self.looks += 1
            return (RECORD[:30] + bytes(len(RECORD) - 30) if self.looks == 1 else RECORD)[start : start + size]

    file = Racing()
    openings, _, end = read_batch(file, 0)
    assert (len(openings), end, file.looks) == (1, len(RECORD), 2)


def test_readers_in_another_thread_see_whole_records_only(file: MappedSpoolFile) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set() and file.size < 4 << 20:
            file.append(RECORD)
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    at, found = HEADER_SIZE, 0
    while not stop.is_set() or at < file.size:
        openings, _, end = read_batch(file, at)
        found += len(openings)
        at = end
    writer.join()
    assert found * len(RECORD) == file.size - HEADER_SIZE
    file.close(remove=True)


def test_where_no_mapping_can_be_made_a_plain_file_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: int) -> None:
        raise OSError(errno.EFBIG, "File too large")

    with monkeypatch.context() as patch:
        patch.setattr(mapped_file.os, "ftruncate", refused)
        spool = Spool(tmp_path, INSTANCE, DrivenClock(), durability="delivered", wait=0.0, mapped=True)
    (file,) = spool.files()
    assert type(file) is SpoolFile
    assert spool.append(RECORD)
    assert [path.suffix for path in tmp_path.iterdir()] == [".spool"]
    spool.close(drained=True)


KILLED = """
import sys
from pathlib import Path
from recorder.clock import SystemClock
from recorder.recording.mapped_file import MappedSpoolFile
file = MappedSpoolFile(Path(sys.argv[1]), b"i" * 16, SystemClock())
record = bytes.fromhex(sys.argv[2])
count = 0
while True:
    file.append(record)
    count += 1
    if count % 500 == 0:
        print(count, flush=True)
"""


@pytest.mark.parametrize("attempt", range(3))
def test_a_process_that_is_killed_leaves_every_record_that_it_had_appended(tmp_path: Path, attempt: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), RECORD.hex()], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with closing(process.stdout):
        process.stdout.readline()
        time.sleep(0.01 * attempt)
        process.send_signal(signal.SIGKILL)
        told = [500, *map(int, process.stdout.read().split())][-1]
    process.wait()
    (path,) = tmp_path.glob("*.spool")
    openings, _, end = decode_batch(path.read_bytes()[HEADER_SIZE:])
    assert len(openings) >= told
    assert not any(path.read_bytes()[HEADER_SIZE + end : HEADER_SIZE + end + 4])


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 22 0:25 / /data rw - btrfs /dev/sdb rw
31 30 0:26 / /data/with\\040space rw shared:1 - xfs /dev/sdc rw
32 22 0:27 / /mnt rw - nfs4 server:/ rw
33 22 0:28 / /mnt rw - tmpfs none rw
a line of another kind
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/me", "ext4"),
        ("/data", "btrfs"),
        ("/database", "ext4"),
        ("/data/with space/spool", "xfs"),
        ("/mnt/x", "tmpfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert filesystem_of(Path(path), MOUNTS) == kind
    assert filesystem_of(Path(path), "") is None


def test_a_file_system_of_unknown_kind_does_not_suit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(mapped_file, "filesystem_of", lambda *_: "nfs4")
        assert not suits(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(mapped_file.sys, "platform", "darwin")
        assert not suits(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", lambda _: (_ for _ in ()).throw(PermissionError()))
        assert not suits(tmp_path)


@pytest.mark.parametrize("kind", [SpoolFile, MappedSpoolFile])
def test_one_that_was_let_go_leaves_alone_what_has_its_descriptor_now(
    kind: type[SpoolFile], tmp_path: Path, clock: DrivenClock
) -> None:
    file = kind(tmp_path, INSTANCE, clock)
    descriptor = file.fd
    file.close(remove=False)
    other = tmp_path / "other"
    other.write_bytes(b"x" * 4096)
    with other.open("r+b", buffering=0) as reused:
        assert reused.fileno() == descriptor
        file.close(remove=False)
        with pytest.raises(OSError, match="descriptor"):
            SpoolFile.append(file, RECORD)
    assert other.read_bytes() == b"x" * 4096
