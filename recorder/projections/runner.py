"""Brings the projections up to the end of the feed, from where they stood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from recorder.core.events import JOURNAL_TYPES, Event
from recorder.dialects.remembered import Remembered
from recorder.projections.rows import exchange_row, exchange_rows, kind_of, link_row, opening_row, sealed_row
from recorder.store.base import FeedCursor
from recorder.store.linked import LinkRow
from recorder.store.projected import ExchangeRow, OpeningRow, SqlProjected
from recorder.store.related import sealed_rows
from recorder.store.rows import batched
from recorder.store.searched import CallRow, MessageRow
from recorder.store.sql import SqlStore
from recorder.store.steps import Step, steps

NAME: Final = "rows/17"  # another name where a fold gives other rows than before: all are made again
_AT_ONCE: Final = 4096  # events of the feed
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_MESSAGES: Final = 20_000  # whose rows are made before they are stored
_STREAMS: Final = 500  # in one question


@dataclass(slots=True)
class Rows:
    """Rows of streams, by id.

    :ivar messages: by key, of each message the row that stands for it; None where nobody asks for them.
    :ivar calls: those of all streams that were folded, where messages are asked for.
    :ivar remembered: what was read of exchanges, for those that send it again.
    """

    exchanges: dict[bytes, ExchangeRow] = field(default_factory=dict)
    openings: dict[bytes, OpeningRow] = field(default_factory=dict)
    messages: dict[bytes, MessageRow] | None = None
    calls: list[CallRow] = field(default_factory=list)
    links: dict[bytes, LinkRow] = field(default_factory=dict)
    remembered: Remembered = field(default_factory=Remembered)

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

    def fold_sealed(self, found: Iterator[Event]) -> None:
        """Take the row of one whole stream whose payloads are sealed: what was said is in no row.

        :param found: its events as they are stored.
        """
        events = list(found)
        if not events:
            return
        stream = events[0].stream
        if kind_of(events[0]) == "conversation":
            self.openings[stream] = opening_row([event._replace(meta=None, body=None) for event in events])
        else:
            self.exchanges[stream] = sealed_row(events)

    def take(self, store: SqlStore, streams: Iterable[bytes], *, unseal: bool = False) -> None:
        """Take the rows of streams in a store.

        :param unseal: also of what is sealed, where its keys are here: for views of the moment, never to be stored.
        """
        for some in batched(list(streams), _STREAMS):
            sealed = store.sealed_among(some)
            for stream in some:
                opened = sealed.get(stream)
                closed = opened is not None and not (unseal and store.unsealing.keys(opened) is not None)
                self.take_one(store, stream, sealed=closed)

    def take_one(self, store: SqlStore, stream: bytes, *, sealed: bool) -> None:
        """Take the rows of a stream in a store.

        :param sealed: its payloads are, and stay so.
        """
        if sealed:
            self.fold_sealed(store.stored_events(stream))
        else:
            self.fold(store.found_events(stream))

    def _fold_exchange(self, stream: bytes, events: Sequence[Event]) -> None:
        if self.messages is None:
            self.exchanges[stream] = exchange_row(events)
            return
        found = exchange_rows(events, self.remembered, self._is_known)
        self.exchanges[stream] = found.exchange
        self.calls += found.calls
        for row in found.messages:
            known = self.messages.get(row.key)
            if known is None or row.precedes(known):
                self.messages[row.key] = row

    def _is_known(self, key: bytes, started_ns: int, exchange: bytes) -> bool:
        known = self.messages.get(key) if self.messages is not None else None
        return known is not None and (known.started_ns, known.exchange) < (started_ns, exchange)


def project(
    store: SqlStore,
    projected: SqlProjected,
    *,
    go_on: Callable[[], bool] = lambda: True,
    at_once: int = _AT_ONCE,
    most_bytes: int = _MOST_BYTES,
) -> bool:
    """Store the rows of every stream that has changed since the checkpoint; return whether all are done.

    :param go_on: asked before every batch; False ends the work early, the next run goes on from there.
    :param at_once: events of the feed that make a batch.
    :param most_bytes: when the events of a batch hold more, no other stream is added to it: a long history is sent
        again with every request, and the rows of a batch are in memory.
    :raises StoreError: the store is read-only or failed.
    """
    remembered = Remembered()
    done: dict[bytes, int] = {}  # of the streams of the last batch, up to which version their rows are
    while go_on():
        before = projected.checkpoint(NAME)
        found = steps(store, before, at_once)
        if not found:
            return True
        rows = Rows(messages={}, remembered=remembered)
        after = _take_batch(store, rows, found, done, most_bytes)
        stored = projected.commit(
            NAME,
            before,
            after,
            exchanges=list(rows.exchanges.values()),
            openings=list(rows.openings.values()),
            messages=list((rows.messages or {}).values()),
            calls=rows.calls,
            links=list(rows.links.values()),
        )
        # A stream is folded whole, so that what comes of it in later batches is in its row already.
        done = {step.stream: done.get(step.stream, 0) for step in found} if stored else {}
        done |= {stream: row.last_version for stream, row in rows.exchanges.items()} if stored else {}
    return False


def _take_batch(
    store: SqlStore, rows: Rows, found: Sequence[Step], done: Mapping[bytes, int], most_bytes: int
) -> FeedCursor:
    """Take the rows of streams in the order of the feed until they are enough; return up to where that is.

    :param done: of some streams, up to which version their rows are stored.
    """
    changed = _streams(found)
    sealed = store.sealed_among(list(changed))
    held = 0
    for number, step in enumerate(found):
        held += step.size
        if step.stream not in changed or done.get(step.stream, 0) >= step.version:
            continue
        if number and (held > most_bytes or len(rows.messages or ()) > _MOST_MESSAGES):
            return found[number - 1].place
        rows.take_one(store, step.stream, sealed=step.stream in sealed)
        del changed[step.stream]
    return found[-1].place


def unprojected(store: SqlStore, projected: SqlProjected, *, messages: bool = False) -> Rows:
    """Return the rows of the streams that no table has as they are now; the store stays as it is.

    They have changed since the checkpoint, or what was said in them is sealed: that stands in no table.

    :param messages: with those of their messages.
    """
    changed = _changed(store, projected.checkpoint(NAME))
    changed |= dict.fromkeys(sealed_rows(store))
    rows = Rows(messages={} if messages else None)
    rows.take(store, changed, unseal=True)
    return rows


def _changed(store: SqlStore, cursor: FeedCursor) -> dict[bytes, None]:
    """Return the streams that have events after *cursor*, each once."""
    streams: dict[bytes, None] = {}
    while found := steps(store, cursor, _AT_ONCE):
        streams.update(_streams(found))
        cursor = found[-1].place
    return streams


def _streams(found: Iterable[Step]) -> dict[bytes, None]:
    """Return the streams that the steps are of, each once; journals, as far as the events tell them, left out."""
    return {step.stream: None for step in found if step.type not in JOURNAL_TYPES}


def folded(
    store: SqlStore, streams: Iterable[bytes], *, messages: bool = False, remembered: Remembered | None = None
) -> Rows:
    """Return the rows of the given streams.

    :param messages: with those of their messages.
    :param remembered: what was read of other exchanges.
    """
    rows = Rows(messages={} if messages else None, remembered=remembered or Remembered())
    rows.take(store, streams)
    return rows


def rebuild_all(store: SqlStore, projected: SqlProjected) -> tuple[int, int]:
    """Drop every projection and build it again from events.

    Nothing is dropped where something cannot be read. Others may project at the same time: what they fold
    counts, what they had folded before does not.

    :returns: the number of exchanges and of openings of conversations that there are now.
    :raises StoreError: the store is read-only or failed.
    :raises CorruptRecording: the store is damaged.
    """
    remembered = Remembered()
    for stream in _changed(store, FeedCursor()):
        folded(store, (stream,), messages=True, remembered=remembered)
    projected.drop_all()
    project(store, projected)
    return projected.counts()
