"""What a store of events owes, whatever the engine.

Contract suites run against every implementation: tests/contract/test_event_log.py, which a cassette passes too, and
tests/contract/test_event_store.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from recorder.core.events import Event, StreamOpened

if TYPE_CHECKING:
    from recorder.core.heads import Head, Leaf

#: How a SQLite store writes: see :func:`recorder.store.open_store`.
Synchronous = Literal["normal", "full"]

#: Bytes of a spool file's header: where its first batch begins.
SPOOL_HEADER: Final = 48


@dataclass(frozen=True, slots=True)
class SpoolMark:
    """How far a spool file has been drained; committed together with the events it brought.

    :ivar spool: 16-byte id of the spool file.
    :ivar start: byte offset at which this batch begins; must be where the store says the last one ended
        (for a spool that the store has not seen: within :data:`SPOOL_HEADER`). Else the store is not the one that
        has what came before: an older copy was put back.
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


class Anchored(NamedTuple):
    """What somebody outside gave for a checkpoint.

    :ivar id: 16 bytes.
    :ivar size: of the tree whose checkpoint it was.
    :ivar anchor: what gave it, as it was configured.
    :ivar made_ns: when, UTC nanoseconds by this machine's clock.
    :ivar evidence: the bytes that it gave.
    """

    id: bytes
    size: int
    anchor: str
    made_ns: int
    evidence: bytes


class Found(NamedTuple):
    """A ledger as it is found, before anything is added to it.

    :ivar size: how many leaves it has.
    :ivar checkpoint: size and signed note of the largest checkpoint in the store, or None.
    :ivar root: returns the root of the tree of the first so many leaves.
    """

    size: int
    checkpoint: tuple[int, str] | None
    root: Callable[[int], bytes]


class Grown(NamedTuple):
    """A ledger after leaves were added to it.

    :ivar leaves: that were added.
    :ivar size: how many it has.
    :ivar node: returns the hash of a complete subtree.
    """

    leaves: list[Leaf]
    size: int
    node: Callable[[int, int], bytes]


class Ledger(Protocol):
    """The Merkle tree over the heads of a store's event streams, and what was said of it; append-only.

    Numbers of leaves count from 0 without a gap. What reads raises
    :class:`~recorder.errors.CorruptRecording` where an entry or a node is not what was written.
    """

    def origin(self) -> str | None:
        """Return the ledger's name; None where it has none: nothing is sealed then."""
        ...

    def found(self, origin: str) -> None:
        """Give the ledger its name, for good; the same one again is fine.

        :raises ConfigurationError: it has another one.
        """
        ...

    def size(self) -> int:
        """Return how many leaves there are."""
        ...

    def append(self, heads: Sequence[Head], sealed_ns: int) -> list[Leaf]:
        """Commit heads as leaves in one transaction, in order, and return the leaves.

        What is sealed already at that length or a further one is passed over, whatever its hash. When this returns,
        the leaves survive a loss of power.

        :param sealed_ns: UTC nanoseconds.
        :raises ConfigurationError: the ledger has no name yet.
        :raises StoreUnreachable: the engine did not answer, or refused; nothing is committed.
        """
        ...

    def grow(
        self,
        heads: Sequence[Head],
        sealed_ns: int,
        check: Callable[[Found], None],
        copies: Sequence[tuple[int, str]] = (),
    ) -> Grown:
        """Do as :meth:`append`, where the ledger is found to be as it should be, in the same transaction.

        :param check: gets what there is, before anything is added; what it raises undoes all.
        :param copies: sizes and signed notes of checkpoints to be kept with the leaves.
        :raises VersionConflict: there is another note of one of those sizes.
        """
        ...

    def leaf(self, number: int) -> Leaf:
        """Return a leaf.

        :raises NotFound: there is none of that number.
        """
        ...

    def leaves(self, start: int, end: int) -> Iterator[Leaf]:
        """Yield the leaves from number *start* to before *end*, in order; those that are missing are left out."""
        ...

    def last_leaf(self, stream: bytes) -> Leaf | None:
        """Return the newest leaf of a stream."""
        ...

    def leaves_of(self, stream: bytes) -> Iterator[Leaf]:
        """Yield the leaves of a stream, the oldest first."""
        ...

    def unsealed(self, limit: int) -> list[Head]:
        """Return up to *limit* heads of streams that are further than their last leaf; looks at every stream."""
        ...

    def unsealed_since(self, since: FeedCursor | bytes) -> tuple[list[Head], FeedCursor]:
        """Return the same of the streams that were written to since, and what to ask from the next time.

        :param since: a place in the feed; or the least id of a stream that matters.
        """
        ...

    def unsealed_of(self, instance: bytes) -> list[Head]:
        """Return the same of all streams that one recorder process opened."""
        ...

    def node(self, level: int, number: int) -> bytes:
        """Return the hash of the complete subtree over the ``2**level`` leaves from ``number * 2**level`` on."""
        ...

    def root(self, size: int) -> bytes:
        """Return the root of the tree of the first *size* leaves (:func:`recorder.core.merkle.root`)."""
        ...

    def inclusion(self, number: int, size: int) -> list[bytes]:
        """Return the proof that a leaf is in the tree of *size* leaves (:func:`recorder.core.merkle.inclusion`)."""
        ...

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that one tree begins another (:func:`recorder.core.merkle.consistency`)."""
        ...

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Yield size and signed note of every checkpoint, the smallest first."""
        ...

    def last_checkpoint(self) -> tuple[int, str] | None:
        """Return size and signed note of the largest checkpoint."""
        ...

    def add_checkpoint(self, size: int, note: str, made_ns: int) -> None:
        """Keep a signed note; the same one again is passed over.

        :raises VersionConflict: there is another note of that size.
        """
        ...

    def anchors(self) -> Iterator[Anchored]:
        """Yield what was got from outside, in the order in which it came."""
        ...

    def add_anchor(self, anchored: Anchored) -> None:
        """Keep what somebody outside gave; the same one again is passed over.

        :raises VersionConflict: there is another one with that id.
        """
        ...


