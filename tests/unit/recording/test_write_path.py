"""The write path as a whole: losses are noted, finalizers wait, forks begin anew."""

from __future__ import annotations

import errno
import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import recorder.recording.spool as spool_module
from recorder import Recorder
from recorder.clock import SystemClock, id_text
from recorder.core.redaction import Redaction
from recorder.errors import RecordingError, StaleSchema, StoreError, StoreUnreachable
from recorder.recording import lanes, mapped_file
from recorder.recording.drain import Drainer
from recorder.recording.recovery import recover
from recorder.recording.spool import Receipt, Spool
from recorder.recording.spool_file import spool_files
from recorder.recording.tap import Call, ExchangeTap
from recorder.recording.write_path import WritePath
from recorder.store import open_store
from recorder.store.base import EventStore
from tests.recorded import end, only, streams, types, until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"


Make = Callable[..., WritePath]


@pytest.fixture(params=["mapped", "plain"])
def spool_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of spool file, wherever the tests run."""
    kind = str(request.param)
    if kind == "plain":
        monkeypatch.setattr(lanes, "suits", lambda _: False)
    elif not lanes.suits(Path(tempfile.gettempdir())):
        pytest.skip("spool files cannot be mapped here")
    monkeypatch.setattr(mapped_file, "_WINDOW", 0)  # nothing is allocated ahead: a disk is full at once
    monkeypatch.setattr(mapped_file, "_ALLOCATED_AT_ONCE", 0)
    return kind


@pytest.fixture
def make(spool_kind: str, tmp_path: Path, sqlite_url: str) -> Iterator[Make]:
    made: list[WritePath] = []

    def path(
        *,
        durability: str = "delivered",
        must_record: bool = False,
        opens: Callable[[], EventStore] = lambda: open_store(sqlite_url, write=True),
    ) -> WritePath:
        clock = SystemClock()

        def mover(spool: Spool, instance: bytes) -> Drainer:
            return Drainer(spool, opens, clock)

        redaction = Redaction(b"k")
        options = {"durability": durability, "must_record": must_record, "wait": 0.0}
        made.append(WritePath(tmp_path / "spool", opens, mover, clock, redaction, **options))  # type: ignore[arg-type]
        return made[-1]

    yield path
    for each in made:
        each.close(5)


def _asked(path: WritePath) -> ExchangeTap:
    tap = ExchangeTap(path, Call("c"))
    tap.request_sent("GET", "http://h/", b"GET / HTTP/1.1\r\n\r\n", b"", {"client": "tests"})
    return tap


def _answered(path: WritePath) -> ExchangeTap:
    tap = _asked(path)
    tap.response_started(HEAD, 200, "length", 8, ends_read=True)
    return tap


def _full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    full: list[bool] = [False]
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if full[0] and len(data) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    allocate = os.posix_fallocate

    def fallocate(fd: int, start: int, size: int) -> None:
        if full[0] and size > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(fd, start, size)

    monkeypatch.setattr(spool_module.os, "write", write)
    monkeypatch.setattr(mapped_file.os, "posix_fallocate", fallocate)
    return lambda now: full.__setitem__(0, now)


def test_a_loss_is_noted_and_mended_without_another_event(
    make: Make, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make()
    path.start()
    fill = _full_disk(monkeypatch)
    tap = _answered(path)
    fill(True)
    tap.received(b"12345678")
    health = path.health()
    assert (health.ok, health.lost_events, health.unreported_gaps) == (False, 1, 1)  # the end is kept
    fill(False)
    until(lambda: path.health().unreported_gaps == 0)
    assert path.flush(5)
    assert types(only(sqlite_url)) == ["request_sent", "response_started", "gap_recorded", "response_completed"]
    assert path.health().ok is False  # something was lost, for good
    path.flush(0)


def test_who_must_record_is_told_at_once_and_before_the_next_request(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(must_record=True)
    path.start()
    fill = _full_disk(monkeypatch)
    tap, _ = _answered(path), _answered(path)
    fill(True)
    with pytest.raises(RecordingError, match="is not being recorded"):
        tap.received(b"1234")
    with pytest.raises(RecordingError, match="was not sent"):
        _asked(path)
    path.close(0.1)  # the ends cannot be recorded either: that is logged, not raised
    fill(False)


def test_a_request_that_is_refused_leaves_nothing_and_nothing_stays_broken(
    make: Make, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(must_record=True)
    path.start()
    fill = _full_disk(monkeypatch)
    before = _answered(path)
    before.received(b"12345678")
    fill(True)
    for _ in range(3):
        tap = ExchangeTap(path, Call("c"))
        with pytest.raises(RecordingError, match=r"was not sent because it cannot be recorded: .*No space left"):
            tap.request_sent("GET", "http://h/", b"GET / HTTP/1.1\r\n\r\n", b"", {"client": "tests"})
        tap.request_failed("other", "send", {"type": "recorder.RecordingError", "message": ""})  # as requests has it
    assert (path.health().lost_events, path.health().unreported_gaps) == (0, 0)
    fill(False)
    after = _answered(path)
    after.received(b"12345678")
    path.close(5)
    assert path.health().ok
    assert set(streams(sqlite_url)) == {id_text(before.id), id_text(after.id)}


def test_a_finalizer_inside_a_write_waits_until_the_write_is_over(
    make: Make, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make()
    path.start()
    dropped, writing = _answered(path), _answered(path)
    dropped.received(b"1234")
    spool = path._spool.of_thread()
    append = spool.append
    order: list[str] = []

    def finalizing(record: bytes, *, sync: bool = False, receipt: Receipt | None = None) -> bool:
        if not order:
            order.append("inside")
            dropped.closed(2, abandoned=True)  # as the garbage collector would have it, with the locks held
            assert not dropped.ended
        return append(record, sync=sync, receipt=receipt)

    monkeypatch.setattr(spool, "append", finalizing)
    writing.received(b"12")
    assert dropped.ended
    path.close(5)
    found = [types(events) for events in streams(sqlite_url).values()]
    assert found == [
        ["request_sent", "response_started", "chunk_received", "consumer_abandoned"],
        ["request_sent", "response_started", "chunk_received", "recorder_closed"],
    ]
    gc.collect()


def test_what_was_put_off_fails_for_nobody(make: Make) -> None:
    path = make()

    def lost() -> None:
        raise RecordingError

    with path._writes.inside():
        assert path.defers(lost)
    assert not path._writes.later
    assert not path.defers(lost)


def test_a_tap_gives_up_once_and_says_so(make: Make, sqlite_url: str) -> None:
    path = make()
    path.start()
    tap, never = _answered(path), ExchangeTap(path, Call("c"))
    for each in (tap, never):
        each.give_up("a defect of recorder: KeyError")
        each.give_up("another")
        each.received(b"x")
        each.request_body_sent(b"x")
        each.end_of_input()
        each.closed(0, abandoned=False)
    path.close(5)
    assert types(only(sqlite_url)) == ["request_sent", "response_started", "gap_recorded", "recorder_closed"]
    assert path.health().lost_events == 1


def test_a_gap_that_cannot_be_written_yet_is_owed(make: Make, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make()
    path.start()
    fill = _full_disk(monkeypatch)
    tap = _answered(path)
    fill(True)
    tap.give_up("a defect of recorder: KeyError")
    assert path.health().unreported_gaps == 1
    fill(False)
    until(lambda: path.health().unreported_gaps == 0)
    path.close(5)
    assert types(only(sqlite_url))[-2:] == ["gap_recorded", "recorder_closed"]


def test_what_nothing_tells_of_at_the_end_is_said_and_nobody_is_taken_for_dead(
    make: Make, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = make()
    path.start()
    whole, cut = _answered(path), _answered(path)
    whole.received(b"12345678")
    path._reserve.free()  # the disk had no room for that either
    fill = _full_disk(monkeypatch)
    fill(True)
    never = _asked(path)
    cut.received(b"1234")
    cut.received(b"5678")
    never.request_failed("refused", "connect", None)
    assert path.health().lost_events == 3
    caplog.clear()
    path.close(5)
    fill(False)
    assert path.health().lost_events == 5  # the ends came to nothing as well
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    assert "5 events of 2 exchanges are lost, and there was no room to record that" in told
    with closing(open_store(sqlite_url, write=True)) as store:
        found = recover(tmp_path / "spool", store, SystemClock(), b"r" * 16)
    assert found.died == []
    assert not (tmp_path / "spool").exists()
    by_id = streams(sqlite_url)
    assert types(by_id[id_text(whole.id)])[-1] == "response_completed"
    assert types(by_id[id_text(cut.id)]) == ["request_sent", "response_started", "gap_recorded", "recorder_closed"]
    assert len(by_id) == 2


def test_a_store_that_is_none_is_an_error_and_one_that_is_away_is_not(make: Make) -> None:
    def stale() -> EventStore:
        raise StaleSchema

    def away() -> EventStore:
        raise StoreUnreachable("away")

    with pytest.raises(StaleSchema):
        make(opens=stale).start()
    with pytest.raises(StoreUnreachable):
        make(opens=away, must_record=True).start()
    path = make(opens=away)
    path.start()
    assert path.health().store_error == "away"
    assert not path.flush(0.1)


def test_a_recovery_that_fails_can_wait_unless_everything_must_be_recorded(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import recorder.recording.previous as previous

    def failing(*_: object) -> None:
        raise StoreError("the store has other events")

    monkeypatch.setattr(previous, "recover", failing)
    make().start()
    assert "stays in" in caplog.text
    with pytest.raises(StoreError):
        make(must_record=True).start()


def test_after_a_fork_everything_is_its_own(make: Make, tmp_path: Path, sqlite_url: str) -> None:
    path = make()
    path.start()
    tap = _answered(path)
    before = path.instance
    (inherited,) = spool_files(tmp_path / "spool")
    path._mover.leave(5, lambda _: True)  # a child has no other thread
    path.after_fork()
    assert path.instance != before
    tap.received(b"1234")  # the parent's stream: not the child's to write
    assert spool_files(tmp_path / "spool") == [inherited]
    mine = _answered(path)
    mine.received(b"12345678")
    path.close(5)
    events = streams(sqlite_url)[id_text(mine.id)]
    assert types(events) == ["request_sent", "response_started", "chunk_received", "response_completed"]
    assert end(events).instance == path.instance
    assert b"1234" not in inherited.read_bytes()


@pytest.mark.parametrize("durability", ["batched", "synced"])
def test_what_a_durability_owes_is_done_though_the_store_hangs(
    durability: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    let_go = threading.Event()

    def hanging() -> EventStore:
        let_go.wait(20)
        raise StoreUnreachable("at last")

    synced: list[int] = []
    monkeypatch.setattr(spool_module, "fdatasync", synced.append)
    path = make(durability=durability, opens=hanging)
    tap = _answered(path)
    size = spool_files(tmp_path / "spool")[0].stat().st_size
    tap.received(b"1234")
    if durability == "batched":
        until(lambda: spool_files(tmp_path / "spool")[0].stat().st_size > size, 2)
    else:
        before = len(synced)
        until(lambda: len(synced) > before, 2)
    let_go.set()


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_events_that_the_store_has_others_for_show_in_the_health(sqlite_url: str, drainer: str) -> None:
    with Recorder(sqlite_url, drainer=drainer) as recorder:  # type: ignore[arg-type]
        path = recorder._path
        assert path is not None
        writer = path.open_stream()
        path.write(writer, b"request_sent", 0, b"{}", b"one")
        writer._reached = (0, writer._reached[1])  # a defect that gives a version twice
        path.write(writer, b"request_sent", 0, b"{}", b"two")
        until(lambda: recorder.health().conflicts == 1)
        assert not recorder.health().ok
        until(lambda: recorder.health().drained_events == 3)  # two of them the beginning of the journal
