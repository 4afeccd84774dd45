"""What a failure came from, below httpx: the same exceptions in a replay as at a real server."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from recorder import Player, Recorder
from recorder.faults import cut, malformed
from tests.wire import Answer, Got, chunked, reply, wire

_LINGER_NOT = struct.pack("ii", 1, 0)
_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _reset(got: Got, *sent: bytes) -> None:
    for data in sent:
        got.connection.sendall(data)
        time.sleep(0.05)  # so that it has come before the reset, which throws away what has not
    got.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def _stall(got: Got, *sent: bytes) -> None:
    for data in sent:
        got.connection.sendall(data)
    time.sleep(0.6)


def _closed(got: Got, *sent: bytes) -> None:
    for data in sent:
        got.connection.sendall(data)


ANSWERS: dict[str, Answer] = {
    "reset before the head": _reset,
    "reset in a chunked body": lambda got: _reset(got, _HEAD + b"1\r\na\r\n"),
    "reset in a body of known length": lambda got: _reset(got, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"),
    "stall before the head": _stall,
    "stall in the body": lambda got: _stall(got, _HEAD + b"1\r\na\r\n"),
    "closed before the head": _closed,
    "closed in a chunked body": lambda got: _closed(got, _HEAD + b"1\r\na\r\n"),
    "closed in a body of known length": lambda got: _closed(got, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"),
    "no head": lambda got: _closed(got, b"HTTZ/9 what\r\n\r\n"),
    "no size of a frame": lambda got: _closed(got, _HEAD + b"zz\r\na"),
}


def chain(error: BaseException | None) -> list[tuple[type, str, str]]:
    """Return an exception and what it came from; the pool takes causes away, and leaves the context.

    Without what the loops of asyncio and anyio wait by, some of which names the address of an object.
    """
    found = []
    while error is not None:
        if not isinstance(error, asyncio.CancelledError | ssl.SSLWantReadError):
            found.append((type(error), str(error), repr(error.args)))
        error = error.__cause__ or error.__context__
    return found


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    made: ModuleType = request.param
    return made


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def failing(module: ModuleType, request: pytest.FixtureRequest) -> Callable[[str, Any], list[tuple[type, str, str]]]:
    """Return what a request fails with, by a transport that is wrapped."""
    library: Any = module

    def ask(url: str, wrap: Callable[[Any], Any]) -> None:
        with library.Client(transport=wrap(library.HTTPTransport()), timeout=0.3, trust_env=False) as client:
            client.post(url, json={})

    async def ask_async(url: str, wrap: Callable[[Any], Any]) -> None:
        transport = wrap(library.AsyncHTTPTransport())
        async with library.AsyncClient(transport=transport, timeout=0.3, trust_env=False) as client:
            await client.post(url, json={})

    def fails(url: str, wrap: Callable[[Any], Any]) -> list[tuple[type, str, str]]:
        with pytest.raises(library.TransportError) as found:
            asyncio.run(ask_async(url, wrap)) if request.param else ask(url, wrap)
        return chain(found.value)

    return fails


def _compare(fails: Callable[[str, Any], list[tuple[type, str, str]]], store: str, url: str, module: Any) -> None:
    live = fails(url, lambda below: below)
    with Recorder(store) as recorder:
        assert fails(url, recorder.httpx_transport) == live
    with Player(store) as player:
        assert fails(url, lambda _: player.httpx_transport(module)) == live
    assert len(live) >= 2


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_recorded_failure_comes_from_the_same(answer: str, failing: Any, module: Any, sqlite_url: str) -> None:
    with wire(lambda got: ANSWERS[answer](got)) as server:
        _compare(failing, sqlite_url, server.url, module)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-name.invalid/"])
def test_a_connection_that_was_never_made_too(url: str, failing: Any, module: Any, sqlite_url: str) -> None:
    _compare(failing, sqlite_url, url, module)


def test_tls_that_does_not_answer_too(failing: Any, module: Any, sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server:  # which waits for the end of a head
        _compare(failing, sqlite_url, server.url.replace("http:", "https:"), module)


def test_tls_that_is_none_too(failing: Any, module: Any, sqlite_url: str) -> None:
    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply())

    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=answer)
        answering.start()
        _compare(failing, sqlite_url, f"https://127.0.0.1:{server.getsockname()[1]}/", module)
        server.shutdown(socket.SHUT_RDWR)
        answering.join()


FAULTS = {
    "reset in a chunked body": cut(after_chunks=1, how="reset"),
    "closed in a chunked body": cut(after_chunks=1),
    "stall in the body": cut(after_chunks=1, how="timeout"),
    "no size of a frame": malformed(0),
}


@pytest.mark.parametrize("answer", FAULTS)
def test_what_a_fault_raises_comes_from_the_same(answer: str, failing: Any, module: Any, tmp_path: Path) -> None:
    with wire(lambda got: ANSWERS[answer](got)) as server:
        live = failing(server.url, lambda below: below)
    store = f"sqlite:///{tmp_path / 'whole.db'}"
    with wire(lambda _: chunked(b"a", b"b")) as server:
        with (
            Recorder(store) as recorder,
            module.Client(transport=recorder.httpx_transport(module.HTTPTransport())) as c,
        ):
            c.post(server.url, json={})
        with Player(store, fault=FAULTS[answer]) as player:
            assert failing(server.url, lambda _: player.httpx_transport(module)) == live
