"""Everything that a store has of an event stream, stream by stream, in one pass over one snapshot: for audits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from recorder.core.events import Event, StreamOpened
from recorder.store.rows import Row, as_stored
from recorder.store.sql import SqlStore

_NONE: Final[tuple[Row, ...]] = ()


class Erased(NamedTuple):
    """What an erasure has left of a payload.

    :ivar size: bytes of meta and body together.
    :ivar commitment: what the hash of its event is made with.
    """

    size: int
    commitment: bytes


class Walked(NamedTuple):
    """One event stream.

    :ivar opened: None where the opening is missing.
    :ivar events: in order, as they are stored; to be read before the next stream is asked for.
    :ivar entries: number and bytes of the ledger's entries that say to be of it, in order.
    :ivar erased: what stands in the place of payloads, by version.
    """

    stream: bytes
    opened: StreamOpened | None
    events: Iterator[Event]
    entries: Sequence[tuple[int, bytes]]
    erased: Mapping[int, Erased]


def walked(
    store: SqlStore, start: bytes | None = None, end: bytes | None = None, *, size: int | None = None
) -> Iterator[Walked]:
    """Yield every event stream of which there is anything, in the order of the ids; memory does not grow.

    Nothing is upcast; an event whose type has no name here is of type ``code N``, and damaged values come as they are.

    :param start: only ids from this one on; *end*: and before this one.
    :param size: only entries before this number: how many there were at some moment.
    :raises CorruptRecording: a page is damaged.
    """
    ids = _between(store, start, end)
    leaves = f"{ids} AND number < {int(size)}" if size is not None else ids
    key = store.id_out.format("stream")
    with store.snapshot() as rows, ExitStack() as reading:

        def beside_of(sql: str) -> _Beside:
            return _Beside(reading.enter_context(closing(rows(sql))))

        openings = beside_of(f"{store.opening_rows} WHERE {ids} ORDER BY stream")
        entries = beside_of(f"SELECT {key}, number, entry FROM ledger_leaves WHERE {leaves} ORDER BY stream, number")
        left = f"SELECT {key}, version, size, commitment FROM erased_payloads"
        erased = beside_of(f"{left} WHERE {ids} ORDER BY stream, version")
        events = beside_of(f"{store.stored_rows} WHERE {ids} ORDER BY stream, version")
        beside = (openings, entries, erased, events)
        while (stream := _first(beside)) is not None:
            opened = next((StreamOpened(*row) for row in openings.take(stream)), None)
            yield Walked(
                stream,
                *store.audited(opened, as_stored(events.take(stream), b"" if opened is None else opened.instance)),
                [(row[1], row[2]) for row in entries.take(stream)],
                {row[1]: Erased(row[2], row[3]) for row in erased.take(stream)},
            )
            for each in beside:
                each.leave(stream)


def ids_of_streams(store: SqlStore) -> Iterator[bytes]:
    """Yield the ids of all openings in their order."""
    with store.snapshot() as rows:
        for row in rows(f"SELECT {store.id_out.format('stream')} FROM event_streams ORDER BY stream"):
            yield row[0]


def _between(store: SqlStore, start: bytes | None, end: bytes | None) -> str:
    conditions = [] if start is None else [f"stream >= {store.id_literal(start)}"]
    conditions += [] if end is None else [f"stream < {store.id_literal(end)}"]
    return " AND ".join(conditions) or "1 = 1"


class _Beside:
    """Rows that are sorted by their first column, taken one value of it after the other."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._groups = groupby(rows, itemgetter(0))
        self.next: tuple[bytes, Iterator[Row]] | None = next(self._groups, None)

    def take(self, stream: bytes) -> Iterator[Row]:
        """Return the rows of that value, if it is the next one."""
        return iter(_NONE) if self.next is None or self.next[0] != stream else self.next[1]

    def leave(self, stream: bytes) -> None:
        """Go on to the next value, if that one was it; rows of it that were not read are passed over."""
        if self.next is not None and self.next[0] == stream:
            self.next = next(self._groups, None)


def _first(beside: Iterable[_Beside]) -> bytes | None:
    return min((each.next[0] for each in beside if each.next is not None), default=None)
