"""The projections' rows side by side with the events that they were folded from, for audits.

One pass over six sorted sequences in one snapshot: what is held in memory is one event stream at a
time, however large the store is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Table

from recorder.core.events import JOURNAL_TYPES, TYPE_CODES, Event
from recorder.store.base import FeedCursor
from recorder.store.linked import LinkRow
from recorder.store.projected import ExchangeRow, OpeningRow
from recorder.store.rows import Row, batched, found_event
from recorder.store.searched import CallRow, MessageRow
from recorder.store.sql import SnapshotRows, SqlStore
from recorder.store.tables import Identity16, calls, exchanges, links, messages, openings, projection_checkpoints

#: Columns of a row that :func:`recorder.store.sql.found_event` reads; the event's place in the feed follows.
_OF_EVENT = 13
_OF_JOURNALS = frozenset(TYPE_CODES[name] for name in JOURNAL_TYPES)


@dataclass(frozen=True, slots=True)
class Compared:
    """One id with all that is stored under it.

    :ivar stream: the id.
    :ivar exchange: its row in ``exchange_rows``; ``opening``: in ``openings``; ``link``: in ``link_rows``.
    :ivar messages: rows of messages for which it is the first exchange.
    :ivar calls: rows of the calls in its answers.
    :ivar elsewhere: tells of keys of messages which exchange their row names, and when that began.
    :ivar rows: its events as they are read, in order; none of a journal, which has no rows in any table.
    :ivar pending: some of them come after the projection's checkpoint: its rows may still be missing or
        of an earlier moment, and no view believes them.
    """

    stream: bytes
    exchange: ExchangeRow | None
    opening: OpeningRow | None
    link: LinkRow | None
    messages: tuple[MessageRow, ...]
    calls: tuple[CallRow, ...]
    elsewhere: Callable[[Sequence[bytes]], dict[bytes, tuple[int, bytes]]]
    rows: tuple[Row, ...]
    pending: bool

    @property
    def sealed(self) -> bool:
        """Whether its payloads are sealed, and not erased: no row tells anything of them."""
        return bool(self.rows) and self.rows[0][12] is not None and any(self.rows[0][12])

    def events(self) -> list[Event]:
        """Return the events as they are stored, those that nobody here can read as being of type ``code N``."""
        return [found_event(row[:_OF_EVENT]) for row in self.rows]


def compared(store: SqlStore, projection: str) -> Iterator[Compared]:
    """Yield every id under which there are events or rows, in order.

    :param projection: the name of its checkpoint.
    """
    with store.snapshot() as rows:
        checkpoint = _checkpoint(rows, projection)
        place, join = store.feed_place
        events = store.select_events(place, join) + " ORDER BY e.stream, e.version"
        sorted_ones = (
            _keyed((ExchangeRow(*row) for row in rows(_select(store, exchanges))), attrgetter("id")),
            _keyed((OpeningRow(*row) for row in rows(_select(store, openings))), attrgetter("id")),
            _keyed((LinkRow(*row) for row in rows(_select(store, links, "stream"))), attrgetter("stream")),
            groupby((MessageRow(*row) for row in rows(_select(store, messages, "exchange, key"))), _exchange_of),
            groupby((CallRow(*row) for row in rows(_select(store, calls, "exchange, choice, place"))), _exchange_of),
            groupby(rows(events), itemgetter(0)),
        )

        def elsewhere(keys: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
            return _named_by(store, rows, keys)

        for stream, exchange, opening, link, said, called, found in _side_by_side(*sorted_ones):
            told = _but_of_journals(found or iter(()))
            pending = any(FeedCursor(*row[_OF_EVENT:]) > checkpoint for row in told)
            kept = tuple(said or ()), tuple(called or ())
            yield Compared(stream, exchange, opening, link, *kept, elsewhere, told, pending)


def _but_of_journals(rows: Iterator[Row]) -> tuple[Row, ...]:
    """Return the rows of a stream's events; a journal, which may be long, is passed over."""
    first = next(rows, None)
    if first is None or first[2] in _OF_JOURNALS or first[0] == first[5]:  # its stream is its instance
        return ()
    return (first, *rows)


_exchange_of = attrgetter("exchange")


def _named_by(store: SqlStore, rows: SnapshotRows, keys: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
    name, found = messages.name, {}
    columns = f"{store.id_out.format('key')}, started_ns, {store.id_out.format('exchange')}"
    for some in batched(keys, 500):
        for key, started_ns, exchange in rows(
            f"SELECT {columns} FROM {name} WHERE key IN ({', '.join(map(store.id_literal, some))})"
        ):
            found[key] = started_ns, exchange
    return found


def _checkpoint(rows: SnapshotRows, projection: str) -> FeedCursor:
    columns = ", ".join(column.name for column in projection_checkpoints.c)
    found = {row[0]: FeedCursor(*row[1:]) for row in rows(f"SELECT {columns} FROM {projection_checkpoints.name}")}
    return found.get(projection, FeedCursor())


def _select(store: SqlStore, table: Table, order: str = "id") -> str:
    columns = (store.id_out.format(c.name) if isinstance(c.type, Identity16) else c.name for c in table.c)
    return f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {order}"


def _keyed(rows: Iterable[Any], key: Any) -> Iterator[tuple[bytes, Any]]:
    return ((key(row), row) for row in rows)


def _side_by_side(*sequences: Iterator[tuple[bytes, Any]]) -> Iterator[tuple[Any, ...]]:
    """Join sequences of (id, value), each sorted by id: yield each id with its values, None where one lacks it.

    A sequence is asked for its next pair only after its last one was yielded and done with, as the groups
    of :func:`itertools.groupby` need it.
    """
    heads = [next(sequence, None) for sequence in sequences]
    while ids := [head[0] for head in heads if head is not None]:
        least = min(ids)
        yield least, *(head[1] if head is not None and head[0] == least else None for head in heads)
        heads = [
            next(sequence, None) if head is not None and head[0] == least else head
            for sequence, head in zip(sequences, heads, strict=True)
        ]
