"""What there is in the feed, without what the events hold: for whoever reads their streams, a batch at a time."""

from __future__ import annotations

from typing import Final, NamedTuple

from recorder.core.events import TYPE_NAMES
from recorder.store.base import FeedCursor
from recorder.store.sql import SqlStore

_SIZE: Final = "coalesce(length(e.meta), 0) + coalesce(length(e.body), 0)"  # told by the engine, which reads neither


class Step(NamedTuple):
    """One event in the feed.

    :ivar type: its type; ``code N`` where that is not known here.
    :ivar size: bytes of what it holds, about.
    :ivar place: where it stands in the feed.
    """

    stream: bytes
    version: int
    type: str
    size: int
    place: FeedCursor


def steps(store: SqlStore, after: FeedCursor, limit: int) -> list[Step]:
    """Return up to *limit* events committed after *after*, in the order of :meth:`SqlStore.feed`."""
    place, join = store.feed_place
    select = f"SELECT {store.id_out.format('e.stream')}, e.version, e.type, {_SIZE}, {place} FROM events e {join}"
    return [
        Step(stream, version, TYPE_NAMES.get(code) or f"code {code}", size, FeedCursor(xid, position))
        for stream, version, code, size, xid, position in store.fed(select, after, limit)
    ]
