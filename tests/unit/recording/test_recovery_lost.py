"""Damage and what comes after it: in later files, in other lanes, in headers; on both engines no chain gets a hole."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from recorder.clock import id_text
from recorder.core.codec import decode_records, encode_opened
from recorder.core.events import Event, StreamOpened
from recorder.errors import StoreUnreachable
from recorder.recording.recovery import Recovered, read_spooled, recover, set_aside
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE, spool_files
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from tests.commands import run
from tests.recorded import streams, types
from tests.unit.recording.spooled import CLOCK, Failing


class Process:
    """A process that records in several lanes and files, and dies."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.instance = CLOCK.new_id()
        self.lanes = {0: self._spool(0)}
        self.written: dict[str, int] = {}

    def _spool(self, lane: int) -> Spool:
        return Spool(self.place, self.instance, CLOCK, durability="delivered", wait=0.0, lane=lane)

    def stream(self, lane: int = 0) -> StreamWriter:
        if lane not in self.lanes:
            self.lanes[lane] = self._spool(lane)
        writer = StreamWriter(self.lanes[lane], CLOCK, CLOCK.new_id(), self.instance, CLOCK.secret(32))
        writer.write(b"request_sent", 0, b"{}", b"GET / HTTP/1.1\r\n\r\n")
        self.written[id_text(writer.id)] = 1
        return writer

    def chunks(self, *writers: StreamWriter, count: int = 10) -> None:
        for _ in range(count):
            for writer in writers:
                writer.write(b"chunk_received", 3, None, b"x" * 300)
                self.written[id_text(writer.id)] += 1

    def nested(self, writer: StreamWriter, lane: int = 8) -> None:
        """Record an event as a signal handler does that came in the middle of another write."""
        if lane not in self.lanes:
            self.lanes[lane] = self._spool(lane)
        writer.write_beside(self.lanes[lane], b"chunk_received", 3, None, b"nested")
        self.written[id_text(writer.id)] += 1

    def die(self) -> list[SpoolData]:
        for spool in self.lanes.values():
            spool.close(drained=False)
        return [SpoolData(path) for path in spool_files(self.place)]


