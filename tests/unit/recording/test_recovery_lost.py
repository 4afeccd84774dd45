"""Damage and what comes after it: in later files and in other lanes; on both engines no chain gets a hole."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import pytest

from recorder.clock import id_text
from recorder.core.events import Event, StreamOpened
from recorder.errors import StoreUnreachable
from recorder.recording.recovery import recover, set_aside
from recorder.recording.spool_file import lane_of
from recorder.store import open_store
from tests.recorded import streams, types
from tests.unit.recording.lost_process import Process, names, recovered, stored
from tests.unit.recording.spooled import CLOCK, Failing


@pytest.fixture
def process(place: Path) -> Process:
    return Process(place)


def test_what_follows_on_a_lost_event_in_a_later_file_is_not_stored(
    process: Process, place: Path, store_url: str
) -> None:
    writers = [process.stream() for _ in range(3)]
    process.chunks(*writers)
    process.lanes[0]._roll()
    process.chunks(*writers)
    for writer in writers:
        writer.write(b"response_completed")
        process.written[id_text(writer.id)] += 1
    first, second = process.die()
    first.hit(20)
    hit = first.records[20]
    found = recovered(place, store_url)
    told = streams(store_url)  # every chain verifies
    ends = {name: types(events)[-2:] for name, events in told.items()}
    assert ends.pop(id_text(hit.stream)) == ["gap_recorded", "process_died"]
    assert set(map(tuple, ends.values())) == {("chunk_received", "response_completed")}
    assert found.events == stored(told)
    assert found.events + found.left + 1 == sum(process.written.values())
    assert found.died == [id_text(hit.stream)]
    assert names(found) == [first.path.name, second.path.name]  # of the second, some events are only there
    assert (place / (second.path.name + ".damaged")).read_bytes() == second.data
    again = recovered(place, store_url)
    assert (again.instances, again.events, streams(store_url)) == ([], 0, told)
    assert len(set_aside(place)) == 2


def test_a_later_file_of_which_everything_follows_is_not_kept(process: Process, place: Path, store_url: str) -> None:
    short, long = process.stream(), process.stream()
    process.chunks(short, long, count=3)
    process.lanes[0]._roll()
    process.chunks(long, count=3)
    first, _ = process.die()
    first.hit(len(first.records) - 2)  # the last event of the short one
    found = recovered(place, store_url)
    assert names(found) == [first.path.name]
    told = streams(store_url)
    assert len(told[id_text(long.id)]) == process.written[id_text(long.id)] + 2
    assert (found.events, found.left) == (stored(told), 0)


def test_of_a_stream_whose_opening_was_hit_nothing_is_stored(process: Process, place: Path, store_url: str) -> None:
    lost, other = process.stream(), process.stream()
    process.chunks(lost, other)
    process.lanes[0]._roll()
    process.chunks(lost, other)
    first, second = process.die()
    first.hit(0, 40)
    found = recovered(place, store_url)
    told = streams(store_url)
    assert list(told) == [id_text(other.id)]
    assert found.left == process.written[id_text(lost.id)]
    assert found.events == process.written[id_text(other.id)]
    assert names(found) == [first.path.name, second.path.name]


def test_a_file_that_is_gone_leaves_no_hole_either(process: Process, place: Path, store_url: str) -> None:
    before, after = process.stream(), process.stream()
    process.chunks(before, after, count=2)
    process.lanes[0]._roll()
    process.chunks(before)
    process.lanes[0]._roll()
    process.chunks(before, after)
    _, gone, last = process.die()
    gone.path.unlink()
    found = recovered(place, store_url)
    told = streams(store_url)
    assert len(told[id_text(after.id)]) == process.written[id_text(after.id)] + 2
    hit = told[id_text(before.id)]
    assert types(hit)[-2:] == ["gap_recorded", "process_died"]
    assert "missing" in hit[-2].facts["reason"]
    assert (names(found), found.left) == ([last.path.name], 10)
    assert found.events == stored(told)


def test_what_was_written_in_the_middle_of_another_write_finds_its_place(
    process: Process, place: Path, store_url: str
) -> None:
    first, second = process.stream(), process.stream()
    for _ in range(3):
        process.chunks(first, second, count=2)
        process.nested(first)
        process.nested(second)
        process.nested(first)
    process.die()
    found = recovered(place, store_url)
    told = streams(store_url)
    assert {name: len(events) - 1 for name, events in told.items()} == process.written  # and the process's death
    assert (found.damaged, found.left, found.salvaged) == ([], 0, 0)
    assert found.events == sum(process.written.values())
    assert "gap_recorded" not in {event.type for events in told.values() for event in events}
    assert not place.exists()


@pytest.mark.parametrize("lane", [0, 8])
def test_what_follows_on_a_lost_event_in_another_lane_is_not_stored(
    process: Process, place: Path, store_url: str, lane: int
) -> None:
    hit, other = process.stream(), process.stream(1)
    process.chunks(hit, other, count=2)
    process.nested(hit)
    process.chunks(hit, other, count=2)
    process.nested(hit)
    files = {lane_of(file.path): file for file in process.die()}
    files[lane].hit(0 if lane else 2, 100)
    found = recovered(place, store_url)
    told = streams(store_url)
    kept = told[id_text(hit.id)]
    assert types(kept)[-2:] == ["gap_recorded", "process_died"]
    assert len(told[id_text(other.id)]) == process.written[id_text(other.id)] + 2
    assert found.events == stored(told)
    assert found.events + found.left + 1 == sum(process.written.values())
    assert set(names(found)) == {files[0].path.name, files[8].path.name}


def test_the_damage_of_one_process_costs_another_nothing(place: Path, store_url: str) -> None:
    damaged, sound = Process(place), Process(place)
    for process in (damaged, sound):
        writer = process.stream()
        process.chunks(writer, count=3)
        process.lanes[0]._roll()
        process.chunks(writer, count=3)
    first, *_ = damaged.die()
    sound.die()
    next(file for file in [first] if isinstance(file.records[0], StreamOpened)).hit(3)
    found = recovered(place, store_url)
    told = streams(store_url)
    ends = {name: types(events)[-2:] for name, events in told.items()}
    assert [ends[name] for name in damaged.written] == [["gap_recorded", "process_died"]]
    assert [ends[name] for name in sound.written] == [["chunk_received", "process_died"]]
    assert (len(found.instances), found.events) == (2, stored(told))


def test_what_stands_before_damage_is_counted(process: Process, place: Path, store_url: str) -> None:
    writer = process.stream()
    process.chunks(writer, count=60)
    (file,) = process.die()
    file.hit(44)
    found = recovered(place, store_url)
    assert (found.events, found.salvaged, found.left) == (43, 0, 17)
    assert stored(streams(store_url)) == 43


class Dying(Failing):
    """A store whose process dies at its *steps*-th change."""

    def __init__(self, store: object, steps: int) -> None:
        super().__init__(store)
        self.steps = steps

    def _step(self) -> None:
        if self.steps == 0:
            raise StoreUnreachable("died")
        self.steps -= 1

    def append(self, *arguments: object, **options: object) -> None:
        self._step()
        super().append(*arguments, **options)

    def forget_spool(self, spool: bytes) -> None:
        self._step()
        self._store.forget_spool(spool)  # type: ignore[attr-defined]


@pytest.mark.parametrize("steps", range(7))
def test_dying_between_any_two_steps_of_it_changes_nothing(place: Path, store_url: str, steps: int) -> None:
    process = Process(place)
    writers = [process.stream() for _ in range(3)]
    process.chunks(*writers, count=3)
    process.nested(writers[0])
    process.lanes[0]._roll()
    process.chunks(*writers, count=3)
    first, *_ = process.die()
    first.hit(8)
    with closing(open_store(store_url, write=True)) as store:
        with suppress(StoreUnreachable):
            recover(place, Dying(store, steps), CLOCK, CLOCK.new_id())  # type: ignore[arg-type]
        recover(place, store, CLOCK, CLOCK.new_id())
    told = streams(store_url)
    ends = [types(events)[-2:] for events in told.values()]
    assert ends == [["gap_recorded", "process_died"]] * 3
    assert sorted(len(events) for events in told.values())[1:] == [9, 10]
    assert len(set_aside(place)) == 2
    assert recovered(place, store_url).instances == []
    assert streams(store_url) == told


def test_a_conflict_in_a_later_file_is_no_repeat(process: Process, place: Path, sqlite_url: str) -> None:
    """The store has another event in the place of one that is read in the careful way: it is not passed over."""
    writer, hit = process.stream(), process.stream()
    process.chunks(writer, hit, count=3)
    process.lanes[0]._roll()
    process.chunks(writer, count=1)
    first, second = process.die()
    opened, event = first.records[0], second.records[0]
    assert isinstance(opened, StreamOpened)
    assert isinstance(event, Event)
    own = [record for record in first.records if isinstance(record, Event) and record.stream == writer.id]
    with closing(open_store(sqlite_url, write=True)) as store:
        store.append([opened], [*own, event._replace(hash=b"x" * 32)])
    first.hit(len(first.records) - 1)
    found = recovered(place, sqlite_url)
    assert (found.events, found.left) == (3, 1)
    assert names(found) == [first.path.name, second.path.name]
