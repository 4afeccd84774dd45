"""Where the spools of these tests lie, and the disk below them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.recording.disks import Disk, SmallDisk


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store.db-spool"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    return SmallDisk(monkeypatch)
