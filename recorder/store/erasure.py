"""Taking payloads out of a store: what is left of each is their size and their commitment, by which proofs still hold.

Everything happens in the one transaction that the caller opens, so that a store never holds half of it. The triggers of
the schema let nothing else pass: a payload goes only where ``erased_payloads`` has what is left of it.

Whoever folds events into rows at the same time must not bring back what is gone. A fold that began before can only be
stored while the checkpoint stands where it stood then; so this is refused until the checkpoint is past every event of
the streams, and nothing that comes later reads a payload of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete

from recorder.clock import id_text
from recorder.errors import ConfigurationError, StoreError
from recorder.store.base import FeedCursor
from recorder.store.checkpoints import checkpoint_of, insert_into
from recorder.store.rows import batched
from recorder.store.tables import erased_payloads, links, projection_checkpoints

if TYPE_CHECKING:
    from recorder.store.sql import SqlStore

_AT_ONCE: Final = 200  # streams in one statement
_ROWS_AT_ONCE: Final = 1000

#: Of each stream, by version, the size of a payload and the commitment to it.
Left = Mapping[bytes, Sequence[tuple[int, int, bytes]]]


def require_privilege(store: SqlStore) -> None:
    """Make sure that whoever is connected may erase, before anything says that something was erased.

    :raises ConfigurationError: it is somebody who may only add to the store, or read it.
    """
    with store.reading() as connection:
        if connection.dialect.name != "postgresql":
            return
        may = connection.exec_driver_sql(
            "SELECT has_table_privilege('events', 'UPDATE') AND has_table_privilege('event_streams', 'UPDATE') "
            "AND has_table_privilege('erased_payloads', 'INSERT')"
        ).scalar()
    if not may:
        raise ConfigurationError(f"this user of {store.name} may not erase: connect as the owner of its tables")


def hide_originals(connection: Connection) -> None:
    """Have SQLite overwrite what is deleted."""
    if connection.dialect.name == "sqlite":
        raw = connection.connection.cursor()
        raw.execute("PRAGMA secure_delete = ON")
        raw.close()


def lock_rows(connection: Connection) -> None:
    """Keep everybody from storing rows of projections until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {projection_checkpoints.name} IN EXCLUSIVE MODE")


def require_folded(store: SqlStore, connection: Connection, projection: str, streams: Collection[bytes]) -> None:
    """Make sure that a projection is past every event of some streams.

    :raises StoreError: it is not: a transaction that runs keeps it back.
    """
    reached = checkpoint_of(connection, projection)
    columns, join = store.feed_place
    for some in batched(list(streams), _AT_ONCE):
        among = ", ".join(map(store.id_literal, some))
        sql = f"SELECT {columns} FROM events e {join} WHERE e.stream IN ({among})"
        if any(FeedCursor(*row) > reached for row in connection.exec_driver_sql(sql)):
            raise StoreError(
                f"a transaction in {store.name} has been running since what is to be erased was recorded: "
                "end it, or wait, and try again"
            )


def take_away(store: SqlStore, connection: Connection, left: Left) -> None:
    """Take every payload of some streams away, and the secrets that their salts were made of.

    :raises StoreError: a stream has grown meanwhile.
    """
    insert = insert_into(connection, erased_payloads).on_conflict_do_nothing()
    zeros = "zeroblob(32)" if connection.dialect.name == "sqlite" else "decode(repeat('00', 32), 'hex')"
    for stream, payloads in left.items():
        place = f"stream = {store.id_literal(stream)}"
        count = connection.exec_driver_sql(f"SELECT count(*) FROM events WHERE {place}").scalar()
        if count != len(payloads):
            raise StoreError(f"{id_text(stream)} was recorded on meanwhile: nothing of it was erased, try again")
        for some in batched(payloads, _ROWS_AT_ONCE):
            values = [
                {"stream": stream, "version": version, "size": size, "commitment": committed}
                for version, size, committed in some
            ]
            connection.execute(insert, values)
        connection.exec_driver_sql(
            f"UPDATE events SET meta = NULL, body = NULL WHERE {place} AND (meta IS NOT NULL OR body IS NOT NULL)"
        )
        connection.exec_driver_sql(f"UPDATE event_streams SET secret = {zeros} WHERE {place} AND secret <> {zeros}")


def remove_links(connection: Connection, streams: Sequence[bytes]) -> None:
    """Remove the rows of some links."""
    for some in batched(streams, _AT_ONCE):
        connection.execute(delete(links).where(links.c.stream.in_(some)))


def whole_streams(store: SqlStore, streams: Collection[bytes]) -> set[bytes]:
    """Return those of some streams that are not erased: an erasure takes the secret in the same transaction."""
    found: set[bytes] = set()
    for some in batched(list(streams), _AT_ONCE):
        among = ", ".join(map(store.id_literal, some))
        openings = store.openings_where(f"stream IN ({among})")
        found.update(opened.stream for opened in openings if opened.secret != bytes(len(opened.secret)))
    return found
