"""Adapters and connections as people write them: recorded and replayed, they do what they did without."""

from __future__ import annotations

import copy
import http.client
import io
import pickle
import threading
import weakref
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, PoolManager
from urllib3.connection import HTTPConnection
from urllib3.util import Retry

from recorder import ConfigurationError, NoMatchingExchange, Player, Recorder, RecordingError
from tests.recorded import exchanges, in_order, types
from tests.recorded import streams as recorded_streams
from tests.wire import Got, proxy, reply, wire


def over(adapter: HTTPAdapter) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    return session


class WithTimeout(HTTPAdapter):
    """The recipe that half of the world uses."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        kwargs["timeout"] = kwargs.get("timeout") or 5
        return super().send(request, **kwargs)


def test_an_adapter_that_takes_keywords_only_is_recorded_and_replayed(sqlite_url: str) -> None:
    with wire(lambda _: reply(b"kept")) as server:
        with Recorder(sqlite_url) as recorder:
            assert recorder.mount(over(WithTimeout())).get(server.url).content == b"kept"
        url = server.url
    with Player(sqlite_url) as player:
        session = player.mount(over(WithTimeout()))
        assert session.get(url).content == b"kept"


def test_a_replayed_answer_asks_no_proxy_however_it_is_given(sqlite_url: str) -> None:
    with wire(lambda _: reply(b"kept")) as server:
        with Recorder(sqlite_url) as recorder:
            for _ in range(2):
                recorder.mount(requests.Session()).get(server.url)
        url = server.url
    dead = {"http": "http://127.0.0.1:1"}
    with Player(sqlite_url) as player:
        session = player.mount(requests.Session())
        assert session.get(url, proxies=dead).content == b"kept"
        prepared = session.prepare_request(requests.Request("GET", url))
        assert session.get_adapter(url).send(prepared, False, 1, True, None, dead).content == b"kept"


def test_a_proxy_that_could_not_be_reached_is_that_again(sqlite_url: str) -> None:
    dead = {"http": "http://127.0.0.1:1", "https": "http://127.0.0.1:1"}
    urls = ("http://far.example/", "https://far.example/")
    with Recorder(sqlite_url) as recorder, requests.Session() as session:
        recorder.mount(session)
        for url in urls:
            with pytest.raises(requests.exceptions.ProxyError):
                session.get(url, proxies=dead)
    with Player(sqlite_url) as player, requests.Session() as session:
        player.mount(session)
        for url in urls:
            with pytest.raises(requests.exceptions.ProxyError, match="Unable to connect to proxy"):
                session.get(url, proxies=dead)


class KeepsPool(HTTPAdapter):
    """One host, so the pool is looked up once."""

    pool: Any = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        if self.pool is None:
            self.pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self.pool

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        if self.pool is None:
            self.pool = super().get_connection(*args, **kwargs)
        return self.pool


class KeepsManager(HTTPAdapter):
    """Goes to the pool manager that it found first."""

    manager: Any = None

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if self.manager is None:
            self.manager = self.poolmanager
        answer = self.manager.urlopen(
            request.method, request.url, body=request.body, headers=dict(request.headers), preload_content=False
        )
        return self.build_response(request, answer)


@pytest.mark.parametrize("own", [KeepsPool, KeepsManager])
def test_what_an_adapter_keeps_of_one_recording_is_none_of_the_next(own: type[HTTPAdapter], tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in "ab"]
    adapter = own()
    with wire(lambda _: reply()) as server:
        session = over(adapter)
        for url in urls:
            with Recorder(url) as recorder:
                recorder.mount(session)
                assert session.get(server.url).ok
        assert session.get(server.url).ok
    assert [len(exchanges(url)) for url in urls] == [1, 1]


@pytest.mark.parametrize("own", [KeepsPool, KeepsManager])
def test_an_adapter_of_two_recorders_records_for_the_session_and_by_its_rules(
    own: type[HTTPAdapter], tmp_path: Path
) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("open", "private")]
    adapter = own()
    with wire(lambda _: reply()) as server, Recorder(urls[0]) as first:
        with Recorder(urls[1], redact=["body:password"], on_failure="raise") as second:
            plain, private = first.mount(over(adapter)), second.mount(over(adapter))
            assert plain.post(server.url, json={"a": 1}).ok
            sent = private.post(server.url, json={"password": "SEKRIT"})
            assert second.exchange(sent) is not None
    assert [len(exchanges(url)) for url in urls] == [1, 1]
    assert not [path for path in tmp_path.iterdir() if path.is_file() and b"SEKRIT" in path.read_bytes()]
    assert [one.request.payload for one in in_order(urls[0]) if one.request] == [b'{"a": 1}']


class PoolPerThread(HTTPAdapter):
    """One pool manager for each thread."""

    def __init__(self) -> None:
        self._own = threading.local()
        super().__init__()

    @property
    def poolmanager(self) -> Any:  # type: ignore[override]
        if not hasattr(self._own, "manager"):
            self._own.manager = PoolManager(1, 1)
        return self._own.manager

    @poolmanager.setter
    def poolmanager(self, made: Any) -> None:
        self._own.manager = made


def test_a_pool_manager_that_is_a_property_stays_one(sqlite_url: str) -> None:
    own = PoolPerThread()
    found: list[int] = []
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(over(own))

        def work() -> None:
            assert session.get(server.url).ok
            found.append(id(own.poolmanager))

        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert session.get(server.url).ok
        assert "poolmanager" not in own.__dict__
        assert server.connections == 3
    assert len(exchanges(sqlite_url)) == 3


def test_a_send_that_is_set_after_mounting_is_used_and_told_of(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = HTTPAdapter()
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(over(own))
        asked: list[str] = []
        plain = own.send

        def send(request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            asked.append(str(request.url))
            return plain(request, **kwargs)

        session.get_adapter(server.url).send = send  # type: ignore[method-assign]
        assert own.send is send
        assert session.get(server.url).ok
        assert len(asked) == 1
        assert "an adapter answered a request by other means" in caplog.text
        del session.get_adapter(server.url).send
        assert session.get(server.url).ok
    assert len(exchanges(sqlite_url)) == 1


def test_what_an_adapter_sends_through_a_proxys_manager_is_recorded(sqlite_url: str) -> None:
    with wire(proxy) as server, Recorder(sqlite_url) as recorder:

        class Proxied(HTTPAdapter):
            def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
                manager = self.proxy_manager_for(server.url)
                return self.build_response(request, manager.urlopen("GET", request.url, preload_content=False))

        with wire(lambda _: reply(b"far")) as target:
            assert recorder.mount(over(Proxied())).get(target.url).content == b"far"
    assert len(exchanges(sqlite_url)) == 1


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


def test_settings_that_are_kept_by_adapter_are_found(sqlite_url: str) -> None:
    settings: weakref.WeakKeyDictionary[HTTPAdapter, dict[str, str]] = weakref.WeakKeyDictionary()

    class Configured(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            request.headers.update(settings[self])
            return super().send(request, *args, **kwargs)

    own = Configured()
    settings[own] = {"X-Desk": "eurusd"}
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(over(own))
        assert session.get(server.url).ok
        assert [got.headers["x-desk"] for got in server.got] == ["eurusd"]
        assert session.get_adapter(server.url) == own
        assert session.get_adapter(server.url) != HTTPAdapter()


@pytest.mark.parametrize("mounting", ["recorder", "player"])
def test_a_deep_copy_of_a_session_works_whatever_its_adapters_are(mounting: str, sqlite_url: str) -> None:
    class Local(HTTPAdapter):
        pass

    class Patient(Retry):
        pass

    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(over(Local(max_retries=Patient(1))))
        assert session.get(server.url).ok
        recorder.flush()
        with Player(sqlite_url) as player:
            if mounting == "player":
                player.mount(session)
                assert session.get(server.url).ok
            copied = copy.deepcopy(session)
            assert isinstance(copied.get_adapter(server.url), Local)
            assert type(copied.get_adapter(server.url).max_retries) is Patient
            assert isinstance(copy.copy(session.get_adapter(server.url)), Local)
            if mounting == "recorder":
                assert type(copied.get_adapter(server.url)) is Local
                assert copied.get(server.url).ok
                assert len(server.got) == 2
                player.mount(requests.Session()).get(server.url)
    assert len(exchanges(sqlite_url)) == 1


class Final(type):
    """A metaclass that allows no subclass."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if any(isinstance(base, Final) for base in bases):
            raise TypeError(f"{bases[-1].__name__} is final")
        return super().__new__(mcs, name, bases, namespace)


