"""How far projections have read the feed; whoever moves a checkpoint keeps others from doing the same work."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, select

from recorder.store.base import FeedCursor
from recorder.store.tables import projection_checkpoints


def checkpoint_of(connection: Connection, name: str) -> FeedCursor:
    """Return how far a projection has read the feed; the feed's beginning for a new one."""
    table = projection_checkpoints
    query = select(table.c.xid, table.c.position).where(table.c.name == name)
    row = connection.execute(query).first()
    return FeedCursor() if row is None else FeedCursor(*row)


def move_checkpoint(connection: Connection, name: str, before: FeedCursor, after: FeedCursor) -> bool:
    """Set a checkpoint if it stands at *before*; return whether it did."""
    table = projection_checkpoints
    values = {"xid": after.xid, "position": after.position}
    moved = connection.execute(
        table.update()
        .where(table.c.name == name, table.c.xid == before.xid, table.c.position == before.position)
        .values(**values)
    ).rowcount
    if not moved and before == FeedCursor():
        insert = insert_into(connection, table).values(name=name, **values).on_conflict_do_nothing()
        moved = len(connection.execute(insert.returning(table.c.name)).all())
    return bool(moved)


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an insert that knows what to do where a key is there already, as the engine writes it."""
    # Imported here: a dialect takes longer to import than all of recorder, and one of them is in use already.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
