"""Removing for good what was erased: from free pages, logs and indexes of the engine, where it may stand yet.

What no engine can reach is told instead: copies that were made before, archives of a server's log, replicas that have
not come so far, blocks of a disk that no file has any more.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recorder.store.failures import translating
from recorder.store.sqlite_file import rewriting_connection, store_lock
from recorder.store.urls import StoreUrl, parse_url

if TYPE_CHECKING:
    import psycopg

#: Tables that hold payloads, or what was folded from them.
TABLES: Final = (
    *("events", "event_streams", "exchange_rows", "openings"),
    *("message_rows", "call_rows", "link_rows"),
)
_PATIENCE: Final = 30.0  # seconds: as long as a writer waits for a lock
# Who may still see the rows as they were: those are copied by VACUUM. Of other users' sessions this may be hidden.
_HOLDERS: Final = (
    "SELECT coalesce(application_name, ''), pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "AND (datname = current_database() OR datname IS NULL) AND backend_xmin IS NOT NULL "
    "AND age(backend_xmin) > age(%s::text::xid) UNION ALL "
    "SELECT 'the replication slot ' || slot_name, 0 FROM pg_replication_slots WHERE age(xmin) > age(%s::text::xid) "
    "UNION ALL SELECT 'the prepared transaction ' || gid, 0 FROM pg_prepared_xacts "
    "WHERE database = current_database() AND age(transaction) > age(%s::text::xid)"
)


def remove_for_good(url: str) -> list[str]:
    """Write the store's files anew without what was erased; return what is left, a sentence each.

    It takes as long as to copy the store, which nobody can write to meanwhile: recorders keep what comes in their
    spools.

    :raises StoreUnreachable: the store cannot be reached, or something kept it locked: nothing is lost, try again.
    """
    target = parse_url(url)
    return _of_server(target) if target.path is None else _of_file(target.path, target.name)


def _of_file(path: Path, name: str) -> list[str]:
    with store_lock(path), translating(name, sqlite3.Error), closing(rewriting_connection(path)) as connection:
        # Deleted words stay in the index until its parts are merged.
        connection.execute("INSERT INTO message_index (message_index) VALUES ('optimize')")
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        return [f"{path}-wal holds the store as it was, because a program reads it: end that"]
    return []


def _of_server(target: StoreUrl) -> list[str]:
    import psycopg

    from recorder.store.postgres_sessions import writing_engine

    engine = writing_engine(target)
    warned: list[str] = []
    try:
        with translating(target.name, psycopg.Error), closing(engine.raw_connection()) as pooled:
            raw: psycopg.Connection[Any] = pooled.dbapi_connection  # type: ignore[assignment]  # psycopg's own
            raw.autocommit = True
            raw.add_notice_handler(partial(_note_warning, warned))
            held = _held(raw)
            locked = _write_anew(raw)
            _checkpoint(raw)
    finally:
        engine.dispose()
    return [*held, *locked, *(f"the server says: {line}" for line in warned)]


def _note_warning(warned: list[str], notice: psycopg.errors.Diagnostic) -> None:
    if notice.severity_nonlocalized == "WARNING":
        warned.append(str(notice.message_primary))


def _write_anew(raw: psycopg.Connection[Any]) -> list[str]:
    """Write the tables anew; return which one could not be, since somebody else uses it."""
    import psycopg

    # VACUUM takes no part in a transaction, so this is the session's. It is given back: a pooler may keep the session.
    raw.execute(f"SET lock_timeout = '{_PATIENCE}s'")
    try:
        for table in TABLES:
            raw.execute(f"VACUUM (FULL, ANALYZE) {table}")
        table = "pg_catalog.pg_statistic"  # samples of columns, as they were
        raw.execute(f"VACUUM (FULL) {table}")
    except psycopg.errors.LockNotAvailable:
        return [f"the table {table} is in use, so it holds what it held: wait until it is not"]
    finally:
        raw.execute("RESET lock_timeout")
    return []


def _held(raw: psycopg.Connection[Any]) -> list[str]:
    """Wait until nobody can see the rows as they were; return who still can."""
    row = raw.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
    assert row is not None
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = raw.execute(_HOLDERS, (row[0],) * 3).fetchall()
        if not found or time.monotonic() > deadline:
            told = (f"{name or 'a session'}{f' (pid {pid})' if pid else ''}" for name, pid in found)
            return [f"{one} keeps the rows as they were: end it" for one in told]
        time.sleep(0.1)


def _checkpoint(raw: psycopg.Connection[Any]) -> None:
    """Have the old files removed now; who may not ask for that waits for the server's own next one."""
    import psycopg

    try:
        raw.execute("CHECKPOINT")
    except psycopg.errors.InsufficientPrivilege:
        return  # their content went with the commit, what stays is an empty file
