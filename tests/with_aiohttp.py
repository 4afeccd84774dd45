"""Asking with aiohttp: a session over a connector, a recorder's connector, a stream taken piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from recorder import Recorder
from tests.integration.test_replay import ask

Connect = Callable[[], aiohttp.BaseConnector]
Act = Callable[[aiohttp.ClientSession], Awaitable[Any]]


def acting(connect: Connect, act: Act, **settings: Any) -> Any:
    async def run() -> Any:
        async with aiohttp.ClientSession(connector=connect(), **settings) as session:
            return await act(session)

    return asyncio.run(run())


def recording(recorder: Recorder, **options: Any) -> Connect:
    return lambda: recorder.aiohttp_connector(aiohttp.TCPConnector(**options))


def asking(url: str, prompt: str = "a", **options: Any) -> Act:
    """Return what asks for a stream, and gets its pieces as they came, and the error that ended it."""

    async def act(session: aiohttp.ClientSession) -> tuple[list[bytes], str]:
        pieces: list[bytes] = []
        try:
            async with session.post(url, **{"json": ask(prompt), **options}) as answer:
                async for piece, _ in answer.content.iter_chunks():
                    pieces += [piece] if piece else []
        except (aiohttp.ClientError, TimeoutError) as error:
            return pieces, f"{type(error).__name__}: {error}"
        return pieces, ""

    return act
