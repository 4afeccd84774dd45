"""Time that passes in no time: gaps, timeouts and faults by a virtual clock, as real servers would have shown them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import httpx
import httpx2
import pytest
import requests

from recorder import NoMatchingExchange, Player, Recorder, RecordingEnded, Store, VirtualClock
from recorder.faults import Fault, cut, late, several, stall, unreachable
from tests.upstream import BODY, FRAMES, NOON, PATH, Upstream, record_answers
from tests.wire import certificate, server_tls, wire

PATIENCE = 0.5
CONNECTING = 20.0
Raised = tuple[str, str]
Seen = tuple[list[bytes], Raised | None]
Library = Callable[[str, "Player | None", "Asked"], Seen]


def _told(error: Exception, url: str) -> Raised:
    port, kind = url.split(":")[2].partition("/")[0], type(error)
    message = str(error).replace(port, "PORT").partition("(Caused by")[0]
    return f"{kind.__module__}.{kind.__qualname__}", message


@dataclass(frozen=True)
class Asked:
    """How a client asks: seconds that it waits for a read and for a connection; whom it trusts."""

    read: float | None = PATIENCE
    connect: float = CONNECTING
    verify: str | None = None


def with_requests(url: str, player: Player | None, how: Asked) -> Seen:
    items: list[bytes] = []
    with requests.Session() as session:
        session.trust_env = False
        session.verify = how.verify or True
        try:
            with (player.mount(session) if player else session).post(
                url, json=BODY, stream=True, timeout=(how.connect, how.read)
            ) as answer:
                items.extend(answer.iter_content(None))
        except requests.RequestException as error:
            return items, _told(error, url)
    return items, None


def _settings(module: Any, player: Player | None, how: Asked) -> dict[str, Any]:
    common = {"timeout": module.Timeout(how.read, connect=how.connect), "trust_env": False}
    if player is not None:
        return {**common, "transport": player.httpx_transport(module)}
    return {**common, "verify": ssl.create_default_context(cafile=how.verify) if how.verify else True}


def with_sync(module: Any) -> Library:
    def ask(url: str, player: Player | None, how: Asked) -> Seen:
        items: list[bytes] = []
        with module.Client(**_settings(module, player, how)) as client:
            try:
                with client.stream("POST", url, json=BODY) as answer:
                    items.extend(answer.iter_raw())
            except module.HTTPError as error:
                return items, _told(error, url)
        return items, None

    return ask


def with_async(module: Any) -> Library:
    async def asked(url: str, player: Player | None, how: Asked) -> Seen:
        items: list[bytes] = []
        async with module.AsyncClient(**_settings(module, player, how)) as client:
            try:
                async with client.stream("POST", url, json=BODY) as answer:
                    async for item in answer.aiter_raw():
                        items.append(item)
            except module.HTTPError as error:
                return items, _told(error, url)
        return items, None

    return lambda url, player, how: asyncio.run(asked(url, player, how))


ALL: dict[str, Library] = {
    "requests": with_requests,
    "httpx": with_sync(httpx),
    "httpx-async": with_async(httpx),
    "httpx2": with_sync(httpx2),
    "httpx2-async": with_async(httpx2),
}

LIBRARIES = pytest.mark.parametrize("library", ALL.values(), ids=ALL)


class Live(NamedTuple):
    """What was seen at a real server: its address, a store with its whole answer, what each silence looked like."""

    url: str
    store: str
    shown: dict[tuple[str, str], Seen]


@pytest.fixture(scope="module", params=["http", "https"])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Live:
    folder = tmp_path_factory.mktemp("time")
    pem = certificate(folder) if request.param == "https" else None
    verify = str(pem) if pem else None
    store, upstream = f"sqlite:///{folder / 'store.db'}", Upstream()
    with wire(upstream, server_tls(pem) if pem else None) as server:
        url = server.url + PATH
        with Recorder(store) as recorder, recorder.mount(requests.Session()) as session:
            assert session.post(url, json=BODY, verify=verify).ok
        cases = [(name, silent) for name in ALL for silent in ("head", "body")]
        with ThreadPoolExecutor(len(cases)) as pool:  # they wait all at once
            seen = pool.map(lambda case: ALL[case[0]](f"{url}/{case[1]}", None, Asked(verify=verify)), cases)
            shown = dict(zip(cases, seen, strict=True))
        upstream.released.set()
    return Live(url, store, shown)


@pytest.mark.parametrize("library", ALL)
@pytest.mark.parametrize(
    ("silent", "fault"),
    [
        ("head", late(3600)),
        ("body", stall(3600, after_chunks=1)),
        ("body", stall(3600, after_events=1)),
        ("body", cut(after_bytes=len(FRAMES[0]), how="timeout")),
    ],
    ids=["late", "stall", "stall-by-events", "cut"],
)
def test_the_clients_timeout_fires_as_at_a_real_server_and_in_no_time(
    library: str, silent: str, fault: Fault, live: Live
) -> None:
    shown = live.shown[library, silent]
    assert shown[1] is not None
    assert shown[0] == (FRAMES[:1] if silent == "body" else [])
    clock = VirtualClock()
    with Player(live.store, clock=clock, fault=fault) as player:
        assert ALL[library](live.url, player, Asked()) == shown
    assert PATIENCE <= clock.monotonic() < PATIENCE + 60  # what was recorded before the silence, and the timeout

    clock, began = VirtualClock(), time.monotonic()
    with Player(live.store, clock=clock, fault=fault) as player:
        items, raised = ALL[library](live.url, player, Asked(read=1800.0))
    assert (items, raised and raised[0]) == (shown[0], shown[1][0])
    assert 1800 <= clock.monotonic() < 1860
    assert time.monotonic() - began < 60


@LIBRARIES
def test_a_timeout_is_the_clients_to_the_nanosecond(library: Library, sqlite_url: str) -> None:
    url = record_answers(sqlite_url)
    clock = VirtualClock(NOON)
    with Player(sqlite_url, pace=1.0, clock=clock, fault=late(12.5)) as player:
        items, raised = library(url, player, Asked(read=12.25))
    assert items == []
    assert raised is not None
    assert clock.now() == NOON + timedelta(seconds=12.25)


@LIBRARIES
def test_a_patient_client_sees_the_gap_pass(library: Library, sqlite_url: str) -> None:
    url = record_answers(sqlite_url)
    with Store(sqlite_url) as store:
        (listed,) = store.exchanges()
    clock = VirtualClock()
    with Player(sqlite_url, clock=clock, fault=several(late(7), stall(60, after_chunks=2))) as player:
        before = clock.now()
        items, raised = library(url, player, Asked(read=61))
    assert (b"".join(items), raised) == (b"".join(FRAMES), None)
    assert before.isoformat(timespec="milliseconds") == listed["started_at"][:23] + "+00:00"
    assert (clock.now() - before).total_seconds() == pytest.approx(67 + listed["duration_ms"] / 1000, abs=0.002)


@LIBRARIES
def test_on_the_real_clock_timeouts_fire_too(library: Library, sqlite_url: str) -> None:
    url = record_answers(sqlite_url)
    for fault, before in ((late(3600), []), (stall(3600, after_chunks=1), FRAMES[:1])):
        began = time.monotonic()
        with Player(sqlite_url, pace=1.0, fault=fault) as player:
            items, raised = library(url, player, Asked(read=0.05))
        assert items == before
        assert raised is not None
        assert "Time" in raised[0] or "timed out" in raised[1]
        assert 0.05 <= time.monotonic() - began < 60


@LIBRARIES
def test_without_a_pace_no_time_passes(library: Library, sqlite_url: str) -> None:
    url = record_answers(sqlite_url)
    clock = VirtualClock()
    with Player(sqlite_url, pace=0.0, clock=clock, fault=late(3600)) as player:
        assert b"".join(library(url, player, Asked())[0]) == b"".join(FRAMES)
    assert clock.monotonic() == 0.0


@LIBRARIES
@pytest.mark.parametrize("pace", [0.0, 1.0])
def test_a_client_without_a_timeout_is_told_that_it_would_wait_for_ever(
    library: Library, pace: float, sqlite_url: str
) -> None:
    url = record_answers(sqlite_url)
    fault = cut(after_chunks=1, how="timeout")
    with pytest.raises(RecordingEnded, match="no timeout for a read"):
        with Player(sqlite_url, pace=pace, clock=VirtualClock(), fault=fault) as player, suppress(RecordingEnded):
            library(url, player, Asked(read=None))
    assert len(player.ended) == 1


@LIBRARIES
def test_a_connection_that_nobody_takes(library: Library, sqlite_url: str) -> None:
    """The client's own timeout for connecting is what passes."""
    url = record_answers(sqlite_url)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # a listener whose queue is full lets nobody in
        waiting = []
        for _ in range(3):
            taken = socket.socket()
            taken.setblocking(False)
            taken.connect_ex(full.getsockname())
            waiting.append(taken)
        host = f"http://127.0.0.1:{full.getsockname()[1]}{PATH}"
        shown = library(host, None, Asked(connect=0.05))
        for taken in waiting:
            taken.close()
    clock = VirtualClock(NOON)
    with Player(sqlite_url, clock=clock, fault=unreachable("timeout")) as player:
        assert library(url, player, Asked(connect=0.05)) == shown
    assert clock.monotonic() == 0.05


