"""The tests of a suite as pytest has them, with parameters and inherited ones; asked of pytest, in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

#: Names the file that gets what was collected, for :mod:`recorder.pytest_plugin.probe`.
VARIABLE: Final = "RECORDER_COLLECTED"
_PROBE: Final = "recorder.pytest_plugin.probe"
_LONGEST: Final = 300.0  # seconds


class Item(NamedTuple):
    """A test that pytest has collected.

    :ivar name: as ``TestDesk.test_buys[EURUSD]``.
    :ivar folder: of its old cassettes, where a fixture of the suite names one.
    :ivar cassette: name of its old cassette, where a fixture of the suite does.
    """

    name: str
    folder: str | None = None
    cassette: str | None = None


@dataclass(slots=True)
class Collected:
    """What pytest has collected.

    :ivar items: by the modules that they are of, as their paths were given.
    :ivar failure: why some, or all, could not be collected; empty: all of it could, or nobody has asked.
    """

    items: dict[Path, list[Item]] = field(default_factory=dict)
    failure: str = ""


def collect(paths: Iterable[Path], modules: Iterable[Path]) -> Collected:
    """Ask pytest for the tests below paths.

    Pytest imports what it collects, as it does for every run; no test is run. What it cannot collect is left out.

    :param modules: paths of modules as they are to be in the answer.
    """
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", _PROBE]
    with tempfile.TemporaryDirectory(prefix="recorder-collect-") as folder:
        told = Path(folder) / "collected.jsonl"
        try:
            done = subprocess.run(
                [*command, "--continue-on-collection-errors", *map(str, paths)],
                env={**os.environ, VARIABLE: str(told)},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                timeout=_LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Collected(failure=f"pytest --collect-only was not done after {_LONGEST:.0f} seconds")
        found = Collected(failure=_failure(done))
        lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    known = {path.resolve(): path for path in modules}
    for line in map(json.loads, lines):
        module = known.get(Path(line["path"]).resolve())
        if module is not None:
            found.items.setdefault(module, []).append(Item(line["name"], line.get("folder"), line.get("cassette")))
    return found


def _failure(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return why something was not collected, in the words of pytest; it says so by its exit code, 5 is for no test."""
    if done.returncode in (0, 5):
        return ""
    errors = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith("ERROR ")]
    return f"pytest --collect-only failed: {errors[0].removeprefix('ERROR ')}" if errors else "pytest could not be run"
