"""Cassettes: where the tests keep one."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tests" / "cassettes" / "order.jsonl"
