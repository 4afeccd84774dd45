"""A directory for a suite that is brought over."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path
