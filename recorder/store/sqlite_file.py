"""A SQLite store as a file: its creation, its connections and their PRAGMAs.

SQLite 3.7.0 to 3.51.2 can corrupt a database when two connections write and checkpoint at the same
moment (https://sqlite.org/wal.html#walresetbug). So nothing here checkpoints by itself: writing and
checkpointing happen under one lock across processes, the file ``STORE.lock``.

Nobody but SQLite opens a store's file, its log or the log's index. On POSIX, to close any descriptor of a
file gives up every lock that the process has on it, SQLite's included; another process then takes itself
for the last one and deletes the log that is being written (https://sqlite.org/howtocorrupt.html, 2.2).
What a file is, is asked of the file system by name, and of SQLite, which knows its own descriptors.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from recorder.errors import ConfigurationError, StoreUnreachable
from recorder.store import revisions
from recorder.store.base import Synchronous
from recorder.store.failures import translating
from recorder.store.locks import StoreLock

APPLICATION_ID: Final = 0x52454344  # "RECD"
PAGE_SIZE: Final = 8192
_LEAST: Final = 512  # bytes of the smallest page

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


def rewriting_connection(path: Path) -> sqlite3.Connection:
    """Return a connection for rewriting the whole file, which overwrites what is deleted; to be used under the lock."""
    return connect(path, "mode=rw", (*_WRITER, "PRAGMA synchronous = FULL", "PRAGMA secure_delete = ON"))


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
    """Refuse what cannot be a store before SQLite opens it the ordinary way.

    :raises StoreUnreachable: there is no such file, or it cannot be read.
    :raises ConfigurationError: it is something else.
    """
    size = _size(path, name)
    if size is None:
        raise StoreUnreachable(f"{name} does not exist: record something first, or give another --store")
    if size == 0:
        raise ConfigurationError(f"{name} is empty, not yet a recorder store: record something first")
    if _look(path, name).application_id != APPLICATION_ID:
        raise _not_a_store(name)


def refuse_others(path: Path, name: str) -> None:
    """Refuse to make a store of what is something else already; what is missing or empty may become one.

    :raises StoreUnreachable: the file cannot be read.
    :raises ConfigurationError: it is something else.
    """
    if _size(path, name) and not (_look(path, name).application_id == APPLICATION_ID or _abandoned(path, name)):
        raise _not_a_store(name)


def _not_a_store(name: str) -> ConfigurationError:
    return ConfigurationError(f"{name} is not a recorder store: give another file")


def _size(path: Path, name: str) -> int | None:
    """Return a file's size, None where there is none; it is not opened: to open a named pipe waits for a writer."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnreachable(f"{name} cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = next((word for is_one, word in _KINDS if is_one(found.st_mode)), "no regular file")
        raise ConfigurationError(f"{name} is {kind}, not a recorder store: give another file")
    if not _may(path, os.R_OK):
        raise StoreUnreachable(f"{name} cannot be opened: {os.strerror(errno.EACCES)}")
    return found.st_size


_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


class _Seen(NamedTuple):
    """What the file says of itself, without its write-ahead log."""

    application_id: int
    has_content: bool


def _look(path: Path, name: str) -> _Seen:
    """Read what a file is; neither it nor its folder is changed, whosever it is.

    :raises ConfigurationError: it is no SQLite database.
    """
    if path.stat().st_size < _LEAST:  # of one byte, SQLite would say that it is empty
        raise _not_a_store(name)
    with translating(name, sqlite3.Error):
        try:
            return _seen(path, "mode=ro&immutable=1")  # no lock, no log, no roll-back
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            # A file that the log is being moved into may look cut off; the ordinary way waits for that.
            return _seen(path, "mode=ro")


def _seen(path: Path, options: str) -> _Seen:
    connection = connect(path, options, ())
    try:
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        if identity == APPLICATION_ID:
            return _Seen(identity, True)
        return _Seen(identity, bool(connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()))
    finally:
        connection.close()


def _abandoned(path: Path, name: str) -> bool:
    """Return whether the file is a database without any content: its creator died before the schema."""
    if _look(path, name).has_content:
        return False
    with translating(name, sqlite3.Error):
        return not wal_size(path) or not _seen(path, "mode=ro").has_content


def prepare(path: Path, name: str, synchronous: Synchronous) -> tuple[str, ...]:
    """Create the store or bring its schema up to date, one process at a time.

    :returns: the revisions that were applied.
    :raises StoreUnreachable: the folder is missing or the file cannot be written.
    :raises ConfigurationError: the file is something else.
    :raises StaleSchema: its schema is newer than this code.
    """
    refuse_others(path, name)  # before there is a lock file beside what is not ours
    if not path.parent.is_dir():
        raise StoreUnreachable(f"{name} cannot be created: there is no folder {path.parent}")
    with store_lock(path):
        fresh = _create(path, name) or _abandoned(path, name)
        if not fresh:
            require_store(path, name)
        _lay_out(path, fresh)
        return _migrate(path, synchronous)


def _create(path: Path, name: str) -> bool:
    """Make an empty file that nobody else can read; return whether it is empty."""
    size = _size(path, name)
    try:
        if size is None:
            # The one descriptor that is not SQLite's: of a file that nobody can have had open before.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        elif size == 0:
            path.chmod(0o600)
    except OSError as error:
        raise StoreUnreachable(f"{name} cannot be written: {error.strerror}") from error
    if not _may(path, os.W_OK):
        raise StoreUnreachable(f"{name} cannot be written: {os.strerror(errno.EACCES)}")
    return not size


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
