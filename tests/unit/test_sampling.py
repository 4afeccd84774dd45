"""The default tier has a case of every test that is not long, and with ``-m thorough`` every case there is, once."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENGINES
from tests.sampling import LONG_TESTS, long_tests

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
    long = {f"tests/{name}" for name in LONG_TESTS.read_text().split()}
    left = without_cases(whole) - without_cases(default)
    assert left <= long
    assert [engine for engine in ENGINES if any(engine in name for name in default)] == list(ENGINES)


@pytest.mark.thorough
def test_the_parts_are_all_that_is_left() -> None:
    asked = ["-m", "thorough and not soak", "tests/migrations"]
    parts = [collected(*asked, TESTS_PART=f"{number} of 3") for number in (7, 8, 9)]
    assert sorted(itertools.chain(*parts)) == sorted(collected(*asked))
    assert all(parts)


def test_what_is_called_long_is_there() -> None:
    for name in LONG_TESTS.read_text().split():
        file, _, test = name.partition("::")
        assert f"def {test}(" in (_TESTS / file).read_text(), name


def test_what_is_long_is_told_by_a_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    cases = [("unit.core.test_a", f"test_short[{number}]", 1.0) for number in range(4000)]
    cases += [("unit.core.test_a", "test_long[1]", 5.0), ("unit.core.test_a", "test_long[2]", 2.0)]
    cases += [("acceptance.test_kill", "test_kill", 9.0)]
    told = (f'<testcase classname="tests.{place}" name="{name}" time="{time}"/>' for place, name, time in cases)
    report.write_text(f"<testsuites><testsuite>{''.join(told)}</testsuite></testsuites>")
    assert long_tests(report) == ["unit/core/test_a.py::test_long"]
    before = ["unit/core/test_a.py::test_short", "unit/core/test_b.py::test_not_run"]
    assert long_tests(report, before) == ["unit/core/test_a.py::test_long", "unit/core/test_b.py::test_not_run"]


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
