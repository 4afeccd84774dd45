"""Search a store of 100,000 exchanges: the first 20 answers, newest first, from an open store.

Each exchange has a question and an answer of words that are as frequent as in a language (Zipf): the first word of
all is in almost every message, the last ones in few. The time is that of :meth:`recorder.Store.search`; opening the
store and starting Python are not in it.

    python -m bench.searching [exchanges] [store URL]
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import closing

from bench.measure import figure, median, scratch
from recorder.api.store import Store
from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder

EXCHANGES = 100_000
WORDS = 30_000
LENGTH = 40  # words of a message
BATCH = 2000
LIMIT_MS = 100.0
QUERIES = {
    "a rare word": "w25000",
    "a frequent word": "w0",
    "two words": "w3 w400",
    "a phrase of frequent words": '"w0 w1"',
    "a prefix, less a word": "w12* -w0",
    "a word that is nowhere": "nowhere",
}


def texts(generator: random.Random) -> Iterator[str]:
    names = [f"w{number}" for number in range(WORDS)]
    weights = [1 / (number + 1) for number in range(WORDS)]
    while True:
        words = iter(generator.choices(names, weights, k=LENGTH * BATCH))
        for _ in range(BATCH):
            yield " ".join(next(words) for _ in range(LENGTH))


def exchange(number: int, said: Iterator[str]) -> ExchangeBuilder:
    built = ExchangeBuilder(number)
    built.request({"model": "m", "messages": [{"role": "user", "content": next(said)}]})
    answer = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": next(said)}, "finish_reason": "stop"}]
    }
    built.response(headers=[("content-type", "application/json")], framing="length")
    return built.chunks(json.dumps({"object": "chat.completion", **answer}).encode()).completed()


def fill(url: str, count: int) -> float:
    """Write exchanges and project them; return the seconds that projecting took."""
    said = texts(random.Random(1))
    with closing(open_store(url, write=True)) as store:
        for start in range(1, count + 1, BATCH):
            built = [exchange(number, said) for number in range(start, min(start + BATCH, count + 1))]
            store.append([one.opened for one in built], [event for one in built for event in one.events])
        began = time.perf_counter()
        project(store, SqlProjected(store))
        return time.perf_counter() - began


def milliseconds(store: Store, query: str) -> float:
    began = time.perf_counter()
    list(store.search(query, limit=20))
    return (time.perf_counter() - began) * 1000


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EXCHANGES
    with scratch() as directory:
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{directory}/bench.db"
        upgrade(url)
        took = fill(url, count)
        print(json.dumps({"bench": "searching", "exchanges": count, "projected_per_s": round(count / took)}))
        with Store(url) as store:
            for name, query in QUERIES.items():
                milliseconds(store, query)  # what is imported and compiled once
                spent = median([milliseconds(store, query) for _ in range(5)])
                met = spent <= LIMIT_MS if count >= EXCHANGES else None
                figure(f"search for {name}", f"{spent:.1f} ms", f"{LIMIT_MS:.0f} ms of {EXCHANGES:,} exchanges", met)


if __name__ == "__main__":
    main()
