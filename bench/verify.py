"""Verify a store: the whole audit against a bare loop that selects the same rows and hashes them once.

*Them* is every column of the row: the integers packed, ids, facts, body and hash as their bytes.

The best of several rounds of each, taken in turns, so that both meet the same machine.

    python bench/verify.py [exchanges] [chunks]
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
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recorder.ledger.verify import verify
from recorder.store import open_store
from tests.building import ExchangeBuilder

_COLUMNS = "stream, version, type, wall_ns, mono_ns, instance, flags, meta, body, hash, position"


def fill(url: str, exchanges: int, chunks: int) -> None:
    """Make a store of exchanges with chunks of 300 bytes."""
    store = open_store(url, write=True)
    for number in range(exchanges):
        built = ExchangeBuilder(number + 1).request({"messages": []}).response()
        built.chunks(*(os.urandom(300) for _ in range(chunks))).completed()
        store.append([built.opened], built.events)
    store.close()


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


def audit(url: str) -> int:
    """Verify the store."""
    store = open_store(url, write=False)
    try:
        report = verify(store.walk())
    finally:
        store.close()
    assert not report.findings
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
    exchanges, chunks = (int(word) for word in (sys.argv[1:] + ["100", "1000"][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        url = f"sqlite:///{path}"
        fill(url, exchanges, chunks)
        events = bare(path)
        loop, verified = best_seconds([lambda: bare(path), lambda: audit(url)], 7)
    figures = {"bench": "verify", "events": events, "bare_s": loop, "verify_s": verified, "ratio": loop / verified}
    print(json.dumps(figures))
    print(f"{loop / verified:.2f} of a bare loop, {events / verified:,.0f} events/s (goal: 0.5)")


if __name__ == "__main__":
    main()
