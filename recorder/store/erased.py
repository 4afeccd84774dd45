"""What erasures left of payloads, and the events of few types that stand anywhere in a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from recorder.clock import id_bytes
from recorder.core.events import TYPE_CODES, Event
from recorder.errors import CorruptRecording
from recorder.store.rows import batched
from recorder.store.tables import erased_payloads

if TYPE_CHECKING:
    from recorder.store.sql import SqlStore

_AT_ONCE: Final = 500  # streams


class ErasedPayload(NamedTuple):
    """What is left of a payload: how large it was, and the commitment that its event's hash is made with.

    :ivar size: bytes of meta and body together.
    """

    size: int
    commitment: bytes


def erased_of(store: SqlStore, stream: bytes) -> dict[int, ErasedPayload]:
    """Return what is left of the payloads of an event stream that were erased, by version."""
    c = erased_payloads.c
    query = select(c.version, c.size, c.commitment).where(c.stream == stream)
    with store.reading() as connection:
        return {version: ErasedPayload(size, left) for version, size, left in connection.execute(query)}


def erased_streams(store: SqlStore) -> frozenset[bytes]:
    """Return the ids of the event streams of which payloads were erased."""
    with store.reading() as connection:
        return frozenset(connection.execute(select(erased_payloads.c.stream).distinct()).scalars())


def streams_with(store: SqlStore, type_name: str, streams: Sequence[bytes]) -> frozenset[bytes]:
    """Return those of some event streams that have an event of a type."""
    found: set[bytes] = set()
    for some in batched(streams, _AT_ONCE):
        among = ", ".join(map(store.id_literal, some))
        named = store.id_out.format("stream")
        with store.snapshot() as rows:
            query = f"SELECT {named} FROM events WHERE type = {TYPE_CODES[type_name]} AND stream IN ({among})"
            found.update(row[0] for row in rows(query))
    return frozenset(found)


def recorded_erasures(store: SqlStore) -> frozenset[bytes]:
    """Return the ids of the event streams of which a journal tells that they were erased."""
    return streams_named(acts_of_types(store, ("payload_erased",)))


def streams_named(records: Iterable[Event]) -> frozenset[bytes]:
    """Return the ids of the event streams that records of erasures name; those that name none are passed over."""
    told = set()
    for event in records:
        with suppress(CorruptRecording, KeyError, ValueError):  # which the audit tells of
            told.add(id_bytes(str(event.facts["exchange"])))
    return frozenset(told)


def thing_digest(stream: bytes, kind: str, identity: str) -> str:
    """Return by what a link that was erased is found by whoever knows what it named.

    :param stream: of the link.
    :param kind: of the thing outside, ``order``; *identity*: what it is called there.
    """
    return hashlib.sha256(b"recorder/linked/v1\0" + stream + f"{kind}:{identity}".encode()).hexdigest()


def acts_of_types(store: SqlStore, types: Iterable[str]) -> Iterator[Event]:
    """Return every event of some types that stands in a journal, journal by journal, in the order of their ids.

    Looks through the journals alone: exchanges, which are most of a store, are not read for it.
    """
    codes = ", ".join(str(TYPE_CODES[name]) for name in types)
    journals = "e.stream IN (SELECT j.stream FROM event_streams j WHERE j.stream = j.instance)"
    return store.events_where(f"{journals} AND e.type IN ({codes})")


def second_acts_of_types(store: SqlStore, types: Iterable[str]) -> Iterator[Event]:
    """Return the events of some types that are the second of a journal, as what short journals are written for is.

    It takes as long as there are journals, whatever the number of exchanges: each is found by the index of instances.
    """
    codes = ", ".join(str(TYPE_CODES[name]) for name in types)
    next_one = "SELECT s.instance FROM event_streams s{} ORDER BY s.instance LIMIT 1"
    journals = (
        f"WITH RECURSIVE j(stream) AS (SELECT ({next_one.format('')}) UNION ALL "
        f"SELECT ({next_one.format(' WHERE s.instance > j.stream')}) FROM j WHERE j.stream IS NOT NULL) "
        "SELECT stream FROM j"
    )
    return store.events_where(f"e.version = 2 AND e.stream IN ({journals}) AND e.type IN ({codes})")


def sealing_leaf(store: SqlStore, journal: bytes, version: int) -> int | None:
    """Return the number of the first leaf of the ledger that seals a journal up to a version of it."""
    leaves = (leaf.number for leaf in store.ledger.leaves_of(journal) if leaf.head.length >= version)
    return next(leaves, None)


def events_of_types(store: SqlStore, types: Iterable[str]) -> Iterator[Event]:
    """Return every event of some types, in the order of the event streams' ids; looks through the whole store."""
    codes = ", ".join(str(TYPE_CODES[name]) for name in types)
    return store.events_where(f"e.type IN ({codes})")
