"""Each stock library asking for the same answer: live, of a server that fails, and replayed with a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest
import requests

from recorder import Player
from recorder.faults import Fault
from tests.integration.test_replay import ask
from tests.loopback import Script, serve

CHUNKS = 6
SCRIPT = Script(chunks=CHUNKS)
FRAMES = SCRIPT.frames("a")
Seen = tuple[list[bytes], str]
Library = Callable[[str, Player | None], Seen]


def with_requests(url: str, player: Player | None) -> Seen:
    items: list[bytes] = []
    with requests.Session() as session:
        session.trust_env = False
        try:
            with (player.mount(session) if player else session).post(
                url, json=ask("a"), stream=True, timeout=5
            ) as answer:
                answer.raise_for_status()
                items.extend(answer.iter_content(None))
        except requests.RequestException as error:
            return items, told(error, url)
    return items, ""


def with_module(module: Any) -> Callable[[str, Player | None], Seen]:
    def ask_it(url: str, player: Player | None) -> Seen:
        items: list[bytes] = []
        transport = player.httpx_transport(module) if player else module.HTTPTransport()
        with module.Client(transport=transport, timeout=5, trust_env=False) as client:
            try:
                with client.stream("POST", url, json=ask("a")) as answer:
                    answer.raise_for_status()
                    items.extend(answer.iter_raw())
            except module.HTTPError as error:
                return items, told(error, url)
        return items, ""

    return ask_it


def told(error: Exception, url: str) -> str:
    return f"{type(error).__name__}: {error}".replace(url, "URL").split(" at 0x")[0].split("object")[0]


LIBRARIES = pytest.mark.parametrize(
    "library", [with_requests, with_module(httpx), with_module(httpx2)], ids=["requests", "httpx", "httpx2"]
)


def played(library: Library, recorded: tuple[str, str], fault: Fault) -> Seen:
    store, url = recorded
    with Player(store, fault=fault) as player:
        return library(url, player)


def bare(library: Library, script: Script) -> Seen:
    with serve(script) as server:
        return library(server.url, None)
