"""Sessions with a Postgres server: their settings, the schema, and a dump that came from elsewhere."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from recorder.store import revisions
from recorder.store.failures import translating
from recorder.store.urls import StoreUrl

#: libpq's settings where the URL has none: a server that vanished is noticed within seconds.
_CONNECT: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "recorder",
}
# A writer that hangs in its transaction would hold back every reader of the feed. For the transaction only: a pooler
# gives the session to somebody else after it, who would inherit what is set for the session, and us to another session.
BOUNDS = "set_config('idle_in_transaction_session_timeout', '60s', true), set_config('lock_timeout', '30s', true)"
#: Key of the advisory lock under which the schema is changed: "recorder" in ASCII.
_UPGRADING: Final = 0x7265636F72646572


def reading_engine(target: StoreUrl) -> Engine:
    """Return an engine whose sessions are read-only."""
    engine = create_engine(target.url, connect_args=_settings(target), pool_pre_ping=True, max_overflow=-1)

    def read_only(connection: psycopg.Connection[Any], _: object) -> None:
        connection.read_only = True

    event.listen(engine, "connect", read_only)
    return engine


def writing_engine(target: StoreUrl, *, bounded: bool = True) -> Engine:
    """Return an engine for writing; its connections are not pooled.

    :param bounded: its transactions begin with :data:`BOUNDS`, and wait only so long; else that is the caller's to do.
    """
    engine = create_engine(target.url, connect_args=_settings(target), poolclass=NullPool)

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT {BOUNDS}")

    if bounded:
        event.listen(engine, "begin", begun)
    return engine


def prepare(target: StoreUrl) -> tuple[str, ...]:
    """Bring the schema up to date, one process at a time, and :func:`restamp` a restored dump.

    :returns: the revisions that were applied.
    """
    engine = writing_engine(target)
    try:
        with translating(target.name, psycopg.Error), engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_UPGRADING,))
            applied = revisions.migrate(connection)
            restamp(connection)
        return applied
    finally:
        engine.dispose()


def _settings(target: StoreUrl) -> dict[str, Any]:
    settings = {key: value for key, value in _CONNECT.items() if key not in target.url.query}
    return settings | {"prepare_threshold": None}  # a pooler gives the next transaction to another server process


def restamp(connection: Connection) -> bool:
    """Give batches of a restored dump transaction ids of this server, in the old order.

    Ids above the server's own would hide those batches from the feed. The new ones spread over the
    ids that the server has used up; checkpoints of projections no longer mean anything and go.

    :returns: whether it was necessary.
    """
    foreign = "SELECT count(*) FROM batches WHERE xid > pg_current_xact_id()"
    if not connection.exec_driver_sql(foreign).scalar():
        return False
    connection.exec_driver_sql(
        "UPDATE batches SET xid = (3 + (r.place * (pg_current_xact_id()::text::numeric - 4) / r.total)::bigint)"
        "::text::xid8 FROM (SELECT id, row_number() OVER (ORDER BY xid, id) - 1 AS place, count(*) OVER () AS total "
        "FROM batches) r WHERE r.id = batches.id"
    )
    connection.exec_driver_sql("DELETE FROM projection_checkpoints")
    return True
