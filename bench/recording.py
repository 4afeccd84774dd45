"""Sustained recording until everything is committed, against what the engine itself takes.

Eight threads drive the real write path (tap, deframing, encoding, hashing, spool, drainer, store)
with frames of a fixed size. The baseline writes the very same rows, made beforehand, into a table of
the same shape with the same indexes: ``executemany`` of the sqlite3 module in transactions of 1,000
rows (WAL, synchronous NORMAL), and binary COPY of blocks that were packed beforehand.

    python -m bench.recording [sqlite|postgresql] [events per thread]
"""

from __future__ import annotations

import inspect
import sqlite3
import sys
import threading
import time
from pathlib import Path

import psycopg

from bench.measure import figure, interleaved, median, scratch
from recorder import Recorder
from recorder.core.events import Event
from recorder.recording.tap import Call, ExchangeTap
from recorder.store import open_store
from recorder.store.postgres_copy import COPY, END, HEAD, packed
from recorder.store.schema import upgrade
from tests.postgres_server import PostgresServer

THREADS = 8
STREAM = 500  # chunks of one exchange
CHUNK = 300  # bytes of body
FRAME = b"%x\r\n%s\r\n" % (CHUNK, b"d" * CHUNK)
ANSWER = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
BATCH = 1000
REPEATS = 5


def one_exchange(recorder: Recorder, number: int) -> None:
    """Record one exchange of :data:`STREAM` chunks."""
    path = recorder._path
    assert path is not None
    tap = ExchangeTap(path, Call(f"call-{number}"))
    tap.request_sent("POST", "http://127.0.0.1/v1", b"POST /v1 HTTP/1.1\r\n\r\n", b"{}", {"client": "bench"})
    tap.response_started(ANSWER, 200, "chunked", None, ends_read=True)
    for _ in range(STREAM):
        tap.received(FRAME)
    tap.received(b"0\r\n\r\n")


def record(url: str, per_thread: int, drainer: str) -> float:
    """Record until everything is committed; return events a second."""
    extra = {"drainer": drainer} if drainer != "thread" else {}
    with Recorder(url, close_timeout=600, **extra) as recorder:  # type: ignore[arg-type]
        one_exchange(recorder, 0)
        recorder.flush()
        streams = per_thread // STREAM

        def work() -> None:
            for number in range(streams):
                one_exchange(recorder, number)

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorder.flush()
        seconds = time.perf_counter() - began
    return THREADS * streams * (STREAM + 3) / seconds


def stored(url: str) -> list[Event]:
    store = open_store(url, write=False)
    try:
        return [event for opening in store.openings() for event in store.events(opening.stream)]
    finally:
        store.close()


def raw_sqlite(path: Path, rows: list[tuple[object, ...]]) -> float:
    """Insert rows with the sqlite3 module alone; return rows a second."""
    path.unlink(missing_ok=True)
    upgrade(f"sqlite:///{path}")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    insert = (
        "INSERT INTO events (stream, version, type, wall_ns, mono_ns, instance, flags, meta, body, hash) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    began = time.perf_counter()
    for start in range(0, len(rows), BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows[start : start + BATCH])
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return len(rows) / seconds


def raw_copy(url: str, blocks: list[bytes], rows: int) -> float:
    """COPY blocks with psycopg alone; return rows a second."""
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        for block in blocks:
            with connection.cursor() as cursor, cursor.copy(COPY) as copy:
                copy.write(block)
            connection.commit()
        return rows / (time.perf_counter() - began)


def report(engine: str, drainer: str, ours: list[float], raw: list[float], goal: float) -> None:
    ratio = median([mine / bare for mine, bare in zip(ours, raw, strict=True)])
    figure(
        f"sustained recording, 8 threads, {engine}, drainer {drainer}",
        f"{ratio:.2f} of raw ({median(ours):,.0f} against {median(raw):,.0f} events/s)",
        f">= {goal:.2f}",
        ratio >= goal,
    )


def drainers() -> list[str]:
    known = inspect.signature(Recorder).parameters
    return ["thread", "process"] if "drainer" in known else ["thread"]


def sqlite(per_thread: int) -> None:
    with scratch() as directory:
        sample = f"sqlite:///{directory}/sample.db"
        record(sample, per_thread, "thread")
        rows: list[tuple[object, ...]] = [
            (e.stream, e.version, 5, e.wall_ns, e.mono_ns, None, e.flags, e.meta, e.body, e.hash)
            for e in stored(sample)
        ]
        rows.sort(key=lambda row: (row[3], row[1]))  # as they arrived: streams interleaved
        count = iter(range(1000))
        for drainer, goal in zip(drainers(), (0.40, 0.70), strict=False):
            ours, raw = interleaved(
                REPEATS,
                lambda kind=drainer: record(f"sqlite:///{directory}/{next(count)}.db", per_thread, kind),
                lambda: raw_sqlite(directory / "raw.db", rows),
            )
            report("SQLite", drainer, ours, raw, goal)


def postgresql(per_thread: int) -> None:
    server = PostgresServer().start()
    try:
        with scratch():
            sample = _fresh(server)
            record(sample, per_thread, "thread")
            events = sorted(stored(sample), key=lambda event: (event.wall_ns, event.version))
            instances = {event.stream: event.instance for event in events}
            blocks = [HEAD + packed(events[at : at + BATCH], instances, 1) + END for at in range(0, len(events), BATCH)]
            for drainer, goal in zip(drainers(), (0.45, 0.75), strict=False):
                ours, raw = interleaved(
                    REPEATS,
                    lambda kind=drainer: record(_fresh(server), per_thread, kind),
                    lambda: raw_copy(_fresh(server), blocks, len(events)),
                )
                report("Postgres", drainer, ours, raw, goal)
    finally:
        server.dispose()


def _fresh(server: PostgresServer) -> str:
    url = server.create_database()
    upgrade(url)
    return url


def main() -> None:
    engine = sys.argv[1] if len(sys.argv) > 1 else ""
    per_thread = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    if engine in ("", "sqlite"):
        sqlite(per_thread)
    if engine in ("", "postgresql"):
        postgresql(per_thread)


if __name__ == "__main__":
    main()
