"""How a recorder is made, switched off and asked: arguments, ids, stores by their path."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from recorder import ConfigurationError, NotFound, Player, Recorder, Store
from tests.recorded import exchanges
from tests.wire import reply, wire


def test_the_kill_switch(absent_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("RECORDER_OFF", "1")
    with wire(lambda _: reply()) as server, Recorder(absent_url) as recorder:
        session = requests.Session()
        adapter = session.get_adapter(server.url)
        assert recorder.mount(session).get_adapter(server.url) is adapter
        with recorder.conversation("nothing"):
            response = session.get(server.url)
        assert recorder.flush()
        assert recorder.health().ok
        assert recorder.recovered.events == 0
        assert recorder.exchange(response) is None
    assert "RECORDER_OFF" in caplog.text
    assert not Path(absent_url.removeprefix("sqlite:///")).exists()


def test_the_id_of_what_came_before_and_after_the_recorder_was_closed(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server:
        with Recorder(sqlite_url) as recorder:
            session = recorder.mount(requests.Session())
            before = session.get(server.url)
        identity = recorder.exchange(before)
        after = session.get(server.url)
        assert recorder.exchange(after) is recorder.exchange(requests.get(server.url)) is None
    assert list(exchanges(sqlite_url)) == [identity]


def test_the_id_of_a_request_that_got_no_answer(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        with pytest.raises(requests.ConnectionError) as failed:
            session.get("http://127.0.0.1:9/")
        identity = recorder.exchange(failed.value.request)
    assert list(exchanges(sqlite_url)) == [identity]


@pytest.mark.parametrize("wrong", [None, "response", 3])
def test_what_is_no_response_has_no_id(sqlite_url: str, wrong: Any) -> None:
    with Recorder(sqlite_url) as recorder, pytest.raises(TypeError, match=r"response is not a requests\.Response, nor"):
        recorder.exchange(wrong)


def test_a_response_of_another_session_has_no_exchange(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        response = requests.get(server.url)
        with pytest.raises(NotFound):
            recorder.exchange(response)
        recorder.mount(requests.Session())
        with pytest.raises(NotFound):
            recorder.exchange(response)


@pytest.mark.parametrize(
    "wrong",
    [
        {"durability": "maybe"},
        {"on_failure": "shrug"},
        {"drainer": "horse"},
        {"redact": "cookie:"},
        {"redact": 123},
        {"redact": [None]},
        {"close_timeout": "x"},
        {"close_timeout": -1},
        {"spool_wait": -1},
        {"spool_wait": float("nan")},
        {"store_url": 3},
        {"store_url": "sqlite://"},
        {"store_url": "mongodb://x/y"},
    ],
)
def test_wrong_arguments_are_told(wrong: dict[str, Any], sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError):
        Recorder(**{"store_url": sqlite_url, **wrong})


@pytest.mark.parametrize("tags", [{1: "x"}, {"x": 1}, ["x"]])
def test_tags_that_are_no_texts_are_told(sqlite_url: str, tags: Any) -> None:
    with Recorder(sqlite_url) as recorder, pytest.raises(ConfigurationError, match="tag"):
        recorder.conversation("desk", tags=tags)


@pytest.mark.parametrize("thing", [None, 3, requests, requests.Session, SimpleNamespace(adapters={})])
def test_what_is_no_session_is_told(sqlite_url: str, thing: Any) -> None:
    with Recorder(sqlite_url) as recorder:
        with pytest.raises(TypeError, match=r"session is not a requests\.Session but " + re.escape(repr(thing))):
            recorder.mount(thing)
        with Player(sqlite_url) as player, pytest.raises(TypeError, match=r"session is not a requests\.Session"):
            player.mount(thing)


@pytest.mark.parametrize("name", ["plain.db", "50% odd?.db"])
def test_a_store_may_be_named_by_its_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with wire(lambda _: reply(b"x")) as server:
        with Recorder(path) as recorder:
            recorder.mount(requests.Session()).get(server.url)
        url = server.url
    assert path.exists()
    with Store(path) as store:
        assert len(list(store.exchanges())) == 1
    with Player(path) as player:
        assert player.mount(requests.Session()).get(url).content == b"x"
