"""Verify a store: the whole audit against a bare loop that selects the same rows and hashes them once.

*Them* is every column of the row: the integers packed, ids, facts, body and hash as their bytes. The store has a ledger
that sealed every exchange. The audit runs in this process, and in two; the best of several rounds of each, taken in
turns, so that all meet the same machine. On a machine with less than two free cores the second figure says nothing.

    python bench/verify.py [exchanges] [chunks] [rounds]
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recorder.core.heads import ENDED, Head
from recorder.ledger.audit import Asked, audit
from recorder.recording.recovery import Spooled
from recorder.store import open_store
from tests.building import ExchangeBuilder

_COLUMNS = "stream, version, type, wall_ns, mono_ns, instance, flags, meta, body, hash, position"
_NOW = 1_790_000_000_000_000_000


def fill(url: str, exchanges: int, chunks: int) -> None:
    """Make a store of sealed exchanges with chunks of 300 bytes."""
    with closing(open_store(url, write=True)) as store:
        store.ledger.found("bench")
        for number in range(exchanges):
            built = ExchangeBuilder(number + 1).request({"messages": []}).response()
            built.chunks(*(os.urandom(300) for _ in range(chunks))).completed()
            store.append([built.opened], built.events)
            last = built.events[-1]
            store.ledger.append([Head(last.stream, last.version, last.hash, ENDED)], last.wall_ns)


def bare(path: Path) -> int:
    """Select every event in the order of the audit, and hash it once."""
    count, pack = 0, struct.Struct(">QHQQH").pack
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        for row in connection.execute(f"SELECT {_COLUMNS} FROM events ORDER BY stream, version"):
            stream, version, kind, wall, mono, instance, flags, meta, body, digest, _ = row
            numbers = pack(version, kind, wall, mono, flags)
            facts = b"" if meta is None else meta.encode()
            sha256(b"".join((stream, numbers, instance or b"", facts, body or b"", digest))).digest()
            count += 1
    finally:
        connection.close()
    return count


def verified(url: str, jobs: int) -> int:
    """Verify the store."""
    with closing(open_store(url, write=False)) as store:
        report = audit(url, store, Spooled, Asked(now_ns=_NOW, jobs=jobs))
    assert not report.findings, report.findings[0]
    return report.events


def best_seconds(works: list[Callable[[], int]], rounds: int) -> list[float]:
    """Return the shortest time of each."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        for number, work in enumerate(works):
            began = time.perf_counter()
            work()
            best[number] = min(best[number], time.perf_counter() - began)
    return best


def main() -> None:
    given = sys.argv[1:] + ["200", "1000", "5"][len(sys.argv) - 1 :]
    exchanges, chunks, rounds = (int(word) for word in given[:3])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        url = f"sqlite:///{path}"
        fill(url, exchanges, chunks)
        events = bare(path)
        loop, one, two = best_seconds([lambda: bare(path), lambda: verified(url, 1), lambda: verified(url, 2)], rounds)
    figures = {"bench": "verify", "events": events, "bare_s": loop, "verify_s": one, "two_s": two}
    print(json.dumps(figures | {"ratio": loop / one, "speed_up": one / two}))
    print(f"{loop / one:.2f} of a bare loop, {events / one:,.0f} events/s (goal: 0.5)")
    print(f"{one / two:.2f} times as fast with two processes (goal: 1.7)")


if __name__ == "__main__":
    main()
