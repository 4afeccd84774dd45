"""Search a store of 100,000 exchanges, in SQLite and in Postgres: the first 20 answers, newest first.

Two times: of :meth:`recorder.Store.search` in an open store, from the question to the last answer; and of the whole
command ``recorder search``, with what of it is the start of Python and the imports (``recorder search --help``). The
store is that of :mod:`bench.search_store`.

    python -m bench.searching [exchanges]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import psycopg

from bench.measure import ROOT, figure, median, percentile, scratch
from bench.search_store import CONVERSATIONS, fill
from recorder.api.store import Store
from tests.building import ExchangeBuilder
from tests.postgres_server import any_server

EXCHANGES = 100_000
LIMIT_MS = 100.0
ROUNDS = 15
FREQUENT = "w0"
SEARCH = (sys.executable, "-m", "recorder", "search")
MEASURE = """
import resource, subprocess, sys
quiet = subprocess.DEVNULL
subprocess.run(sys.argv[1:], stdout=quiet, stderr=quiet, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
QUERIES = {
    "a rare word": "w25000",
    "the most frequent word": FREQUENT,
    "two words": "w3 w400",
    "a phrase of frequent words": '"w0 w1"',
    "a prefix, less a word": "w12* -w0",
    "a word that is nowhere": "nowhere",
}


def filters(count: int) -> Mapping[str, Mapping[str, Any]]:
    """Return what the most frequent word is looked for with, by its name: few exchanges fit."""
    first, hour_ns = ExchangeBuilder(1).wall_ns, 3600 * 10**9
    return {
        "one model in a thousand": {"model": "m-rare"},
        "verdict": {"verdict": "errored"},
        "status": {"status": 500},
        "tool": {"tool": "place_order"},
        "finish reason": {"finish": "tool_calls"},
        "the last hour": {"since_ns": first + count * 10**9 - hour_ns},
        "the first hour": {"until_ns": first + hour_ns},
        "conversation": {"conversation": f"talk-{CONVERSATIONS // 2}"},
        "tag": {"tags": {"bot": "rare"}},
    }


def settle(url: str) -> None:
    """Do at once what the server's autovacuum does within minutes: without it plans are guesses."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def milliseconds(store: Store, query: str, **which: Any) -> float:
    began = time.perf_counter()
    list(store.search(query, limit=20, **which))
    return (time.perf_counter() - began) * 1000


def tell(name: str, times: list[float], count: int) -> float:
    met = percentile(times, 0.95) <= LIMIT_MS if count >= EXCHANGES else None
    shown = f"{median(times):.1f} ms, p95 {percentile(times, 0.95):.1f} ms"
    figure(name, shown, f"<= {LIMIT_MS:.0f} ms of {EXCHANGES:,} exchanges", met)
    return percentile(times, 0.95)


def in_process(engine: str, url: str, count: int) -> None:
    asked = {name: (query, {}) for name, query in QUERIES.items()}
    asked |= {f"{FREQUENT} and a {name}": (FREQUENT, which) for name, which in filters(count).items()}
    with Store(url) as store:
        for name, (query, which) in asked.items():
            milliseconds(store, query, **which)  # what is imported, compiled and read once
            times = [milliseconds(store, query, **which) for _ in range(ROUNDS)]
            tell(f"search, {engine}, {name}", times, count)
    for name in ("conversation", "tag"):
        with Store(url) as store:
            took = milliseconds(store, FREQUENT, **filters(count)[name])
        figure(f"search, {engine}, first one of a {name} in a store", f"{took:.0f} ms", "none", None)


def command(*arguments: str) -> float:
    """Run the whole command; return its milliseconds."""
    began = time.perf_counter()
    quiet = subprocess.DEVNULL
    subprocess.run([*SEARCH, *arguments], cwd=ROOT, stdout=quiet, stderr=quiet, check=True)
    return (time.perf_counter() - began) * 1000


def memory(*arguments: str) -> float:
    """Run the whole command; return the most memory that it had at once, in MB."""
    # Asked for by a small process: a child counts as its own what the one had that it was forked from.
    asked = [sys.executable, "-c", MEASURE, *SEARCH, *arguments]
    told = subprocess.run(asked, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return int(told) / (1_000_000 if sys.platform == "darwin" else 1000)


def whole_command(engine: str, url: str) -> None:
    start = median([command("--help") for _ in range(5)])
    for name, arguments in {"a rare word": ["w25000"], "the most frequent word": [FREQUENT]}.items():
        whole = median([command(*arguments, "--store", url) for _ in range(5)])
        figure(f"recorder search, {engine}, {name}", f"{whole:.0f} ms, {start:.0f} of them to start", "none", None)
    some, every = (memory(FREQUENT, *more, "--store", url) for more in ([], ["--json"]))
    goal = "not more by half"
    figure(
        f"memory of recorder search, {engine}", f"{every:.0f} MB for all, {some:.0f} for 20", goal, every < 1.5 * some
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EXCHANGES
    with scratch() as directory:
        server = any_server()
        try:
            urls = {"SQLite": f"sqlite:///{directory}/bench.db", "Postgres": server.create_database()}
            began = time.perf_counter()
            fill(list(urls.values()), count)
            took = time.perf_counter() - began
            settle(urls["Postgres"])
            print(json.dumps({"bench": "searching", "exchanges": count, "filled_s": round(took, 1)}), flush=True)
            for engine, url in urls.items():
                in_process(engine, url, count)
                whole_command(engine, url)
            server.drop_database(urls["Postgres"])
        finally:
            server.dispose()


if __name__ == "__main__":
    main()
