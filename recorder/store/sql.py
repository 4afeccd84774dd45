"""What the two engines have in common: the statements that read events, and rows as events."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, Pool

from recorder.core.events import (
    CONVERSATION_TYPES,
    LINK_TYPES,
    SEALED_FORMAT,
    TERMINAL_TYPES,
    TYPE_CODES,
    Event,
    StreamOpened,
)
from recorder.store.base import FeedCursor, SpoolMark
from recorder.store.rows import Row, as_stored, batched, found_event, merged
from recorder.store.sealed_rows import SealedRows

if TYPE_CHECKING:
    from recorder.store.ledgered import SqlLedger

#: Values in one ``IN (…)``.
_AT_ONCE: Final = 500
#: Of streams without an end, of which nothing more need come all the same.
_ENDLESS: Final = CONVERSATION_TYPES | LINK_TYPES


class SqlStore(SealedRows, ABC):
    """The reading half of an EventStore, over SQL that both engines understand.

    An engine says how an id goes in and comes out, where an event stands in the feed, and how a statement
    is run.

    :param name: the store's URL without its password.
    """

    id_in = "?"
    id_out = "{}"
    #: The columns of an event's :class:`FeedCursor`, and the join that they need.
    feed_place = ("0, e.position", "")
    #: What holds of the events that came after a :class:`FeedCursor`, and of some that came with it.
    feed_after = "e.position > {0.position}"
    #: Whether indexes have the tools and the finish reasons of exchanges.
    lists_are_indexed = False

    #: What an engine makes: where readers get their connections, and where the writer gets its one.
    _read: Engine
    _write: Engine | None

    def __init__(self, name: str) -> None:
        self._name = name
        self._pid = os.getpid()
        self._thread_lock = threading.Lock()  # of whoever uses the writer's connection
        self._writer: Connection | None = None
        self._instances: dict[bytes, bytes] = {}
        columns = (
            f"{self.id_out.format('e.stream')}, e.version, e.type, e.wall_ns, e.mono_ns, "
            f"{self.id_out.format('coalesce(e.instance, s.instance)')}, e.flags, e.meta, e.body, e.hash, e.position, "
            f"s.format, CASE WHEN s.format = {SEALED_FORMAT} THEN s.secret END"
        )
        self._events = f"SELECT {columns} FROM events e LEFT JOIN event_streams s ON s.stream = e.stream "
        self._openings = (
            f"SELECT {self.id_out.format('stream')}, {self.id_out.format('instance')}, secret, format "
            "FROM event_streams "
        )
        # What is hashed is what is stored: nothing is upcast, and an opening's instance is not filled in.
        self._stored = (
            f"SELECT {self.id_out.format('stream')}, version, type, wall_ns, mono_ns, "
            f"{self.id_out.format('instance')}, flags, meta, body, hash, position FROM events "
        )

    # What an engine provides

    @abstractmethod
    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """Run a query and yield its rows in constant memory; errors arrive translated."""

    @abstractmethod
    def _key(self, identity: bytes) -> object:
        """Return an id as the parameter that :attr:`id_in` takes."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[SnapshotRows]:
        """Return a context manager within which every query sees the same state."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """Return a context manager with a connection for queries; errors arrive translated."""

    @abstractmethod
    def writing(self, *, durable: bool = False) -> AbstractContextManager[Connection]:
        """Return a context manager with a connection in a write transaction, committed at the end.

        :param durable: what is committed survives a loss of power, however the store was opened.
        """

    @abstractmethod
    def lock_ledger(self, connection: Connection) -> None:
        """Keep everybody else from appending to the ledger until the transaction of *connection* ends."""

    @abstractmethod
    def check_present(self) -> None:
        """Tell whether what was opened is still there.

        :raises StoreUnreachable: it is not.
        """

    @abstractmethod
    def append(
        self, openings: Sequence[StreamOpened], events: Sequence[Event], *marks: SpoolMark, synced: bool = True
    ) -> None:
        """Commit openings and events; see :meth:`recorder.store.base.EventStore.append`."""

    @abstractmethod
    def forget_spool(self, spool: bytes) -> None:
        """Drop the bookkeeping of a spool whose file is gone."""

    @abstractmethod
    def fed(self, select: str, after: FeedCursor, limit: int) -> list[Row]:
        """Return what a statement selects of up to *limit* events ``e`` committed after *after*, in the feed's order.

        :param select: with :attr:`feed_place`.
        """

    @abstractmethod
    def feed_end(self) -> FeedCursor:
        """Return where the feed ends: what is committed from now on comes after it."""

    @abstractmethod
    def _close_writer(self, writer: Connection) -> None:
        """Close the writer's connection and set :attr:`_writer` to None; the thread lock is held."""

    @staticmethod
    def id_literal(identity: bytes) -> str:
        """Return an id as it stands in a statement."""
        return f"x'{identity.hex()}'"

    # Life

    def _after_fork(self) -> None:
        """Begin anew where the process is a forked child: called before every use."""
        if os.getpid() == self._pid:
            return
        self._pid = os.getpid()
        self._thread_lock = threading.Lock()
        if self._writer is not None:
            _left_to_the_parent.append(self._writer)
            self._writer = None
        for engine in (self._read, self._write):
            if engine is not None:
                _left_to_the_parent.append(engine.pool)
                engine.dispose(close=False)

    def close(self) -> None:
        """Release the connections; closing twice is fine."""
        self._after_fork()
        self._read.dispose()
        with self._thread_lock:
            if self._writer is not None:
                self._close_writer(self._writer)

    def let_go(self) -> None:
        """Release the connections without doing anything that can wait."""
        self.close()

    # What follows from it

    @cached_property
    def ledger(self) -> SqlLedger:
        """Where heads of event streams are sealed."""
        from recorder.store.ledgered import SqlLedger  # with all tables: not every program that records seals

        return SqlLedger(self)

    def select_events(self, more: str, join: str) -> str:
        """Return the statement that reads events, without its conditions.

        :param more: columns that follow those of :func:`event_of`.
        :param join: where they come from.
        """
        return self._events.replace(" FROM ", f", {more} FROM ", 1) + join

    @property
    def opening_rows(self) -> str:
        """The statement that reads the openings of event streams, without its conditions."""
        return self._openings

    @property
    def stored_rows(self) -> str:
        """The statement that reads events as they are stored, for :func:`as_stored`, without its conditions."""
        return self._stored

    @property
    def name(self) -> str:
        """The store's URL without its password, for people."""
        return self._name

    def drained(self, spool: bytes) -> int:
        """Return the offset up to which a spool has been drained: 0 for one never seen."""
        sql = f"SELECT drained FROM spools WHERE spool = {self.id_in}"
        return next((int(row[0]) for row in self._rows(sql, (self._key(spool),))), 0)

    def opening(self, stream: bytes) -> StreamOpened | None:
        """Return the opening of a stream, or None."""
        sql = f"{self._openings} WHERE stream = {self.id_in}"
        return next((self._opened(row) for row in self._rows(sql, (self._key(stream),))), None)

    def openings(self) -> Iterator[StreamOpened]:
        """Yield every opening, in the order of their ids."""
        for row in self._rows(f"{self._openings} ORDER BY stream"):
            yield self._opened(row)

    def streams_of(self, instance: bytes) -> list[StreamOpened]:
        """Return the openings that one recorder process wrote, in the order of their ids."""
        return list(self.openings_where("1 = 1", instance))

    def openings_where(self, condition: str, instance: bytes | None = None) -> Iterator[StreamOpened]:
        """Yield the openings that fulfil a condition in SQL, in the order of their ids.

        :param instance: only those that this recorder process wrote.
        """
        own = "" if instance is None else f"AND instance = {self.id_in} "
        sql = f"{self._openings} WHERE {condition} {own}ORDER BY stream"
        for row in self._rows(sql, () if instance is None else (self._key(instance),)):
            yield self._opened(row)

    def events(self, stream: bytes, *, after: int = 0) -> Iterator[Event]:
        """Yield the events of a stream in order, from the version after *after*."""
        sql = f"{self._events} WHERE e.stream = {self.id_in} AND e.version > {int(after)} ORDER BY e.version"
        for row in self._rows(sql, (self._key(stream),)):
            yield self._event(row)

    def events_where(self, condition: str) -> Iterator[Event]:
        """Yield the events ``e`` that fulfil a condition in SQL, stream by stream, each in order."""
        for row in self._rows(f"{self._events} WHERE {condition} ORDER BY e.stream, e.version"):
            yield self._event(row)

    def found_events(self, stream: bytes) -> Iterator[Event]:
        """Yield the events of a stream in order, those that nobody here can read as being of type ``code N``."""
        sql = f"{self._events} WHERE e.stream = {self.id_in} ORDER BY e.version"
        for row in self._rows(sql, (self._key(stream),)):
            yield self._found(row)

    def found_among(self, streams: Sequence[bytes]) -> Iterator[Event]:
        """Yield the same of each of the given streams, stream by stream."""
        for some in batched(streams, _AT_ONCE):
            sql = f"{self._events} WHERE e.stream IN ({self._places(len(some))}) ORDER BY e.stream, e.version"
            for row in self._rows(sql, [self._key(stream) for stream in some]):
                yield self._found(row)

    def stored_events(self, stream: bytes) -> Iterator[Event]:
        """Yield the events of a stream in order as they are stored: what is sealed stays sealed."""
        sql = f"{self._events} WHERE e.stream = {self.id_in} ORDER BY e.version"
        for row in self._rows(sql, (self._key(stream),)):
            yield found_event(row)

    def sealed_among(self, streams: Sequence[bytes]) -> dict[bytes, StreamOpened]:
        """Return the openings, as they are stored, of those streams whose payloads are sealed and not erased."""
        found = {}
        for some in batched(streams, _AT_ONCE):
            sql = f"{self._openings} WHERE format = {SEALED_FORMAT} AND stream IN ({self._places(len(some))})"
            for row in self._rows(sql, [self._key(stream) for stream in some]):
                if any(row[2]):
                    found[row[0]] = StreamOpened(*row)
        return found

    def feed(self, after: FeedCursor, limit: int) -> tuple[list[Event], FeedCursor]:
        """Return up to *limit* events committed after *after*, and where to go on."""
        rows = self.fed(self.select_events(*self.feed_place), after, limit)
        return [self._found(row) for row in rows], FeedCursor(*rows[-1][13:]) if rows else after

    def head(self, stream: bytes) -> Event | None:
        """Return the last event of a stream, or None."""
        sql = f"{self._events} WHERE e.stream = {self.id_in} ORDER BY e.version DESC LIMIT 1"
        return next((self._found(row) for row in self._rows(sql, (self._key(stream),))), None)

    def heads(self, streams: Sequence[bytes]) -> dict[bytes, Event]:
        """Return the last event of each of the given streams that has one."""
        last = "e.version = (SELECT max(version) FROM events WHERE stream = e.stream)"
        found = {}
        for some in batched(streams, _AT_ONCE):
            sql = f"{self._events} WHERE e.stream IN ({self._places(len(some))}) AND {last}"
            for row in self._rows(sql, [self._key(stream) for stream in some]):
                event = self._found(row)
                found[event.stream] = event
        return found

    def _places(self, count: int) -> str:
        return ", ".join([self.id_in] * count)

    def unfinished(self, instance: bytes | None = None) -> Iterator[tuple[StreamOpened, Event | None]]:
        """Yield each exchange's stream that has no end yet, with its last event.

        A stream that was opened and has no event yet comes with None. Journals, links and openings of
        conversations are no exchanges and do not appear.

        :param instance: only the streams that this recorder process opened.
        """
        yield from self._without_end(self.openings_where("stream <> instance", instance))

    def unfinished_journals(self, instance: bytes | None = None) -> Iterator[tuple[StreamOpened, Event | None]]:
        """Yield each journal that has no end yet, with its last event.

        :param instance: only that of this recorder process.
        """
        yield from self._without_end(self.openings_where("stream = instance", instance))

    def _without_end(self, openings: Iterator[StreamOpened]) -> Iterator[tuple[StreamOpened, Event | None]]:
        while some := list(islice(openings, _AT_ONCE)):
            heads = self.heads([opening.stream for opening in some])
            for opening in some:
                last = heads.get(opening.stream)
                if last is None or not self.is_ended(last):
                    yield opening, last

    def is_ended(self, last: Event) -> bool:
        """Whether nothing more is to be expected of a stream whose last event this is."""
        if last.type in _ENDLESS or last.type not in TYPE_CODES:
            return True  # of an unknown type: a newer recorder wrote it, and may have meant it as the end
        return self.has_end(last)

    def has_end(self, last: Event) -> bool:
        """Whether an end is among the events of a stream whose last one this is."""
        if last.type in TERMINAL_TYPES:
            return True
        if last.type != "gap_recorded":
            return False
        codes = ", ".join(str(TYPE_CODES[name]) for name in sorted(TERMINAL_TYPES))
        sql = f"SELECT 1 FROM events WHERE stream = {self.id_in} AND type IN ({codes}) LIMIT 1"
        return any(True for _ in self._rows(sql, (self._key(last.stream),)))

    def walk(self) -> Iterator[tuple[StreamOpened | None, Iterator[Event]]]:
        """Yield every stream that has an opening or events, with its events in order.

        For audits: nothing is upcast, an unknown type is named ``code N`` and damaged values come as
        they are read, so that the chain, not an exception, tells what is wrong with an event.
        """
        with self.snapshot() as rows:
            openings = (StreamOpened(*row) for row in rows(f"{self._openings} ORDER BY stream"))
            streams = groupby(rows(f"{self._stored} ORDER BY stream, version"), itemgetter(0))
            for opened, events in merged(openings, streams):
                yield self.audited(opened, as_stored(events, b"" if opened is None else opened.instance))

    def counts(self) -> tuple[int, int]:
        """Return the number of events and of event streams."""
        sql = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM event_streams)"
        row = next(iter(self._rows(sql)))
        return int(row[0]), int(row[1])

    # For append

    def _instances_of(self, openings: Sequence[StreamOpened], events: Sequence[Event]) -> dict[bytes, bytes]:
        """Return the instance of the opening of every stream in *events* that has one."""
        known = self._instances
        if len(known) > 20_000:  # streams end and are never asked for again
            known.clear()
        for opening in openings:
            known[opening.stream] = opening.instance
        missing = {event.stream for event in events if event.stream not in known}
        for some in batched(list(missing), _AT_ONCE):
            sql = f"{self._openings} WHERE stream IN ({self._places(len(some))})"
            for row in self._rows(sql, [self._key(stream) for stream in some]):
                known[row[0]] = row[1]
        return known

    def _forget_instances(self, openings: Sequence[StreamOpened]) -> None:
        """Believe nothing about streams whose opening was not committed."""
        for opening in openings:
            self._instances.pop(opening.stream, None)


class SnapshotRows(ABC):
    """Runs queries within one snapshot."""

    @abstractmethod
    def __call__(self, sql: str) -> Generator[Row, None, None]:
        """Run a query and yield its rows in constant memory."""


# What forked children inherited. The connections are the parent's: to close one, or to let it be
# collected, could end the parent's session or write to its database.
_left_to_the_parent: list[Connection | Pool] = []
