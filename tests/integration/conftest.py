"""What several integration tests start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.store.schema import upgrade
from tests.places import Place
from tests.postgres_server import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, own_home: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place(request.getfixturevalue("sqlite_url"), (tmp_path, own_home))
        return
    server: PostgresServer = request.getfixturevalue("own_postgres")
    url = server.create_database()
    upgrade(url)
    parts = tuple(path for path in server.data.iterdir() if path.name != "pg_wal")
    yield Place(url, (*parts, own_home), (server.data / "pg_wal",))
