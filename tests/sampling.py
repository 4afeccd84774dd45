"""The tiers of the suite, and what the default one leaves to the others.

A test of whole programs or stores may cost seconds, and often has dozens of cases: engines, formats, options. The
default tier runs such a test with some of its cases, and of the tests that took longest, which ``long.txt`` names, one
in eight: so it takes minutes on two cores. What it leaves is ``thorough``: ``pytest -m 'not soak'`` runs all of it,
``.ci/run`` a part that changes with the commit, and what is of the corpus, by naming its files. Which cases these are
is decided by their names alone: each run has the same ones, on every machine and in each worker of pytest-xdist, and
half of those that have an engine are of Postgres.

``python -m tests.sampling REPORT.xml`` writes ``long.txt`` anew from what ``--junitxml`` wrote of a run. Of a test that
did not run then, what is known stays: so a run of the default tier, which has lost most of them, tells which are next.
"""

from __future__ import annotations

import functools
import sys
import xml.etree.ElementTree as ElementTree
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
    "unit/formats/importing/test_hostile.py",
    "unit/ledger",
    "unit/recording",
)


#: Tests that take long, ``directory/file.py::test`` in each line; of them, one in so many is in the default tier.
LONG_TESTS = Path(__file__).parent / "long.txt"
OF_LONG = 8
#: What the issues demand by name is in the default tier with its samples, however long it takes.
_DEMANDED = ("acceptance", "golden", "integration/test_docs.py")
#: A test that takes so much of the time of all is long.
_SHARE = 1 / 2000

_HERE = Path(__file__).parent


def _number(name: str) -> int:
    return zlib.crc32(name.encode())


def mark_what_is_left(items: Iterable[pytest.Item], named: Iterable[Path]) -> None:
    """Mark what the default tier leaves out.

    :param named: files of which all is run: somebody asked for them by name.
    """
    long, whole = [_HERE / each for each in _LONG], set(named)
    left = {name for name in LONG_TESTS.read_text().split() if _number(name) % OF_LONG}

    @functools.cache
    def place(path: Path) -> str | None:
        """Return the file's name below this directory; None where all of it is run."""
        return None if path in whole else path.relative_to(_HERE).as_posix()

    @functools.cache
    def is_sampled(path: Path) -> bool:
        return any(map(path.is_relative_to, long))

    cases: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if (file := place(item.path)) is None or item.get_closest_marker("soak") is not None:
            continue
        test = item.nodeid.partition("[")[0]
        if f"{file}::{test.rpartition('::')[2]}" in left:
            item.add_marker(MARK)
        elif is_sampled(item.path):
            cases[test].append(item)
    for some in cases.values():
        by_name = sorted(some, key=lambda item: _number(item.nodeid))
        for item in by_name[-(-len(by_name) // OF) :]:
            item.add_marker(MARK)


def leave_parts(items: list[pytest.Item], part: int, of: int) -> list[pytest.Item]:
    """Return which of the thorough cases are of another part than this one."""
    return [
        item for item in items if item.get_closest_marker(MARK) is not None and _number(item.nodeid) % of != part % of
    ]


def long_tests(report: Path, known: Iterable[str] = ()) -> list[str]:
    """Return the tests whose cases take long, as :data:`LONG_TESTS` names them.

    :param report: what pytest wrote of a run.
    :param known: those that took long before; they stay where the report does not tell of them.
    """
    times: defaultdict[str, list[float]] = defaultdict(list)
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        path = case.attrib["classname"].removeprefix("tests.").replace(".", "/") + ".py"
        if not path.startswith(_DEMANDED):
            times[f"{path}::{case.attrib['name'].partition('[')[0]}"].append(float(case.attrib["time"]))
    limit = sum(map(sum, times.values())) * _SHARE
    long = {name for name, each in times.items() if sum(each) / len(each) > limit}
    return sorted(long.union(known).difference(times.keys() - long))


if __name__ == "__main__":
    names = long_tests(Path(sys.argv[1]), LONG_TESTS.read_text().split())
    LONG_TESTS.write_text("".join(f"{name}\n" for name in names))
