"""What is made of the spools of dead processes: whole, damaged, cut, or still locked."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from recorder.clock import id_text
from recorder.core.codec import decode_records, encode_opened
from recorder.core.events import Event, StreamOpened
from recorder.errors import StoreError, VersionConflict
from recorder.locks import LockFile
from recorder.recording.mapped_file import CAPACITY, MappedSpoolFile
from recorder.recording.recovery import Recovered, read_spooled, recover, set_aside
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE, SpoolFile, spool_files
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from tests.recorded import streams, types
from tests.unit.recording.spooled import CLOCK, Failing, Recording, drainer_of


class Left:
    """The spool file of a process that died: as long as a mapped one is, with zeros at its end, or as it was cut."""

    def __init__(self, place: Path, bodies: int = 40) -> None:
        instance = CLOCK.new_id()
        spool = Spool(place, instance, CLOCK, durability="delivered", wait=0.0)
        self.streams = []
        for _ in range(2):
            writer = StreamWriter(spool, CLOCK, CLOCK.new_id(), instance, CLOCK.secret(32))
            writer.write(b"request_sent", 0, b"{}", b"GET / HTTP/1.1\r\n\r\n")
            for _ in range(bodies):
                writer.write(b"chunk_received", 3, None, b"x" * 300)
            self.streams.append(id_text(writer.id))
        self.path = spool.files()[0].path
        spool.close(drained=False)
        self.data = bytearray(self.path.read_bytes())
        self.starts = [HEADER_SIZE]  # of its records
        self.starts += [HEADER_SIZE + end for _, end in decode_records(bytes(self.data[HEADER_SIZE:]))]
        self.size = CAPACITY

    def recovered(self, url: str) -> Recovered:
        self.path.write_bytes(self.data)
        os.truncate(self.path, max(self.size, len(self.data)))
        with closing(open_store(url, write=True)) as store:
            return recover(self.path.parent, store, CLOCK, CLOCK.new_id())


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path / "spool")


def _set_aside(left: Left, found: Recovered) -> None:
    (aside,) = found.damaged
    assert Path(aside).read_bytes() == bytes(left.data).ljust(left.size, b"\0")
    assert not left.path.exists()


@pytest.mark.parametrize("hole", [4, 60, 105, 160, 512, 4096])
def test_a_hole_costs_one_stream_its_rest_and_no_other_anything(left: Left, sqlite_url: str, hole: int) -> None:
    at = left.starts[10]
    left.data[at : at + hole] = bytes(hole)
    found = left.recovered(sqlite_url)
    _set_aside(left, found)
    hit, other = (streams(sqlite_url)[stream] for stream in left.streams)
    assert types(hit)[-2:] == ["gap_recorded", "process_died"]
    assert f"byte {at}" in hit[-2].facts["reason"]
    assert len(hit) == 9 + 2  # ten records stand before it: an opening, and nine events
    assert len(other) == 41 + 2
    assert (found.events, found.salvaged) == (9 + 41, 41)
    assert found.left == 41 - 9 - -(-hole // (left.starts[11] - at))  # whole records of the hit stream


def test_what_is_readable_behind_damage_is_told_again_by_nobody(left: Left, sqlite_url: str) -> None:
    left.data[left.starts[10] + 20] ^= 1
    left.recovered(sqlite_url)
    before = streams(sqlite_url)
    assert [path.suffix for path in set_aside(left.path.parent)] == [".damaged"]
    again = left.recovered(sqlite_url)  # the very file is there once more: a crash before it was removed
    assert (again.salvaged, streams(sqlite_url)) == (0, before)


def test_nothing_in_a_payload_passes_for_a_record(left: Left, sqlite_url: str) -> None:
    """The rest of a damaged record is looked through: what a model sent there must not become an exchange."""
    foreign = StreamOpened(CLOCK.new_id(), CLOCK.new_id(), CLOCK.secret(32))
    forged = encode_opened(foreign)
    at = left.starts[10] + 150  # in the body of a chunk
    left.data[at : at + len(forged)] = forged
    found = left.recovered(sqlite_url)
    assert sorted(streams(sqlite_url)) == sorted(left.streams)
    assert found.salvaged == 41


def test_a_hole_before_the_last_record_is_found(left: Left, sqlite_url: str) -> None:
    at = left.starts[-3]
    left.data[at : at + 4] = bytes(4)
    _set_aside(left, left.recovered(sqlite_url))


def test_a_size_that_leads_out_of_the_file_hides_nothing(left: Left, sqlite_url: str) -> None:
    left.data[left.starts[10]] = 0x7F
    _set_aside(left, left.recovered(sqlite_url))


def test_zeros_up_to_the_end_are_no_damage(left: Left, sqlite_url: str) -> None:
    found = left.recovered(sqlite_url)
    assert (found.damaged, found.events, len(found.died)) == ([], 82, 2)
    assert not left.path.parent.exists()


@pytest.mark.parametrize("copied", [9, 40, 90, 180, 300, 10_000])
@pytest.mark.parametrize("first", [False, True])
def test_an_append_that_was_broken_off_is_no_damage(left: Left, sqlite_url: str, copied: int, first: bool) -> None:
    # The last append of a writer that died before the size at its beginning was written: an event, or with first
    # the opening of a stream and its first event.
    start = next(at for at, after in zip(left.starts[2:], left.starts[3:], strict=False) if after - at == 75)
    last = start if first else left.starts[-2]
    end = left.starts[left.starts.index(last) + (2 if first else 1)]
    left.data[last : last + 4] = bytes(4)
    left.data[min(last + copied, end) :] = bytes(len(left.data) - min(last + copied, end))
    found = left.recovered(sqlite_url)
    assert found.damaged == []
    assert len(found.died) == (1 if first else 2)
    assert "gap_recorded" not in {kind for events in streams(sqlite_url).values() for kind in types(events)}


def test_a_write_that_was_cut_short_is_no_damage(left: Left, sqlite_url: str) -> None:
    del left.data[left.starts[-1] - 200 :]
    left.size = 0
    found = left.recovered(sqlite_url)
    assert (found.damaged, found.events) == ([], 81)


@pytest.mark.parametrize("room", [4, 200, None])
def test_zeros_for_the_last_record_of_a_file_that_is_not_allocated_ahead_are_damage(
    left: Left, sqlite_url: str, room: int | None
) -> None:
    """Of a mapped file that its owner cut to its end, or of one that is written to: nothing else leaves them."""
    last, end = left.starts[-2:]
    left.data[last:] = bytes(room or end - last)
    left.size = 0
    found = left.recovered(sqlite_url)
    _set_aside(left, found)
    assert found.events == 81
    gaps = [events[-2] for events in streams(sqlite_url).values() if events[-2].type == "gap_recorded"]
    assert [f"zeros stand at byte {last}" in gap.facts["reason"] for gap in gaps] == [True, True]


def test_zeros_for_the_last_record_of_a_file_that_is_allocated_ahead_are_not_told(left: Left, sqlite_url: str) -> None:
    """What docs/design.md says of it: the exchange ends as that of a process that died a moment earlier."""
    last = left.starts[-2]
    left.data[last:] = bytes(len(left.data) - last)
    found = left.recovered(sqlite_url)
    assert (found.damaged, found.events, len(found.died)) == ([], 81, 2)


def test_a_mapped_file_ends_as_it_should(tmp_path: Path, sqlite_url: str) -> None:
    file = MappedSpoolFile(tmp_path, b"i" * 16, CLOCK)
    file.let_go()  # as the kernel does: nothing is cut off
    assert file.path.stat().st_size > 1024 * 1024
    with closing(open_store(sqlite_url, write=True)) as store:
        assert recover(tmp_path, store, CLOCK, CLOCK.new_id()).damaged == []


def _recover(place: Path, url: str) -> object:
    with closing(open_store(url, write=True)) as store:
        return recover(place, store, CLOCK, CLOCK.new_id())


def test_what_a_dead_process_left_is_drained_closed_and_removed(
    place: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(place)
    recording.spool._roll_at = 500
    open_, done = recording.exchange(end=False), recording.exchange()
    unborn = place / "0123.new"
    unborn.write_bytes(b"")
    living = Recording(place)
    living.exchange(end=False)
    recording.die()
    with closing(open_store(sqlite_url, write=True)) as store:
        found = recover(place, store, CLOCK, CLOCK.new_id())
    assert found.died == [id_text(open_.id)]
    assert found.instances == [id_text(recording.instance)]
    assert found.events == 7
    assert spool_files(place) == [file.path for file in living.spool.files()]
    assert not unborn.exists()
    recorded = streams(sqlite_url)
    assert types(recorded[id_text(open_.id)]) == ["request_sent", "chunk_received", "process_died"]
    assert types(recorded[id_text(done.id)])[-1] == "response_completed"
    living.die()
    with closing(open_store(sqlite_url, write=True)) as store:
        assert len(recover(place, store, CLOCK, CLOCK.new_id()).died) == 1
        assert recover(place, store, CLOCK, CLOCK.new_id()).instances == []
    assert not place.exists()


def test_nothing_to_recover(place: Path, sqlite_url: str) -> None:
    with closing(open_store(sqlite_url, write=True)) as store:
        assert recover(place, store, CLOCK, CLOCK.new_id()).instances == []


def test_one_process_at_a_time_recovers(place: Path, sqlite_url: str) -> None:
    Recording(place).die()
    turn = LockFile(place, flags=os.O_RDONLY)
    turn.acquire()
    with closing(open_store(sqlite_url, write=True)) as store:
        assert recover(place, store, CLOCK, CLOCK.new_id()).instances == []
        turn.close()
        assert len(recover(place, store, CLOCK, CLOCK.new_id()).instances) == 1


def test_where_directories_cannot_be_locked_a_file_is(
    place: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recorder.recording.recovery as recovery

    monkeypatch.setattr(recovery, "LOCKS_DIRECTORIES", False)
    Recording(place).die()
    with closing(open_store(sqlite_url, write=True)) as store:
        assert len(recover(place, store, CLOCK, CLOCK.new_id()).instances) == 1
    assert (place / "recovery.lock").exists()


def test_an_instance_of_which_one_lock_is_still_held_is_left_for_later(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.exchange()
    older = recording.spool.files()[0]
    recording.spool._full.append(older)
    recording.spool._file = SpoolFile(place, recording.instance, CLOCK)
    recording.exchange()
    recording.spool.files()[1].close(remove=False)  # its owner dies, and the newest is looked at first
    with closing(open_store(sqlite_url, write=True)) as store:
        assert recover(place, store, CLOCK, CLOCK.new_id()).instances == []
        older.close(remove=False)
        assert len(recover(place, store, CLOCK, CLOCK.new_id()).instances) == 1
    assert len(streams(sqlite_url)) == 2


def test_a_damaged_spool_is_set_aside_and_what_stands_before_it_saved(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    before, after = recording.exchange(end=False), recording.exchange()
    path = recording.spool.files()[0].path
    recording.die()
    data = bytearray(path.read_bytes())
    data[-5] ^= 1  # in the last record
    path.write_bytes(data)
    with closing(open_store(sqlite_url, write=True)) as store:
        spooled = read_spooled(place, store)
        assert len(spooled.events[before.id]) == 3
        found = recover(place, store, CLOCK, CLOCK.new_id())
    assert [Path(name).name for name in found.damaged] == [path.name + ".damaged"]
    assert Path(found.damaged[0]).read_bytes() == bytes(data)
    assert not path.exists()
    assert set(found.died) <= {id_text(before.id), id_text(after.id)}


def test_a_batch_of_a_drainer_process_that_comes_in_between_does_not_disturb(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.exchange()
    recording.die()
    with closing(open_store(sqlite_url, write=True)) as store:

        class Between(Failing):
            """Another process commits the same batch just before."""

            def append(self, *arguments: object, **options: object) -> None:
                if self.error is None:
                    self.error = StoreError("used")
                    self._store.append(*arguments, **options)  # type: ignore[attr-defined]
                    raise VersionConflict("the offset has moved")
                self._store.append(*arguments, **options)  # type: ignore[attr-defined]

        found = recover(place, Between(store), CLOCK, CLOCK.new_id())  # type: ignore[arg-type]
        assert len(found.instances) == 1

        class Always(Failing):
            def append(self, *arguments: object, **options: object) -> None:
                raise VersionConflict("for good")

        again = Recording(place)
        again.exchange()
        again.die()
        with pytest.raises(VersionConflict):
            recover(place, Always(store), CLOCK, CLOCK.new_id())  # type: ignore[arg-type]
    assert [len(events) for events in streams(sqlite_url).values()] == [4]


def test_readers_see_what_only_the_spool_holds(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.exchange()
    drainer = drainer_of(recording, sqlite_url)
    drainer.drain()
    fresh = recording.exchange()
    with closing(open_store(sqlite_url, write=False)) as store:
        spooled = read_spooled(place, store)
    assert list(spooled.openings) == [fresh.id] == list(spooled.events)
    assert all(isinstance(event, Event) and event.position is None for event in spooled.events[fresh.id])
    drainer.stop(1, lambda _: True)
    recording.die()
