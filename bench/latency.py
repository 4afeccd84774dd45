"""What recording adds to a chunk on its way to the consumer, on loopback, the server in another process.

Every chunk carries the time at which it was sent; its delay is how long after that the consumer had
it. Recorded and bare rounds alternate in one run, and the figure is the difference of their
percentiles.

    python -m bench.latency [seconds per round]
"""

from __future__ import annotations

import sys
import threading
import time

import requests

from bench.measure import figure, interleaved, median, percentile, scratch, server
from recorder import Recorder

STREAMS = 64
PER_SECOND = 50
SIZE = 300
ROUNDS = 4


def first_chunk(session: requests.Session, base: str) -> float:
    """Return milliseconds from the call to the first chunk."""
    began = time.perf_counter()
    with session.post(f"{base}/3/1000/{SIZE}", json={"prompt": "p"}, stream=True) as response:
        chunks = response.iter_content(None)
        next(chunks)
        spent = time.perf_counter() - began
        for _ in chunks:
            pass
    return spent * 1000


def delays(session: requests.Session, base: str, seconds: float) -> list[float]:
    """Return the delay of every chunk of 64 concurrent streams, in milliseconds."""
    found: list[list[float]] = [[] for _ in range(STREAMS)]
    places = {id(kept): number for number, kept in enumerate(found)}
    ready = threading.Barrier(STREAMS)

    def consume(kept: list[float]) -> None:
        place = places[id(kept)]
        ready.wait()
        time.sleep(place / STREAMS / PER_SECOND)  # streams of different users do not tick in step
        url = f"{base}/{int(PER_SECOND * seconds)}/{1_000_000 // PER_SECOND}/{SIZE}"
        with session.post(url, json={"prompt": "p"}, stream=True) as response:
            kept.extend((time.monotonic_ns() - int(chunk[:20])) / 1e6 for chunk in response.iter_content(None))

    threads = [threading.Thread(target=consume, args=(kept,)) for kept in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The first fifth is connecting: 64 threads open their connections at once, bare or recorded.
    return [delay for kept in found for delay in kept[len(kept) // 5 :]]


def session_for_many() -> requests.Session:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=STREAMS))
    return session


def tell(what: str, with_tap: list[list[float]], without: list[list[float]]) -> None:
    """Print what recording adds to the delay of a chunk, from the delays of each round in milliseconds."""
    for name, share, goal in (("p50", 0.5, 0.1), ("p99", 0.99, 1.0)):
        mine = median([percentile(values, share) for values in with_tap])
        bare = median([percentile(values, share) for values in without])
        figure(
            f"{what}, {STREAMS} streams x {PER_SECOND} chunks/s, {name}",
            f"{mine - bare:.3f} ms ({mine:.3f} against {bare:.3f} ms)",
            f"<= {goal} ms",
            mine - bare <= goal,
        )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    with scratch() as directory, server() as base, Recorder(f"sqlite:///{directory}/latency.db") as recorder:
        bare, recorded = session_for_many(), recorder.mount(session_for_many())
        first_chunk(bare, base)
        first_chunk(recorded, base)
        ours, theirs = interleaved(40, lambda: first_chunk(recorded, base), lambda: first_chunk(bare, base))
        added = median(ours) - median(theirs)
        figure(
            "time to first chunk while recording, minus bare",
            f"{added:.2f} ms ({median(ours):.2f} against {median(theirs):.2f} ms)",
            "<= 2 ms",
            added <= 2,
        )
        with_tap: list[list[float]] = []
        without: list[list[float]] = []
        for _ in range(ROUNDS):
            with_tap.append(delays(recorded, base, seconds))
            without.append(delays(bare, base, seconds))
        tell("added delay per chunk", with_tap, without)


if __name__ == "__main__":
    main()
