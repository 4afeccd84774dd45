"""Events in Postgres 15 or newer, through psycopg 3.

An append is one COPY. Each append has one row in ``batches``, stamped with its transaction's id; the
feed is ordered by (transaction id, position) and stops below the oldest transaction that is still
running, so that a transaction which commits late is never passed by. The id is not in the event
itself: after a dump and restore it has to be stamped anew (``restamp`` in postgres_sessions), and
events never change.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from recorder.core.events import Event, StreamOpened
from recorder.errors import StoreError, VersionConflict
from recorder.store import postgres_sessions, revisions
from recorder.store.base import SPOOL_HEADER, FeedCursor, SpoolMark
from recorder.store.failures import translating
from recorder.store.postgres_copy import COPY, END, HEAD, ROWS, packed
from recorder.store.postgres_sessions import reading_engine, writing_engine
from recorder.store.repeats import Stored, without_repeats
from recorder.store.rows import Row
from recorder.store.sql import SnapshotRows, SqlStore
from recorder.store.urls import StoreUrl

if TYPE_CHECKING:
    from psycopg import Cursor

#: Rows that a server-side cursor fetches at once.
_FETCH: Final = 2000

#: Key of the advisory lock of whoever appends to the ledger: "ledger\\0\\0" in ASCII.
_APPENDING: Final = 0x6C65646765720000
_UNSYNCED: Final = ", set_config('synchronous_commit', 'off', true)"
_DURABLE: Final = (
    ", CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END"
)

# Everything of an append but its events, in one statement: each round trip costs the thread that makes it the
# interpreter, and with other threads busy it is milliseconds until it has it again.
_BEGIN: Final = (
    "WITH moved AS (UPDATE spools AS s SET drained = m.stop FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) "
    "AS m (spool, start, stop) WHERE s.spool = m.spool AND s.drained = m.start RETURNING s.spool), "
    "opened AS (INSERT INTO event_streams (stream, instance, secret, format) "
    "SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bytea[], %s::smallint[])), "
    "made AS (INSERT INTO batches (events) SELECT %s::bigint WHERE %s RETURNING id) "
    "SELECT (SELECT id FROM made), ARRAY(SELECT spool FROM moved)"
)
# A spool that was never seen: its first batch begins where its header ends.
_FIRST: Final = (
    "INSERT INTO spools (spool, drained) SELECT * FROM unnest(%s::uuid[], %s::bigint[]) ON CONFLICT DO NOTHING"
)
# Batches of the feed: the rest of the one at the cursor, and the next ones that nothing can still precede.
_BATCHES: Final = (
    "SELECT id, xid::text::bigint, events FROM (SELECT * FROM batches WHERE xid = %s::text::xid8 UNION ALL "
    "(SELECT * FROM batches WHERE xid > %s::text::xid8 AND xid < pg_snapshot_xmin(pg_current_snapshot()) "
    "ORDER BY xid FETCH FIRST %s ROWS WITH TIES)) AS b ORDER BY xid"
)


class PostgresStore(SqlStore):
    """An EventStore in Postgres.

    :param target: where it is.
    :param write: open for writing; the schema must be there already.
    :raises StoreUnreachable: nobody answers, or the login is refused.
    :raises StaleSchema: the schema is not the one of this code.
    """

    id_in = "%s::uuid"
    id_out = "uuid_send({})"
    feed_place = ("b.xid::text::bigint, e.position", "JOIN batches b ON b.id = e.batch")
    feed_after = "b.xid >= '{0.xid}'::xid8"
    lists_are_indexed = True

    def __init__(self, target: StoreUrl, *, write: bool) -> None:
        super().__init__(target.name)
        self.unseals = not write
        self._read = reading_engine(target)
        self._write = writing_engine(target, bounded=False) if write else None
        try:
            with self.reading() as connection:
                revisions.require_head(connection, target.name)
        except BaseException:
            self._read.dispose()
            raise

    # Reading

    def _key(self, identity: bytes) -> object:
        return identity.hex()

    @staticmethod
    def id_literal(identity: bytes) -> str:
        """Return an id as it stands in a statement."""
        return f"'{identity.hex()}'::uuid"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection in a read-only session; errors arrive translated."""
        self._after_fork()
        with translating(self._name, psycopg.Error), self._read.connect() as connection:
            try:
                yield connection
            except psycopg.Error:
                connection.invalidate()  # SQLAlchemy does not see the errors of raw cursors
                raise

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        with self.reading() as connection, _server_cursor(connection, "rows") as cursor:
            cursor.itersize = _FETCH
            yield from cursor.execute(sql, tuple(parameters))

    @contextmanager
    def snapshot(self) -> Iterator[SnapshotRows]:
        """Yield a function whose queries all see the same state."""
        with self.reading() as connection:
            with _raw(connection).cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with closing(_Snapshot(connection, self._name)) as rows:
                yield rows

    def fed(self, select: str, after: FeedCursor, limit: int) -> list[Row]:
        """Return what a statement selects of up to *limit* events ``e`` committed after *after*, in their order."""
        sql = (
            f"{select} WHERE e.batch = ANY(%s) AND (b.xid, e.position) > (%s::text::xid8, %s) "
            "ORDER BY b.xid, e.position LIMIT %s"
        )
        with self.reading() as connection, _raw(connection).cursor(binary=True) as cursor:
            batches = _needed(cursor, after, limit)
            if not batches:
                return []
            return list(cursor.execute(sql, (batches, str(after.xid), after.position, limit)).fetchall())

    def feed_end(self) -> FeedCursor:
        """Return where the feed ends: what is committed from now on comes after it."""
        last = "(SELECT max(xid) FROM batches WHERE xid < pg_snapshot_xmin(pg_current_snapshot()))"
        sql = (
            "SELECT b.xid::text::bigint, max(e.position) FROM batches b JOIN events e ON e.batch = b.id "
            f"WHERE b.xid = {last} GROUP BY b.xid"
        )
        return next((FeedCursor(*row) for row in self._rows(sql)), FeedCursor())

    # Writing

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """Yield a connection in a write transaction, committed at the end; errors arrive translated.

        :param durable: the commit waits for the disk, though the server's settings may say otherwise.
        """
        with self._transaction(_DURABLE if durable else "") as connection:
            yield connection

    @contextmanager
    def _transaction(self, setting: str) -> Iterator[Connection]:
        """The same with a setting of its own, beside those that bound it.

        They have a statement of their own: tables are locked before anything of a statement is done.
        """
        self._after_fork()
        with self._thread_lock, translating(self._name, psycopg.Error):
            if self._write is None:
                raise StoreError(f"{self._name} is open for reading only")
            if self._writer is None:
                self._writer = self._write.connect()
            try:
                # Without begin() SQLAlchemy would not know of a raw cursor's work, and not commit it.
                with self._writer.begin():
                    self._writer.exec_driver_sql(f"SELECT {postgres_sessions.BOUNDS}{setting}")
                    yield self._writer
            except BaseException:
                self._after_failure(self._writer)
                raise

    def lock_ledger(self, connection: Connection) -> None:
        """Keep everybody else from appending to the ledger until the transaction of *connection* ends."""
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_APPENDING,))

    def _after_failure(self, writer: Connection) -> None:
        raw = writer.connection.dbapi_connection if not writer.invalidated and not writer.closed else None
        if raw is None or getattr(raw, "broken", False) or getattr(raw, "closed", False):
            self._writer = None
            # The session is lost either way; what made it so is on its way to the caller.
            with suppress(SQLAlchemyError, psycopg.Error):
                writer.invalidate()
            with suppress(SQLAlchemyError, psycopg.Error):
                writer.close()

    def check_present(self) -> None:
        """Do nothing: a server that is gone says so by itself."""

    def append(
        self, openings: Sequence[StreamOpened], events: Sequence[Event], *marks: SpoolMark, synced: bool = True
    ) -> None:
        """Commit openings and events in one transaction, in order, with the spool's new offset.

        :raises VersionConflict: another event holds that version, or a mark does not follow on.
        :raises UnknownEventType: an event is of a type that has no code.
        :raises StoreUnreachable: the server did not answer or refused.
        """
        try:
            instances = self._instances_of(openings, events)
            try:
                unsynced = "" if synced else _UNSYNCED
                with self._transaction(unsynced) as connection, _raw(connection).cursor() as cursor:
                    _insert(cursor, openings, events, marks, instances)
            except VersionConflict:
                # Rare: something is stored already. Look at each.
                self._forget_instances(openings)
                self._append_rest(openings, events, marks)
        except BaseException:
            self._forget_instances(openings)
            raise

    def _append_rest(
        self, openings: Sequence[StreamOpened], events: Sequence[Event], marks: Sequence[SpoolMark]
    ) -> None:
        with self.writing() as connection, _raw(connection).cursor() as cursor:
            stored = _StoredHere(cursor)
            openings, events = without_repeats(stored, openings, events)
            if not openings and not events:
                marks = [mark for mark in marks if stored.drained(mark.spool) != mark.end]
            _insert(cursor, openings, events, marks, self._instances_of(openings, events))

    def drained(self, spool: bytes) -> int:
        """Return how far a spool is drained, in bytes; 0 if it was never seen.

        Like an append, a writer waits only so long for a table that somebody has locked.
        """
        if self._write is None:
            return super().drained(spool)
        with self.writing() as connection, _raw(connection).cursor() as cursor:
            return _StoredHere(cursor).drained(spool)

    def forget_spool(self, spool: bytes) -> None:
        """Drop the bookkeeping of a spool whose file is gone."""
        with self.writing() as connection:
            connection.exec_driver_sql("DELETE FROM spools WHERE spool = %s::uuid", (spool.hex(),))

    def _close_writer(self, writer: Connection) -> None:
        self._writer = None
        writer.close()


