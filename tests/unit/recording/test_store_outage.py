"""A store that hangs: it fails nothing, and is told all the same."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.core.events import Event
from recorder.errors import StoreUnreachable
from recorder.recording import store_outage
from recorder.recording.batches import read_batch
from recorder.recording.drain import Drainer
from recorder.recording.store_outage import StoreOutage
from recorder.store import open_store
from recorder.store.base import EventLog
from tests.recorded import until
from tests.unit.recording.spooled import CLOCK, Recording, Watched

_FAILS = "the store fails, events are kept in the spool"
_ANSWERS = "the store answers again"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_outage, "OVERDUE", 0.3)
    monkeypatch.setattr(store_outage, "_TELL_EVERY", 0.05)


class Hanging:
    """What a store's appends run into: nothing, until it is told to hang."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.reached = threading.Event()
        self.raises: Exception | None = None

    def drainer(self, recording: Recording) -> Drainer:
        return Drainer(recording.spool, lambda: Watched(open_store(self.url, write=True), self.hang), CLOCK)

    def hang(self, events: Sequence[Event]) -> None:
        self.reached.set()
        assert self.goes_on.wait(30)
        if self.raises is not None:
            raise self.raises


@contextmanager
def _stopped(drainer: Drainer, recording: Recording) -> Iterator[None]:
    try:
        yield
    finally:
        drainer.stop(5, lambda _: True)
        recording.die()


@contextmanager
def _hanging(place: Path, url: str) -> Iterator[tuple[Hanging, Drainer]]:
    """A store that can hang, and what is to bring a whole exchange to it."""
    recording, store = Recording(place), Hanging(url)
    drainer = store.drainer(recording)
    with _stopped(drainer, recording):
        recording.exchange()
        yield store, drainer


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_store_that_does_not_answer_is_told_while_the_drainer_waits_for_it(
    place: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with _hanging(place, sqlite_url) as (store, drainer):
        store.goes_on.clear()
        drainer.wake()
        assert store.reached.wait(5)
        assert drainer.error is None
        until(lambda: drainer.error is not None)
        assert drainer.error == "the store has not answered for 0 s"
        until(lambda: bool(_told(caplog)))
        until(lambda: drainer.error == "the store has not answered for 1 s")
        store.goes_on.set()
        until(lambda: drainer.error is None)
        until(lambda: len(_told(caplog)) > 1)
    fails, answers = _told(caplog)
    assert _FAILS in fails
    assert "has not answered" in fails
    assert _ANSWERS in answers


def test_one_that_fails_in_the_end_is_one_outage_and_says_why(
    place: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with _hanging(place, sqlite_url) as (store, drainer):
        store.goes_on.clear()
        store.raises = StoreUnreachable("away")
        drainer.wake()
        until(lambda: len(_told(caplog)) == 1)
        store.goes_on.set()
        until(lambda: drainer.error == "away")
        store.raises = None
        until(lambda: drainer.error is None)
    assert [_FAILS in told for told in _told(caplog)] == [True, False]
    assert _ANSWERS in _told(caplog)[-1]


def test_one_that_failed_and_hangs_when_it_is_tried_again_is_no_second_outage(
    place: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with _hanging(place, sqlite_url) as (store, drainer):
        store.raises = StoreUnreachable("away")
        assert not drainer.drain()
        store.goes_on.clear()
        store.raises = None
        drainer.wake()
        until(lambda: "has not answered" in (drainer.error or ""))
        time.sleep(0.2)  # the watch looks
        store.goes_on.set()
        until(lambda: drainer.error is None)
        until(lambda: len(_told(caplog)) > 1)
    assert [_FAILS in told for told in _told(caplog)] == [True, False]
    assert _ANSWERS in _told(caplog)[-1]


def test_a_long_backlog_is_no_outage(
    place: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recorder.recording.drain as drain_module

    monkeypatch.setattr(drain_module, "read_batch", lambda file, start, limit: read_batch(file, start, 1000))
    monkeypatch.setattr(store_outage, "OVERDUE", 1.0)
    recording = Recording(place)
    for _ in range(20):
        recording.exchange()
    slow = partial(Watched, tell=lambda _: time.sleep(0.2))
    drainer = Drainer(recording.spool, lambda: slow(open_store(sqlite_url, write=True)), CLOCK)
    with _stopped(drainer, recording):
        started = time.monotonic()
        drainer.wake()
        while drainer.events < 80:
            assert drainer.error is None
            time.sleep(0.01)
        assert time.monotonic() - started > 1.2
    assert _told(caplog) == []


def test_work_at_rest_is_watched_too_and_goes_on_from_step_to_step(
    place: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    recording = Recording(place)
    steps, hangs, over = threading.Event(), threading.Event(), threading.Event()

    def at_rest(store: EventLog, go_on: Callable[[], bool]) -> None:
        for _ in range(8):
            time.sleep(0.1)
            go_on()
        steps.set()
        hangs.wait(30)
        over.set()

    drainer = Drainer(recording.spool, lambda: open_store(sqlite_url, write=True), CLOCK, at_rest)
    with _stopped(drainer, recording):
        recording.exchange()
        drainer.wake()
        assert steps.wait(10)
        assert _told(caplog) == []
        until(lambda: drainer.error is not None)
        hangs.set()
        assert over.wait(5)
        until(lambda: drainer.error is None)


def test_a_fork_waits_for_no_batch_that_takes_too_long_already(place: Path, sqlite_url: str) -> None:
    with _hanging(place, sqlite_url) as (store, drainer):
        store.goes_on.clear()
        drainer.wake()
        assert store.reached.wait(5)
        took = []
        for _ in range(5):
            started = time.monotonic()
            assert not drainer.pause(0.2)
            drainer.resume()
            took.append(time.monotonic() - started)
        until(lambda: drainer.error is not None)
        started = time.monotonic()
        assert not drainer.pause(60)
        drainer.resume()
        assert time.monotonic() - started < 1
        store.goes_on.set()
    assert sum(took) < 0.2 + 0.2  # the five together


def test_what_is_under_way_is_nobodys_when_it_is_over() -> None:
    told: list[str | None] = []
    outage = StoreOutage(SystemClock(), told.append)
    outage.moved()
    assert outage.waited == 0
    with outage.watched():
        until(lambda: len(told) > 2)
    assert outage.waited == 0
    assert [reason is None for reason in told] == [False] * (len(told) - 1) + [True]
    outage.stop()
    with outage.watched():
        until(lambda: outage.error is not None)  # who asks is told
    watch = outage._thread
    assert watch is not None
    watch.join(5)
    assert not watch.is_alive()
    assert told[-1] is None


def test_a_watch_that_cannot_be_started_is_started_with_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str | None] = []
    outage = StoreOutage(SystemClock(), told.append)

    def refuses(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuses)
        with outage.watched():
            pass
    assert outage._thread is None
    with outage.watched():
        until(lambda: bool(told))
    outage.stop()
