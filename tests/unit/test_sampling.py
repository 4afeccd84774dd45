"""The default tier has every test, and with ``-m thorough`` every case, once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ENGINES

_TESTS = Path(__file__).parents[1]


def collected(*arguments: str) -> list[str]:
    """Return the names of what would be run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        [*command, "-o", "addopts=--strict-markers"], cwd=_TESTS.parent, env=clean, stdout=-1, text=True
    )
    return [line for line in ran.stdout.splitlines() if "::" in line]


def test_every_test_is_in_the_default_tier_and_every_case_in_one() -> None:
    whole = collected("-m", "not soak", "tests/migrations")
    default = collected("-m", "not soak and not thorough", "tests/migrations")
    thorough = collected("-m", "thorough and not soak", "tests/migrations")
    assert sorted([*default, *thorough]) == sorted(whole)
    assert {name.partition("[")[0] for name in default} == {name.partition("[")[0] for name in whole}
    assert 0 < len(thorough) < len(whole)
    assert [engine for engine in ENGINES if any(engine in name for name in default)] == list(ENGINES)


def test_who_names_a_file_gets_all_of_it() -> None:
    file = "tests/migrations/test_migrations.py"
    assert collected("-m", "not soak and not thorough", file) == collected("-m", "not soak", file)
    assert collected("-m", "thorough", file) == []


def test_who_asks_for_names_gets_all_that_have_them() -> None:
    asked = ["tests/migrations", "-k", "upgrade"]
    found = collected("-m", "not soak and not thorough", *asked)
    assert found == collected("-m", "not soak", *asked) != []
