"""Looking after a store: what it holds, a copy of it, whether it is sound (``recorder db …``)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Connection

from recorder.clock import id_text
from recorder.errors import ConfigurationError, CorruptRecording, RecorderError, StaleSchema, StoreUnreachable
from recorder.store import open_store, revisions, schema
from recorder.store.checks import CheckLine as CheckLine  # a name of this module as well
from recorder.store.checks import contents, triggers
from recorder.store.failures import DAMAGED, translated, translating
from recorder.store.sql import SqlStore
from recorder.store.sqlite import SqliteStore
from recorder.store.sqlite_file import connect, reading_engine, require_store, wal_size
from recorder.store.urls import StoreUrl, parse_url

#: The first SQLite without the WAL-reset bug, https://sqlite.org/wal.html#walresetbug
_WAL_RESET_FIXED: Final = (3, 51, 3)
_MOST_FOUND: Final = 20  # defects of the file that are told


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What a store holds.

    :ivar name: its URL without the password.
    :ivar engine: ``"SQLite 3.40.1"``, ``"PostgreSQL 18.6"``.
    :ivar revision: its schema, None where there is none.
    :ivar pending: revisions that ``recorder db upgrade`` would apply, oldest first.
    :ivar events: their number; None where the schema is not the one of this code. ``streams`` likewise.
    :ivar size: bytes on disk, indexes and write-ahead log included.
    :ivar log_size: bytes of the SQLite write-ahead log; None on Postgres.
    :ivar spools: spools that have been drained in part or whole, with the offset reached.
    """

    name: str
    engine: str
    revision: str | None
    pending: tuple[str, ...]
    events: int | None
    streams: int | None
    size: int
    log_size: int | None
    spools: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """The result of :func:`check`."""

    name: str
    lines: tuple[CheckLine, ...]

    @property
    def ok(self) -> bool:
        """Whether every line is."""
        return all(line.ok for line in self.lines)


def status(url: str) -> StoreStatus:
    """Return what the store holds; it is not changed, and may be of an older schema.

    :raises StoreUnreachable: it cannot be reached.
    :raises ConfigurationError: the URL is wrong or names something else.
    :raises StaleSchema: its schema is newer than this code.
    """
    target = parse_url(url)
    revision, pending = schema.state(target)
    if pending:
        return StoreStatus(target.name, _engine(target), revision, pending, None, None, _size(target), _log(target), ())
    store = open_store(url, write=False)
    try:
        events, streams = store.counts()
        with store.reading() as connection:
            return StoreStatus(
                *(target.name, _engine(target), revision, pending, events, streams, _size(target), _log(target)),
                _spools(connection),
            )
    finally:
        store.close()


def backup(url: str, path: Path) -> int:
    """Copy a SQLite store while it may be written; the copy is one consistent moment of it, mode 0600.

    :returns: its size in bytes.
    :raises ConfigurationError: the store is in Postgres, or *path* exists already.
    :raises StoreUnreachable: the store cannot be read, or *path* not be written.
    """
    target = parse_url(url)
    if target.path is None:
        raise ConfigurationError(f"{target.name} is in Postgres: back it up with pg_dump --format=custom")
    require_store(target.path, target.name)
    if not path.name:  # "" is the folder that one is in
        raise ConfigurationError("the backup has no file name: give a file that does not exist yet")
    if path.exists():
        raise ConfigurationError(f"{path} exists already: give another file")
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with translating(target.name, sqlite3.Error):
                _copy(target.path, partial)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnreachable(f"{path} cannot be written ({error.strerror}): give another file") from error
    return path.stat().st_size


