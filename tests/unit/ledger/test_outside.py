"""The checkpoints outside the store: appended to, never contradicted, and whole after any death."""

from __future__ import annotations

import hashlib
import logging
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.core.heads import log_id
from recorder.core.notes import Checkpoint
from recorder.errors import CorruptRecording, LedgerConflict, StoreUnreachable
from recorder.ledger.keys import SigningKey, create, rotate
from recorder.ledger.outside import SignedCheckpoints, read_signed
from recorder.locations import signed_checkpoints
from tests.recorded import python

ORIGIN = "example.com/log"
#: Appends checkpoints as fast as it can, and says of each when it is kept.
APPENDER = """
import hashlib, itertools, sys
from recorder.core.notes import Checkpoint
from recorder.ledger.keys import known, load
from recorder.ledger.outside import SignedCheckpoints
key = load("example.com/log")
while True:
    file = SignedCheckpoints("example.com/log", known("example.com/log"))
    for _ in range(int(sys.argv[1])):
        with file:
            size = file.last.checkpoint.size + 1 if file.last else 1
            root = hashlib.sha256(str(size).encode()).digest()
            file.append(key.signed(Checkpoint("example.com/log", size, root).text))
            print(size, flush=True)
    file.close()
"""


def root_of(size: int) -> bytes:
    return hashlib.sha256(str(size).encode()).digest()


def note(key: SigningKey, size: int, root: bytes | None = None, origin: str = ORIGIN) -> str:
    return key.signed(Checkpoint(origin, size, root or root_of(size)).text)


@pytest.fixture
def key() -> SigningKey:
    return create(ORIGIN, SystemClock())


@pytest.fixture
def file(key: SigningKey) -> Iterator[SignedCheckpoints]:
    opened = SignedCheckpoints(ORIGIN, [key.public])
    yield opened
    opened.close()


def sizes(key: SigningKey) -> list[int]:
    return [signed.checkpoint.size for signed in read_signed(ORIGIN, [key.public])]


def test_what_is_appended_is_read(key: SigningKey, file: SignedCheckpoints) -> None:
    assert sizes(key) == []
    with file:
        assert file.last is None
        for size in (1, 2, 7):
            file.append(note(key, size))
        file.append(note(key, 7))  # as after a death between this file and the store
        assert file.last is not None
        assert file.last.note == note(key, 7)
    assert sizes(key) == [1, 2, 7]
    path = signed_checkpoints(log_id(ORIGIN))
    assert path.read_text() == "".join(note(key, size) + "\n" for size in (1, 2, 7))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = SignedCheckpoints(ORIGIN, [key.public])
    with again:
        assert again.last == list(read_signed(ORIGIN, [key.public]))[-1]
        assert again.cut == 0
    again.close()


def test_signatures_of_before_a_rotation_verify(key: SigningKey, file: SignedCheckpoints) -> None:
    with file:
        file.append(note(key, 1))
    file.close()
    _, newer = rotate(ORIGIN, SystemClock())
    again = SignedCheckpoints(ORIGIN, [key.public, newer.public])
    with again:
        assert again.last is not None
        again.append(note(newer, 2))
    again.close()
    assert [signed.checkpoint.size for signed in read_signed(ORIGIN, [key.public, newer.public])] == [1, 2]
    with pytest.raises(CorruptRecording, match="by none of the keys"):
        list(read_signed(ORIGIN, [newer.public]))


def test_a_ledger_that_goes_on_is_fine(key: SigningKey, file: SignedCheckpoints) -> None:
    with file:
        file.check(0, root_of)
        file.append(note(key, 3))
        file.check(3, root_of)
        file.check(4, root_of)


def test_a_ledger_that_went_back_or_is_another_is_refused(key: SigningKey, file: SignedCheckpoints) -> None:
    with file:
        file.append(note(key, 3))
        with pytest.raises(LedgerConflict, match="ledger has 2 entries and 3 were signed: it was put back to an older"):
            file.check(2, root_of)
        with pytest.raises(LedgerConflict, match="the first 3 entries of the store's ledger are not those that were"):
            file.check(4, lambda size: bytes(32))
        with pytest.raises(LedgerConflict, match="a checkpoint of 2 entries after one of 3: not kept"):
            file.append(note(key, 2))
        with pytest.raises(LedgerConflict, match="a checkpoint of 3 entries after one of 3: not kept"):
            file.append(note(key, 3, bytes(32)))
    assert sizes(key) == [3]


def test_what_is_not_a_checkpoint_of_this_log_is_not_kept(key: SigningKey, file: SignedCheckpoints) -> None:
    other = create("example.com/other", SystemClock())
    with file:
        for wrong in (
            note(other, 1, origin="example.com/other"),
            note(other, 1),
            note(key, 1, origin="example.com/other"),
            note(key, 1)[:-1],
            note(key, 1).replace("\n1\n", "\n2\n"),
            Checkpoint(ORIGIN, 1, root_of(1)).text,
        ):
            with pytest.raises(CorruptRecording):
                file.append(wrong)
        long = Checkpoint(ORIGIN, 1, root_of(1), ("x" * 70_000,))
        with pytest.raises(CorruptRecording, match="more than 65,536"):
            file.append(key.signed(long.text))
    assert sizes(key) == []