def test_what_the_program_does_between_two_reads_is_not_waited_for(sqlite_url: str) -> None:
    url = record_answers(sqlite_url)
    clock = VirtualClock()
    with Player(sqlite_url, clock=clock, fault=stall(30, after_chunks=1)) as player:
        with (
            player.mount(requests.Session()) as session,
            session.post(url, json=BODY, stream=True, timeout=10) as answer,
        ):
            pieces = answer.iter_content(None)
            assert next(pieces) == FRAMES[0]
            clock.sleep(25)  # thinks it over: five seconds later the rest is there
            assert b"".join(pieces) == b"".join(FRAMES[1:])
    assert clock.monotonic() == pytest.approx(30, abs=5)


def test_what_a_virtual_clock_shows_first(sqlite_url: str) -> None:
    url = record_answers(sqlite_url, 2)
    with Store(sqlite_url) as store:
        second, first = [datetime.fromisoformat(each["started_at"]) for each in store.exchanges()]
        last = next(iter(store.exchanges()))["id"]
    clock = VirtualClock()
    with Player(sqlite_url, clock=clock):
        assert abs(clock.now() - first) < timedelta(microseconds=1)
    with Player(sqlite_url, clock=clock, exchanges=[last]):
        assert abs(clock.now() - first) < timedelta(microseconds=1)  # it has begun already
    other = VirtualClock()
    with Player(sqlite_url, clock=other, exchanges=[last]):
        assert abs(other.now() - second) < timedelta(microseconds=1)
    explicit = VirtualClock(NOON)
    with Player(sqlite_url, clock=explicit):
        assert explicit.now() == NOON
    assert url


def test_of_an_empty_store_there_is_no_date(sqlite_url: str) -> None:
    Recorder(sqlite_url).close()
    clock = VirtualClock()
    with pytest.raises(NoMatchingExchange), Player(sqlite_url, clock=clock) as player:
        player.mount(requests.Session()).get("http://127.0.0.1:9/")
    assert not clock.started
