"""Verify a large store: the most memory that `recorder verify` takes, of ten times as many events against few.

The stores have a ledger that sealed every exchange. They are filled by processes of their own, and verified by one
process each, then by two.

    python -m bench.large [events]

With the 10 million events that are the default it needs 5 GB of disk for a quarter of an hour.
"""

from __future__ import annotations

import os
import subprocess
import sys

from bench.measure import ROOT, figure, most_memory, scratch

EVENTS = 10_000_000
CHUNKS = 1_000  # of an exchange
MOST = 1.2


def main() -> None:
    os.chdir(ROOT)
    if sys.argv[1:2] == ["--fill"]:
        from bench.verify import fill

        fill(sys.argv[2], int(sys.argv[3]), CHUNKS)
        return
    many = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with scratch() as directory:
        urls = {count: f"sqlite:///{directory}/{count}.db" for count in (many // 10, many)}
        for count, url in urls.items():
            fill_it = [sys.executable, "-m", "bench.large", "--fill", url, str(count // CHUNKS)]
            subprocess.run(fill_it, check=True)
        for jobs in ("1", "2"):
            (small, _), (most, seconds) = (
                most_memory("verify", "--jobs", jobs, "--store", url) for url in urls.values()
            )
            figure(
                f"most memory, verify of {many:,} events against {many // 10:,}, --jobs {jobs}",
                f"{most / small:.2f} times ({most:.0f} against {small:.0f} MiB; {many / seconds:,.0f} events/s)",
                f"<= {MOST} times",
                most / small <= MOST,
            )


if __name__ == "__main__":
    main()
