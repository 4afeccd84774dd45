"""The default tier has a case of every test that is not long, and with ``-m thorough`` every case there is, once."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENGINES
from tests.sampling import (
    LEFT_TESTS,
    NEXT_CASES,
    NEXT_TESTS,
    Part,
    left_tests,
    next_tests,
    parts_covered,
    times_taken,
)

_TESTS = Path(__file__).parents[1]


def collected(*arguments: str, **environment: str) -> list[str]:
    """Return the names of what would be run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TESTS_"))}
    ran = subprocess.run(
        [*command, "-o", "addopts=--strict-markers"],
        cwd=_TESTS.parent,
        env=clean | environment,
        stdout=-1,
        text=True,
    )
    return [line for line in ran.stdout.splitlines() if "::" in line]


def without_cases(names: list[str]) -> set[str]:
    return {name.partition("[")[0] for name in names}


@pytest.mark.thorough
def test_every_test_is_in_the_default_tier_and_every_case_in_one() -> None:
    whole = collected("-m", "not soak", "tests/migrations")
    default = collected("-m", "not soak and not thorough", "tests/migrations")
    thorough = collected("-m", "thorough and not soak", "tests/migrations")
    assert sorted([*default, *thorough]) == sorted(whole)
    assert 0 < len(default) < len(whole)
    named = {f"tests/{name}" for name in LEFT_TESTS.read_text().split()}
    assert without_cases(whole) - without_cases(default) == without_cases(whole) & named
    assert [engine for engine in ENGINES if any(engine in name for name in default)] == list(ENGINES)


@pytest.mark.thorough
def test_the_parts_are_all_that_is_left() -> None:
    named = [f"tests/{name}" for name in NEXT_TESTS.read_text().split()]
    asked = ["-m", "thorough and not soak", "tests/migrations", named[0].partition("::")[0].rpartition("/")[0]]
    parts = [collected(*asked, TESTS_PART=f"{number} of 5") for number in range(7, 12)]
    whole = collected(*asked)
    assert set(itertools.chain(*parts)) == set(whole)
    assert all(set(part) < set(whole) for part in parts)
    always = set.intersection(*map(set, parts))
    assert without_cases([*always]) == without_cases(whole).intersection(named)
    for test in without_cases([*always]):
        cases = [name for name in whole if name.partition("[")[0] == test]
        assert len([name for name in always if name.partition("[")[0] == test]) == min(len(cases), NEXT_CASES)


def test_next_is_what_adds_most_for_its_time_until_that_is_little() -> None:
    times = {
        "unit/test_a.py::test_long": [9_990.0] * 1_000,
        "unit/test_a.py::test_most": [1.0] * 10,
        "unit/test_a.py::test_what_is_known_by_then": [1_999.0],
        "unit/test_b.py::test_less_for_longer": [999.0, 999.0],
    }
    covered = {
        "": parts(1, 2),
        "unit/test_a.py::test_long": parts(*range(10, 40)),
        "unit/test_a.py::test_most": parts(*range(10, 20)),
        "unit/test_a.py::test_what_is_known_by_then": parts(*range(14, 21)),
        "unit/test_b.py::test_less_for_longer": parts(*range(5), 20, 21),
    }
    chosen = ["unit/test_a.py::test_most", "unit/test_b.py::test_less_for_longer"]
    assert next_tests(times, covered, parts(*range(9))) == chosen


def named_in(listed: Path) -> dict[str, set[str]]:
    """Return the tests that a list names, by file."""
    named: dict[str, set[str]] = {}
    for name in listed.read_text().split():
        file, _, test = name.partition("::")
        named.setdefault(file, set()).add(test)
    return named


def names_in(file: str) -> set[str]:
    return set(re.findall(r"^ *(?:async )?def (test_\w+)\(", (_TESTS / file).read_text(), re.MULTILINE))


def test_what_is_left_is_there_and_leaves_no_file_empty() -> None:
    for file, tests in named_in(LEFT_TESTS).items():
        assert tests < names_in(file), file


def test_what_is_next_is_there() -> None:
    for file, tests in named_in(NEXT_TESTS).items():
        assert tests <= names_in(file), file


def test_the_times_of_all_cases_are_read_from_a_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    cases = [
        ("unit.test_a", "test_b[1::2]", 1.0),
        ("unit.test_a", "test_b[2]", 2.0),
        ("unit.test_a.TestC", "test_d", 3),
    ]
    told = (f'<testcase classname="tests.{place}" name="{name}" time="{time}"/>' for place, name, time in cases)
    report.write_text(f"<testsuites><testsuite>{''.join(told)}</testsuite></testsuites>")
    assert times_taken(report) == {"unit/test_a.py::test_b": [1.0, 2.0], "unit/test_a.py::test_d": [3.0]}