class EventLog(Protocol):
    """Append-only events, keyed by (event stream, version), as whoever records needs them."""

    @property
    def name(self) -> str:
        """The store's URL without its password, for people."""
        ...

    def append(
        self, openings: Sequence[StreamOpened], events: Sequence[Event], *marks: SpoolMark, synced: bool = True
    ) -> None:
        """Commit openings and events in one transaction, in order, with the new offsets of their spools.

        An opening or an event that is stored already, equal to the last byte of its hash, is passed
        over: repeating an append whose acknowledgement was lost is no error.

        :param synced: False where something else is committed next that survives a loss of power, and what comes
            before it does so too: this need not wait for the medium by itself.
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

    def found_among(self, streams: Sequence[bytes]) -> Iterator[Event]:
        """Yield what :meth:`found_events` does of each of the given streams, one stream after another."""
        ...

    def head(self, stream: bytes) -> Event | None:
        """Return the last event of a stream, or None."""
        ...

    def heads(self, streams: Sequence[bytes]) -> dict[bytes, Event]:
        """Return the last event of each of the given streams that has one."""
        ...

    def unfinished(self, instance: bytes | None = None) -> Iterator[tuple[StreamOpened, Event | None]]:
        """Yield each exchange's stream that has no end yet, with its last event.

        A stream that was opened and has no event yet comes with None. Journals, links and openings of
        conversations are no exchanges and do not appear.

        A stream whose last event nobody here can read does not appear either: it may be an end.

        :param instance: only the streams that this recorder process opened.
        """
        ...

    def unfinished_journals(self, instance: bytes | None = None) -> Iterator[tuple[StreamOpened, Event | None]]:
        """Yield each journal that has no end yet, with its last event: its process runs, or nobody has recovered it.

        :param instance: only that of this recorder process.
        """
        ...

    @property
    def ledger(self) -> Ledger | None:
        """Where heads of event streams are sealed; None where there is no such place: in a cassette."""
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

    @property
    def ledger(self) -> Ledger:
        """Where heads of its event streams are sealed."""
        ...

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
