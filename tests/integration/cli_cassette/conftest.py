"""A store, and a cassette with the same in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import fill
from tests.integration.cli_cassette.holding import CUT, HOME, ONE, TWO, fill_cassette


@pytest.fixture
def url(sqlite_url: str) -> str:
    fill(sqlite_url, HOME, ONE, TWO, CUT)
    return sqlite_url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A cassette with a conversation and three exchanges."""
    path = tmp_path / "c" / "order.jsonl"
    fill_cassette(path, HOME, ONE, TWO, CUT)
    return path
