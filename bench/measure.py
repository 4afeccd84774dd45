"""What every measurement here shares: interleaved repeats, medians, one line per figure, a loopback server."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]


def figure(name: str, value: str, goal: str, met: bool | None) -> None:
    """Print one figure: ``name: value (goal …: met)``; *met* is None where there is no goal."""
    verdict = "" if met is None else ": met" if met else ": MISSED"
    print(f"{name}: {value} (goal {goal}{verdict})", flush=True)


Result = TypeVar("Result")


def interleaved(repeats: int, *works: Callable[[], Result]) -> list[list[Result]]:
    """Run the works in turn, *repeats* times over; return each one's results, so that noise meets them all."""
    results: list[list[Result]] = [[] for _ in works]
    for _ in range(repeats):
        for kept, work in zip(results, works, strict=True):
            kept.append(work())
    return results


def median(values: list[float]) -> float:
    return statistics.median(values)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which *share* (0 to 1) of *values* lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def most_memory(*arguments: str) -> tuple[float, float]:
    """Run ``recorder`` as a process of its own; return the most memory that it took, in MiB, and its seconds.

    That is the largest resident size that the kernel tells of (getrusage(2)). It counts what the process was before it
    became another program, too: who calls this has imported nothing large.
    """
    command = [sys.executable, "-m", "recorder", *arguments]
    quiet = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
    began = time.perf_counter()
    child = os.posix_spawn(sys.executable, command, dict(os.environ), file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    assert os.waitstatus_to_exitcode(status) == 0, command
    return usage.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20), seconds


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a directory of its own, in which recorder also keeps its key and its spools; it is removed."""
    directory = Path(tempfile.mkdtemp(prefix="recorder-bench-"))
    before = {name: os.environ.get(name) for name in ("XDG_DATA_HOME", "XDG_STATE_HOME")}
    os.environ.update(dict.fromkeys(before, str(directory)))
    try:
        yield directory
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(directory)


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of the loopback server of :mod:`bench.server`, which runs in a process of its own."""
    command = [sys.executable, "-m", "bench.server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()
