"""Stores for tests: real SQLite files, a real Postgres. Nothing is skipped when one cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from recorder.store.schema import upgrade
from tests.postgres_server import GivenServer, PostgresServer, any_server

# Made-up inputs of each property: a sample by default, so that the suite stays short;
# ``--hypothesis-profile=long`` takes its time.
settings.register_profile("sample", max_examples=50)
settings.register_profile("long", max_examples=2000, deadline=None)
settings.load_profile("sample")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test, and for the processes that it starts: spools, the fingerprint key."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(home))
    for variable in ("RECORDER_STORE", "RECORDER_OFF", "RECORDER_FINGERPRINT_KEY"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer | GivenServer]:
    """A running Postgres, one for each worker of pytest-xdist."""
    server = any_server()
    yield server
    server.dispose()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A running Postgres for one test alone, which may stop, kill and restart it."""
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.dispose()


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer | GivenServer) -> Iterator[str]:
    """A fresh database without any table."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def postgres_url(empty_postgres_url: str) -> str:
    """A fresh Postgres store, its schema up to date."""
    upgrade(empty_postgres_url)
    return empty_postgres_url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite store that does not exist yet."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A store's URL, once for each engine; fresh for every test."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url
