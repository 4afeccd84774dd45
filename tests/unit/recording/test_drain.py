"""The drainer: everything, once, in order, whatever the store does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

import recorder.recording.spool as spool_module
from recorder.clock import id_text
from recorder.core.codec import decode_batch
from recorder.core.events import Event
from recorder.errors import StoreUnreachable
from recorder.recording.batches import read_batch
from recorder.recording.drain import Drainer
from recorder.recording.drainer_process import FollowedSpool
from recorder.recording.lanes import Lanes
from recorder.recording.spool_file import HEADER_SIZE, spool_files
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from tests.recorded import streams, until
from tests.unit.recording.spooled import CLOCK, Failing, Recording, Watched, drainer_of


def test_everything_is_moved_once(place: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "ROLL_SIZE", 3000)
    recording = Recording(place)
    recording.spool._roll_at = 3000
    writers = [recording.exchange(chunks=20, size=100) for _ in range(4)]
    assert len(recording.spool.files()) > 2
    drainer = drainer_of(recording, sqlite_url)
    assert drainer.drain()
    assert not drainer.drain()
    assert drainer.events == 4 * 22
    assert len(recording.spool.files()) == 1
    assert recording.spool.pending(drainer.drained) == 0
    writers.append(recording.exchange())
    assert drainer.drain()
    assert drainer.stop(1.0, lambda drained: recording.spool.pending(drained) == 0)
    recording.spool.close(drained=True)
    assert set(streams(sqlite_url)) == {id_text(writer.id) for writer in writers}
    assert not place.exists()


def test_a_stream_that_goes_on_in_the_next_file_is_moved_in_its_order(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.spool._roll_at = 500_000
    writer = recording.exchange(chunks=900, size=1000)
    assert len(recording.spool.files()) > 1
    drainer = drainer_of(recording, sqlite_url)
    with closing(open_store(sqlite_url, write=True)) as store:
        for _ in range(3):
            drainer._drained(_once())
            stored = [event.version for event in store.events(writer.id)]
            assert stored == list(range(1, len(stored) + 1))
    assert 0 < len(stored) < 902
    drainer.stop(0, lambda _: True)
    recording.die()


def _once() -> Callable[[], bool]:
    asked = iter((True,))
    return lambda: next(asked, False)


def test_a_lane_that_begins_meanwhile_has_its_share_at_once(tmp_path: Path, sqlite_url: str) -> None:
    lanes = Lanes(tmp_path / "spool", CLOCK.new_id(), CLOCK, durability="delivered", wait=0.0)
    first = Recording.at(lanes.of_thread())
    first.exchange(chunks=1500, size=1000)
    late: list[StreamWriter] = []
    batches: list[set[bytes]] = []

    def begin(events: Sequence[Event]) -> None:
        beside = lanes.beside(1)
        assert beside is not None
        batches.append({event.stream for event in events})
        if not late:
            late.append(Recording.at(beside).exchange())

    drainer = Drainer(lanes, lambda: Watched(open_store(sqlite_url, write=True), begin), CLOCK)
    assert drainer.drain()
    assert len(batches) > 2
    assert late[0].id in batches[1]
    drainer.stop(1.0, lambda _: True)
    lanes.close(drained=True)


def test_events_that_a_store_gets_again_are_counted_once(tmp_path: Path, place: Path) -> None:
    recording = Recording(place)
    recording.exchange()
    path = tmp_path / "moved.db"
    drainer = drainer_of(recording, f"sqlite:///{path}")
    assert drainer.drain()
    with closing(open_store(f"sqlite:///{path}", write=True)) as store:
        store.forget_spool(recording.spool.files()[0].id)  # as a copy from before would have it
    drainer._close_store()
    drainer._confirmed.clear()
    recording.exchange(chunks=5)
    assert drainer.drain()
    assert drainer.events == 4 + 7
    drainer.stop(0, lambda _: True)
    recording.die()


def test_a_drained_full_file_that_a_new_store_does_not_know_is_drained_again_for_nothing(
    place: Path, sqlite_url: str
) -> None:
    recording = Recording(place)
    recording.exchange()
    first = drainer_of(recording, sqlite_url)
    assert first.drain()
    with closing(open_store(sqlite_url, write=True)) as store:
        store.forget_spool(recording.spool.files()[0].id)
    second = drainer_of(recording, sqlite_url)
    assert second.drain()
    first.stop(0, lambda _: True)
    second.stop(0, lambda _: True)
    recording.spool.close(drained=True)
    assert [len(events) for events in streams(sqlite_url).values()] == [4]


def test_a_record_larger_than_a_batch_is_read_whole_and_a_torn_one_left(place: Path) -> None:
    recording = Recording(place)
    recording.exchange(chunks=1, size=5000)
    (file,) = recording.spool.files()
    openings, events, end = read_batch(file, HEADER_SIZE, 64)
    assert (len(openings), [e.type for e in events][:1]) == (1, ["request_sent"])
    while end < file.size:
        _, more, end = read_batch(file, end, 64)
        events += more
    assert len(events) == 3
    os.write(file.fd, b"\0\0\1\0 torn")
    assert read_batch(file, end) == ([], [], end)
    recording.die()


def test_a_store_that_fails_is_tried_again_ever_more_slowly(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.exchange()
    errors: list[Exception | None] = [StoreUnreachable("away"), StoreUnreachable("away"), None]
    drainer = Drainer(
        recording.spool,
        lambda: Failing(open_store(sqlite_url, write=True), errors.pop(0)),
        CLOCK,  # type: ignore[arg-type, return-value]
    )
    assert drainer.round()
    assert drainer.error == "away"
    assert drainer.round()  # too early: nothing is tried
    assert len(errors) == 2
    assert not drainer.drain()
    assert len(errors) == 1
    assert drainer.drain()
    assert drainer.error is None
    assert drainer.stop(1, lambda drained: recording.spool.pending(drained) == 0)
    recording.spool.close(drained=True)
    assert len(streams(sqlite_url)) == 1


def test_a_stop_that_fails_leaves_the_spool(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.exchange()

    def nobody() -> object:
        raise StoreUnreachable("nobody answers")

    drainer = Drainer(recording.spool, nobody, CLOCK)  # type: ignore[arg-type]
    drainer.retire()
    drainer.wake()
    assert not drainer.stop(0.1, lambda _: True)
    drainer._moving.acquire()
    assert not drainer.drain(0.01)
    assert not drainer.stop(0.01, lambda _: True)
    recording.die()
    assert len(spool_files(place)) == 1


def test_a_drain_stops_between_batches_when_its_time_is_over(
    place: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recorder.recording.drain as drain_module

    monkeypatch.setattr(drain_module, "read_batch", lambda file, start, limit: read_batch(file, start, 1000))
    recording = Recording(place)
    for _ in range(20):
        recording.exchange()
    drainer = drainer_of(recording, sqlite_url)
    drainer.drain(0.0)
    assert drainer.events < 80
    drainer.drain()
    assert drainer.events == 80
    assert drainer.stop(1, lambda drained: recording.spool.pending(drained) == 0)
    recording.spool.close(drained=True)


def _forked_stream(recording: Recording) -> tuple[StreamWriter, StreamWriter]:
    """Two writers of one stream: what a defect, or a copied process, would make."""
    one = recording.stream()
    two = StreamWriter(recording.spool, CLOCK, one.id, recording.instance, CLOCK.secret(32))
    return one, two


def test_a_stream_with_a_conflict_holds_up_no_other(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    one, two = _forked_stream(recording)
    one.write(b"request_sent", 0, b"{}", b"one")
    drainer = drainer_of(recording, sqlite_url)
    assert drainer.drain()
    two.write(b"request_sent", 0, b"{}", b"two")
    good = recording.exchange()
    assert drainer.drain()
    assert drainer.error is None
    assert drainer.stop(1, lambda drained: recording.spool.pending(drained) == 0)
    recording.spool.close(drained=True)
    assert sorted(len(events) for events in streams(sqlite_url).values()) == [1, 4]
    assert len(streams(sqlite_url)[id_text(good.id)]) == 4
    (kept,) = place.glob("*.conflicts")
    assert b"two" in kept.read_bytes()
    assert kept.stat().st_mode & 0o077 == 0


def test_what_precedes_a_conflict_is_stored(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    writer = recording.exchange(end=False, chunks=3)
    writer._reached = (writer._reached[0] - 1, writer._reached[1])  # a defect that gives a version twice
    writer.write(b"chunk_received", 0, None, b"twice")
    writer.write(b"response_completed")
    good = recording.exchange()
    drainer = drainer_of(recording, sqlite_url)
    assert drainer.drain()
    assert (drainer.error, drainer.events, drainer.conflicts) == (None, 8, 2)
    found = streams(sqlite_url)
    assert [event.version for event in found[id_text(writer.id)]] == [1, 2, 3, 4]
    assert len(found[id_text(good.id)]) == 4
    drainer.stop(1, lambda _: True)
    recording.spool.close(drained=True)
    (kept,) = place.glob("*.conflicts")
    openings, events, end = decode_batch(kept.read_bytes())
    assert [opening.stream for opening in openings] == [writer.id]
    assert [(event.version, event.body) for event in events] == [(4, b"twice"), (5, None)]
    assert end == kept.stat().st_size


def test_two_drainers_of_one_file_do_not_both_win(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.exchange()
    first, second = drainer_of(recording, sqlite_url), drainer_of(recording, sqlite_url)
    assert first.drain()
    assert second.drain() is False or second.events == 0
    recording.exchange()
    assert first.drain()
    recording.exchange()
    assert not second.drain()  # its batch begins where the store's offset no longer stands
    assert second.error is not None
    assert second.drain()
    assert second.error is None
    for drainer in (first, second):
        drainer.stop(0, lambda _: True)
    recording.die()
    assert [len(events) for events in streams(sqlite_url).values()] == [4, 4, 4]


def test_whoever_waits_for_a_pause_waits_for_one_batch(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    writer = recording.exchange(end=False)
    drainer = drainer_of(recording, sqlite_url)
    going_on = threading.Event()
    going_on.set()

    def record() -> None:
        while going_on.is_set():
            writer.write(b"chunk_received", 3, None, b"x" * 3000)

    recording_on = threading.Thread(target=record)
    recording_on.start()
    draining = threading.Thread(target=drainer.drain)  # never at an end: more comes all the time
    draining.start()
    until(lambda: drainer.events > 100)
    assert drainer.pause(10)
    assert drainer.inherited() is None
    going_on.clear()
    drainer.resume()
    for thread in (recording_on, draining):
        thread.join()
    writer.write(b"chunk_received", 3, None, b"the last one")  # the thread may not have come to another one
    assert drainer.drain(), drainer.error
    assert drainer.stop(5, lambda drained: recording.spool.pending(drained) == 0)
    recording.die()
    ((_, events),) = streams(sqlite_url).items()
    assert [event.version for event in events] == list(range(1, writer._reached[0] + 1))


def test_a_store_that_cannot_be_let_go_is_closed(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.exchange()

    class Clinging(Failing):
        def let_go(self) -> None:
            raise StoreUnreachable("busy")

    stores: list[Clinging] = []

    def opens() -> object:
        stores.append(Clinging(open_store(sqlite_url, write=True)))
        return stores[-1]

    drainer = Drainer(recording.spool, opens, CLOCK)  # type: ignore[arg-type]
    assert drainer.drain()
    assert drainer.pause(1)
    assert drainer.inherited() is None
    drainer.resume()
    recording.exchange()
    assert drainer.drain()
    stores[-1].error = StoreUnreachable("away")
    assert not drainer.pause(1)
    drainer.resume()
    recording.die()


# The files of another process


def test_the_files_of_one_instance_are_followed_and_no_others(place: Path) -> None:
    recording, other = Recording(place), Recording(place)
    (place / "x.spool").write_bytes(b"")
    followed = FollowedSpool(place, recording.instance)
    assert [file.path for file in followed.files()] == [file.path for file in recording.spool.files()]
    recording.exchange()
    (file,) = followed.files()
    assert read_batch(file, HEADER_SIZE)[1]
    assert followed.owner_lives()
    recording.die()
    assert not followed.owner_lives()
    followed.drop(file.id)
    assert not file.path.exists()
    assert followed.owner_lives()  # no file is left to tell
    followed.close()
    other.die()
