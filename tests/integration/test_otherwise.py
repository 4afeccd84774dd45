"""A player that sends and records what it does not know: ``Player(…, otherwise=recorder)``."""

from __future__ import annotations

import asyncio
import copy
import io
import pickle
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from recorder import Player, Recorder
from tests.loopback import LoopbackServer, Script, Visit, serve
from tests.recorded import exchanges
from tests.wire import reply, wire


def body(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "stream": True}


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with serve(lambda number, _: Script(chunks=number + 1)) as made:
        yield made


def deltas(text: str, prompt: str) -> int:
    return text.count(f"[{prompt} ")


def test_what_is_known_is_played_once_and_the_rest_is_recorded(server: LoopbackServer, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder, recorder.mount(requests.Session()) as session:
        session.post(server.url, json=body("a"))
    for known in (1, 4):
        with Recorder(sqlite_url) as recorder, Player(sqlite_url, otherwise=recorder) as player:
            with player.mount(requests.Session()) as session, recorder.conversation("more"):
                told = [deltas(session.post(server.url, json=body(p)).text, p) for p in "aabc"]
                assert copy.copy(session).post(server.url, json=body(f"copied {known}")).ok
                with pytest.raises(TypeError, match="cannot be pickled"):
                    pickle.dumps(session)
            assert told == [1, 2, 3, 4]
            assert player.misses == ()
            assert player.unplayed == () or known == 4
    assert len(exchanges(sqlite_url)) == 6
    assert len(server.visits()) == 6


def test_each_attempt_of_urllib3_finds_out_for_itself(sqlite_url: str) -> None:
    def script(number: int, visit: Visit) -> Script:
        return Script(status=503) if number == 0 else Script(chunks=number)

    def session() -> requests.Session:
        made = requests.Session()
        made.mount("http://", HTTPAdapter(max_retries=Retry(2, status_forcelist=[503], allowed_methods=None)))
        return made

    with serve(script) as server:
        with Recorder(sqlite_url) as recorder, recorder.mount(requests.Session()) as plain:
            assert plain.post(server.url, json=body("a")).status_code == 503
        with Recorder(sqlite_url) as recorder, Player(sqlite_url, otherwise=recorder) as player:
            with player.mount(session()) as retrying:
                assert deltas(retrying.post(server.url, json=body("a")).text, "a") == 1
        assert len(server.visits()) == 2  # the first attempt was the recorded 503, the second one live
        with Player(sqlite_url) as player, player.mount(session()) as retrying:
            assert deltas(retrying.post(server.url, json=body("a")).text, "a") == 1
        assert len(server.visits()) == 2


class Stamping(HTTPAdapter):
    """Changes what it sends, as adapters that sign do."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = f"{request.url}?stamped=1"
        return super().send(request, *args, **kwargs)


def test_what_the_users_own_adapter_sends_is_what_is_looked_up(server: LoopbackServer, sqlite_url: str) -> None:
    for _ in range(2):
        with Recorder(sqlite_url) as recorder, Player(sqlite_url, otherwise=recorder) as player:
            session = requests.Session()
            session.mount("http://", Stamping())
            with player.mount(session):
                assert session.post(server.url, json=body("a")).ok
    assert len(server.visits()) == 1


def test_payloads_of_files_are_looked_up_and_generators_are_sent(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server:
        for _ in range(2):
            with Recorder(sqlite_url) as recorder, Player(sqlite_url, otherwise=recorder) as player:
                with player.mount(requests.Session()) as session:
                    assert session.post(server.url, data=io.BytesIO(b"bytes of a file")).ok
                    assert session.post(server.url, data=io.StringIO("text of a file")).ok
                    assert session.post(server.url, data=iter([b"from ", b"a generator"])).ok
    assert len(exchanges(sqlite_url)) == 2 + 2


def test_failures_to_connect_are_recorded_and_played(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder, Player(sqlite_url, otherwise=recorder) as player:
        with player.mount(requests.Session()) as session, pytest.raises(requests.ConnectionError) as live:
            session.post("http://127.0.0.1:9/", json={})
    with Recorder(sqlite_url) as recorder, Player(sqlite_url, otherwise=recorder) as player:
        with player.mount(requests.Session()) as session, pytest.raises(requests.ConnectionError) as played:
            session.post("http://127.0.0.1:9/", json={})
        assert player.unplayed == ()
    assert type(live.value) is type(played.value)
    assert len(exchanges(sqlite_url)) == 1


def test_threads_take_each_recording_once(server: LoopbackServer, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder, recorder.mount(requests.Session()) as session:
        for _ in range(8):
            session.post(server.url, json=body("same"))
    told: list[int] = []
    with Recorder(sqlite_url) as recorder, Player(sqlite_url, otherwise=recorder) as player:
        session = player.mount(requests.Session())

        def ask() -> None:
            told.append(deltas(session.post(server.url, json=body("same")).text, "same"))

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        session.close()
    assert sorted(told) == list(range(1, 13))
    assert len(exchanges(sqlite_url)) == 12


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_httpx_sync_and_async(server: LoopbackServer, sqlite_url: str, module: ModuleType) -> None:
    async def gathered(transport: Any) -> list[int]:
        async with module.AsyncClient(transport=transport) as client:
            answers = await asyncio.gather(*(client.post(server.url, json=body("b")) for _ in range(3)))
            return sorted(deltas(answer.text, "b") for answer in answers)

    for wrapped, own in ((module, module), (module.HTTPTransport(), module.AsyncHTTPTransport())):
        with Recorder(sqlite_url) as recorder, Player(sqlite_url, otherwise=recorder) as player:
            with module.Client(transport=player.httpx_transport(wrapped)) as client:
                with client.stream("POST", server.url, json=body("a")) as answer:
                    assert deltas("".join(answer.iter_text()), "a") == 1
            assert asyncio.run(gathered(player.httpx_transport(own))) == [2, 3, 4]
            assert player.misses == ()
    assert len(server.visits()) == 4
    assert len(exchanges(sqlite_url)) == 4


def test_with_a_closed_recorder_the_rest_is_sent_unrecorded(server: LoopbackServer, sqlite_url: str) -> None:
    recorder = Recorder(sqlite_url)
    with recorder.mount(requests.Session()) as session:
        session.post(server.url, json=body("a"))
    recorder.flush()
    with Player(sqlite_url, otherwise=recorder) as player, player.mount(requests.Session()) as session:
        recorder.close()
        assert deltas(session.post(server.url, json=body("a")).text, "a") == 1
        assert deltas(session.post(server.url, json=body("b")).text, "b") == 2
    assert len(exchanges(sqlite_url)) == 1
