"""How long ``from recorder import Recorder, Player`` takes against ``import requests, sqlalchemy``.

Each import runs in a fresh interpreter and is timed inside it, so that the start of Python does not
flatter the ratio.
"""

from __future__ import annotations

import subprocess
import sys

from bench.measure import ROOT, figure, interleaved, median

OURS = "from recorder import Recorder, Player"
THEIRS = "import requests, sqlalchemy"
OPTIONAL = ("psycopg", "openai", "httpx", "vcr", "hypothesis", "pytest")
TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
LOADED = "import sys; {}; print(*sorted(name for name in {!r} if name in sys.modules))"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    ours, theirs = interleaved(15, lambda: float(run(TIMED.format(OURS))), lambda: float(run(TIMED.format(THEIRS))))
    ratio = median([mine / bare for mine, bare in zip(ours, theirs, strict=True)])
    figure(
        "import of recorder against requests and sqlalchemy",
        f"{ratio:.2f} times ({median(ours) * 1000:.0f} against {median(theirs) * 1000:.0f} ms)",
        "<= 1.25",
        ratio <= 1.25,
    )
    loaded = run(LOADED.format(OURS, OPTIONAL))
    figure("optional dependencies imported", loaded or "none", "none", not loaded)


if __name__ == "__main__":
    main()