def _raw(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)


@contextmanager
def _server_cursor(connection: Connection, name: str) -> Iterator[psycopg.ServerCursor[Any]]:
    cursor = _raw(connection).cursor(name, binary=True)
    try:
        yield cursor
    finally:
        _close(cursor)


def _close(cursor: psycopg.ServerCursor[Any]) -> None:
    try:
        cursor.close()
    except psycopg.Error:
        cursor.connection.close()  # the server is gone, known to the driver or not
        cursor.close()
        raise


class _Snapshot(SnapshotRows):
    def __init__(self, connection: Connection, name: str) -> None:
        self._name = name
        self._connection = connection
        self._begun = 0
        self._open: set[psycopg.ServerCursor[Any]] = set()

    def __call__(self, sql: str) -> Generator[Row, None, None]:
        self._begun += 1
        # These rows are read wherever the caller is, not within the block that made the snapshot.
        with (
            translating(self._name, psycopg.Error),
            _server_cursor(self._connection, f"rows{self._begun}") as cursor,
        ):
            self._open.add(cursor)
            cursor.itersize = _FETCH
            try:
                yield from cursor.execute(sql)
            finally:
                self._open.discard(cursor)

    def close(self) -> None:
        """Close what is still being read, by whoever holds it: a cursor must not be left to the garbage."""
        for cursor in tuple(self._open):
            with suppress(psycopg.Error):  # the server is gone: nobody reads on, and the next one to ask is told
                _close(cursor)


