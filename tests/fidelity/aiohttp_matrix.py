"""The fidelity matrix for aiohttp: the same server, the ways to consume that its documentation shows.

Behaviours that need an adapter or an auth object of requests are left out. Compared is what matrix.py says, with the
attributes of aiohttp's responses; a second request on the same session shows what became of the connection.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from tests.fidelity.behaviours import BEHAVIOURS, Behaviour
from tests.fidelity.consumers import MOST_ITEMS, plain
from tests.fidelity.matrix import Observation, describe_awaited, reported
from tests.fidelity.passes import Seen
from tests.fidelity.server import Server

#: What a replay cannot have, besides what redaction replaced: a server, and connections that are kept.
REPLAY_IGNORES: Final = ("server*", "*.cookies*", "*.headers.*", "*request.headers*")

#: After a malformed frame, aiohttp 3.14 by itself neither goes on nor fails, whatever its timeouts.
_WAITS_FOR_EVER: Final = frozenset({"bad_chunk_size", "bad_frame_end"})

#: aiohttp has one object for all empty bodies, whose chunks are others when it is asked for the first time.
_WITHOUT_BODY: Final = frozenset({"no_content_204", "not_modified_304", "head"})

Make = Callable[[], aiohttp.BaseConnector]


@dataclass(frozen=True)
class Way:
    """One way to consume.

    :ivar method: of the response, or of its ``content``, with arguments; ``async for`` where it is empty.
    :ivar items: so many are taken, then the consumer closes; all where None.
    """

    name: str
    method: str
    args: tuple[Any, ...] = ()
    items: int | None = None


WAYS: Final = {
    way.name: way
    for way in (
        Way("iter_any", "content.iter_any"),
        Way("iter_chunks", "content.iter_chunks"),
        Way("iter_chunked_10", "content.iter_chunked", (10,)),
        Way("iter_chunked_512", "content.iter_chunked", (512,)),
        Way("lines", "content"),
        Way("readline", "content.readline"),
        Way("readany", "content.readany"),
        Way("readchunk", "content.readchunk"),
        Way("read", "read"),
        Way("text", "text"),
        Way("first_then_close", "content.iter_any", items=1),
        Way("three_lines_then_close", "content", items=3),
        Way("close_untouched", "content.iter_any", items=0),
    )
}


def cases(step: int = 1) -> list[tuple[Behaviour, Way]]:
    """Return every behaviour with every way, or every *step*-th case of that list."""
    usable = [
        each
        for each in BEHAVIOURS.values()
        if each.adapter is None and each.auth is None and each.name not in _WAITS_FOR_EVER
    ]
    both = [(behaviour, way) for behaviour in usable for way in WAYS.values()]
    return [each for each in both if each[1].name != "iter_chunks" or each[0].name not in _WITHOUT_BODY][::step]


def run(chosen: Sequence[tuple[Behaviour, Way]], make: Make, server: Server, keys: str, *, live: bool = True) -> Seen:
    """Observe every case once.

    :param make: returns the connector to use.
    :param keys: names the pass; a replay takes the name of the pass that was recorded.
    """
    seen: Seen = {}
    gc.freeze()
    for behaviour, way in chosen:
        key = f"{keys}.{behaviour.name}.{way.name}"
        seen[behaviour.name, way.name] = asyncio.run(_Case(behaviour, way, make, server, key, live=live).run())
    return seen


class _Case:
    def __init__(self, behaviour: Behaviour, way: Way, make: Make, server: Server, key: str, *, live: bool) -> None:
        self.behaviour, self.way, self.make, self.server, self.key = behaviour, way, make, server, key
        self.live = live
        self.seen = Observation()

    async def run(self) -> Observation:
        seen, behaviour = self.seen, self.behaviour
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=behaviour.read_timeout)
        headers = {"Authorization": "Bearer not-a-secret"}
        async with aiohttp.ClientSession(connector=self.make(), timeout=timeout, headers=headers) as session:
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": behaviour.name}]}
            asked: dict[str, Any] = {} if behaviour.method == "HEAD" else {"json": body}
            response = None
            try:
                seen.phase = "request"
                url = self.server.url(behaviour, self.key)
                response = await session.request(behaviour.method, url, allow_redirects=True, **asked)
                seen.phase = "consume"
                seen.before = attributes(response)
                async for item in self._taken(response):
                    seen.items.append(plain(item))
            except Exception as error:  # whatever is raised is compared
                seen.error = describe_awaited(error)
            seen.after = attributes(response) if response is not None else {}
            if response is not None:
                response.close()
            del response
            await asyncio.sleep(0)  # what was closed is closed by the loop
            if self.live:
                await asyncio.to_thread(self.server.settle, self.key)
            try:
                after = self.server.after_url(behaviour, self.key)
                async with session.post(after, json={"n": 2}) as again:
                    seen.second = {"status": again.status, "headers": lines(again), **(await again.json())}
            except Exception as error:  # whatever is raised is compared
                seen.second = {"error": describe_awaited(error)}
        return await asyncio.to_thread(reported, seen, self.server, self.key, live=self.live)

    async def _taken(self, response: Any) -> AsyncIterator[object]:
        way, most = self.way, MOST_ITEMS if self.way.items is None else self.way.items
        if way.method in ("read", "text"):
            yield await getattr(response, way.method)()
            return
        _, _, name = way.method.partition(".")
        if name in ("readline", "readany", "readchunk"):
            while (item := await getattr(response.content, name)()) and item[:1] != (b"",):
                yield item
            return
        if most:
            async for item in getattr(response.content, name)(*way.args) if name else response.content:
                yield item
                most -= 1
                if not most:
                    break


def attributes(response: aiohttp.ClientResponse) -> dict[str, object]:
    """Return what can be asked of a response without reading it."""
    return {
        "status": response.status,
        "reason": response.reason,
        "ok": response.ok,
        "version": str(response.version),
        "closed": response.closed,
        "at_eof": response.content.at_eof(),
        "content_type": response.content_type,
        "charset": response.charset,
        "url": str(response.url),
        "headers": lines(response),
        "request.headers": sorted(response.request_info.headers),
        "history": [(each.status, str(each.url)) for each in response.history],
        "cookies": sorted(response.cookies),
    }


def lines(response: aiohttp.ClientResponse) -> list[str]:
    """Return header lines with the names as they came."""
    return [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in response.raw_headers]
