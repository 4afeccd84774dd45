"""Lanes: a thread keeps to one spool, and no file stands in another thread's way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.errors import StoreUnreachable
from recorder.recording import lanes as lanes_module
from recorder.recording.lanes import JOURNAL, Lanes
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE, lane_of

CLOCK = SystemClock()


def made(directory: Path, durability: str = "delivered") -> Lanes:
    return Lanes(directory, b"i" * 16, CLOCK, durability=durability, wait=0.0)


def in_threads(lanes: Lanes, count: int) -> list[Spool]:
    found: list[Spool] = []
    for _ in range(count):
        thread = threading.Thread(target=lambda: found.append(lanes.of_thread()))
        thread.start()
        thread.join()
    return found


def test_one_thread_is_one_file(tmp_path: Path) -> None:
    lanes = made(tmp_path)
    assert lanes.of_thread() is lanes.of_thread()
    assert len(lanes.files()) == 1
    lanes.close(drained=True)


def test_threads_take_the_lanes_in_turn(tmp_path: Path) -> None:
    lanes = made(tmp_path)
    found = in_threads(lanes, 10)
    assert len(set(map(id, found))) == 8
    assert found[0] is found[8]
    assert sorted(lane_of(file.path) for file in lanes.files()) == list(range(8))
    assert sorted(file.lane for file in lanes.files()) == list(range(8))
    lanes.close(drained=True)
    assert list(tmp_path.parent.glob(f"{tmp_path.name}/*")) == []


def test_what_waits_is_the_sum_over_the_lanes(tmp_path: Path) -> None:
    lanes = made(tmp_path)
    for spool in in_threads(lanes, 3):
        spool.append(b"12345")
    assert lanes.pending({}) == 15
    first = lanes.files()[0]
    assert lanes.pending({first.id: HEADER_SIZE + 5}) == 10
    lanes.close(drained=True)


@pytest.mark.parametrize("durability", ["batched", "synced"])
def test_who_promises_more_than_a_killed_process_has_one_lane(tmp_path: Path, durability: str) -> None:
    # What a buffer or a sync brings to the file is everything that was appended before, the journal's as well.
    lanes = made(tmp_path, durability)
    assert len(set(map(id, in_threads(lanes, 3)))) == 1
    assert lanes.for_journal(0) is lanes.first
    assert lanes.for_journal(1) not in (None, lanes.first)  # in the middle of a write
    lanes.close(drained=True)


def test_the_journal_has_a_lane_of_its_own(tmp_path: Path) -> None:
    lanes = made(tmp_path)
    spools = in_threads(lanes, 8)
    assert lanes.for_journal(0) not in (None, *spools)
    assert lanes.for_journal(2) is lanes.for_journal(0)
    assert [file.lane for file in lanes.files()][-1] == JOURNAL
    lanes.close(drained=True)


def test_every_lane_is_flushed(tmp_path: Path) -> None:
    lanes = made(tmp_path, "batched")
    assert lanes.defers
    beside = lanes.beside(1)
    assert beside is not None
    for spool in (lanes.first, beside):
        spool.append(b"12345")
    assert [file.size for file in lanes.files()] == [HEADER_SIZE, HEADER_SIZE]
    assert lanes.flush()
    assert [file.size for file in lanes.files()] == [HEADER_SIZE + 5, HEADER_SIZE + 5]
    lanes.close(drained=True)


def test_one_lane_in_trouble_is_the_recorders_trouble(tmp_path: Path) -> None:
    lanes = made(tmp_path)
    first, second = in_threads(lanes, 2)
    assert (lanes.error, lanes.sync_error) == (None, None)
    second._outage.error, first.sync_error = "full", "worn out"
    assert (lanes.error, lanes.sync_error) == ("full", "worn out")
    lanes.close(drained=True)


def test_a_lane_that_cannot_be_made_is_no_reason_to_lose_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = made(tmp_path)
    (first,) = in_threads(lanes, 1)

    def full(*args: object, **settings: object) -> Spool:
        raise StoreUnreachable("No space left on device")

    monkeypatch.setattr(lanes_module, "Spool", full)
    assert in_threads(lanes, 2) == [first, first]
    assert lanes.for_journal(0) is None  # in another lane than before, its events would have no order
    monkeypatch.undo()
    assert in_threads(lanes, 1) != [first]
    lanes.close(drained=True)


def test_after_a_fork_the_lanes_begin_anew(tmp_path: Path) -> None:
    lanes = made(tmp_path)
    in_threads(lanes, 2)
    before = {file.path for file in lanes.files()}
    lanes.after_fork(b"c" * 16)
    assert lanes.files() == []
    lanes.of_thread().append(b"of the child")
    assert not {file.path for file in lanes.files()} & before
    lanes.close(drained=True)


def test_dropping_a_file_that_no_lane_has_changes_nothing(tmp_path: Path) -> None:
    lanes = made(tmp_path)
    lanes.drop(b"x" * 16)
    assert len(lanes.files()) == 1
    lanes.close(drained=True)