class _StoredHere(Stored):
    def __init__(self, cursor: Cursor[Any]) -> None:
        self._cursor = cursor

    def opening(self, stream: bytes) -> StreamOpened | None:
        sql = "SELECT instance, secret, format FROM event_streams WHERE stream = %s::uuid"
        row = self._cursor.execute(sql, (stream.hex(),)).fetchone()
        return None if row is None else StreamOpened(stream, row[0].bytes, *row[1:])

    def hash(self, stream: bytes, version: int) -> bytes | None:
        sql = "SELECT hash FROM events WHERE stream = %s::uuid AND version = %s"
        row = self._cursor.execute(sql, (stream.hex(), version)).fetchone()
        return None if row is None else row[0]

    def drained(self, spool: bytes) -> int:
        row = self._cursor.execute("SELECT drained FROM spools WHERE spool = %s::uuid", (spool.hex(),)).fetchone()
        return 0 if row is None else int(row[0])


def _insert(
    cursor: Cursor[Any],
    openings: Sequence[StreamOpened],
    events: Sequence[Event],
    marks: Sequence[SpoolMark],
    instances: dict[bytes, bytes],
) -> None:
    """Insert openings and events, and move the offsets of spools from where *marks* start to where they end."""
    row = cursor.execute(
        _BEGIN,
        (
            [mark.spool.hex() for mark in marks],
            [mark.start for mark in marks],
            [mark.end for mark in marks],
            [opening.stream.hex() for opening in openings],
            [opening.instance.hex() for opening in openings],
            [opening.secret for opening in openings],
            [opening.format for opening in openings],
            len(events),
            bool(events),
        ),
    ).fetchone()
    assert row is not None
    batch, moved = row
    if len(moved) < len(marks):
        there = {spool.bytes for spool in moved}
        _advance_new(cursor, [mark for mark in marks if mark.spool not in there])
    if events:
        with cursor.copy(COPY) as copy:
            copy.write(HEAD)
            for at in range(0, len(events), ROWS):  # the server takes one block while the next is packed
                copy.write(packed(events[at : at + ROWS], instances, batch))
            copy.write(END)


def _advance_new(cursor: Cursor[Any], marks: Sequence[SpoolMark]) -> None:
    """Take note of spools that were never seen."""
    given = ([mark.spool.hex() for mark in marks], [mark.end for mark in marks])
    begins = all(mark.start <= SPOOL_HEADER for mark in marks)
    if not begins or cursor.execute(_FIRST, given).rowcount != len(marks):
        places = ", ".join(str(mark.start) for mark in marks)
        raise VersionConflict(f"the spool's batch does not begin where the last one ended, at byte {places}")


def _needed(cursor: Cursor[Any], after: FeedCursor, limit: int) -> list[int]:
    """Return the batches that hold the next *limit* events."""
    rows = cursor.execute(_BATCHES, (str(after.xid), str(after.xid), limit)).fetchall()
    needed: list[int] = []
    enough, last = 0, after.xid
    for batch, xid, events in rows:
        if enough >= limit and xid != last:
            break
        needed.append(batch)
        last = xid
        if xid > after.xid:
            enough += events
    return needed
