"""docs/quirks.md is true: every quirk has a test, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs/quirks.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| quirk |")]
#: A module of tests that all need other people's recordings.
NEEDING = re.compile(r"^pytestmark = .*needs_corpus", re.MULTILINE)


@cache
def named_in(path: str) -> frozenset[str]:
    """Return the names of the tests of a module."""
    source = (TESTS / path).read_text(encoding="utf-8")
    assert not NEEDING.search(source), f"{path} is skipped where there is no corpus"
    found = (node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in found if name.startswith("test_"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_a_quirk_has_tests(row: str) -> None:
    _, quirk, tests, _ = row.split("|")
    named = NAMED.findall(tests)
    assert quirk.strip()
    assert named
    assert NAMED.sub("", tests).strip(" ,") == ""
    assert len(named) == len(set(named))


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(PAGE))), ids="::".join)
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    assert name in named_in(path)


def test_no_row_is_overlooked() -> None:
    assert len(ROWS) == sum(line.startswith("|") for line in PAGE.splitlines()) - 2 * PAGE.count("| quirk | test |")
    assert len(ROWS) >= 90
