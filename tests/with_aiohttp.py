"""Asking with aiohttp: a session over a connector, a recorder's connector, a stream taken piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp

from recorder import Recorder
from tests.integration.test_replay import ask

Connect = Callable[[], aiohttp.BaseConnector]
Seen = tuple[list[bytes], str]
T = TypeVar("T")


def acting(connect: Connect, act: Callable[[aiohttp.ClientSession], Awaitable[T]], **settings: Any) -> T:
    """Return what *act* does with a session of its own."""

    async def run() -> T:
        async with aiohttp.ClientSession(connector=connect(), **settings) as session:
            return await act(session)

    return asyncio.run(run())


def recording(recorder: Recorder, **options: Any) -> Connect:
    return lambda: recorder.aiohttp_connector(aiohttp.TCPConnector(**options))


def asking(url: str, prompt: str = "a", **options: Any) -> Callable[[aiohttp.ClientSession], Awaitable[Seen]]:
    """Return what asks for a stream, and gets its pieces as they came, and the error that ended it."""

    async def act(session: aiohttp.ClientSession) -> Seen:
        pieces: list[bytes] = []
        try:
            async with session.post(url, **{"json": ask(prompt), **options}) as answer:
                async for piece, _ in answer.content.iter_chunks():
                    pieces += [piece] if piece else []
        except (aiohttp.ClientError, TimeoutError) as error:
            return pieces, f"{type(error).__name__}: {error}"
        return pieces, ""

    return act
