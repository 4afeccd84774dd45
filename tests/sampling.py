"""The tiers of the suite, and what the default one leaves to the others.

A test of whole programs or stores may cost seconds, and often has dozens of cases: engines, formats, options. The
default tier runs such a test with some of its cases, and none of the tests that ``left.txt`` names: so it takes minutes
on two cores. What it leaves is ``thorough``: ``pytest -m 'not soak'`` runs all of it, ``.ci/run`` a part that changes
with the commit, some cases of each test that ``next.txt`` names, and what is of the corpus, by naming its files. Which
cases these are is decided by their names alone: each run has the same ones, on every machine and in each worker of
pytest-xdist, and half of those that have an engine are of Postgres. A test that is named nowhere is in the default
tier.

Which tests are left is measured: a run with ``-p tests.sampling`` under coverage notes what each test covers, and
``python -m tests.sampling REPORT.xml .coverage`` writes ``left.txt`` anew from that and from the times in what
``--junitxml`` wrote (CONTRIBUTING.md has the commands). A long test is left when others that stay cover the lines and
branches that it does, or all but so few that they are not worth its time; of each file one test stays. Of a test that
did not run, what is known stays: a run of the default tier tells which are next, and one after ``left.txt`` was emptied
chooses among all. With a third argument, what the default tier has covered, and the first two of a run of what that
leaves, it writes ``next.txt``: what covers, in little time, what the default tier does not cover at all.
"""

from __future__ import annotations

import functools
import sqlite3
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import closing
from pathlib import Path

import coverage
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


#: Tests that are left, ``directory/file.py::test`` in each line.
LEFT_TESTS = Path(__file__).parent / "left.txt"
#: Those of what is left that ``.ci/run`` runs with every commit, and how many cases of each.
NEXT_TESTS = LEFT_TESTS.with_name("next.txt")
NEXT_CASES = 4
#: So much of the time that all of them take is taken for a line or a branch that nothing else covers, and no more.
_NEXT_PRICE = 1 / 10_000
#: What the issues demand by name is in the default tier with its samples, however long it takes.
_DEMANDED = ("acceptance", "golden", "integration/test_docs.py")
#: A test whose case takes so much of the time of all on average is long.
_SHARE = 1 / 10_000
#: So much of the time of all is taken for a line or a branch that no other test covers, and no more.
_PRICE = 1 / 1_400

#: A line of a file, or a branch from one line to another; which of them it is does not matter here.
Part = tuple[str, int, int]

_HERE = Path(__file__).parent


def _number(name: str) -> int:
    return zlib.crc32(name.encode())


def mark_what_is_left(items: Iterable[pytest.Item], named: Iterable[Path]) -> None:
    """Mark what the default tier leaves out.

    :param named: files of which all is run: somebody asked for them by name.
    """
    long, whole = [_HERE / each for each in _LONG], set(named)
    left = set(LEFT_TESTS.read_text().split())

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
    """Return which of the thorough cases are of another part than this one, and not of those that are in every part."""
    thorough = [item for item in items if item.get_closest_marker(MARK) is not None]
    cases: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in sorted(thorough, key=lambda item: _number(item.nodeid)):
        cases[_name(item.nodeid)].append(item)
    always = {item for test in NEXT_TESTS.read_text().split() for item in cases[test][:NEXT_CASES]}
    return [item for item in thorough if _number(item.nodeid) % of != part % of and item not in always]


def _name(nodeid: str) -> str:
    """Return a test's name as :data:`LEFT_TESTS` has it, without its class and its case."""
    file, _, test = nodeid.partition("[")[0].partition("::")
    return f"{file.removeprefix('tests/')}::{test.rpartition('::')[2]}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Have coverage note of each test by itself what it covers, its fixtures with it (``-p tests.sampling``)."""
    if (measuring := coverage.Coverage.current()) is not None:
        measuring.switch_context(_name(item.nodeid))
    try:
        return (yield)
    finally:
        if measuring is not None:
            measuring.switch_context("")


def times_taken(report: Path) -> dict[str, list[float]]:
    """Return the seconds that the cases of each test took.

    :param report: what pytest wrote of a run.
    """
    times: defaultdict[str, list[float]] = defaultdict(list)
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        # The class of a test is a part of the name of its module here; no module begins with a capital letter.
        folders = [each for each in case.attrib["classname"].split(".") if not each[:1].isupper()]
        times[_name(f"{'/'.join(folders)}.py::{case.attrib['name']}")].append(float(case.attrib["time"]))
    return dict(times)


