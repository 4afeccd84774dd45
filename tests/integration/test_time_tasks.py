"""A virtual clock with several who wait: threads with their own timeouts, tasks that take turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import requests

from recorder import Player, Recorder, VirtualClock
from recorder.faults import late, several, stall
from tests.upstream import BODY, NOON, PATH, Upstream, record_answers
from tests.wire import wire


def test_of_threads_each_has_its_own_timeouts(sqlite_url: str) -> None:
    """Whether one fires depends on the recording and on the client, not on what other threads replay meanwhile."""
    url = record_answers(sqlite_url, 12)
    faults = {f"answer {number}": late(10 * (number % 3 + 1)) for number in range(12)}
    clock, shown = VirtualClock(), []

    with Player(sqlite_url, clock=clock, fault=faults) as player:

        def ask(_: int) -> tuple[bool, bool]:
            seen = []
            with player.mount(requests.Session()) as session:
                seen.append(clock.monotonic())
                try:
                    fired = not session.post(url, json=BODY, timeout=25).ok
                except requests.Timeout:
                    fired = True
                seen.append(clock.monotonic())
            return fired, seen == sorted(seen)

        with ThreadPoolExecutor(6) as pool:
            shown = list(pool.map(ask, range(12)))
        assert not player.unplayed
    assert sum(fired for fired, _ in shown) == 4  # of every three: 10 and 20 seconds are in time, 30 are not
    assert all(forward for _, forward in shown)
    assert 25 <= clock.monotonic() < 230


async def _streamed(player: Player, module: Any, url: str, told: Callable[[str], None], name: str) -> None:
    async with module.AsyncClient(transport=player.httpx_transport(module), timeout=500) as client:
        async with client.stream("POST", url, json={**BODY, "who": name}) as answer:
            async for piece in answer.aiter_raw():
                told(f"{name}: {piece.decode().strip()}")


@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_in_a_loop_that_lives_by_the_clock_tasks_take_turns(module: Any, sqlite_url: str) -> None:
    """Two answers at once, the timeout of the whole, a sleep of the program's own: all of them in order."""
    with wire(Upstream()) as server, Recorder(sqlite_url) as recorder, recorder.mount(requests.Session()) as session:
        for name in ("a", "b"):
            with recorder.conversation(name):
                session.post(server.url + PATH, json={**BODY, "who": name})
        url = server.url + PATH
    faults = {"a": stall(100, after_chunks=1), "b": several(late(30), stall(40, after_chunks=2))}
    clock, told = VirtualClock(NOON), []

    def tell(what: str) -> None:
        told.append((round(clock.monotonic()), what))

    async def main(player: Player) -> None:
        async def tick() -> None:
            await asyncio.sleep(60)
            tell("tick")

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(90):
                await asyncio.gather(
                    _streamed(player, module, url, tell, "a"), _streamed(player, module, url, tell, "b"), tick()
                )
        tell("timeout")

    began = time.monotonic()
    with Player(sqlite_url, clock=clock, fault=faults) as player:
        with asyncio.Runner(loop_factory=clock.event_loop) as runner:
            runner.run(main(player))
    assert told == [
        (0, "a: data: one"),
        (30, "b: data: one"),
        (30, "b: data: two"),
        (60, "tick"),
        (70, "b: data: three"),
        (90, "timeout"),
    ]
    assert time.monotonic() - began < 60


def test_tasks_of_any_loop_that_ask_at_the_same_moment(sqlite_url: str) -> None:
    with wire(Upstream()) as server, Recorder(sqlite_url) as recorder, recorder.mount(requests.Session()) as session:
        for name in ("a", "b"):
            with recorder.conversation(name):
                session.post(server.url + PATH, json={**BODY, "who": name})
        url = server.url + PATH
    clock, told = VirtualClock(NOON), []

    async def main(player: Player) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_streamed, player, httpx, url, told.append, "a")
            tasks.start_soon(_streamed, player, httpx, url, told.append, "b")

    with Player(sqlite_url, clock=clock, fault={"a": late(5), "b": late(3)}) as player:
        asyncio.run(main(player))
    assert len(told) == 6
    assert 5 <= clock.monotonic() < 8
