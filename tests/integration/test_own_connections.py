"""Connections as people write them: recorded, they do what they did without."""

from __future__ import annotations

import http.client
import io
import threading
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from recorder import NoMatchingExchange, Player, Recorder, RecordingError
from tests.adapters import over
from tests.recorded import streams as recorded_streams
from tests.recorded import types
from tests.wire import reply, wire


class Equal(HTTPConnection):
    """A connection that is equal to any other to the same host."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal) and (self.host, self.port) == (other.host, other.port)

    def __hash__(self) -> int:
        return hash((self.host, self.port))


class Unhashable(HTTPConnection):
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


def _through(connection: type[HTTPConnection]) -> requests.Session:
    class Pool(HTTPConnectionPool):
        ConnectionCls = connection

    adapter = HTTPAdapter(pool_maxsize=8)
    manager = adapter.poolmanager
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "http": Pool}
    return over(adapter)


@pytest.mark.parametrize("connection", [Equal, Unhashable])
def test_connections_are_told_apart_whatever_they_say_they_are_equal_to(
    connection: type[HTTPConnection], sqlite_url: str
) -> None:
    with wire(lambda _: reply(b"x" * 2000)) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(_through(connection))

        def work() -> None:
            for _ in range(10):
                assert session.get(server.url).ok

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorder.health().ok
    kinds = [types(events) for events in recorded_streams(sqlite_url).values()]
    assert len(kinds) == 80
    assert {(each[0], each[-1]) for each in kinds} == {("request_sent", "response_completed")}


class Marked(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        self.headers["X-Seen"] = "1"


class MakesMarked(HTTPConnection):
    response_class = Marked


class MakesMarkedItself(HTTPConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.response_class = Marked


class MakesByFunction(HTTPConnection):
    @staticmethod
    def response_class(*args: Any, **kwargs: Any) -> Any:
        return Marked(*args, **kwargs)


class Counted(io.BufferedReader):
    """A file that is put in the place of the socket's, as by those who count bytes."""


class Counting(http.client.HTTPResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = Counted(self.fp.detach())

    def begin(self) -> None:
        super().begin()
        self.headers["X-Seen"] = "1"


class MakesCounting(HTTPConnection):
    response_class = Counting


@pytest.mark.parametrize("connection", [MakesMarked, MakesMarkedItself, MakesByFunction, MakesCounting])
def test_responses_are_of_the_class_that_the_connection_makes_them_of(
    connection: type[HTTPConnection], sqlite_url: str
) -> None:
    with wire(lambda _: reply()) as server:
        with Recorder(sqlite_url) as recorder:
            session = _through(connection)
            recorder.mount(session)
            for _ in range(2):
                assert session.get(server.url).headers["X-Seen"] == "1"
        assert session.get(server.url).headers["X-Seen"] == "1"
    kinds = [types(events) for events in recorded_streams(sqlite_url).values()]
    if connection in (MakesByFunction, MakesCounting):
        assert [each[-2:] for each in kinds] == [["gap_recorded", "recorder_closed"]] * 2
    else:
        assert [each[-1] for each in kinds] == ["response_completed"] * 2


class FromElsewhere(HTTPConnection):
    """Has its answers from another connection, which it keeps to itself, as vcrpy's does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.other = HTTPConnection(*args, **kwargs)

    def connect(self) -> None:
        pass

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("enforce_content_length", None)
        self.other.request(method, url, *args, **kwargs)

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        return self.other.getresponse(*args, **kwargs)

    def close(self) -> None:
        self.other.close()


def test_a_connection_that_goes_past_the_recording_is_noticed(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with wire(lambda _: reply(b"yes")) as server:
        with Recorder(sqlite_url) as recorder:
            for session in (requests.Session(), _through(FromElsewhere)):
                with recorder.mount(session):
                    assert session.get(server.url).ok
            assert "by other means than its own connections" in caplog.text
        with Recorder(sqlite_url, on_failure="raise") as recorder:
            with recorder.mount(_through(FromElsewhere)) as session:
                with pytest.raises(RecordingError, match="by other means"):
                    session.get(server.url)
        player = Player(sqlite_url)
        with player.mount(_through(FromElsewhere)) as session:
            with pytest.raises(NoMatchingExchange, match="by other means"):
                session.get(server.url)
        assert len(player.misses) == 1
        player.close()
