"""HTTP/2 has no socket file: it is recognised by its class, and the recording says what it lacks.

The connection here has the module and the methods of urllib3's, and no network below: h2, which the
real one needs, is no dependency of ours.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.response import HTTPResponse

from recorder import Player, Recorder
from recorder.transports.recording_connection import HTTP2_NOTE, speaks_http2
from tests.recorded import end, exchanges, only, types

ANSWER = b"data: one\n\ndata: two\n\n"


class HTTP2Connection(HTTPConnection):
    """As urllib3.http2.connection.HTTP2Connection: whole answers, no http.client below."""

    __module__ = "urllib3.http2.connection"
    fails = False
    body = ANSWER

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **_: Any) -> None:
        self._asked = method

    def getresponse(self) -> Any:
        if self.fails:
            raise ConnectionResetError(104, "Connection reset by peer")
        headers = {"content-type": "text/event-stream", "set-cookie": "sid=of-the-wolf"}
        return HTTPResponse(body=self.body, headers=headers, status=200, version=20, preload_content=True)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> requests.Session:
    monkeypatch.setattr(urllib3.HTTPConnectionPool, "ConnectionCls", HTTP2Connection)
    return requests.Session()


def test_it_is_recognised_by_its_class() -> None:
    class Derived(HTTP2Connection):
        __module__ = "elsewhere"

    assert speaks_http2(HTTP2Connection)
    assert speaks_http2(Derived)
    assert not speaks_http2(HTTPConnection)


@pytest.mark.parametrize("body", [ANSWER, b""])
def test_an_exchange_is_recorded_with_a_note_and_plays(
    body: bytes, session: requests.Session, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HTTP2Connection, "body", body)
    with Recorder(sqlite_url) as recorder:
        recorder.mount(session)
        response = session.post("http://h2.test/v1", json={"a": 1}, headers={"X-Api-Key": "of-the-wolf"}, stream=True)
        assert response.status_code == 200
        identity = recorder.exchange(response)
    events = only(sqlite_url)
    assert [t for t in types(events) if t != "chunk_received"] == [
        "request_sent",
        "response_started",
        "response_completed",
    ]
    assert events[0].facts["fallback"] == HTTP2_NOTE
    assert b"of-the-wolf" not in b"".join((event.body or b"") for event in events)
    exchange = exchanges(sqlite_url)[identity]
    assert exchange.body == body
    assert exchange.request is not None
    assert exchange.request.json == {"a": 1}
    with Player(sqlite_url) as player, requests.Session() as offline:
        monkeypatch.undo()
        assert player.mount(offline).post("http://h2.test/v1", json={"a": 1}).content == body


def test_a_failure_is_recorded(session: requests.Session, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HTTP2Connection, "fails", True)
    with Recorder(sqlite_url) as recorder:
        recorder.mount(session)
        with pytest.raises(requests.ConnectionError):
            session.get("http://h2.test/")
        recorder.close()
        with pytest.raises(requests.ConnectionError):
            session.get("http://h2.test/")
    events = only(sqlite_url)
    assert types(events) == ["request_sent", "request_failed"]
    assert (end(events).facts["kind"], end(events).facts["phase"]) == ("reset", "head")