def parts_covered(file: Path) -> dict[str, set[Part]]:
    """Return what each test covers of that which coverage reports; what no test does is of the one named ``""``.

    :param file: what coverage wrote, combined.
    """
    measured = coverage.Coverage(data_file=file)
    measured.load()
    paths = measured.get_data().measured_files()
    lines = {path: set(measured.analysis2(path)[1]) for path in paths}
    forks = {path: measured.branch_stats(path).keys() for path in paths}
    found: defaultdict[str, set[Part]] = defaultdict(set)
    # Asked for one test and one file at a time, as its own functions have it, coverage takes a quarter of an hour.
    with closing(sqlite3.connect(file)) as database:
        for test, path, start, end in database.execute(
            "SELECT context, path, fromno, tono FROM arc"
            " JOIN context ON context.id = context_id JOIN file ON file.id = file_id"
        ):
            covered = found[test]
            if start in lines[path]:
                covered.add((path, start, 0))
            if end in lines[path]:
                covered.add((path, end, 0))
            if start in forks[path]:
                covered.add((path, start, end))
    return dict(found)


def left_tests(times: Mapping[str, list[float]], covered: Mapping[str, Set[Part]], known: Iterable[str]) -> list[str]:
    """Return the tests that are to be left, as :data:`LEFT_TESTS` names them.

    Of those that are long the one stays that covers most for its seconds of what none does that stays, then the next
    one, until they cost more than that is worth.

    :param times: what :func:`times_taken` says.
    :param covered: what :func:`parts_covered` says of the same tests.
    :param known: those that were left before; they are still where no time is told.
    """
    seconds = {test: sum(each) for test, each in times.items()}
    all_seconds = sum(seconds.values())
    limit, dearest = all_seconds * _SHARE, all_seconds * _PRICE
    long = {test for test in times if seconds[test] / len(times[test]) > limit and not test.startswith(_DEMANDED)}
    here = set().union(*(parts for test, parts in covered.items() if test not in long))
    missing = {test: covered.get(test, set()) - here for test in long}
    left = set(long)

    def worth(test: str) -> tuple[float, str]:
        return len(missing[test]) / seconds[test], test

    while (best := max(left, key=worth, default=None)) and len(missing[best]) * dearest >= seconds[best]:
        left.remove(best)
        taken = missing[best]
        missing = {test: missing[test] - taken for test in left}
    cheapest: dict[str, str] = {}
    unknown = sorted(test for test in known if test not in times)
    for test in (*sorted(times, key=lambda test: (test in left, seconds[test], test)), *unknown):
        cheapest.setdefault(test.partition("::")[0], test)
    return sorted(left.union(unknown).difference(cheapest.values()))


def next_tests(times: Mapping[str, list[float]], covered: Mapping[str, Set[Part]], before: Set[Part]) -> list[str]:
    """Return the tests that are to be run next, as :data:`NEXT_TESTS` names them.

    The next one is what adds most for its seconds, until that costs more than it is worth.

    :param times: what :func:`times_taken` says of the tests that the default tier leaves.
    :param covered: what :func:`parts_covered` says of them.
    :param before: what the default tier covers.
    """
    seconds = {test: sum(each) / len(each) * min(len(each), NEXT_CASES) for test, each in times.items()}
    dearest = sum(map(sum, times.values())) * _NEXT_PRICE
    missing = {test: covered.get(test, set()) - before for test in times if seconds[test]}

    def worth(test: str) -> tuple[float, str]:
        return len(missing[test]) / seconds[test], test

    names = []
    while (best := max(missing, key=worth, default=None)) and len(missing[best]) * dearest >= seconds[best]:
        names.append(best)
        taken = missing.pop(best)
        missing = {test: parts - taken for test, parts in missing.items()}
    return sorted(names)


def _write(file: Path, names: Iterable[str]) -> None:
    file.write_text("".join(f"{name}\n" for name in names))


if __name__ == "__main__":
    report, measured, *default = map(Path, sys.argv[1:])
    if default:
        before = set().union(*parts_covered(default[0]).values())
        _write(NEXT_TESTS, next_tests(times_taken(report), parts_covered(measured), before))
    else:
        known = LEFT_TESTS.read_text().split()
        _write(LEFT_TESTS, left_tests(times_taken(report), parts_covered(measured), known))
