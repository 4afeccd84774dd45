"""One recording, read by requests, httpx and httpx2: each gets the bytes that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx
import httpx2
import requests

from recorder import Player, Store

MODULES: tuple[Any, ...] = (httpx, httpx2)


def recorded(store: str) -> list[Any]:
    """Return the exchanges of a store, in the order in which they were recorded."""
    with Store(store) as opened:
        return [opened.exchange(each["id"]) for each in opened.exchanges()][::-1]


def read_by_each_library(store: str) -> int:
    """Ask for every recorded exchange by each library; return how many there are."""
    told = recorded(store)
    for each in told:
        request, body, seen = each.exchange.request, each.exchange.body, []
        payload = json.loads(request.payload)
        with Player(store, exchanges=[each.id]) as player, requests.Session() as session:
            with player.mount(session).post(request.url, json=payload, stream=True) as answer:
                seen.append(_as_far(answer.raw.stream(65536, decode_content=False), len(body)))
        for module in MODULES:
            with Player(store, exchanges=[each.id]) as player:
                with module.Client(transport=player.httpx_transport(module)) as client:
                    with client.stream("POST", request.url, json=payload) as answer:
                        seen.append(_as_far(answer.iter_raw(), len(body)))
        assert seen == [body] * 3
    return len(told)


def _as_far(pieces: Iterable[bytes], size: int) -> bytes:
    """Read as far as the SDKs did, which leave at ``[DONE]``: what a server sends after it is not recorded."""
    read = b""
    for piece in pieces:
        read += piece
        if len(read) >= size:
            break
    return read
