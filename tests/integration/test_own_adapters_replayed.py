"""Adapters as people write them, replayed: they do what they do live, and nothing reaches the network."""

from __future__ import annotations

import copy
import io
import pickle
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from recorder import NoMatchingExchange, Player, Recorder, RecordingError
from tests.adapters import KeepsPool, OwnPools, PoolPerThread, WithTimeout, over
from tests.wire import Got, reply, wire


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


def test_a_failure_of_files_is_what_it_is(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Reading(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            raise FileNotFoundError("the token's file is missing")

    with Recorder(sqlite_url):
        pass
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    with Player(sqlite_url) as player:
        with pytest.raises(OSError, match=r"invalid path: /nowhere/bundle\.pem"):
            player.mount(requests.Session()).get("https://far.example/")
        with pytest.raises(FileNotFoundError, match="token's file"):
            player.mount(over(Reading())).get("http://far.example/")
        assert player.misses == ()


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
