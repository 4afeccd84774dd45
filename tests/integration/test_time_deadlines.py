"""A deadline of the program's own, as ``asyncio.timeout``: where it ended a recorded stream, it ends a replay too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest

from recorder import Player, Recorder, RecordingEnded, VirtualClock
from tests.upstream import BODY, Upstream
from tests.wire import wire

DEADLINE = 0.4  # seconds


async def _ask(client: Any, url: str, deadline: float | None, connects: float = 0.0) -> list[bytes]:
    """What a program does that gives its answer a time, the making of client and connection included.

    :param connects: how long that takes; on replay it takes no time.
    """
    got: list[bytes] = []
    try:
        async with asyncio.timeout(deadline):
            await asyncio.sleep(connects)
            if isinstance(client, aiohttp.ClientSession):
                async with client.post(url, json=BODY) as answer:
                    async for piece, _ in answer.content.iter_chunks():
                        got += [piece] if piece else []
            else:
                async with client.stream("POST", url, json=BODY) as answer:
                    async for piece in answer.aiter_raw():
                        got.append(piece)
    except TimeoutError:
        got.append(b"timeout")
    return got


def _clients(name: str, source: Recorder | Player) -> Callable[[], Any]:
    if name == "aiohttp":
        if isinstance(source, Recorder):
            return lambda: aiohttp.ClientSession(connector=source.aiohttp_connector(aiohttp.TCPConnector()))
        return lambda: aiohttp.ClientSession(connector=source.aiohttp_connector())
    module: Any = {"httpx": httpx, "httpx2": httpx2}[name]
    if isinstance(source, Recorder):
        return lambda: module.AsyncClient(transport=source.httpx_transport(module.AsyncHTTPTransport()), timeout=None)
    return lambda: module.AsyncClient(transport=source.httpx_transport(module), timeout=None)


async def _asking(
    name: str, source: Recorder | Player, url: str, deadline: float | None = DEADLINE, connects: float = 0.0
) -> list[bytes]:
    async with _clients(name, source)() as client:
        return await _ask(client, url, deadline, connects)


def _record(name: str, sqlite_url: str, path: str) -> tuple[str, list[bytes]]:
    upstream = Upstream()
    with wire(upstream) as server, Recorder(sqlite_url) as recorder:
        got = asyncio.run(_asking(name, recorder, server.url + path, connects=0.05))
        upstream.released.set()
        return server.url + path, got


@pytest.mark.parametrize("where", ["/body", "/head"])
@pytest.mark.parametrize("name", ["httpx", "httpx2", "aiohttp"])
def test_the_deadline_comes_before_the_end_of_the_recording(name: str, where: str, sqlite_url: str) -> None:
    url, recorded = _record(name, sqlite_url, where)
    assert recorded[-1] == b"timeout"
    clock, began = VirtualClock(), time.monotonic()
    with Player(sqlite_url, clock=clock) as player, asyncio.Runner(loop_factory=clock.event_loop) as runner:
        assert runner.run(_asking(name, player, url)) == recorded
    assert player.ended == ()
    assert round(clock.monotonic(), 3) == DEADLINE
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("deadline", [None, 600.0])
def test_a_program_without_that_deadline_is_told_that_the_recording_ends(
    deadline: float | None, sqlite_url: str
) -> None:
    url, _ = _record("httpx", sqlite_url, "/body")
    clock = VirtualClock()
    with pytest.raises(RecordingEnded), Player(sqlite_url, clock=clock) as player:
        with asyncio.Runner(loop_factory=clock.event_loop) as runner:
            runner.run(_asking("httpx", player, url, deadline))
    assert clock.monotonic() < 5
