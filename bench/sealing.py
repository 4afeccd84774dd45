"""What the journal and sealing add to recording, and how long a barrier takes against a bare synced commit.

Sustained recording is that of :mod:`bench.recording`: without a journal, with one, and with one in a store that is
sealed, in turn. A barrier is ``Recorder.seal`` of an exchange that goes on, a chunk after the last one; the commit it
is held against is one row of a few bytes that the engine has synced when it returns.

    python -m bench.sealing [sqlite|postgresql] [events per thread]
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any
from unittest.mock import patch

import psycopg

from bench.measure import figure, interleaved, median, percentile, scratch
from bench.recording import FRAME, HEAD, STREAM, THREADS, one_exchange
from recorder import Recorder
from recorder.api import recorder as api
from recorder.clock import SystemClock, id_text
from recorder.core.heads import Head, Leaf
from recorder.core.notes import Checkpoint
from recorder.core.receipts import Receipt
from recorder.ledger.founding import found
from recorder.recording.tap import Call, ExchangeTap
from recorder.recording.write_path import WritePath
from recorder.store import open_store
from recorder.store.schema import upgrade
from tests.postgres_server import PostgresServer

ORIGIN = "example.com/bench"
BARRIERS = 300
REPEATS = 7
MILLION = 1_000_000


class Unjournaled(WritePath):
    """A write path that keeps no journal, as it was before there were journals."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"configuration": None})


def sealed(url: str) -> str:
    """Give a store a ledger of its own, and a key."""
    with closing(open_store(url, write=True)) as store:
        found(store.ledger, None, SystemClock())
    return url


def record(url: str, per_thread: int) -> tuple[float, float]:
    """Record until everything is committed; return the seconds that took, and those of the processor."""
    with Recorder(url, close_timeout=600) as recorder:
        one_exchange(recorder, 0)
        recorder.flush()

        def work() -> None:
            for number in range(per_thread // STREAM):
                one_exchange(recorder, number)

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        began, spent = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorder.flush()
        return time.perf_counter() - began, time.process_time() - spent


def sustained(engine: str, fresh: Callable[[], str], per_thread: int) -> None:
    """Compare recording without a journal, with one, and sealed."""

    def bare() -> tuple[float, float]:
        with patch.object(api, "WritePath", Unjournaled):
            return record(fresh(), per_thread)

    record(fresh(), per_thread)  # warm
    none, journal, both = (
        list(each)
        for each in interleaved(
            REPEATS,
            bare,
            lambda: record(fresh(), per_thread),
            lambda: record(sealed(fresh()), per_thread),
        )
    )
    for name, goal, which in (("the journal adds", 0.10, journal), ("journal and sealing add", 0.10, both)):
        wall = median([mine[0] / without[0] for mine, without in zip(which, none, strict=True)]) - 1
        cpu = median([mine[1] / without[1] for mine, without in zip(which, none, strict=True)]) - 1
        figure(
            f"{name} to sustained recording, {engine}",
            f"{wall:.1%} of its time, {cpu:.1%} of its processor time",
            f"<= {goal:.0%}",
            wall <= goal,
        )


def barriers(engine: str, url: str, commit: Callable[[], None]) -> None:
    """Compare a barrier with a bare synced commit, in turn."""
    sealed(url)
    with Recorder(url) as recorder:
        path = recorder._path
        assert path is not None
        tap = ExchangeTap(path, Call("call-1"))
        tap.request_sent("POST", "http://127.0.0.1/v1", b"POST /v1 HTTP/1.1\r\n\r\n", b"{}", {"client": "bench"})
        tap.response_started(HEAD, 200, "chunked", None, ends_read=True)
        exchange = id_text(tap.id)
        spent: list[float] = []

        def ours() -> float:
            tap.received(FRAME)
            began, used = time.perf_counter(), time.thread_time()
            assert recorder.seal(exchange) is not None
            spent.append((time.thread_time() - used) * 1000)
            return (time.perf_counter() - began) * 1000

        def bare() -> float:
            began = time.perf_counter()
            commit()
            return (time.perf_counter() - began) * 1000

        interleaved(20, ours, bare)
        barrier, raw = interleaved(BARRIERS, ours, bare)
        tap.received(b"0\r\n\r\n")
    ratio = median(barrier) / median(raw)
    figure(
        f"a barrier against a bare synced commit, {engine}, p50",
        f"{ratio:.2f} times ({median(barrier):.2f} against {median(raw):.2f} ms; "
        f"p99 {percentile(barrier, 0.99):.1f} against {percentile(raw, 0.99):.1f} ms; "
        f"its thread works for {median(spent):.1f} ms)",
        "<= 2 times",
        ratio <= 2,
    )


def sqlite(per_thread: int) -> None:
    with scratch() as directory:
        count = iter(range(1000))
        sustained("SQLite", lambda: f"sqlite:///{directory}/{next(count)}.db", per_thread)
        with closing(sqlite3.connect(directory / "bare.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE bare (number INTEGER)")
            barriers(
                "SQLite",
                _made(f"sqlite:///{directory}/barrier.db"),
                lambda: connection.execute("INSERT INTO bare VALUES (1)") and None,
            )


def _made(url: str) -> str:
    upgrade(url)
    return url


def postgresql(per_thread: int) -> None:
    server = PostgresServer(fsync="on").start()
    try:
        with scratch():
            sustained("Postgres", lambda: _made(server.create_database()), per_thread)
            url = _made(server.create_database())
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute("SET synchronous_commit = on")
                connection.execute("CREATE TABLE bare (number integer)")
                barriers("Postgres", url, lambda: connection.execute("INSERT INTO bare VALUES (1)") and None)
    finally:
        server.dispose()


def proof() -> None:
    """Tell how large a proof is in a ledger of a million leaves, by its parts: no such ledger has to be made."""
    text = Checkpoint(ORIGIN, MILLION, bytes(32)).text
    note = f"{text}\n— {ORIGIN} {'A' * 92}\n"
    leaf = Leaf(MILLION - 1, Head(bytes(16), 10_000, bytes(32), 1), time.time_ns(), 1)
    size = len(Receipt(ORIGIN, leaf, (bytes(32),) * (MILLION - 1).bit_length(), note).proof.encode())
    figure("a proof in a ledger of 1,000,000 leaves", f"{size:,} bytes", "<= 2,048", size <= 2048)


def main() -> None:
    engine = sys.argv[1] if len(sys.argv) > 1 else ""
    per_thread = int(sys.argv[2]) if len(sys.argv) > 2 else 5_000
    if engine in ("", "sqlite"):
        sqlite(per_thread)
    if engine in ("", "postgresql"):
        postgresql(per_thread)
    proof()


if __name__ == "__main__":
    main()
