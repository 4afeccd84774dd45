"""Events in a SQLite file.

One connection writes, under the store's lock; others read, each query in its own snapshot. A write
transaction is ``BEGIN IMMEDIATE``, so positions commit in their own order and the feed is simply the
order of positions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from recorder.core.events import TYPE_CODES, Event, StreamOpened
from recorder.errors import StoreError, StoreUnreachable, UnknownEventType, VersionConflict
from recorder.store import revisions
from recorder.store.base import SPOOL_HEADER, FeedCursor, SpoolMark, Synchronous
from recorder.store.failures import translating
from recorder.store.repeats import Stored, without_repeats
from recorder.store.rows import Row, batched
from recorder.store.sql import SnapshotRows, SqlStore
from recorder.store.sqlite_file import (
    prepare,
    reading_engine,
    require_store,
    store_lock,
    wal_size,
    writing_engine,
)

#: Size of the write-ahead log at which an append moves it into the file, in bytes.
CHECKPOINT_AT: Final = 32 << 20

_OPEN: Final = "INSERT INTO event_streams (stream, instance, secret, format) VALUES %s"
_OPENING: Final = "(?, ?, ?, ?)"
_OPENED_AT_ONCE: Final = 64
# What is absent is bound as 0, which no such column holds otherwise: see _values.
_APPEND: Final = (
    "INSERT INTO events (stream, version, type, wall_ns, mono_ns, instance, flags, meta, body, hash) "
    "SELECT column1, column2, column3, column4, column5, NULLIF(column6, 0), column7, NULLIF(column8, 0), "
    "NULLIF(column9, 0), column10 FROM (VALUES %s) LIMIT ?"
)
_ROW: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS: Final = _ROW.count("?")
_ABSENT: Final = 0
# Of a spool that was never seen, the first batch begins where its header ends.
_MARK: Final = (
    "INSERT INTO spools (spool, drained) SELECT column1, column3 FROM (VALUES %s) AS marks "
    f"WHERE column2 = COALESCE((SELECT drained FROM spools WHERE spool = column1), min(column2, {SPOOL_HEADER})) "
    "ON CONFLICT (spool) DO UPDATE SET drained = excluded.drained"
)
_MARKED: Final = "(?, ?, ?)"
_MARKED_AT_ONCE: Final = 64
# sqlite3 gives the interpreter to another thread at every step, and has to wait until it gets it back: with
# many rows a statement, the drainer and the program's own threads change places that many times less.
_MOST_ROWS: Final = 2048


class SqliteStore(SqlStore):
    """An EventStore in a file.

    :param path: the file, absolute.
    :param name: the store's URL, for people.
    :param write: open for writing; creates the file and brings its schema up to date.
    :param synchronous: ``"normal"``: what is committed survives the death of the process; ``"full"``:
        and the loss of power.
    :raises StoreUnreachable: the file cannot be opened.
    :raises ConfigurationError: it is not a store.
    :raises StaleSchema: its schema is newer, or (reading) older than this code.
    """

    def __init__(self, path: Path, name: str, *, write: bool, synchronous: Synchronous = "normal") -> None:
        super().__init__(name)
        self._path = path
        self._lock = store_lock(path)
        self._synchronous = synchronous
        self.unseals = not write
        self._checkpoint_at = CHECKPOINT_AT
        with translating(name, sqlite3.Error):
            if write:
                prepare(path, name, synchronous)
            else:
                require_store(path, name)
            self._read = reading_engine(path)
            self._write = writing_engine(path, synchronous) if write else None
        self._identity = _identity(path)
        if not write:
            try:
                with self.reading() as connection:
                    revisions.require_head(connection, name)
            except BaseException:
                self._read.dispose()
                raise

    def check_present(self) -> None:
        """Tell whether the file at the store's path is still the one that was opened.

        :raises StoreUnreachable: it was removed, moved or replaced: what is written would be nowhere.
        """
        if _identity(self._path) != self._identity:
            raise StoreUnreachable(f"{self._name} was removed or replaced while it was open: put it back")

    # Reading

    def _key(self, identity: bytes) -> object:
        return identity

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that cannot write; errors arrive translated."""
        self._after_fork()
        with translating(self._name, sqlite3.Error), self._read.connect() as connection:
            yield connection

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        with self.reading() as connection, closing(connection.connection.cursor()) as cursor:
            yield from cursor.execute(sql, tuple(parameters))

    @contextmanager
    def snapshot(self) -> Iterator[SnapshotRows]:
        """Yield a function whose queries all see the same state."""
        with self.reading() as connection, closing(_Snapshot(connection, self._name)) as rows:
            yield rows

    def fed(self, select: str, after: FeedCursor, limit: int) -> list[Row]:
        """Return what a statement selects of up to *limit* events ``e`` committed after *after*, in their order."""
        sql = f"{select} WHERE e.position > ? ORDER BY e.position LIMIT ?"
        return list(self._rows(sql, (after.position, limit)))

    def feed_end(self) -> FeedCursor:
        """Return where the feed ends: what is committed from now on comes after it."""
        return FeedCursor(0, next((int(row[0]) for row in self._rows("SELECT max(position) FROM events") if row[0]), 0))

    # Writing

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """Yield a connection in a write transaction, committed at the end; errors arrive translated.

        :param durable: the log is synced with the commit, and with it whatever was committed before.
        """
        with self._writer_alone() as connection:
            level: Synchronous = "full" if durable else self._synchronous
            with self._syncing(connection, level), connection.begin():
                yield connection

    @contextmanager
    def _syncing(self, connection: Connection, level: Synchronous) -> Iterator[None]:
        """Have commits wait for the medium, or not, whatever the store was opened with."""
        if level == self._synchronous:
            yield
            return
        try:
            _set_synchronous(connection, level)
            yield
        finally:
            _set_synchronous(connection, self._synchronous)

    def lock_ledger(self, connection: Connection) -> None:
        """Do nothing: whoever writes is alone."""

    @contextmanager
    def _writer_alone(self) -> Iterator[Connection]:
        self._after_fork()
        with self._thread_lock, self._lock, translating(self._name, sqlite3.Error):
            if self._write is None:
                raise StoreError(f"{self._name} is open for reading only")
            self.check_present()
            if self._writer is None:
                self._writer = self._write.connect()
            yield self._writer

    def append(
        self, openings: Sequence[StreamOpened], events: Sequence[Event], *marks: SpoolMark, synced: bool = True
    ) -> None:
        """Commit openings and events in one transaction, in order, with the spool's new offset.

        :raises VersionConflict: another event holds that version, or a mark does not follow on.
        :raises UnknownEventType: an event is of a type that has no code.
        :raises StoreUnreachable: the file did not take it.
        """
        try:
            values = self._values(openings, events)
            level: Synchronous = self._synchronous if synced else "normal"
            with self._writer_alone() as connection, self._syncing(connection, level):
                try:
                    with connection.begin():
                        _advance(connection, marks)
                        _insert(connection, openings, values)
                except (IntegrityError, VersionConflict):
                    # Rare: something is stored already. Look at each, under the same lock.
                    self._forget_instances(openings)
                    with connection.begin():
                        self._append_rest(connection, openings, events, marks)
                if wal_size(self._path) > self._checkpoint_at:
                    self._checkpoint(connection)
        except BaseException:
            self._forget_instances(openings)
            raise

    def _values(self, openings: Sequence[StreamOpened], events: Sequence[Event]) -> list[object]:
        """The columns of all events in one list, which is what a statement of many rows takes."""
        # sqlite3 looks for an adapter of every value but numbers, texts and bytearrays: that would take a third
        # of the time, and the interpreter all the while. So None is 0 here, and bytes are copied.
        values: list[object] = []
        codes, own, add, copied = TYPE_CODES, self._instances_of(openings, events).get, values.extend, bytearray
        last, name = b"", copied()
        try:
            for stream, version, kind, wall_ns, mono_ns, instance, flags, meta, body, digest, _ in events:
                if stream != last:
                    last, name = stream, copied(stream)
                add(
                    (
                        name,
                        version,
                        codes[kind],
                        wall_ns,
                        mono_ns,
                        _ABSENT if own(stream) == instance else instance,
                        flags,
                        _ABSENT if meta is None else meta,
                        _ABSENT if body is None else copied(body),
                        copied(digest),
                    )
                )
        except KeyError as error:
            raise UnknownEventType(f"unknown event type {error.args[0]!r}: nothing was appended") from None
        return values

    def _append_rest(
        self,
        connection: Connection,
        openings: Sequence[StreamOpened],
        events: Sequence[Event],
        marks: Sequence[SpoolMark],
    ) -> None:
        stored = _StoredHere(connection)
        openings, events = without_repeats(stored, openings, events)
        everything_known = not openings and not events
        _advance(
            connection,
            [mark for mark in marks if not (everything_known and stored.drained(mark.spool) == mark.end)],
        )
        _insert(connection, openings, self._values(openings, events))

    def forget_spool(self, spool: bytes) -> None:
        """Drop the bookkeeping of a spool whose file is gone."""
        with self.writing() as connection:
            connection.exec_driver_sql("DELETE FROM spools WHERE spool = ?", (spool,))

    def _checkpoint(self, connection: Connection) -> None:
        raw = connection.connection.cursor()
        try:
            # A reader in an old snapshot is not waited for: what can be moved is, the rest next time.
            raw.execute("PRAGMA busy_timeout = 0")
            busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            raw.execute("PRAGMA busy_timeout = 5000")
        finally:
            raw.close()
        self._checkpoint_at = (wal_size(self._path) if busy else 0) + CHECKPOINT_AT

    def let_go(self) -> None:
        """Release the connections at once: the log is left as it is, for whoever opens the store next."""
        # The last connection that closes would move the log into the file, tens of megabytes perhaps. One that
        # may not write cannot, so it is one of those that is closed last.
        with self.reading() as last:
            last.connection.cursor().execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
            with self._thread_lock, translating(self._name, sqlite3.Error):
                writer, self._writer = self._writer, None
                if writer is not None:
                    writer.close()
        self._read.dispose()

    def _close_writer(self, writer: Connection) -> None:
        # Under the lock: SQLite moves the log into the file by itself when the last connection closes.
        with self._lock, translating(self._name, sqlite3.Error):
            self._writer = None
            try:
                self._checkpoint(writer)
            finally:
                writer.close()


