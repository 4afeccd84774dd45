"""Adapters and connections as people write them: recorded and replayed, they do what they did without."""

from __future__ import annotations

import copy
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from recorder import ConfigurationError, Player, Recorder
from tests.adapters import KeepsManager, KeepsPool, PoolPerThread, WithTimeout, over
from tests.recorded import exchanges, in_order
from tests.wire import proxy, reply, wire


def test_an_adapter_that_takes_keywords_only_is_recorded_and_replayed(sqlite_url: str) -> None:
    with wire(lambda _: reply(b"kept")) as server:
        with Recorder(sqlite_url) as recorder:
            assert recorder.mount(over(WithTimeout())).get(server.url).content == b"kept"
        url = server.url
    with Player(sqlite_url) as player:
        session = player.mount(over(WithTimeout()))
        assert session.get(url).content == b"kept"


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
