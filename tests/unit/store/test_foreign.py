"""Databases of other programs: read as they are, and left as they were."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recorder.errors import ImportRefused
from recorder.store.foreign import foreign_database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs.db"


def made(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def traces(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file of a folder, its content and when it was changed."""
    return {
        each.name: (hashlib.sha256(each.read_bytes()).hexdigest(), each.stat().st_mtime_ns) for each in folder.iterdir()
    }


@pytest.fixture(params=["WAL", "DELETE"])
def written(path: Path, request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """A program that has the database open, has committed one row and not yet committed another."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'committed')")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (2, 'not yet')")
        yield connection


@pytest.mark.usefixtures("written")
def test_what_was_committed_is_read_and_nothing_is_touched(path: Path) -> None:
    before = traces(path.parent)
    with foreign_database(path) as database:
        assert list(database.rows("t")) == [{"id": 1, "a": "committed"}]
    assert traces(path.parent) == before


def test_a_database_that_may_not_be_written_is_read(path: Path) -> None:
    made(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        before = traces(path.parent)
        with foreign_database(path) as database:
            assert list(database.rows("t")) == [{"a": 1}]
        assert traces(path.parent) == before
    finally:
        path.parent.chmod(0o700)


def test_rows_in_an_order_and_with_values(path: Path) -> None:
    rows = [(2, "b", 1), (1, "a", 1), (3, "c", 2)]
    made(path, 'CREATE TABLE t (id, "order" TEXT, x)', *(f"INSERT INTO t VALUES {row}" for row in rows))
    with foreign_database(path) as database:
        assert database.tables == {"t": {"id", "order", "x"}}
        assert [row["id"] for row in database.rows("t", "order", "not there")] == [1, 2, 3]
        assert [row["id"] for row in database.rows("t", "id", x=1)] == [1, 2]
        for none in (
            database.rows("no"),
            database.rows("t", y=1),
            database.rows("t", x=1 << 70),
            database.rows("t", x=[]),
        ):
            assert list(none) == []


def test_views_and_virtual_tables_run_nothing(path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS a FROM n"
    made(path, "CREATE TABLE t (a)", f"CREATE VIEW v AS {endless}", "CREATE VIRTUAL TABLE f USING fts5(a)")
    with foreign_database(path) as database:
        assert "t" in database.tables
        assert not {"v", "f"} & database.tables.keys()
        assert list(database.rows("v")) == []


def test_text_that_is_none_is_read(path: Path) -> None:
    made(path, "CREATE TABLE t (a)", "INSERT INTO t VALUES (CAST(x'ff61' AS TEXT))")
    with foreign_database(path) as database:
        assert list(database.rows("t")) == [{"a": "\ufffda"}]


def test_damage_is_one_sentence(path: Path) -> None:
    made(path, "CREATE TABLE t (a)", *(f"INSERT INTO t VALUES ('{'x' * 900}')" for _ in range(40)))
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + os.urandom(400) + whole[500:])
    with pytest.raises(ImportRefused, match="cannot be read"), foreign_database(path) as database:
        list(database.rows("t"))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImportRefused, match="cannot be read"), foreign_database(path) as database:
        list(database.rows("t"))