def _copy(source: Path, destination: Path) -> None:
    engine = reading_engine(source)
    try:
        with engine.connect() as connection, closing(connect(destination, "mode=rw", ())) as copy:
            raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
            raw.backup(copy)  # in one step: in one snapshot
            copy.execute("PRAGMA journal_mode = DELETE")  # no side files beside a backup
    finally:
        engine.dispose()
    descriptor = os.open(destination, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check(url: str) -> StoreCheck:
    """Look at everything that can be wrong with a store apart from its chains (``recorder verify``).

    :raises StoreUnreachable: it cannot be reached.
    :raises ConfigurationError: the URL is wrong or names something else.
    """
    target = parse_url(url)
    try:
        store = open_store(url, write=False)
    except StaleSchema as error:
        return StoreCheck(target.name, (CheckLine("schema", False, str(error)),))
    except CorruptRecording as error:
        return StoreCheck(target.name, (CheckLine("integrity", False, _without_advice(error)),))
    lines = [CheckLine("schema", True, f"revision {revisions.HEAD}")]
    try:
        with store.reading() as connection:
            if target.path is not None:
                lines += [_library(), *_permissions(target.path), *_integrity(store)]
            else:
                lines += [_server(connection), *_feed_order(connection)]
            lines.append(triggers(connection))
            # A damaged page is reported above; counting would only fall over it again.
            if all(line.ok for line in lines if line.what == "integrity"):
                lines += contents(connection)
    finally:
        store.close()
    return StoreCheck(target.name, tuple(lines))


def _engine(target: StoreUrl) -> str:
    if target.path is not None:
        return f"SQLite {sqlite3.sqlite_version}"
    return f"PostgreSQL {_ask(target, 'SHOW server_version')}"


def _size(target: StoreUrl) -> int:
    if target.path is not None:
        return target.path.stat().st_size + wal_size(target.path)
    return int(_ask(target, "SELECT pg_database_size(current_database())"))


def _log(target: StoreUrl) -> int | None:
    return None if target.path is None else wal_size(target.path)


def _ask(target: StoreUrl, sql: str) -> str:
    from recorder.store import postgres_sessions

    engine = postgres_sessions.reading_engine(target)
    try:
        with translating(target.name), engine.connect() as connection:
            return str(connection.exec_driver_sql(sql).scalar())
    finally:
        engine.dispose()


def _spools(connection: Connection) -> tuple[tuple[str, int], ...]:
    rows = connection.exec_driver_sql("SELECT spool, drained FROM spools ORDER BY spool")
    return tuple((id_text(spool) if isinstance(spool, bytes) else str(spool), int(drained)) for spool, drained in rows)


def _library() -> CheckLine:
    sound = sqlite3.sqlite_version_info >= _WAL_RESET_FIXED
    remark = "" if sound else " has the WAL-reset bug; recorder's lock file keeps clear of it, other programs may not"
    return CheckLine("library", True, f"SQLite {sqlite3.sqlite_version}{remark}")


def _permissions(path: Path) -> list[CheckLine]:
    lines = []
    for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            mode = file.stat().st_mode & 0o777
            detail = f"{file.name} has mode {mode:04o}" + ("" if not mode & 0o077 else f": run chmod 600 {file}")
            lines.append(CheckLine("permissions", not mode & 0o077, detail))
    return lines


def _integrity(store: SqlStore) -> list[CheckLine]:
    found = damage(store)
    if not found:
        return [CheckLine("integrity", True, "every page and index is sound")]
    return [CheckLine("integrity", False, line) for line in found]


def damage(store: SqlStore) -> list[str]:
    """Return what SQLite finds wrong with the pages and indexes of its file; nothing on Postgres, which looks itself.

    Without it an audit cannot trust what it reads: events that an index has lost do not appear in any query.
    """
    if not isinstance(store, SqliteStore):
        return []
    with store.reading() as connection, closing(connection.connection.cursor()) as raw:
        try:
            found = [str(row[0]) for row in raw.execute(f"PRAGMA integrity_check({_MOST_FOUND})").fetchall()]
        except sqlite3.DatabaseError as error:
            found = [_without_advice(translated(error, store.name))]
    return [] if found == ["ok"] else [" ".join(line.split()) for line in found]


def _without_advice(error: RecorderError) -> str:
    return str(error).replace(DAMAGED, "is damaged: restore a backup")  # to run the check that found it is no advice


def _server(connection: Connection) -> CheckLine:
    version = connection.exec_driver_sql("SHOW server_version").scalar()
    checksums = connection.exec_driver_sql("SHOW data_checksums").scalar()
    number = int(connection.exec_driver_sql("SHOW server_version_num").scalar() or 0)
    return CheckLine("server", number >= 150000, f"PostgreSQL {version}, data checksums {checksums}; needs 15 or newer")


def _feed_order(connection: Connection) -> list[CheckLine]:
    ahead = connection.exec_driver_sql(
        "SELECT count(*) FROM batches WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())"
    ).scalar()
    if ahead:
        comes = "batch comes" if ahead == 1 else "batches come"
        return [CheckLine("feed", False, f"{ahead} {comes} from another server: run `recorder db upgrade`")]
    return [CheckLine("feed", True, "every batch can be read")]