def test_an_adapter_whose_class_allows_no_subclass_is_refused(sqlite_url: str) -> None:
    class Sealed(HTTPAdapter, metaclass=Final):
        pass

    with Recorder(sqlite_url) as recorder:
        with pytest.raises(ConfigurationError, match="its class Sealed allows no subclass"):
            recorder.mount(over(Sealed()))
        recorder.flush()
        with Player(sqlite_url) as player, pytest.raises(ConfigurationError, match="cannot be replayed, its class"):
            player.mount(over(Sealed()))


def test_the_end_of_a_replaying_adapter_is_not_the_end_of_the_users(sqlite_url: str) -> None:
    ended: list[int] = []

    class Closing(HTTPAdapter):
        def __init_subclass__(cls, **_: Any) -> None:
            raise AssertionError("no subclass of this one")

        def __del__(self) -> None:
            ended.append(id(self))

    own = Closing()
    with Recorder(sqlite_url):
        pass
    with Player(sqlite_url) as player:
        session = player.mount(over(own))
        session.adapters.clear()
        assert ended == []
    del own, session
    assert len(ended) == 1


class OwnPools(HTTPAdapter):
    """Makes its pools by itself, as adapters for other kinds of sockets do."""

    def __init__(self) -> None:
        super().__init__()
        self.own: dict[str, HTTPConnectionPool] = {}

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        url = urlsplit(str(request.url))
        return self.own.setdefault(url.netloc, HTTPConnectionPool(str(url.hostname), url.port))

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        parts = urlsplit(str(url))
        return self.own.setdefault(parts.netloc, HTTPConnectionPool(str(parts.hostname), parts.port))


