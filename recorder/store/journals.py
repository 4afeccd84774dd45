"""The journals of a store, the newest first."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import column, select, table

from recorder.core.events import StreamOpened
from recorder.store.sql import SqlStore
from recorder.store.tables import Identity16

_INSTANCE = column("instance", Identity16)
_STREAMS = table("event_streams", _INSTANCE)


def newest_journals(store: object) -> Iterator[StreamOpened]:
    """Yield the openings of the store's journals, the one that began last first; a cassette has none.

    The id of a journal is that of its recorder process, and begins with the clock. Each is found by an index, whatever
    the number of exchanges; processes that kept no journal are passed over.
    """
    if not isinstance(store, SqlStore):
        return
    before: bytes | None = None
    while (instance := _newest_instance(store, before)) is not None:
        if (opened := store.opening(instance)) is not None:
            yield opened
        before = instance


def _newest_instance(store: SqlStore, before: bytes | None) -> bytes | None:
    query = select(_INSTANCE).order_by(_INSTANCE.desc()).limit(1)
    if before is not None:
        query = query.where(before > _INSTANCE)
    with store.reading() as connection:
        found: bytes | None = connection.execute(query).scalar()
    return found
