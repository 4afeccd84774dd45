"""A store that hangs, or stays locked: `flush` and `close` take no longer than they were given."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from recorder import Recorder
from recorder.locations import spool_directory
from tests.loopback import Script, serve
from tests.recorded import ask, only, types, until

_GIVEN = 1.0  # seconds, less than a store is waited for at any place
_MORE = 0.6  # for what a busy machine does meanwhile


def _seconds(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_a_store_that_is_locked(sqlite_url: str, tmp_path: Path) -> None:
    recorder = Recorder(sqlite_url, close_timeout=_GIVEN)
    session = recorder.mount(requests.Session())
    with serve(Script(chunks=3)) as server:
        assert ask(session, server.url, "x").content
        assert recorder.flush()
        with _locked(tmp_path / "store.db"):
            assert ask(session, server.url, "x").content
            told: list[bool] = []
            assert _seconds(lambda: told.append(recorder.flush())) < _GIVEN + _MORE
            assert told == [False]
            assert _seconds(recorder.close) < _GIVEN + _MORE
            assert recorder.health().store_error is not None
    with Recorder(sqlite_url) as after:
        assert len(after.recovered.instances) == 1
    assert not spool_directory(sqlite_url).exists()


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_a_server_that_never_answers(drainer: str, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with socket.create_server(("127.0.0.1", 0)) as silent, serve(Script(chunks=3)) as server:
        url = f"postgresql+psycopg://u:p@127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=3"
        recorder = Recorder(url, close_timeout=_GIVEN, drainer=drainer)
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content
        for _ in range(4):  # one of them begins before an attempt ends, and ends after it
            assert _seconds(recorder.flush) < _GIVEN + _MORE
        assert _seconds(recorder.close) < _GIVEN + _MORE + 1.0 * (drainer == "process")  # which is ended first


def test_what_is_flushed_by_another_thread_is_there(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder, serve(Script(chunks=3)) as server:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content
        time.sleep(1.5)  # the drainer's thread sleeps
        assert recorder.flush()
        assert types(only(sqlite_url))[-1] == "response_completed"
        until(lambda: recorder.health().ok)
