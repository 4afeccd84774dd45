"""Event streams that hold more than the ledger has sealed of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from recorder.core.heads import ENDED, OPEN, Head

if TYPE_CHECKING:
    from recorder.store.base import FeedCursor
    from recorder.store.sql import SqlStore

_AT_ONCE: Final = 500
_HASH_SIZE: Final = 32

# Of each stream two looks into an index: it is not the number of events that counts.
_BEHIND: Final = (
    "coalesce((SELECT max(e.version) FROM events e WHERE e.stream = event_streams.stream), 0) > "
    "coalesce((SELECT max(l.length) FROM ledger_leaves l WHERE l.stream = event_streams.stream), 0)"
)


def unsealed_heads(
    store: SqlStore, instance: bytes | None = None, limit: int | None = None, since: FeedCursor | bytes | None = None
) -> list[Head]:
    """Return the heads of streams that are further than their last leaf, in the order in which the store took them.

    So leaves have that order, and not that of the ids, which begin with the clocks of whoever made them. A head whose
    hash is none cannot be sealed, and does not come: the audit tells of it.

    :param instance: only of streams that this recorder process opened.
    :param limit: how many at most, of the first by their ids.
    :param since: only of streams that have events after this place of the feed, or whose ids begin with this or more.
    """
    found = sorted(islice(_unsealed(store, instance, since), limit), key=lambda one: (one[0], one[1].stream))
    return [head for _, head in found]


def _unsealed(store: SqlStore, instance: bytes | None, since: FeedCursor | bytes | None) -> Iterator[tuple[int, Head]]:
    found = iter(store.openings_where(f"{_recent(store, since)}{_BEHIND}", instance))
    while some := [opened.stream for opened in islice(found, _AT_ONCE)]:
        for stream, last in sorted(store.heads(some).items()):
            if len(last.hash) == _HASH_SIZE:
                yield last.position or 0, Head(stream, last.version, last.hash, ENDED if store.has_end(last) else OPEN)


def _recent(store: SqlStore, since: FeedCursor | bytes | None) -> str:
    if since is None:
        return ""
    if isinstance(since, bytes):
        return f"stream >= {store.id_literal(since)} AND "
    written = f"SELECT e.stream FROM events e {store.feed_place[1]} WHERE {store.feed_after.format(since)}"
    return f"stream IN ({written}) AND "
