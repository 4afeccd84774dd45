"""What recording adds to a chunk on its way through httpx and asyncio: 64 streams in one event loop.

As :mod:`bench.latency`, with one thread for all streams: what recording takes of it, all of them wait for.

    python -m bench.latency_async [seconds per round]
"""

from __future__ import annotations

import asyncio
import sys
import time

import httpx

from bench.latency import PER_SECOND, ROUNDS, SIZE, STREAMS, tell
from bench.measure import scratch, server
from recorder import Recorder

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=STREAMS)


async def delays(client: httpx.AsyncClient, base: str, seconds: float) -> list[float]:
    """Return the delay of every chunk of 64 concurrent streams, in milliseconds."""
    url = f"{base}/{int(PER_SECOND * seconds)}/{1_000_000 // PER_SECOND}/{SIZE}"

    async def consume(place: int) -> list[float]:
        await asyncio.sleep(place / STREAMS / PER_SECOND)  # streams of different users do not tick in step
        async with client.stream("POST", url, json={"prompt": "p"}) as response:
            return [(time.monotonic_ns() - int(chunk[:20])) / 1e6 async for chunk in response.aiter_raw()]

    found = await asyncio.gather(*map(consume, range(STREAMS)))
    # The first fifth is connecting: 64 connections are opened at once, bare or recorded.
    return [delay for kept in found for delay in kept[len(kept) // 5 :]]


async def measure(base: str, recorder: Recorder, seconds: float) -> tuple[list[list[float]], list[list[float]]]:
    with_tap: list[list[float]] = []
    without: list[list[float]] = []
    bare = httpx.AsyncHTTPTransport(limits=LIMITS)
    recorded = recorder.httpx_transport(httpx.AsyncHTTPTransport(limits=LIMITS))
    async with (
        httpx.AsyncClient(transport=bare, timeout=60) as plain,
        httpx.AsyncClient(transport=recorded, timeout=60) as taped,
    ):
        for _ in range(ROUNDS):
            with_tap.append(await delays(taped, base, seconds))
            without.append(await delays(plain, base, seconds))
    return with_tap, without


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    with scratch() as directory, server() as base, Recorder(f"sqlite:///{directory}/latency.db") as recorder:
        with_tap, without = asyncio.run(measure(base, recorder, seconds))
    tell("added delay per chunk, httpx in asyncio", with_tap, without)


if __name__ == "__main__":
    main()