def parts(*lines: int) -> set[Part]:
    return {("m.py", line, 0) for line in lines}


def test_a_long_test_is_left_whose_parts_are_covered_by_others_or_not_worth_its_time() -> None:
    times = {
        "unit/test_a.py::test_short": [1.0] * 14_000,
        "unit/test_a.py::test_alone_with_a_part": [9.0],
        "unit/test_a.py::test_same_as_short": [9.0],
        "unit/test_a.py::test_half_as_fast": [8.0],
        "unit/test_a.py::test_twice_as_fast": [4.0],
        "unit/test_a.py::test_slow_and_alone_with_a_part": [11.0],
        "unit/test_a.py::test_slow_and_alone_with_two_parts": [11.0],
        "acceptance/test_kill.py::test_kill": [9.0],
        "acceptance/test_kill.py::test_again": [9.0],
    }
    covered = {
        "": parts(0),
        "unit/test_a.py::test_short": parts(1, 2),
        "unit/test_a.py::test_alone_with_a_part": parts(0, 1, 3),
        "unit/test_a.py::test_same_as_short": parts(0, 1, 2),
        "unit/test_a.py::test_half_as_fast": parts(4, 5),
        "unit/test_a.py::test_twice_as_fast": parts(4, 5),
        "unit/test_a.py::test_slow_and_alone_with_a_part": parts(6),
        "unit/test_a.py::test_slow_and_alone_with_two_parts": parts(7, 8),
    }
    left = [
        "unit/test_a.py::test_half_as_fast",
        "unit/test_a.py::test_same_as_short",
        "unit/test_a.py::test_slow_and_alone_with_a_part",
    ]
    assert left_tests(times, covered, ()) == left
    before = ["unit/test_a.py::test_alone_with_a_part", "unit/test_a.py::test_not_run"]
    assert left_tests(times, covered, before) == sorted([*left, "unit/test_a.py::test_not_run"])


def test_of_each_file_one_stays_the_shortest_of_those_that_are_not_needed() -> None:
    times = {"unit/test_a.py::test_b": [3.0], "unit/test_a.py::test_c": [1.0, 1.0], "unit/test_d.py::test_e": [1.0]}
    covered = {"": parts(1), "unit/test_d.py::test_e": parts(2)}
    assert left_tests(times, covered, ()) == ["unit/test_a.py::test_b"]
    not_run = ["unit/test_d.py::test_f", "unit/test_g.py::test_h", "unit/test_g.py::test_i"]
    left = ["unit/test_a.py::test_b", "unit/test_d.py::test_f", "unit/test_g.py::test_i"]
    assert left_tests(times, covered, not_run) == left  # of a file of which no test has run, one is now


def test_what_a_test_covers_is_noted_with_its_fixtures(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "def sign(x):\n    if x < 0:\n        return -1\n    return 1\n\n\ndef zero():\n    return 0\n"
    )
    (tmp_path / "test_module.py").write_text(
        "import module, pytest\n"
        "@pytest.fixture\ndef nought():\n    return module.zero()\n"
        "def test_above(nought):\n    assert module.sign(1) == 1 + nought\n"
        "@pytest.mark.parametrize('x', [-1, -2])\ndef test_below(x):\n    assert module.sign(x) == -1\n"
    )
    (tmp_path / "pyproject.toml").write_text("[tool.coverage.run]\nbranch = true\nsource = ['.']\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TESTS_", "COV"))}
    clean["PYTHONPATH"] = str(_TESTS.parent)
    command = [
        sys.executable,
        "-m",
        "coverage",
        "run",
        "--rcfile=pyproject.toml",
        "-m",
        "pytest",
        "-p",
        "tests.sampling",
    ]
    subprocess.run([*command, "-p", "no:cacheprovider", "test_module.py"], cwd=tmp_path, env=clean, check=True)
    module = {
        test: {(line, end) for file, line, end in found if Path(file).name == "module.py"}
        for test, found in parts_covered(tmp_path / ".coverage").items()
    }
    assert module == {
        "": {(1, 0), (7, 0)},
        "test_module.py::test_above": {(2, 0), (4, 0), (8, 0), (2, 4)},
        "test_module.py::test_below": {(2, 0), (3, 0), (2, 3)},
    }


@pytest.mark.thorough
def test_who_names_a_file_gets_all_of_it() -> None:
    file = "tests/migrations/test_migrations.py"
    assert collected("-m", "not soak and not thorough", file) == collected("-m", "not soak", file)
    assert collected("-m", "thorough", file) == []


@pytest.mark.thorough
def test_who_asks_for_names_gets_all_that_have_them() -> None:
    asked = ["tests/migrations", "-k", "upgrade"]
    found = collected("-m", "not soak and not thorough", *asked)
    assert found == collected("-m", "not soak", *asked) != []
