"""A store to write to and to read from, on each engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recorder.store import open_store
from recorder.store.sql import SqlStore


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    opened = open_store(store_url, write=True)
    yield opened
    opened.close()
