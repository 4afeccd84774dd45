"""Brings the projections up to the end of the feed, from where they stood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from recorder.core.events import JOURNAL_TYPES, Event
from recorder.projections.rows import exchange_row, exchange_rows, kind_of, link_row, opening_row
from recorder.store.base import EventStore, FeedCursor
from recorder.store.linked import LinkRow
from recorder.store.projected import ExchangeRow, OpeningRow, SqlProjected
from recorder.store.searched import CallRow, MessageRow

NAME: Final = "rows/7"  # another name where a fold gives other rows than before: all are made again
_AT_ONCE: Final = 4096  # events of the feed


@dataclass(slots=True)
class Rows:
    """Rows of streams, by id.

    :ivar messages: by key, of each message the row that stands for it; None where nobody asks for them.
    :ivar calls: those of all streams that were folded, where messages are asked for.
    """

    exchanges: dict[bytes, ExchangeRow] = field(default_factory=dict)
    openings: dict[bytes, OpeningRow] = field(default_factory=dict)
    messages: dict[bytes, MessageRow] | None = None
    calls: list[CallRow] = field(default_factory=list)
    links: dict[bytes, LinkRow] = field(default_factory=dict)

    def fold(self, found: Iterator[Event]) -> None:
        """Take the rows of one whole stream; of a journal, which has none and may be long, only the first event."""
        first = next(found, None)
        kind = None if first is None else kind_of(first)
        if first is None or kind == "journal":
            return
        events = [first, *found]
        stream = first.stream
        if kind == "conversation":
            self.openings[stream] = opening_row(events)
        elif kind == "link":
            row = link_row(events)
            self.links |= {stream: row} if row is not None else {}
        else:
            self._fold_exchange(stream, events)

    def _fold_exchange(self, stream: bytes, events: Sequence[Event]) -> None:
        if self.messages is None:
            self.exchanges[stream] = exchange_row(events)
        else:
            found = exchange_rows(events)
            self.exchanges[stream] = found.exchange
            self.calls += found.calls
            for row in found.messages:
                known = self.messages.get(row.key)
                if known is None or row.precedes(known):
                    self.messages[row.key] = row


def project(
    store: EventStore, projected: SqlProjected, *, go_on: Callable[[], bool] = lambda: True, at_once: int = _AT_ONCE
) -> bool:
    """Store the rows of every stream that has changed since the checkpoint; return whether all are done.

    :param go_on: asked before every batch; False ends the work early, the next run goes on from there.
    :param at_once: events of the feed that make a batch.
    :raises StoreError: the store is read-only or failed.
    """
    while go_on():
        before = projected.checkpoint(NAME)
        events, after = store.feed(before, at_once)
        if not events:
            return True
        rows = folded(store, _streams(events), messages=True)
        projected.commit(
            NAME,
            before,
            after,
            exchanges=list(rows.exchanges.values()),
            openings=list(rows.openings.values()),
            messages=list((rows.messages or {}).values()),
            calls=rows.calls,
            links=list(rows.links.values()),
        )
    return False


def unprojected(store: EventStore, projected: SqlProjected, *, messages: bool = False) -> Rows:
    """Return the rows of the streams that have changed since the checkpoint; the store stays as it is.

    :param messages: with those of their messages.
    """
    return folded(store, _changed(store, projected.checkpoint(NAME)), messages=messages)


def _changed(store: EventStore, cursor: FeedCursor) -> dict[bytes, None]:
    """Return the streams that have events after *cursor*, each once."""
    streams: dict[bytes, None] = {}
    while True:
        events, cursor = store.feed(cursor, _AT_ONCE)
        if not events:
            return streams
        streams.update(_streams(events))


def _streams(events: Iterable[Event]) -> dict[bytes, None]:
    """Return the streams that the events are of, each once; journals, as far as the events tell them, left out."""
    return dict.fromkeys(event.stream for event in events if event.type not in JOURNAL_TYPES)


def folded(store: EventStore, streams: Iterable[bytes], *, messages: bool = False) -> Rows:
    """Return the rows of the given streams.

    :param messages: with those of their messages.
    """
    rows = Rows(messages={} if messages else None)
    for stream in streams:
        rows.fold(store.found_events(stream))
    return rows


def rebuild_all(store: EventStore, projected: SqlProjected) -> tuple[int, int]:
    """Drop every projection and build it again from events.

    Nothing is dropped where something cannot be read. Others may project at the same time: what they fold
    counts, what they had folded before does not.

    :returns: the number of exchanges and of openings of conversations that there are now.
    :raises StoreError: the store is read-only or failed.
    :raises CorruptRecording: the store is damaged.
    """
    for stream in _changed(store, FeedCursor()):
        folded(store, (stream,), messages=True)
    projected.drop_all()
    project(store, projected)
    return projected.counts()