@pytest.mark.parametrize("own", [KeepsPool, OwnPools, PoolPerThread, WithTimeout, HTTPAdapter])
@pytest.mark.parametrize("used", [False, True])
def test_a_player_answers_for_every_adapter_and_never_asks_the_network(
    own: type[HTTPAdapter], used: bool, sqlite_url: str
) -> None:
    adapter = own()
    with wire(lambda _: reply(b"live")) as server:
        if used:  # so that there are live connections in its pools
            assert over(adapter).get(server.url).content == b"live"
        with Recorder(sqlite_url) as recorder:
            assert recorder.mount(over(own())).get(server.url).content == b"live"
        asked = len(server.got)
        with pytest.raises(NoMatchingExchange), Player(sqlite_url) as player:
            session = player.mount(over(adapter))
            assert session.get(server.url).content == b"live"
            assert len(server.got) == asked
            with pytest.raises(NoMatchingExchange):
                session.post(server.url, json={"buy": 1_000_000})
            assert len(player.misses) == 1
        assert len(server.got) == asked
        assert over(adapter).get(server.url).content == b"live"  # and it is the user's again
        assert len(server.got) == asked + 1


@pytest.mark.parametrize("cached", [False, True])
def test_an_answer_from_elsewhere_is_a_miss_but_not_one_from_a_cache(cached: bool, sqlite_url: str) -> None:
    class Elsewhere(HTTPAdapter):
        other = HTTPAdapter()

        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            if cached:
                kept = HTTPResponse(io.BytesIO(b"kept"), status=200, preload_content=False)
                return self.build_response(request, kept)
            return self.other.send(request, *args, **kwargs)

    with Recorder(sqlite_url, on_failure="raise") as recorder:
        if cached:
            assert recorder.mount(over(Elsewhere())).get("http://far.example/").content == b"kept"
    leaving: AbstractContextManager[Any] = nullcontext() if cached else pytest.raises(NoMatchingExchange)
    with wire(lambda _: reply(b"live")) as server, leaving, Player(sqlite_url) as player:
        session = player.mount(over(Elsewhere()))
        if cached:
            assert session.get(server.url).content == b"kept"
            assert player.misses == ()
        else:
            with pytest.raises(NoMatchingExchange, match="mount the adapter that sends"):
                session.get(server.url)
            (miss,) = player.misses
            assert miss.request == f"GET {server.url}/"


