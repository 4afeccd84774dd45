"""Rows of links: what something outside, an order for example, has to do with which exchange."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, select

from recorder.store.checkpoints import insert_into
from recorder.store.tables import links

if TYPE_CHECKING:
    from recorder.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One link.

    :ivar stream: its event stream.
    :ivar kind: of the thing outside, ``order``; ``id``: what it is called there.
    :ivar exchange: the exchange that led to it.
    :ivar at_ns: when it was recorded, UTC nanoseconds.
    """

    stream: bytes
    kind: str
    id: str
    exchange: bytes
    at_ns: int


def store_links(connection: Connection, rows: Sequence[LinkRow]) -> None:
    """Store rows, new ones or in place of those of the same streams."""
    if rows:
        insert = insert_into(connection, links)
        changed = {column.name: insert.excluded[column.name] for column in links.c if not column.primary_key}
        statement = insert.on_conflict_do_update(index_elements=["stream"], set_=changed)
        connection.execute(statement, [asdict(row) for row in rows])


def links_of_thing(store: SqlStore, kind: str, identity: str) -> Iterator[LinkRow]:
    """Yield the links of one thing outside, the oldest first."""
    yield from _links(store, select(links).where(links.c.kind == kind, links.c.id == identity))


def links_of_exchange(store: SqlStore, exchange: bytes) -> Iterator[LinkRow]:
    """Yield what an exchange led to, the oldest first."""
    yield from _links(store, select(links).where(links.c.exchange == exchange))


def _links(store: SqlStore, query: Select[Any]) -> Iterator[LinkRow]:
    with store.reading() as connection:
        for row in connection.execute(query.order_by(links.c.at_ns, links.c.stream)):
            yield LinkRow(*row)
