"""A store to write to and to read from, on each engine; and a place for events, which a cassette is too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.store import open_events, open_store
from recorder.store.base import EventLog
from recorder.store.sql import SqlStore


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    opened = open_store(store_url, write=True)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql", "cassette"])
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "cassette":
        return f"{tmp_path}/made/log.jsonl"
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def log(log_url: str) -> Iterator[EventLog]:
    opened = open_events(log_url)
    yield opened
    opened.close()
