"""What the plugin adds to a run of pytest that has no recorded test: ``pytest --collect-only`` with and without it.

Both kinds of runs in turn, each a process of its own; counted is the processor time that it takes, so that other
programs on the machine do not flatter or blame anybody.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import figure, interleaved, median


def collect(folder: str, *arguments: str) -> float:
    """Return the seconds of processor time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *arguments]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tests = "\n".join(f"def test_{number}(): pass" for number in range(200))
        Path(folder, "test_plain.py").write_text(tests + "\n")
        collect(folder)  # compiles
        with_it, without = interleaved(15, lambda: collect(folder), lambda: collect(folder, "-p", "no:recorder"))
    added = median([one - other for one, other in zip(with_it, without, strict=True)])
    figure(
        "the plugin, added to collecting 200 tests that are not recorded",
        f"{added * 1000:.0f} ms of {median(without) * 1000:.0f} ms",
        "<= 50 ms",
        added <= 0.050,
    )


if __name__ == "__main__":
    main()
