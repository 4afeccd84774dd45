"""The drainer leaves no hole in an event stream either: not behind a full file, not between lanes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recorder.clock import id_text
from recorder.recording.drain import Drainer, Source
from recorder.recording.drainer_process import FollowedSpool
from recorder.recording.lanes import Lanes, is_beside
from recorder.recording.recovery import recover
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from tests.clocks import DrivenClock
from tests.recorded import streams, types
from tests.unit.recording.spooled import CLOCK, Recording, drainer_of
from tests.unit.recording.test_drain_damage import damage


class Nesting:
    """A process of which a signal handler records in the middle of writes."""

    def __init__(self, place: Path) -> None:
        self.lanes = Lanes(place, CLOCK.new_id(), CLOCK, durability="batched", wait=0.0)  # so no file is mapped
        beside = self.lanes.beside(1)
        assert beside is not None
        self.own, self.beside = self.lanes.of_thread(), beside
        self.recording = Recording.at(self.own)

    def nested(self, writer: StreamWriter) -> None:
        writer.write_beside(self.beside, b"chunk_received", 3, None, b"nested")

    def place(self, spool: Spool) -> tuple[Path, int]:
        """Write what is held in memory; return the lane's file and its size."""
        assert self.lanes.flush()
        (file,) = spool.files()
        return file.path, file.size

    def die(self) -> None:
        self.lanes.close(drained=False)


@pytest.fixture
def nesting(place: Path) -> Iterator[Nesting]:
    made = Nesting(place)
    yield made
    made.die()


def _drainer(source: Source, url: str, clock: DrivenClock | None = None) -> Drainer:
    return Drainer(source, lambda: open_store(url, write=True), clock or CLOCK)


def test_lanes_of_nested_writes_are_told_from_others() -> None:
    assert [lane for lane in (0, 7, 8, 9, 999, 1000) if is_beside(lane)] == [8, 9, 999]


@pytest.mark.parametrize("followed", [False, True])
def test_a_full_file_that_ends_too_early_is_kept_and_what_follows_on_it_waits(
    place: Path, store_url: str, followed: bool
) -> None:
    """Zeros in the place of a record are the end of a file, but not where there is more behind them."""
    recording = Recording(place)
    recording.spool._roll_at = 3000
    writer = recording.exchange(chunks=40, size=100)
    first, *later = recording.spool.files()
    assert later
    with first.path.open("r+b") as file:
        file.seek(first.size - 500)  # some records before its end
        file.write(bytes(400))
    source: Source = FollowedSpool(place, recording.instance) if followed else recording.spool
    drainer = _drainer(source, store_url)
    while drainer.drain():
        pass
    assert drainer.damage is not None
    assert first.path.name in drainer.damage
    assert all(file.path.exists() for file in (first, *later))
    (told,) = streams(store_url).values()
    assert 0 < len(told) < 30
    drainer.stop(0.1, lambda _: False)
    if isinstance(source, FollowedSpool):
        source.close()
    recording.die()
    with closing(open_store(store_url, write=True)) as store:
        found = recover(place, store, CLOCK, CLOCK.new_id())
    assert found.died == [id_text(writer.id)]
    assert types(streams(store_url)[id_text(writer.id)])[-2:] == ["gap_recorded", "process_died"]


@pytest.mark.parametrize("hit", ["own", "beside"])
def test_what_follows_on_a_damaged_event_of_another_lane_waits(
    nesting: Nesting, place: Path, store_url: str, hit: str
) -> None:
    writer = nesting.recording.exchange(end=False)
    before, size = nesting.place(nesting.own if hit == "own" else nesting.beside)
    if hit == "own":
        writer.write(b"chunk_received", 3, None, b"hit")
        nesting.nested(writer)
    else:
        nesting.nested(writer)
        writer.write(b"chunk_received", 3, None, b"follows")
    nesting.lanes.flush()
    damage(before, size + 20)
    drainer = _drainer(nesting.lanes, store_url)
    drainer.drain()
    drainer.drain()
    assert (drainer.error, drainer.events) == (None, 3)
    assert drainer.damaged_lanes == {0, 8}
    drainer.stop(0.1, lambda _: False)
    nesting.die()
    with closing(open_store(store_url, write=True)) as store:
        found = recover(place, store, CLOCK, CLOCK.new_id())
    (told,) = streams(store_url).values()
    assert types(told) == ["request_sent", "chunk_received", "gap_recorded", "process_died"]
    assert (found.left, len(found.damaged)) == (1, 2)


def test_what_was_written_in_the_middle_of_another_write_is_stored_in_its_place(
    nesting: Nesting, store_url: str
) -> None:
    one, two = nesting.recording.exchange(end=False), nesting.recording.exchange(end=False)
    for _ in range(3):
        nesting.nested(one)
        one.write(b"chunk_received", 3, None, b"x" * 40_000)  # so that a batch holds little
        nesting.nested(two)
        two.write(b"chunk_received", 3, None, b"x" * 40_000)
    nesting.lanes.flush()
    drainer = _drainer(nesting.lanes, store_url)
    while drainer.drain():
        pass
    assert drainer.damage is None
    assert [len(events) for events in streams(store_url).values()] == [9, 9]
    assert drainer.events == 18
    drainer.stop(1.0, lambda _: True)


def test_an_event_may_be_on_its_way_for_a_while(nesting: Nesting, sqlite_url: str) -> None:
    """It is in memory, or was written behind the place that was looked at, before the other lane was."""
    writer = nesting.recording.exchange(end=False)
    nesting.lanes.flush()
    writer.write(b"chunk_received", 3, None, b"in memory")
    nesting.nested(writer)
    nesting.beside.flush()
    clock = DrivenClock()
    drainer = _drainer(nesting.lanes, sqlite_url, clock)
    assert drainer.round()
    assert drainer.events == 3
    assert drainer.round()  # it comes back soon by itself
    assert (drainer.damage, drainer.events) == (None, 3)
    clock.now_ns += 11_000_000_000
    drainer.drain()
    assert drainer.damage is not None
    assert "follows on one that is missing" in drainer.damage
    assert drainer.damaged_lanes == {8}
    nesting.lanes.flush()
    drainer.drain()
    drainer.drain()
    assert (drainer.damage, drainer.events) == (None, 5)
    drainer.stop(1.0, lambda _: True)


def test_a_conflict_moves_no_more_than_what_is_in_order(nesting: Nesting, place: Path, sqlite_url: str) -> None:
    writer, other = nesting.recording.exchange(end=False), nesting.recording.exchange(end=False)
    nesting.nested(other)
    nesting.lanes.flush()
    drainer = _drainer(nesting.lanes, sqlite_url)
    drainer.drain()
    with closing(open_store(sqlite_url, write=True)) as store:
        last = store.head(other.id)
        assert last is not None
        store.append([], [last._replace(version=5, hash=b"x" * 32)])
    other.write(b"chunk_received", 3, None, b"in conflict")
    writer.write(b"chunk_received", 3, None, b"fine")
    nesting.lanes.flush()
    drainer.drain()
    assert (drainer.conflicts, drainer.events) == (1, 8)
    assert list(place.glob("*.conflicts"))
    drainer.stop(1.0, lambda _: True)


def test_without_nested_writes_and_damage_nothing_is_ordered(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.exchange()
    drainer = drainer_of(recording, sqlite_url)
    assert drainer.drain()
    assert drainer.drained[recording.spool.files()[0].id] > HEADER_SIZE
    assert not drainer._stuck._held
    drainer.stop(1.0, lambda _: True)
    recording.die()
