"""What a store of events owes, whatever the engine.

Contract suites run against every implementation: tests/contract/test_event_log.py, which a cassette passes too, and
tests/contract/test_event_store.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from recorder.core.events import Event, StreamOpened

#: How a SQLite store writes: see :func:`recorder.store.open_store`.
Synchronous = Literal["normal", "full"]


@dataclass(frozen=True, slots=True)
class SpoolMark:
    """How far a spool file has been drained; committed together with the events it brought.

    :ivar spool: 16-byte id of the spool file.
    :ivar start: byte offset at which this batch begins; must be where the store says the last one ended
        (for a spool that the store has not seen: where the spool's header ends).
    :ivar end: byte offset after this batch.
    """

    spool: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True, order=True)
class FeedCursor:
    """A place in the store-wide feed; opaque outside the store (docs/format.md, "Order").

    :ivar xid: PostgreSQL transaction id; 0 on SQLite.
    :ivar position: position of the last event that was read.
    """

    xid: int = 0
    position: int = 0


class EventLog(Protocol):
    """Append-only events, keyed by (event stream, version), as whoever records needs them."""

    @property
    def name(self) -> str:
        """The store's URL without its password, for people."""
        ...

    def append(self, openings: Sequence[StreamOpened], events: Sequence[Event], *marks: SpoolMark) -> None:
        """Commit openings and events in one transaction, in order, with the new offsets of their spools.

        An opening or an event that is stored already, equal to the last byte of its hash, is passed
        over: repeating an append whose acknowledgement was lost is no error.

        :raises VersionConflict: another event holds that version, or a mark does not start where the
            store's offset of its spool stands; nothing is committed.
        :raises UnknownEventType: an event is of a type that has no code; nothing is committed.
        :raises StoreUnreachable: the engine did not answer or refused (full, locked too long); nothing
            is committed.
        """
        ...

    def check_present(self) -> None:
        """Tell whether what was opened is still there, under its name.

        :raises StoreUnreachable: it is not.
        """
        ...

    def drained(self, spool: bytes) -> int:
        """Return the offset up to which a spool has been drained: 0 for one never seen."""
        ...

    def forget_spool(self, spool: bytes) -> None:
        """Drop the bookkeeping of a spool whose file is gone."""
        ...

    def opening(self, stream: bytes) -> StreamOpened | None:
        """Return the opening of a stream, or None."""
        ...

    def openings(self) -> Iterator[StreamOpened]:
        """Yield every opening, in the order of their ids."""
        ...

    def events(self, stream: bytes, *, after: int = 0) -> Iterator[Event]:
        """Yield the events of a stream in order, from the version after *after*.

        :raises UnknownEventType: one is of a type that is not known here; those before it come first.
        """
        ...

    def found_events(self, stream: bytes) -> Iterator[Event]:
        """Yield the events of a stream in order, those that nobody here can read as being of type ``code N``.

        :meth:`feed`, :meth:`head` and :meth:`heads` do the same: one event of a type that a newer recorder
        made up hides nothing else.
        """
        ...

    def head(self, stream: bytes) -> Event | None:
        """Return the last event of a stream, or None."""
        ...

    def heads(self, streams: Sequence[bytes]) -> dict[bytes, Event]:
        """Return the last event of each of the given streams that has one."""
        ...

    def unfinished(self, instance: bytes | None = None) -> Iterator[tuple[StreamOpened, Event | None]]:
        """Yield each exchange's stream that has no end yet, with its last event.

        A stream that was opened and has no event yet comes with None. Openings of conversations never
        end and do not appear.

        A stream whose last event nobody here can read does not appear either: it may be an end.

        :param instance: only the streams that this recorder process opened.
        """
        ...

    def counts(self) -> tuple[int, int]:
        """Return the number of events and of event streams."""
        ...

    def let_go(self) -> None:
        """Release connections as :meth:`close` does, without doing anything that can wait."""
        ...

    def close(self) -> None:
        """Release connections; closing twice is fine."""
        ...


class EventStore(EventLog, Protocol):
    """The same with what is needed to read a whole store."""

    def streams_of(self, instance: bytes) -> list[StreamOpened]:
        """Return the openings that one recorder process wrote, in the order of their ids."""
        ...

    def walk(self) -> Iterator[tuple[StreamOpened | None, Iterator[Event]]]:
        """Yield every stream that has an opening or events, with its events in order.

        For audits: one pass over the store in one snapshot, each event read once, constant memory.
        Nothing is upcast; an event whose type has no name here is of type ``code N``, and damaged values
        come as they are read. A stream whose opening is missing comes with None, its events then have
        the instance ``b""`` where the opening had it; a damaged page raises
        :class:`~recorder.errors.CorruptRecording`.
        """
        ...

    def feed(self, after: FeedCursor, limit: int) -> tuple[list[Event], FeedCursor]:
        """Return up to *limit* events committed after *after*, and where to go on.

        No event is ever skipped, however late its transaction commits; across streams the order is a
        convenience, never evidence.
        """
        ...

    def feed_end(self) -> FeedCursor:
        """Return where the feed ends: what is committed from now on comes after it.

        What another transaction that is still running keeps back now may come as well.
        """
        ...