def _set_synchronous(connection: Connection, level: Synchronous) -> None:
    """Say when the log is synced; not through SQLAlchemy, which would begin a transaction."""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA synchronous = {level.upper()}")


def _identity(path: Path) -> tuple[int, int] | None:
    """What makes a file the same one, whatever it is called; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _Snapshot(SnapshotRows):
    def __init__(self, connection: Connection, name: str) -> None:
        self._name = name
        self._connection = connection.connection
        self._cursors = [self._connection.cursor()]
        self._cursors[0].execute("BEGIN")

    def __call__(self, sql: str) -> Generator[Row, None, None]:
        cursor = self._connection.cursor()
        self._cursors.append(cursor)
        # These rows are read wherever the caller is, not within the block that made the snapshot.
        try:
            with translating(self._name, sqlite3.Error):
                yield from cursor.execute(sql)
        finally:
            self._cursors.remove(cursor)
            cursor.close()

    def close(self) -> None:
        """End the snapshot; a query that was not read to its end would keep it alive."""
        for cursor in list(self._cursors[1:]):
            cursor.close()
        raw = self._connection.dbapi_connection
        if raw is not None and raw.in_transaction:  # damage ends a transaction by itself
            self._cursors[0].execute("ROLLBACK")
        self._cursors[0].close()


class _StoredHere(Stored):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def opening(self, stream: bytes) -> StreamOpened | None:
        sql = "SELECT stream, instance, secret, format FROM event_streams WHERE stream = ?"
        row = self._connection.exec_driver_sql(sql, (stream,)).first()
        return None if row is None else StreamOpened(*row)

    def hash(self, stream: bytes, version: int) -> bytes | None:
        sql = "SELECT hash FROM events WHERE stream = ? AND version = ?"
        found: bytes | None = self._connection.exec_driver_sql(sql, (stream, version)).scalar()
        return found

    def drained(self, spool: bytes) -> int:
        sql = "SELECT drained FROM spools WHERE spool = ?"
        return int(self._connection.exec_driver_sql(sql, (spool,)).scalar() or 0)


def _insert(connection: Connection, openings: Sequence[StreamOpened], values: Sequence[object]) -> None:
    for some in batched(openings, _OPENED_AT_ONCE):
        opened = tuple(value for each in some for value in (each.stream, each.instance, each.secret, each.format))
        connection.exec_driver_sql(_opening(len(some)), opened)
    most = min(_MOST_ROWS, (_most_values(connection) - 1) // _COLUMNS) * _COLUMNS
    for at in range(0, len(values), most):
        part = list(values[at : at + most])
        rows = len(part) // _COLUMNS
        room = min(_room_for(rows), most // _COLUMNS)
        part += [_ABSENT] * ((room - rows) * _COLUMNS)
        part.append(rows)
        connection.exec_driver_sql(_statement(room), tuple(part))


def _room_for(rows: int) -> int:
    """The next power of two: few different statements, each made once for a connection."""
    return 1 << (rows - 1).bit_length()


@cache
def _opening(rows: int) -> str:
    return _OPEN % ", ".join([_OPENING] * rows)


@cache
def _statement(rows: int) -> str:
    return _APPEND % ", ".join([_ROW] * rows)


def _most_values(connection: Connection) -> int:
    """Return how many values this SQLite takes in one statement: 999 before 3.32, 32,766 since."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    return int(raw.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER))


def _advance(connection: Connection, marks: Sequence[SpoolMark]) -> None:
    """Move the offsets of spools from where *marks* start to where they end."""
    for some in batched(marks, _MARKED_AT_ONCE):
        values = tuple(value for mark in some for value in (mark.spool, mark.start, mark.end))
        if connection.exec_driver_sql(_marking(len(some)), values).rowcount != len(some):
            starts = " or ".join(f"byte {mark.start}" for mark in some)
            raise VersionConflict(f"a spool's batch does not begin where the last one ended, at {starts}")


@cache
def _marking(marks: int) -> str:
    return _MARK % ", ".join([_MARKED] * marks)
