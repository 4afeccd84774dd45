"""Bytes on disk per chunk of 300 bytes in a SQLite store, hot (not compressed), the whole file counted."""

from __future__ import annotations

from bench.measure import figure, scratch
from bench.recording import STREAM, one_exchange
from recorder import Recorder

EXCHANGES = 100


def main() -> None:
    with scratch() as directory:
        path = directory / "size.db"
        with Recorder(f"sqlite:///{path}", close_timeout=60):
            pass
        empty = path.stat().st_size
        with Recorder(f"sqlite:///{path}", close_timeout=60) as recorder:
            for number in range(EXCHANGES):
                one_exchange(recorder, number)
        each = (path.stat().st_size - empty) / (EXCHANGES * STREAM)
    figure("bytes on disk per 300-byte chunk, SQLite", f"{each:.0f}", "<= 435", each <= 435)


if __name__ == "__main__":
    main()
