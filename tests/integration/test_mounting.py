"""What is mounted stays the user's: adapters, pools, connections, pickles."""

from __future__ import annotations

import functools
import gc
import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection
from urllib3.util import Retry

from recorder import ConfigurationError, Player, Recorder, RecordingError
from tests.recorded import exchanges, linked, streams
from tests.wire import certificate, reply, server_tls, wire

# What the user mounted


class OwnAdapter(HTTPAdapter):
    """An adapter of the user's, with state of its own."""

    def __init__(self, context: ssl.SSLContext | None = None, **options: Any) -> None:
        self.context = context
        self.sends = 0
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self.context, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sends += 1
        return super().send(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name in ("sends", "max_retries", "config")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.__dict__.update(state)


def test_an_adapter_of_the_users_keeps_what_it_is_and_stays_untouched(sqlite_url: str, tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(pem))
    own = OwnAdapter(context, max_retries=Retry(2, status_forcelist=[503], backoff_factor=0), pool_maxsize=3)
    before, pools = dict(own.__dict__), own.poolmanager.pool_classes_by_scheme
    answers = iter([reply(status="503 Busy"), reply(b"ok")])
    with wire(lambda _: next(answers), server_tls(pem)) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount(server.url, own)
        recorder.mount(session)
        mounted = session.get_adapter(server.url)
        assert isinstance(mounted, OwnAdapter)
        assert type(mounted).__name__ == "OwnAdapter"
        session.verify = str(pem)
        assert session.get(server.url).content == b"ok"
        assert (mounted.sends, own.sends) == (1, 1)
        assert mounted.context is context
        assert mounted.max_retries is own.max_retries
        session.close()
    assert own.__dict__ == {**before, "sends": 1}
    assert own.poolmanager.pool_classes_by_scheme is pools
    assert own.poolmanager.__class__ is PoolManager
    assert len(linked(sqlite_url)) == 2


class TokenAdapter(HTTPAdapter):
    """Sends a token that the program changes."""

    token = "old"

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.headers["X-Desk"] = self.token
        return super().send(request, *args, **kwargs)


def test_an_adapter_that_is_changed_after_it_was_mounted(sqlite_url: str) -> None:
    own = TokenAdapter()
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", own)
        recorder.mount(session).get(server.url)
        own.token = "new"
        own.max_retries = Retry(7)
        session.get(server.url)
        assert session.get_adapter(server.url).max_retries.total == 7
        session.get_adapter(server.url).token = "newest"
        assert own.token == "newest"
    assert [{name.lower(): value for name, value in got.headers.items()}["x-desk"] for got in server.got] == [
        "old",
        "new",
    ]


def test_an_adapter_of_two_sessions_and_two_prefixes_has_one_pool(sqlite_url: str) -> None:
    own = HTTPAdapter(pool_maxsize=1, pool_block=True)
    sessions = [requests.Session() for _ in range(2)]
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        for session in sessions:
            session.mount("http://", own)
            session.mount("http://127.0.0.1", own)
            recorder.mount(session)
        assert len({id(session.adapters[at]) for session in sessions for at in ("http://", "http://127.0.0.1")}) == 1
        for session in (*sessions, *sessions):
            assert session.get(server.url).ok
        recorder.flush()
        told = [events[0].facts.get("connection") for events in streams(sqlite_url).values()]
        assert (server.connections, told) == (1, [None, 1, 1, 1])  # the head of the first left with the connecting


def test_a_connection_from_before_and_one_that_is_used_without_the_recorder(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        own, session, bare = HTTPAdapter(), requests.Session(), requests.Session()
        for each in (session, bare):
            each.mount("http://", own)
        assert session.get(server.url).ok
        assert recorder.mount(session).get(server.url).ok
        assert bare.get(server.url).ok
        assert session.get(server.url).ok
        recorder.flush()
        sent = [events[0].facts for events in streams(sqlite_url).values()]
        assert [(facts["connection"], facts["reused"]) for facts in sent] == [(1, True), (1, True)]
        assert server.connections == 1
        pools = own.poolmanager.pools
        (pool,) = [pools.get(key) for key in pools.keys()]  # noqa: SIM118 - urllib3's container does not iterate
        assert type(pool) is HTTPConnectionPool
        assert [type(one) for one in pool.pool.queue if one is not None] == [HTTPConnection]


def test_an_adapter_that_is_recorded_by_two_recorders(tmp_path: Path) -> None:
    own = HTTPAdapter(pool_maxsize=1)
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in "ab"]
    with wire(lambda _: reply()) as server, Recorder(urls[0]) as first, Recorder(urls[1]) as second:
        sessions = [requests.Session() for _ in range(2)]
        for session, recorder in zip(sessions, (first, second), strict=True):
            session.mount("http://", own)
            recorder.mount(session)
        for session in (*sessions, *sessions):
            assert session.get(server.url).ok
        assert server.connections == 1
    assert [len(exchanges(url)) for url in urls] == [2, 2]


def test_an_adapter_that_goes_to_its_pools_by_itself(sqlite_url: str) -> None:
    class Direct(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            pool = self.poolmanager.connection_from_url(request.url)
            answer = pool.urlopen("GET", "/", preload_content=False, decode_content=False)
            return self.build_response(request, answer)

    with wire(lambda _: reply(b"direct")) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", Direct())
        assert recorder.mount(session).get(server.url).content == b"direct"
        session.get_adapter(server.url).init_poolmanager(1, 1)
        assert session.get(server.url).content == b"direct"
    assert len(exchanges(sqlite_url)) == 2


def test_mounting_twice_records_once(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(recorder.mount(requests.Session()))
        assert session.get(server.url).ok
    assert len(exchanges(sqlite_url)) == 1


def test_what_is_mounted_last_takes_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in "ab"]
    own = OwnAdapter()
    with wire(lambda _: reply(b"one")) as server, Recorder(urls[0]) as first, Recorder(urls[1]) as second:
        session = requests.Session()
        session.mount("http://", own)
        assert second.mount(first.mount(session)).get(server.url).content == b"one"
        assert "is recorded by this one from now on" in caplog.text
        assert len(caplog.records) == 1
        assert type(pickle.loads(pickle.dumps(session)).get_adapter("http://x/")) is OwnAdapter
        second.flush()
        with Player(urls[1]) as player:
            assert player.mount(session).get(server.url).content == b"one"
        assert len(server.got) == 1
    assert exchanges(urls[0]) == {}
    assert len(exchanges(urls[1])) == 1


def test_a_session_whose_adapter_is_no_http_adapter_is_refused(sqlite_url: str) -> None:
    class Own(BaseAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            raise NotImplementedError

        def close(self) -> None:
            pass

    with Recorder(sqlite_url) as recorder, requests.Session() as session:
        session.mount("https://api.", Own())
        session.mount("file://", Own())
        with pytest.raises(ConfigurationError, match=r"at 'https://api\.' is a Own, not an HTTPAdapter"):
            recorder.mount(session)
        assert session.get_adapter("http://x/").__class__ is HTTPAdapter
        session.adapters.pop("https://api.")
        recorder.mount(session)  # what is not for http is left alone


def test_a_pickled_session_comes_back_plain(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("https://own.", OwnAdapter())
        session.headers["X-Kept"] = "yes"
        recorder.mount(session)
        copy = pickle.loads(pickle.dumps(session))
        assert copy.get(server.url).ok
        assert copy.headers["X-Kept"] == "yes"
        assert type(copy.get_adapter("http://x/")) is HTTPAdapter
        assert type(copy.get_adapter("https://own.x/")) is OwnAdapter
    assert exchanges(sqlite_url) == {}


class Ending(HTTPConnection):
    """A connection that is closed when nobody holds it any more, and counts what it sent."""

    _used = 0

    def __del__(self) -> None:
        self.close()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._used += 1
        super().request(*args, **{**kwargs, "headers": {**kwargs["headers"], "X-Used": str(self._used)}})


class Slotted(HTTPConnection):
    __slots__ = ("mine",)

    def connect(self) -> None:
        self.mine = "set by connect"
        super().connect()

    def getresponse(self) -> Any:
        assert self.mine == "set by connect"
        return super().getresponse()


def _through(connection: type[HTTPConnection]) -> requests.Session:
    class Pool(HTTPConnectionPool):
        ConnectionCls = connection

    session = requests.Session()
    manager: PoolManager = session.get_adapter("http://x/").poolmanager  # type: ignore[attr-defined]
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "http": Pool}
    return session


@pytest.mark.parametrize("connection", [Ending, Slotted])
def test_a_connection_class_of_the_users_is_what_it_is(connection: type[HTTPConnection], sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(_through(connection))
        for _ in range(3):
            assert session.get(server.url).ok
        assert len({got.connection for got in server.got}) == 1
        if connection is Ending:
            assert [got.headers["x-used"] for got in server.got] == ["1", "2", "3"]
    assert len(exchanges(sqlite_url)) == 3


class SlottedAdapter(HTTPAdapter):
    __slots__ = ("limit",)

    def __init__(self) -> None:
        self.limit = 3
        super().__init__()

    def __init_subclass__(cls, *, why: str) -> None:
        raise AssertionError(why)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.limit -= 1
        return super().send(*args, **kwargs)

    def close(self) -> None:
        if self.poolmanager is not None:
            super().close()
        self.poolmanager = None  # type: ignore[assignment]


def test_slots_and_an_adapter_that_gives_up_its_pools(sqlite_url: str) -> None:
    own = SlottedAdapter()
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", own)
        assert recorder.mount(session).get(server.url).ok
        assert own.limit == 2
        session.close()
        session.close()
    assert len(exchanges(sqlite_url)) == 1


def test_the_end_of_what_is_mounted_is_not_the_end_of_the_adapter(sqlite_url: str) -> None:
    class Closing(HTTPAdapter):
        def __del__(self) -> None:
            self.close()

    own = Closing()
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder, requests.Session() as plain:
        plain.mount("http://", own)
        mounted = requests.Session()
        mounted.mount("http://", own)
        recorder.mount(mounted)
        assert mounted.get(server.url).ok
        del mounted
        gc.collect()
        assert plain.get(server.url).ok
        assert len({got.connection for got in server.got}) == 1


def test_an_adapter_that_would_go_past_the_recording_is_refused(sqlite_url: str) -> None:
    own = HTTPAdapter()
    own.send = functools.partial(own.send, timeout=5)  # type: ignore[method-assign]
    with Recorder(sqlite_url) as recorder, requests.Session() as session:
        session.mount("https://own.", own)
        with pytest.raises(ConfigurationError, match="has a send that was set on the object"):
            recorder.mount(session)
        assert type(session.get_adapter("http://x/")) is HTTPAdapter


class Delegating(HTTPAdapter):
    inner = HTTPAdapter()

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        return self.inner.send(*args, **kwargs)


def test_an_adapter_that_lets_another_one_send_is_told_of(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with wire(lambda _: reply()) as server, requests.Session() as session:
        session.mount("http://", Delegating())
        with Recorder(sqlite_url) as recorder:
            recorder.mount(session)
            for _ in range(2):  # which is said once
                assert recorder.exchange(session.get(server.url)) is None
        assert [record.getMessage()[:31] for record in caplog.records] == ["recorder: an adapter answered a"]
        with Recorder(sqlite_url, on_failure="raise") as recorder:
            recorder.mount(session)
            with pytest.raises(RecordingError, match="is not recorded: mount the adapter"):
                session.get(server.url)
