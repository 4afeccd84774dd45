"""The one place where errors of SQLAlchemy and of the drivers become recorder's own.

tests/unit/store/test_failures.py walks every exception class of the three libraries and proves that
none crosses the border unmapped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from recorder.errors import (
    ConfigurationError,
    CorruptRecording,
    NotPermitted,
    RecorderError,
    StaleSchema,
    StoreError,
    StoreUnreachable,
    VersionConflict,
)

#: What is said of a store whose engine cannot read it.
DAMAGED: Final = "is damaged: run `recorder db check`, restore a backup"

#: Of a store whose tables are there, and what tells their revision is not.
HALF: Final = "has tables of these names but no schema revision: restore a backup, or give another database"

# SQLite's primary result codes, https://sqlite.org/rescode.html
_SQLITE: Final[dict[int, tuple[type[RecorderError], str]]] = {
    3: (StoreUnreachable, "may not be opened: check its permissions"),
    5: (StoreUnreachable, "stayed locked by another process: see which program holds it open"),
    6: (StoreUnreachable, "stayed locked by another connection"),
    7: (StoreUnreachable, "cannot be used: out of memory"),
    8: (StoreUnreachable, "cannot be written: check the permissions of the file and its folder"),
    9: (StoreUnreachable, "was interrupted"),
    10: (StoreUnreachable, "cannot be read or written: the disk reports an error"),
    11: (CorruptRecording, DAMAGED),
    13: (StoreUnreachable, "cannot grow: the disk is full"),
    14: (StoreUnreachable, "cannot be opened: check that the folder exists and may be written"),
    15: (StoreUnreachable, "stayed locked by other processes"),
    22: (StoreUnreachable, "is too large for this machine"),
    23: (StoreUnreachable, "may not be opened: not authorised"),
    26: (ConfigurationError, "is not a recorder store: give another file"),
}

_FORBIDDEN: Final = "42501"  # insufficient_privilege

# SQLSTATE, whole codes first and then classes, https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES: Final[dict[str, tuple[type[RecorderError], str]]] = {
    "23505": (VersionConflict, "holds another row under the same key"),
    "23001": (StoreError, "is append-only"),
    "25P03": (StoreUnreachable, "closed a session that had been idle for too long"),
    "3D000": (StoreUnreachable, "does not exist: create the database first"),
    "42P01": (StaleSchema, "has no recorder schema: run `recorder db upgrade`"),
    "42703": (StaleSchema, "has another schema: run `recorder db upgrade`"),
    "42P07": (StaleSchema, HALF),
    "57014": (StoreUnreachable, "cancelled the statement"),
    "08": (StoreUnreachable, "lost the connection"),
    "25": (StoreUnreachable, "refused to write in its present state"),
    "28": (StoreUnreachable, "refused the login: check user and password"),
    "40": (StoreUnreachable, "rolled the transaction back"),
    "53": (StoreUnreachable, "is out of resources"),
    "55": (StoreUnreachable, "is locked or not ready"),
    "57": (StoreUnreachable, "is shutting down or starting"),
    "58": (StoreUnreachable, "reports a system error"),
    "XX": (CorruptRecording, DAMAGED),
}


def translated(error: Exception, name: str) -> RecorderError:
    """Return recorder's error for one of SQLAlchemy's, sqlite3's or psycopg's.

    :param name: the store's URL without its password.
    """
    if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
        return translated(error.orig, name)
    if isinstance(error, PoolTimeout):
        return StoreUnreachable(f"{name} cannot be reached: every connection is busy, try again")
    if isinstance(error, ArgumentError):
        return ConfigurationError(f"{name} cannot be used: {_line(error)}")
    if isinstance(error, UnicodeDecodeError):
        return CorruptRecording(f"{name} {DAMAGED} (text that is no UTF-8)")
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, name)
    if hasattr(error, "sqlstate"):
        return _of_postgres(error, error.sqlstate, name)
    if isinstance(error, InvalidRequestError):
        return StoreUnreachable(f"{name} lost the connection: {_line(error)}")
    return StoreError(f"{name} failed: {_line(error)}")


@contextmanager
def translating(name: str, *drivers: type[Exception]) -> Iterator[None]:
    """Turn errors of SQLAlchemy and the given driver errors that leave the block into recorder's own.

    :raises RecorderError: what :func:`translated` makes of them.
    """
    # A damaged schema makes SQLite say so in a text that is no UTF-8, over which the driver stumbles.
    caught: tuple[type[Exception], ...] = (SQLAlchemyError, UnicodeDecodeError, *drivers)
    try:
        yield
    except caught as error:
        raise translated(error, name) from error


def _of_sqlite(error: sqlite3.Error, name: str) -> RecorderError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF) in _SQLITE:
        kind, text = _SQLITE[code & 0xFF]
        return kind(f"{name} {text} ({_line(error)})")
    line = _line(error)
    if "no such table" in line or "no such column" in line or "has no column" in line:
        return StaleSchema(f"{name} has no recorder schema, or another one ({line}): run `recorder db upgrade`")
    if line.startswith("table ") and line.endswith(" already exists"):
        return StaleSchema(f"{name} {HALF} ({line})")
    if isinstance(error, sqlite3.IntegrityError) and line.startswith("UNIQUE"):
        return VersionConflict(f"{name} holds another row under the same key ({line})")
    return StoreError(f"{name} failed: {line}")


def _of_postgres(error: Exception, sqlstate: str | None, name: str) -> RecorderError:
    if sqlstate is None:  # libpq's own: no server was reached, or it went away
        return StoreUnreachable(f"{name} cannot be reached ({_line(error)}): start its server, or mend the URL")
    if sqlstate == _FORBIDDEN:
        told = f"refused: the user lacks a privilege ({_line(error)})"
        return NotPermitted(f"{name} {told}: connect as the owner of its tables, or as a writer (`recorder db grant`)")
    kind, text = _POSTGRES.get(sqlstate) or _POSTGRES.get(sqlstate[:2]) or (StoreError, "failed")
    return kind(f"{name} {text} ({_line(error)})")


def _line(error: Exception) -> str:
    """Return the first line of an error's text, or the name of its class."""
    lines = str(error.args[0] if error.args else "").strip().splitlines()
    return lines[0] if lines else type(error).__name__
