"""A SQLite store as a file: its creation, its connections and their PRAGMAs.

SQLite 3.7.0 to 3.51.2 can corrupt a database when two connections write and checkpoint at the same
moment (https://sqlite.org/wal.html#walresetbug). So nothing here checkpoints by itself: writing and
checkpointing happen under one lock across processes, the file ``STORE.lock``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from recorder.errors import ConfigurationError, StoreUnreachable
from recorder.store import revisions
from recorder.store.locks import StoreLock

Synchronous = Literal["normal", "full"]

APPLICATION_ID: Final = 0x52454344  # "RECD"
PAGE_SIZE: Final = 8192
_MAGIC: Final = b"SQLite format 3\0"

_EVERYWHERE: Final = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",
)
_READER: Final = (*_EVERYWHERE, "PRAGMA query_only = ON")
_WRITER: Final = (
    *_EVERYWHERE,
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA recursive_triggers = ON",  # else INSERT OR REPLACE passes by the triggers
    "PRAGMA fullfsync = ON",  # macOS: fsync alone does not reach the disk
    "PRAGMA checkpoint_fullfsync = ON",
)


def store_lock(path: Path) -> StoreLock:
    """Return the lock under which a store is created, written and checkpointed."""
    return StoreLock(path.with_name(path.name + ".lock"))


def connect(path: Path, options: str, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    """Open the file.

    :param options: SQLite's URI parameters: ``mode=ro``, ``mode=rw``, ``immutable=1``.
    """
    # isolation_level None: Python begins no transaction of its own, so that DDL can be rolled back.
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{options}", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        # A flipped byte in a text is for the hash chain to find, not for the driver to refuse.
        connection.text_factory = _lenient_text
        for pragma in pragmas:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def _lenient_text(data: bytes) -> str:
    return str(data, "utf-8", "replace")


def writing_engine(path: Path, synchronous: Synchronous) -> Engine:
    """Return an engine whose transactions take the write lock at once; its connections are not pooled."""
    pragmas = (*_WRITER, f"PRAGMA synchronous = {synchronous.upper()}")
    engine = _engine(lambda: connect(path, "mode=rw", pragmas), NullPool)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def reading_engine(path: Path) -> Engine:
    """Return an engine that cannot change the store.

    A store in a folder that cannot be written opens as well: SQLite then refuses the ordinary way,
    since it cannot create the index of the write-ahead log, and without a log nothing can change.
    """

    def opened() -> sqlite3.Connection:
        connection = connect(path, "mode=ro", _READER)
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.OperationalError as error:
            connection.close()
            refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if not refused or wal_size(path):
                raise
            return connect(path, "mode=ro&immutable=1", _READER)
        except BaseException:
            connection.close()
            raise
        return connection

    return _engine(opened, QueuePool)


def _engine(creator: Callable[[], sqlite3.Connection], pool: type[NullPool] | type[QueuePool]) -> Engine:
    extra: dict[str, Any] = {"max_overflow": -1} if pool is QueuePool else {}
    return create_engine("sqlite://", creator=creator, poolclass=pool, **extra)


def wal_size(path: Path) -> int:
    """Return the size of the write-ahead log in bytes, 0 when there is none."""
    try:
        return Path(f"{path}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def require_store(path: Path, name: str) -> None:
    """Refuse what cannot be a store before SQLite sees it.

    :raises StoreUnreachable: there is no such file, or it cannot be read.
    :raises ConfigurationError: it is something else.
    """
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except FileNotFoundError:
        raise StoreUnreachable(f"{name} does not exist: record something first, or give another --store") from None
    except OSError as error:
        raise StoreUnreachable(f"{name} cannot be opened: {error.strerror}") from error
    if not head.startswith(_MAGIC) or int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise ConfigurationError(f"{name} is not a recorder store: give another file")


def prepare(path: Path, name: str, synchronous: Synchronous) -> tuple[str, ...]:
    """Create the store or bring its schema up to date, one process at a time.

    :returns: the revisions that were applied.
    :raises StoreUnreachable: the folder is missing or the file cannot be written.
    :raises ConfigurationError: the file is something else.
    :raises StaleSchema: its schema is newer than this code.
    """
    if not path.parent.is_dir():
        raise StoreUnreachable(f"{name} cannot be created: there is no folder {path.parent}")
    with store_lock(path):
        fresh = _create(path, name) or _abandoned(path)
        if not fresh:
            require_store(path, name)
        _lay_out(path, fresh)
        return _migrate(path, synchronous)


def _create(path: Path, name: str) -> bool:
    """Make an empty file that nobody else can read; return whether it is empty."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            empty = os.fstat(descriptor).st_size == 0
            if empty:
                path.chmod(0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreUnreachable(f"{name} cannot be written: {error.strerror}") from error
    return empty


def _abandoned(path: Path) -> bool:
    """Return whether the file is a database without any content: its creator died before the schema."""
    with path.open("rb") as file:
        if file.read(16) != _MAGIC:
            return False
    connection = connect(path, "mode=rw", _WRITER)
    try:
        return not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    finally:
        connection.close()


def _lay_out(path: Path, fresh: bool) -> None:
    connection = connect(path, "mode=rw", _WRITER)
    try:
        if fresh:  # before the write-ahead log exists: these reach the file itself
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _migrate(path: Path, synchronous: Synchronous) -> tuple[str, ...]:
    engine = writing_engine(path, synchronous)
    try:
        with engine.connect() as connection, connection.begin():
            return revisions.migrate(connection)
    finally:
        engine.dispose()