class Failover(HTTPAdapter):
    """Asks another place by another adapter when the first one is busy, or gone."""

    def __init__(self) -> None:
        super().__init__()
        self.backup = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            response = super().send(request, *args, **kwargs)
        except requests.ConnectionError:
            response = None
        if response is not None and response.status_code != 503:
            return response
        if response is not None:
            response.close()
        again = request.copy()
        again.url = str(request.url).replace("/primary", "/backup")
        return self.backup.send(again, *args, **kwargs)


def test_an_answer_from_elsewhere_after_one_of_ours_is_noticed_too(sqlite_url: str) -> None:
    def busy(got: Got) -> bytes:
        return reply(b"done") if got.target.startswith("/backup") else reply(status="503 Busy")

    with wire(busy) as server:
        url = f"{server.url}/primary"
        with Recorder(sqlite_url, on_failure="raise") as recorder:
            session = recorder.mount(over(Failover()))
            with pytest.raises(RecordingError, match="mount the adapter"):
                session.post(url, json={"buy": 1})
        with Recorder(sqlite_url) as recorder:
            response = recorder.mount(over(Failover())).post(url, json={"buy": 1})
            assert response.content == b"done"
            assert recorder.exchange(response) is None
        with pytest.raises(NoMatchingExchange), Player(sqlite_url) as player:
            with pytest.raises(NoMatchingExchange, match="mount the adapter"):
                player.mount(over(Failover())).post(url, json={"buy": 1})
            assert len(player.misses) == 1


def test_a_failure_of_the_network_in_a_replay_is_a_miss(sqlite_url: str) -> None:
    class Handing(HTTPAdapter):
        other = HTTPAdapter()

        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            return self.other.send(request, *args, **kwargs)

    with Recorder(sqlite_url):
        pass
    with pytest.raises(NoMatchingExchange), Player(sqlite_url) as player:
        session = player.mount(over(Handing()))
        with suppress(requests.ConnectionError, NoMatchingExchange):
            session.post("http://127.0.0.1:1/", json={"buy": 1})
        assert len(player.misses) == 1


def test_what_never_got_so_far_is_no_miss(sqlite_url: str) -> None:
    with Recorder(sqlite_url):
        pass
    with Player(sqlite_url) as player, pytest.raises(requests.exceptions.InvalidURL):
        player.mount(requests.Session()).get("http://exa mple:x/")


def test_a_copy_of_a_replayed_session_is_replayed_and_a_pickle_is_refused(sqlite_url: str) -> None:
    with wire(lambda _: reply(b"live")) as server:
        with Recorder(sqlite_url) as recorder:
            assert recorder.mount(over(WithTimeout())).get(server.url).ok
        asked = len(server.got)
        with Player(sqlite_url) as player:
            session = player.mount(over(WithTimeout()))
            with pytest.raises(TypeError, match="would ask the network"):
                pickle.dumps(session)
            assert copy.deepcopy(session).get(server.url).content == b"live"
        assert len(server.got) == asked


def test_a_connection_that_is_refused_after_a_streamed_payload_is_refused_again(sqlite_url: str) -> None:
    with wire(lambda _: reply(b"ok", "connection: close")) as server:
        url = server.url
        with Recorder(sqlite_url) as recorder:
            session = recorder.mount(requests.Session())
            assert session.post(url, data=iter([b"ab", b"cd"])).ok
    with Recorder(sqlite_url) as recorder, pytest.raises(requests.ConnectionError) as live:
        recorder.mount(requests.Session()).post(url, data=b"later")
    with Player(sqlite_url) as player:
        session = player.mount(requests.Session())
        assert session.post(url, data=iter([b"ab", b"cd"])).ok
        with pytest.raises(requests.ConnectionError) as again:
            session.post(url, data=b"later")
    assert type(again.value.args[0]) is type(live.value.args[0])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/u", "https://127.0.0.1:1/u"])
def test_a_refused_request_with_a_streamed_payload_is_refused_again(url: str, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder, pytest.raises(requests.ConnectionError):
        recorder.mount(requests.Session()).post(url, data=iter([b"ab", b"cd"]))
    with Player(sqlite_url) as player:
        session = player.mount(requests.Session())
        with pytest.raises(requests.ConnectionError, match="Connection refused"):
            session.post(url, data=iter([b"ab", b"cd"]))
        assert player.unplayed == ()
    with pytest.raises(NoMatchingExchange), Player(sqlite_url) as player:
        player.mount(requests.Session()).post(url.replace("/u", "/other"), data=iter([b"ab"]))
