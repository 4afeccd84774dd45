"""The two tiers of the suite, and what the default one leaves to ``.ci/run``.

A test of whole programs or stores may cost seconds, and often has dozens of cases: engines, formats, options. The
default tier runs every test with some of its cases, so that it takes minutes on two cores; ``.ci/run`` runs the other
cases as well. Which cases these are is decided by their names alone: each run has the same ones, on every machine and
in each worker of pytest-xdist, and half of those that have an engine are of Postgres.
"""

from __future__ import annotations

import functools
import zlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

#: The cases that are left to ``-m thorough``.
MARK = "thorough"
#: Of how many cases one is taken; of a test that has fewer, one.
OF = 8
#: Below these, tests are of whole programs, of whole stores, or of every case there is.
_LONG = (
    "acceptance",
    "contract",
    "integration",
    "migrations",
    "plugin",
    "unit/core/test_ed25519.py",
    "unit/core/test_merkle_exhaustive.py",
    "unit/ledger",
    "unit/recording",
)


def mark_what_is_left(items: Iterable[pytest.Item], named: Iterable[Path]) -> None:
    """Mark the cases that the default tier leaves out.

    :param named: files of which all cases are run: somebody asked for them by name.
    """
    long, whole = [Path(__file__).parent / each for each in _LONG], set(named)

    @functools.cache
    def is_sampled(path: Path) -> bool:
        return path not in whole and any(map(path.is_relative_to, long))

    cases: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if is_sampled(item.path) and item.get_closest_marker("soak") is None:
            cases[item.nodeid.partition("[")[0]].append(item)
    for some in cases.values():
        by_name = sorted(some, key=lambda item: zlib.crc32(item.nodeid.encode()))
        for item in by_name[-(-len(by_name) // OF) :]:
            item.add_marker(MARK)