class SpoolData:
    """A spool file, and where its records begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = bytearray(path.read_bytes())
        found = list(decode_records(bytes(self.data), HEADER_SIZE))
        self.records = [record for record, _ in found]
        self.starts = [HEADER_SIZE, *(end for _, end in found)]

    def hit(self, number: int, at: int = 200) -> None:
        """Flip a bit in a record."""
        self.flip(self.starts[number] + at)

    def flip(self, *places: int) -> None:
        """Flip a bit of each of these bytes."""
        for place in places:
            self.data[place] ^= 1
        self.path.write_bytes(self.data)


def recovered(place: Path, url: str) -> Recovered:
    with closing(open_store(url, write=True)) as store:
        return recover(place, store, CLOCK, CLOCK.new_id())


def names(found: Recovered) -> list[str]:
    return [Path(path).name.removesuffix(".damaged") for path in found.damaged]


def stored(told: dict[str, list[Event]]) -> int:
    """How many events a process had written itself."""
    own = ("gap_recorded", "process_died")
    return sum(event.type not in own for events in told.values() for event in events)


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
    files = {int(file.path.stem.partition("-")[2]): file for file in process.die()}
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

    def append(self, *arguments: object) -> None:
        self._step()
        super().append(*arguments)

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


def flipped(*places: int) -> Callable[[SpoolData], None]:
    return lambda file: file.flip(*places)


@pytest.mark.parametrize("place_in_it", [3, 14, 20, 31, 32, 47])
def test_a_flipped_byte_in_a_header_costs_nothing(
    process: Process, place: Path, store_url: str, place_in_it: int, caplog: pytest.LogCaptureFixture
) -> None:
    writer = process.stream()
    process.chunks(writer, count=3)
    (file,) = process.die()
    file.flip(place_in_it)
    found = recovered(place, store_url)
    told = streams(store_url)
    assert types(told[id_text(writer.id)])[-2:] == ["chunk_received", "process_died"]  # nothing is missing
    assert (found.events, found.salvaged, found.left, found.died) == (4, 0, 0, [id_text(writer.id)])
    assert found.instances == [id_text(process.instance)]
    assert names(found) == [file.path.name]
    assert (place / (file.path.name + ".damaged")).read_bytes() == file.data
    assert not file.path.exists()
    assert "its header" in caplog.text
    assert recovered(place, store_url).instances == []
    assert streams(store_url) == told


@pytest.mark.parametrize("place_in_it", [3, 20, 40])
@pytest.mark.parametrize("record", [0, 1, 4])
def test_a_damaged_header_and_a_damaged_record(
    process: Process, place: Path, sqlite_url: str, place_in_it: int, record: int
) -> None:
    hit, other = process.stream(), process.stream()
    process.chunks(hit, other, count=3)
    (file,) = process.die()
    file.flip(place_in_it, file.starts[record] + 60)
    found = recovered(place, sqlite_url)
    told = streams(sqlite_url)
    assert len(told[id_text(other.id)]) == 4 + 2
    assert (found.events, len(found.died)) == (stored(told), len(told))
    assert found.events + found.left + (record > 0) == 8
    assert found.instances == [id_text(process.instance)]
    assert names(found) == [file.path.name]


@pytest.mark.parametrize("cut", [True, False])
def test_a_header_that_became_longer_or_shorter_hides_no_record(
    process: Process, place: Path, sqlite_url: str, cut: bool
) -> None:
    writer = process.stream()
    process.chunks(writer, count=3)
    (file,) = process.die()
    if cut:
        del file.data[5:12]
    else:
        file.data[40:40] = b"more"
    file.flip()
    found = recovered(place, sqlite_url)
    assert (found.events, found.salvaged, found.left, found.died) == (4, 4, 0, [id_text(writer.id)])
    assert names(found) == [file.path.name]


def test_a_flipped_header_of_a_file_that_is_drained_in_part_repeats_nothing(
    process: Process, place: Path, sqlite_url: str
) -> None:
    writer = process.stream()
    process.chunks(writer, count=3)
    (file,) = process.die()
    openings = [record for record in file.records if isinstance(record, StreamOpened)]
    events = [record for record in file.records if isinstance(record, Event)]
    with closing(open_store(sqlite_url, write=True)) as store:
        store.append(openings, events[:3])
    file.flip(20)
    found = recovered(place, sqlite_url)
    assert (found.events, found.left, stored(streams(sqlite_url))) == (1, 0, 4)


@pytest.mark.parametrize("content", [b"", b"recorder", b"not one of ours, and longer than the header of a spool file"])
def test_a_file_that_is_no_spool_is_named_and_kept(place: Path, sqlite_url: str, content: bytes) -> None:
    place.mkdir()
    path = place / "notes.spool"
    path.write_bytes(content)
    with closing(open_store(sqlite_url, write=True)) as store:
        assert read_spooled(place, store).events == {}
    result = run("recover", "--store", sqlite_url)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: 1 spool ")
    assert f"{path}.damaged" in result.stderr
    assert (place / "notes.spool.damaged").read_bytes() == content
    assert not path.exists()
    again = run("recover", "--store", sqlite_url)
    assert (again.exit_code, f"{path}.damaged" in again.stdout) == (0, True)


def test_a_folder_with_the_name_of_a_spool_is_passed_over(process: Process, place: Path, sqlite_url: str) -> None:
    writer = process.stream()
    process.die()
    (place / f"{os.urandom(16).hex()}-0.spool").mkdir()
    assert recovered(place, sqlite_url).died == [id_text(writer.id)]


def test_a_file_without_a_readable_header_or_record_may_be_of_a_process_that_died_here(
    process: Process, place: Path, sqlite_url: str
) -> None:
    writer = process.stream()
    process.lanes[0]._roll()
    process.chunks(writer, count=1)
    _, second = process.die()
    second.flip(3, HEADER_SIZE + 60)
    found = recovered(place, sqlite_url)
    assert types(streams(sqlite_url)[id_text(writer.id)]) == ["request_sent", "gap_recorded", "process_died"]
    assert names(found) == [second.path.name]


def test_a_payload_gives_a_file_no_other_owner(process: Process, place: Path, sqlite_url: str) -> None:
    """The first record and the header are damaged, and in the payload of the first event stands a whole exchange."""
    foreign = encode_opened(StreamOpened(CLOCK.new_id(), CLOCK.new_id(), CLOCK.secret(32)))
    writer = process.stream()
    writer.write(b"chunk_received", 3, None, foreign * 3)
    process.chunks(writer, count=2)
    (file,) = process.die()
    file.flip(3, file.starts[0] + 30, file.starts[2] + 20)
    found = recovered(place, sqlite_url)
    assert found.instances == [id_text(process.instance)]
    assert (streams(sqlite_url), found.left) == ({}, 3)
