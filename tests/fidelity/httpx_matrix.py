"""The fidelity matrix for httpx and httpx2, sync and async: the same server, other ways to consume.

Behaviours that need an adapter or an auth object of requests are left out. Compared is what matrix.py says, with the
attributes of these libraries' responses; a second request on the same client shows what became of the connection.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from types import ModuleType
from typing import Any, Final

import httpx
import httpx2

from tests.fidelity.behaviours import BEHAVIOURS, Behaviour
from tests.fidelity.consumers import MOST_ITEMS, plain
from tests.fidelity.matrix import Observation, describe_awaited, reported
from tests.fidelity.passes import Seen
from tests.fidelity.server import Server

MODULES: Final = {"httpx": httpx, "httpx2": httpx2}
MODES: Final = ("sync", "async")

#: What a replay cannot have, besides what redaction replaced: a server, and the socket of the connection.
REPLAY_IGNORES: Final = ("server*", "*.cookies*", "*.headers.set-cookie.*")

#: Nothing here is encrypted, and without this each transport would load all certificate authorities.
TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Wrap = Callable[[Any], Any]


@dataclass(frozen=True)
class Way:
    """One way to consume: a method of the response, by its sync name, with arguments.

    :ivar stream: whether the response is read while it comes.
    :ivar items: so many are taken, then the consumer closes; all where None.
    :ivar close: False drops the response unread instead.
    """

    name: str
    method: str
    args: tuple[Any, ...] = ()
    stream: bool = True
    items: int | None = None
    close: bool = True


WAYS: Final = {
    way.name: way
    for way in (
        Way("iter_raw", "iter_raw"),
        Way("iter_raw_10", "iter_raw", (10,)),
        Way("iter_bytes", "iter_bytes"),
        Way("iter_bytes_1", "iter_bytes", (1,)),
        Way("iter_bytes_512", "iter_bytes", (512,)),
        Way("iter_text", "iter_text"),
        Way("iter_text_7", "iter_text", (7,)),
        Way("iter_lines", "iter_lines"),
        Way("read", "read"),
        Way("whole", "read", stream=False),
        Way("first_then_close", "iter_raw", items=1),
        Way("three_lines_then_close", "iter_lines", items=3),
        Way("close_untouched", "iter_raw", items=0),
        Way("abandon", "iter_bytes", items=1, close=False),
    )
}


def cases(step: int = 1) -> list[tuple[Behaviour, Way]]:
    """Return every behaviour with every way, or every *step*-th case of that list."""
    usable = [each for each in BEHAVIOURS.values() if each.adapter is None and each.auth is None]
    return [(behaviour, way) for behaviour in usable for way in WAYS.values()][::step]


def run(
    module: ModuleType,
    mode: str,
    chosen: Sequence[tuple[Behaviour, Way]],
    wrap: Wrap,
    server: Server,
    keys: str,
    *,
    live: bool = True,
) -> Seen:
    """Observe every case once.

    :param wrap: gets a plain transport and returns the one to use.
    :param keys: names the pass; a replay takes the name of the pass that was recorded.
    """
    seen: Seen = {}
    gc.freeze()
    for behaviour, way in chosen:
        key = f"{keys}.{behaviour.name}.{way.name}"
        if mode == "sync":
            found = _Sync(module, behaviour, way, wrap, server, key, live=live).run()
        else:
            found = asyncio.run(_Async(module, behaviour, way, wrap, server, key, live=live).run())
        seen[behaviour.name, way.name] = found
    return seen


class _Case:
    def __init__(
        self, module: ModuleType, behaviour: Behaviour, way: Way, wrap: Wrap, server: Server, key: str, *, live: bool
    ) -> None:
        self.module, self.behaviour, self.way, self.server, self.key = module, behaviour, way, server, key
        self.live = live
        self.wrap = wrap
        self.url = server.url(behaviour, key)
        self.seen = Observation()
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": behaviour.name}]}
        self.request: dict[str, Any] = {"headers": {"Authorization": "Bearer not-a-secret"}}
        if behaviour.method != "HEAD":
            self.request["json"] = body
        self.options: dict[str, Any] = {
            "trust_env": False,
            "timeout": module.Timeout(20.0, read=behaviour.read_timeout),
            "follow_redirects": True,
        }

    def reported(self) -> Observation:
        return reported(self.seen, self.server, self.key, live=self.live)

    def second(self, response: Any) -> dict[str, object]:
        return {"status": response.status_code, "headers": lines(response.headers), **response.json()}


class _Sync(_Case):
    def run(self) -> Observation:
        seen, way = self.seen, self.way
        with self.module.Client(transport=self.wrap(self.module.HTTPTransport(verify=TLS)), **self.options) as client:
            response = None
            try:
                seen.phase = "request"
                request = client.build_request(self.behaviour.method, self.url, **self.request)
                response = client.send(request, stream=way.stream)
                del request
                seen.phase = "consume"
                seen.before = attributes(response)
                for item in self._taken(response):
                    seen.items.append(plain(item))
            except Exception as error:  # whatever is raised is compared
                seen.error = describe_awaited(error)
            seen.after = attributes(response) if response is not None else {}
            if response is not None and way.close:
                response.close()
            del response
            gc.collect()
            if self.live:
                self.server.settle(self.key)
            try:
                seen.second = self.second(client.post(self.server.after_url(self.behaviour, self.key), json={"n": 2}))
            except Exception as error:  # whatever is raised is compared
                seen.second = {"error": describe_awaited(error)}
        return self.reported()

    def _taken(self, response: Any) -> Iterator[object]:
        got = getattr(response, self.way.method)(*self.way.args)
        if isinstance(got, bytes):
            yield got
            yield response.text
            return
        most = MOST_ITEMS if self.way.items is None else self.way.items
        yield from islice(got, most)


class _Async(_Case):
    async def run(self) -> Observation:
        seen, way = self.seen, self.way
        transport = self.wrap(self.module.AsyncHTTPTransport(verify=TLS))
        async with self.module.AsyncClient(transport=transport, **self.options) as client:
            response = None
            try:
                seen.phase = "request"
                request = client.build_request(self.behaviour.method, self.url, **self.request)
                response = await client.send(request, stream=way.stream)
                del request
                seen.phase = "consume"
                seen.before = attributes(response)
                async for item in self._taken(response):
                    seen.items.append(plain(item))
            except Exception as error:  # whatever is raised is compared
                seen.error = describe_awaited(error)
            seen.after = attributes(response) if response is not None else {}
            if response is not None and way.close:
                await response.aclose()
            del response
            gc.collect()
            await asyncio.sleep(0)  # what was dropped is closed by the loop
            if self.live:
                await asyncio.to_thread(self.server.settle, self.key)
            try:
                url = self.server.after_url(self.behaviour, self.key)
                seen.second = self.second(await client.post(url, json={"n": 2}))
            except Exception as error:  # whatever is raised is compared
                seen.second = {"error": describe_awaited(error)}
        return await asyncio.to_thread(self.reported)

    async def _taken(self, response: Any) -> AsyncIterator[object]:
        method = getattr(response, f"a{self.way.method}")
        got = method(*self.way.args)
        if self.way.method == "read":
            yield await got
            yield response.text
            return
        most = MOST_ITEMS if self.way.items is None else self.way.items
        if most:
            async for item in got:
                yield item
                most -= 1
                if not most:
                    break


_ATTRIBUTES: Final = (
    "status_code",
    "reason_phrase",
    "http_version",
    "encoding",
    "is_closed",
    "is_stream_consumed",
    "is_redirect",
    "num_bytes_downloaded",
)


def attributes(response: Any) -> dict[str, object]:
    """Return what can be asked of a response without reading it."""
    return {
        **{name: getattr(response, name) for name in _ATTRIBUTES},
        "url": str(response.url),
        "headers": lines(response.headers),
        "request.headers": lines(response.request.headers),
        "history": [(each.status_code, str(each.url)) for each in response.history],
        "cookies": sorted(response.cookies),
        "extensions": sorted(response.extensions),
    }


def lines(headers: Any) -> list[str]:
    """Return header lines with the names as they came."""
    return [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in headers.raw]