@pytest.mark.parametrize("count", [1, 3])
def test_a_torn_note_is_told_and_cut_off_wherever_it_is_torn(
    count: int, key: SigningKey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notes = [note(key, size).encode() + b"\n" for size in range(1, count + 1)]
    whole, last = b"".join(notes[:-1]), notes[-1]
    path = tmp_path / "torn"
    for end in (*range(1, len(last) - 3, 7), *range(len(last) - 3, len(last))):
        path.write_bytes(whole + last[:end])
        assert [signed.checkpoint.size for signed in read_signed(ORIGIN, [key.public], path)] == [*range(1, count)]
        caplog.clear()
        file = SignedCheckpoints(ORIGIN, [key.public], path)
        with caplog.at_level(logging.WARNING, "recorder"), file:
            assert (file.last.checkpoint.size if file.last else 0) == count - 1
            assert file.cut == end
            assert f"torn checkpoint of {end} bytes" in caplog.text
            file.append(note(key, count))
        file.close()
        assert path.read_bytes() == whole + last


def test_the_last_note_is_found_in_a_long_file(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "long"
    notes = [note(key, size).encode() + b"\n" for size in range(1, 1001)]
    for tail in (b"", b"torn", b"\0" * 4096, b"\n", b"\n\n"):
        path.write_bytes(b"".join(notes) + tail)
        assert path.stat().st_size > 140_000
        file = SignedCheckpoints(ORIGIN, [key.public], path)
        with file:
            assert file.last is not None
            assert file.last.checkpoint.size == 1000
            assert file.cut == len(tail)
        file.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"\n3\n", b"\n4\n"),
        lambda data: data[:-20] + b"AAAA" + data[-16:],
        lambda data: data + b"\xff" * 70_000,
        lambda data: b"\0" * 200_000,
    ],
)
def test_damage_at_the_end_is_told_and_nothing_cut(damage: object, key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    assert callable(damage)
    damaged = damage(b"".join(note(key, size).encode() + b"\n" for size in (1, 2, 3)))
    path.write_bytes(damaged)
    file = SignedCheckpoints(ORIGIN, [key.public], path)
    with pytest.raises(CorruptRecording, match="damaged"), file:
        pass
    file.close()
    assert path.read_bytes() == damaged


def test_every_note_is_verified_on_reading(key: SigningKey, file: SignedCheckpoints) -> None:
    with file:
        for size in (1, 2, 3):
            file.append(note(key, size))
    path = signed_checkpoints(log_id(ORIGIN))
    whole = path.read_bytes()
    for at in range(0, len(note(key, 1)) * 2, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CorruptRecording, match="checkpoints: "):
            list(read_signed(ORIGIN, [key.public]))
    parts = [note(key, size).encode() + b"\n" for size in (1, 2, 3)]
    path.write_bytes(parts[1] + parts[0])
    with pytest.raises(CorruptRecording, match="a checkpoint of 1 entries after one of 2"):
        list(read_signed(ORIGIN, [key.public]))


def test_one_holds_it_at_a_time_and_sees_what_another_appended(key: SigningKey, file: SignedCheckpoints) -> None:
    other = SignedCheckpoints(ORIGIN, [key.public])
    seen: list[int] = []

    def later() -> None:
        with other:
            seen.append(other.last.checkpoint.size if other.last else 0)

    with file:
        thread = threading.Thread(target=later)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        file.append(note(key, 5))
    thread.join(10)
    other.close()
    assert seen == [5]


def test_a_file_that_was_replaced_while_in_use_is_told(key: SigningKey, file: SignedCheckpoints) -> None:
    with file:
        file.append(note(key, 1))
    path = signed_checkpoints(log_id(ORIGIN))
    path.unlink()
    with pytest.raises(StoreUnreachable, match="cannot be used"), file:
        pass
    path.write_text("")
    with pytest.raises(StoreUnreachable, match="it was removed or replaced while in use"), file:
        pass


def test_a_place_that_cannot_be_used_is_told(key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnreachable, match=r"cannot be used .*: check the disk, or set XDG_STATE_HOME"):
        SignedCheckpoints(ORIGIN, [key.public], tmp_path / "file" / "below")
    with pytest.raises(StoreUnreachable, match="cannot be read"):
        list(read_signed(ORIGIN, [key.public], tmp_path))


def test_a_full_disk_keeps_nothing(key: SigningKey, file: SignedCheckpoints) -> None:
    resource = pytest.importorskip("resource", reason="the limit of a file's size is one of POSIX")
    path = signed_checkpoints(log_id(ORIGIN))
    with file:
        file.append(note(key, 1))
        size = path.stat().st_size
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
        try:
            with pytest.raises(StoreUnreachable, match="File too large"):
                file.append(note(key, 2))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.stat().st_size == size
        assert file.last is not None
        assert file.last.checkpoint.size == 1
        file.append(note(key, 2))
    assert sizes(key) == [1, 2]


def test_whoever_is_killed_leaves_all_that_was_kept(key: SigningKey) -> None:
    """Two processes append in turns until they are killed, again and again."""
    told = 0
    for _ in range(5):
        processes = [python(APPENDER, "7") for _ in range(2)]
        lines = [process.stdout.readline() for process in processes for _ in range(10) if process.stdout is not None]
        for process in processes:
            process.send_signal(signal.SIGKILL)
            rest, _ = process.communicate()
            lines += [line for line in rest.splitlines() if line]
        told = max(told, *map(int, lines))
        found = sizes(key)
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= told
    assert told >= 100
