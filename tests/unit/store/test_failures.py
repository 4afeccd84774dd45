"""No error of SQLAlchemy, sqlite3 or psycopg crosses the border unmapped."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy.exc
from psycopg import errors as states

from recorder.errors import (
    ConfigurationError,
    CorruptRecording,
    RecorderError,
    StaleSchema,
    StoreError,
    StoreUnreachable,
    VersionConflict,
)
from recorder.store.failures import translated, translating

NAME = "sqlite:///trades.db"


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def sqlalchemy_errors() -> Iterator[Exception]:
    # sorted: workers of pytest-xdist have to collect the same tests in the same order
    for kind in sorted(set(subclasses(sqlalchemy.exc.SQLAlchemyError)), key=lambda kind: kind.__name__):
        error = kind.__new__(kind)
        error.args = (f"a {kind.__name__}",)
        yield error


@pytest.mark.parametrize("error", list(sqlalchemy_errors()), ids=lambda error: type(error).__name__)
def test_every_error_of_sqlalchemy_is_mapped(error: Exception) -> None:
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        error.orig = sqlite3.OperationalError("inside")
    with pytest.raises(RecorderError) as caught, translating(NAME):
        raise error
    assert isinstance(caught.value, StoreError | ConfigurationError)
    assert str(caught.value).startswith(NAME)
    assert "\n" not in str(caught.value)


def codes() -> list[int]:
    names = [name for name in dir(sqlite3) if name.startswith("SQLITE_")]
    extended = [getattr(sqlite3, name) for name in names if isinstance(getattr(sqlite3, name), int)]
    return sorted(set(range(1, 27)) | {code for code in extended if code & 0xFF in range(1, 27)})


@pytest.mark.parametrize("kind", sorted(set(subclasses(sqlite3.Error)), key=lambda kind: kind.__name__))
def test_every_error_of_sqlite_is_mapped(kind: type[sqlite3.Error]) -> None:
    for code in [None, *codes()]:
        error = kind("what happened\nand more")
        if code is not None:
            error.sqlite_errorcode = code
        mapped = translated(error, NAME)
        assert isinstance(mapped, RecorderError)
        assert str(mapped).startswith(NAME)
        assert "what happened" in str(mapped)
        assert "\n" not in str(mapped)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_CORRUPT, CorruptRecording),
        (sqlite3.SQLITE_NOTADB, ConfigurationError),
        (sqlite3.SQLITE_BUSY, StoreUnreachable),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreUnreachable),
        (sqlite3.SQLITE_FULL, StoreUnreachable),
        (sqlite3.SQLITE_IOERR_WRITE, StoreUnreachable),
        (sqlite3.SQLITE_READONLY, StoreUnreachable),
        (sqlite3.SQLITE_CANTOPEN, StoreUnreachable),
        (sqlite3.SQLITE_MISUSE, StoreError),
    ],
)
def test_what_sqlite_says_decides(code: int, kind: type[RecorderError]) -> None:
    error = sqlite3.DatabaseError("")
    error.sqlite_errorcode = code
    mapped = translated(error, NAME)
    assert type(mapped) is kind


def test_errors_without_a_code_of_their_own() -> None:
    assert type(translated(sqlite3.OperationalError("no such table: events"), NAME)) is StaleSchema
    assert type(translated(sqlite3.IntegrityError("UNIQUE constraint failed: x"), NAME)) is VersionConflict
    assert type(translated(sqlite3.IntegrityError("events is append-only"), NAME)) is StoreError
    assert type(translated(sqlalchemy.exc.TimeoutError("QueuePool limit"), NAME)) is StoreUnreachable
    assert str(translated(sqlite3.Error(), NAME)) == f"{NAME} failed: Error"


@pytest.mark.parametrize("kind", sorted(set(subclasses(psycopg.Error)), key=lambda kind: kind.__name__))
def test_every_error_of_psycopg_is_mapped(kind: type[psycopg.Error]) -> None:
    mapped = translated(kind("what happened"), NAME)
    assert isinstance(mapped, RecorderError)
    assert str(mapped).startswith(NAME)
    assert "what happened" in str(mapped)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("connection refused"), StoreUnreachable),
        (states.AdminShutdown("terminating"), StoreUnreachable),
        (states.DiskFull("no space"), StoreUnreachable),
        (states.LockNotAvailable("timeout"), StoreUnreachable),
        (states.InvalidPassword("no"), StoreUnreachable),
        (states.InvalidCatalogName("no such database"), StoreUnreachable),
        (states.ReadOnlySqlTransaction("no"), StoreUnreachable),
        (states.UniqueViolation("twice"), VersionConflict),
        (states.RestrictViolation("events is append-only"), StoreError),
        (states.UndefinedTable("events"), StaleSchema),
        (states.UndefinedColumn("batch"), StaleSchema),
        (states.DataCorrupted("page"), CorruptRecording),
        (states.SyntaxError("near"), StoreError),
    ],
)
def test_what_postgres_says_decides(error: Exception, kind: type[RecorderError]) -> None:
    assert type(translated(error, NAME)) is kind


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), translating(NAME, sqlite3.Error):
        raise KeyError("mine")
