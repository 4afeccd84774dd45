"""The names of a suite's tests as pytest has them, parameters and all; asked of pytest, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_LONGEST: Final = 300.0  # seconds


def collected(modules: Iterable[Path]) -> dict[Path, list[str]]:
    """Return the names of the tests of modules, as ``TestDesk.test_buys[EURUSD]``.

    Pytest imports what it collects, as it does for every run. What it cannot collect is left out.

    :param modules: their paths, as they are to be in the answer.
    """
    modules = [path for path in modules if path.name != "conftest.py"]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "--color=no"]
    try:
        done = subprocess.run(
            [*command, "--continue-on-collection-errors", *map(str, modules)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found: dict[Path, list[str]] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        named, bracket, parameter = line.partition("[")
        file, *names = named.split("::")
        if not names:
            continue
        fits = [path for path in modules if path.resolve().as_posix().endswith(f"/{file}")]
        if fits:
            module = min(fits, key=lambda path: len(path.resolve().parts))
            found.setdefault(module, []).append(".".join(names) + bracket + parameter)
    return found
