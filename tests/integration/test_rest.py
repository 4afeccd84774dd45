"""While a program rests, what it recorded is brought into the tables behind list and replay."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
import requests

from recorder import Recorder, Store
from recorder.api import recorder as recorder_module
from recorder.errors import StoreUnreachable
from recorder.store import open_store
from recorder.store.base import EventStore
from recorder.store.projected import SqlProjected
from tests.loopback import Script, serve


def projected(url: str) -> int:
    store = open_store(url, write=False)
    try:
        return len(list(SqlProjected(store).exchanges()))
    finally:
        store.close()


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_closing_the_recorder(store_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(store_url) as recorder, requests.Session() as session:
        recorder.mount(session)
        for _ in range(2):
            session.post(server.url, json={"messages": []})
        until(lambda: projected(store_url) == 2)
        session.post(server.url, json={"messages": []})
        until(lambda: projected(store_url) == 3)
        assert recorder.health().ok


@pytest.mark.parametrize("error", [StoreUnreachable("gone"), ZeroDivisionError("a defect")])
def test_what_goes_wrong_there_disturbs_nothing(
    sqlite_url: str, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    called = []

    def failing(store: EventStore, go_on: Callable[[], bool]) -> None:
        called.append(go_on())
        raise error

    projecting = recorder_module.projecting
    monkeypatch.setattr(recorder_module, "projecting", lambda **step: failing if step else projecting())
    caplog.set_level(logging.INFO, "recorder")
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url) as recorder, requests.Session() as session:
        recorder.mount(session).post(server.url, json={"messages": []})
        until(lambda: bool(called))
        session.post(server.url, json={"messages": []})
        assert recorder.flush()
        assert recorder.health().ok
    assert called[0] is True
    assert any(
        "what can wait was not done" in line or "a defect in what is done at rest" in line for line in caplog.messages
    )
    with Store(sqlite_url) as store:
        assert len(list(store.exchanges())) == 2
