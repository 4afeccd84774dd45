"""Event streams carried from one store to another, bit for bit, whatever the engines.

Every column of an event but its position is the same afterwards, its hash and what the hash commits to above all, and
so are the openings, with the secrets from which the commitments are salted. Positions are the target's own: they are
the order in which it took the events, and were never evidence.

The source is only read, a few hundred streams at a time, and the target gets them in transactions of its own; both
only grow. So a copy that was broken off goes on where it stood, and one that is repeated adds what is new. First of
all the streams that both have are compared, every hash of them: where they differ, nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

from recorder.clock import ID_SIZE, id_or_digits
from recorder.core.events import TYPE_CODES, TYPE_NAMES, Event, StreamKind, StreamOpened, is_journal, stream_kind
from recorder.errors import VersionConflict
from recorder.store.copying_ledger import carry_erased
from recorder.store.rows import Row, as_stored, batched
from recorder.store.sql import SnapshotRows, SqlStore

_STREAMS: Final = 500  # that are looked at together
_EVENTS: Final = 4096  # in one transaction
_BYTES: Final = 8 << 20
_HASH_SIZE: Final = 32
_ERASED: Final = bytes(32)  # in the place of a secret
_SMALL: Final = 1 << 15  # what a smallint of Postgres holds
_WORD: Final = 1 << 31

#: Ids of event streams in pieces, the same whenever it is called.
Streams: TypeAlias = Callable[[], Iterable[Sequence[bytes]]]


@dataclass(frozen=True, slots=True)
class Refused:
    """An event stream that cannot be carried, or the rest of one.

    :ivar version: the event from which on it was not carried; None where it is the opening.
    :ivar reason: what is wrong with it, in a few words.
    """

    stream: bytes
    version: int | None
    reason: str


@dataclass(slots=True)
class Carried:
    """What a copy found and did.

    :ivar exchanges: exchanges that were looked at; ``openings``: event streams that open a conversation;
        ``journals`` and ``links`` likewise.
    :ivar events: events that the target got.
    :ivar present: events that it had.
    :ivar unfinished: ids of exchanges that have no end yet.
    :ivar refused: what could not be carried.
    :ivar absent: ids that the source has nothing of.
    """

    exchanges: int = 0
    openings: int = 0
    journals: int = 0
    links: int = 0
    events: int = 0
    present: int = 0
    unfinished: list[bytes] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    absent: list[bytes] = field(default_factory=list)


def everything(store: SqlStore, at_once: int = _STREAMS) -> Iterator[Sequence[bytes]]:
    """Yield the ids of all event streams of a store in pieces of up to *at_once*, in their order."""
    named = f"SELECT {store.id_out.format('stream')} FROM event_streams "
    after = ""
    while True:
        with store.snapshot() as rows:
            found = [row[0] for row in rows(f"{named} {after} ORDER BY stream LIMIT {at_once}")]
        if not found:
            break
        yield found
        after = f"WHERE stream > {store.id_literal(found[-1])}"
    with store.snapshot() as rows:  # what has lost its opening is told of, not passed over
        lost = (
            f"SELECT DISTINCT {store.id_out.format('e.stream')} FROM events e "
            "WHERE NOT EXISTS (SELECT 1 FROM event_streams s WHERE s.stream = e.stream)"
        )
        yield from batched([row[0] for row in rows(lost)], at_once)


def chosen(streams: Iterable[bytes], at_once: int = _STREAMS) -> Streams:
    """Return the given ids as :func:`compare` and :func:`carry` take them."""
    ordered = sorted(set(streams))
    return lambda: batched(ordered, at_once)


def compare(source: SqlStore, target: SqlStore, streams: Streams) -> None:
    """Make sure that what both stores have of the given streams is the same.

    :raises VersionConflict: it is not: names the event stream and the version.
    """
    for some in streams():
        with target.snapshot() as there:
            known, last = _openings(target, there, some), _last_versions(target, there, some)
        if not known and not last:
            continue
        with source.snapshot() as here:
            ours = _openings(source, here, some)
        for stream, opened in known.items():
            if not _are_same(ours.get(stream, opened), opened):
                raise _another(target, stream, "another event stream", "its opening is not the same")
        with (
            source.snapshot() as here,
            target.snapshot() as there,
            closing(_hashes(source, here, last)) as left,
            closing(_hashes(target, there, last)) as right,
        ):
            _compare_hashes(target, left, right, last)


def _are_same(one: StreamOpened, other: StreamOpened) -> bool:
    """Whether two openings are of one stream; the secret of a stream that was erased in one store is zeros there."""
    secrets = {one.secret, other.secret} - {_ERASED}
    return len(secrets) < 2 and replace(one, secret=_ERASED) == replace(other, secret=_ERASED)


def _compare_hashes(target: SqlStore, ours: Iterator[Row], theirs: Iterator[Row], last: dict[bytes, int]) -> None:
    """Compare rows of (stream, version, hash), both in the order of their keys."""
    found = next(theirs, None)
    for stream, version, digest in ours:
        while found is not None and tuple(found[:2]) < (stream, version):
            found = next(theirs, None)  # the target has more of it than the source
        if found is None or tuple(found[:2]) != (stream, version):
            if version < last[stream]:
                raise _another(target, stream, "event streams with holes", f"version {version} is missing from it")
            continue
        if found[2] != digest:
            raise _another(target, stream, "another event stream", f"version {version} is another event there")


def _another(target: SqlStore, stream: bytes, what: str, detail: str) -> VersionConflict:
    return VersionConflict(
        f"{target.name} holds {what} under the id {id_or_digits(stream)}: {detail}. Nothing was copied: "
        f"give another store, or see `recorder verify --store {target.name}`"
    )


def carry(
    source: SqlStore,
    target: SqlStore,
    streams: Streams,
    advance: Callable[[int], None] = lambda _: None,
    *,
    at_once: int = _EVENTS,
) -> Carried:
    """Bring to the target what it lacks of the given streams; both have been compared.

    :param target: open for writing.
    :param advance: told of numbers of streams as they are done.
    :param at_once: events that are committed together at most.
    :raises VersionConflict: somebody else writes to the same streams of the target meanwhile.
    :raises StoreError: a store failed; what was committed stays, and the next copy goes on from there.
    """
    done = Carried()
    for some in streams():
        _carry_some(source, target, some, _Batch(target, done, at_once))
        advance(len(some))
    return done


def _carry_some(source: SqlStore, target: SqlStore, streams: Sequence[bytes], batch: _Batch) -> None:
    done = batch.done
    with target.snapshot() as there:
        known, last = _openings(target, there, streams), _last_versions(target, there, streams)
    heads = source.heads(streams)
    with source.snapshot() as here:
        openings, firsts = _openings(source, here, streams), _first_types(source, here, streams)
        for stream in streams:
            done.present += min(last.get(stream, 0), heads[stream].version if stream in heads else 0)
            opened = openings.get(stream)
            kind = "journal" if opened is not None and is_journal(opened) else stream_kind(firsts.get(stream, ""))
            _count(source, stream, heads.get(stream), kind, opened=opened is not None, done=done)
        for stream, opened in openings.items():
            fault = _opening_fault(opened)
            if fault is not None:
                done.refused.append(Refused(stream, None, fault))
            elif stream not in known:
                batch.open(opened)
        refused = {one.stream for one in done.refused}
        wanted = [one for one in streams if one in heads and one in openings and one not in refused]
        wanted = [one for one in wanted if heads[one].version > last.get(one, 0)]
        carry_erased(source, target, {one: last.get(one, 0) for one in wanted})
        with closing(_missing_rows(source, here, wanted, last)) as found:
            for stream, rows in groupby(found, itemgetter(0)):
                batch.take(stream, as_stored(rows, openings[stream].instance))
    batch.flush()


def _count(
    source: SqlStore, stream: bytes, head: Event | None, kind: StreamKind, *, opened: bool, done: Carried
) -> None:
    if head is None:
        if not opened:
            done.absent.append(stream)
        return
    done.openings += kind == "conversation"
    done.journals += kind == "journal"
    done.links += kind == "link"
    if kind == "exchange":
        done.exchanges += 1
        if not source.is_ended(head):
            done.unfinished.append(stream)
    if not opened:
        done.refused.append(Refused(stream, None, "its opening is missing, and with it what its hashes are made with"))


def _missing_rows(
    source: SqlStore, rows: SnapshotRows, streams: Sequence[bytes], last: dict[bytes, int]
) -> Generator[Row, None, None]:
    """Yield the rows of events that the target lacks, stream by stream."""
    whole = [stream for stream in streams if stream not in last]
    if whole:
        yield from rows(f"{source.stored_rows} WHERE {_among(source, whole)} ORDER BY stream, version")
    for stream in streams:
        if stream in last:
            place = f"stream = {source.id_literal(stream)} AND version > {last[stream]}"
            yield from rows(f"{source.stored_rows} WHERE {place} ORDER BY version")


class _Batch:
    """What goes to the target in one transaction.

    :ivar done: what is told of it.
    """

    def __init__(self, target: SqlStore, done: Carried, at_once: int) -> None:
        self.done = done
        self._target, self._at_once = target, at_once
        self._waiting: dict[bytes, StreamOpened] = {}
        self._openings: list[StreamOpened] = []
        self._events: list[Event] = []
        self._size = 0

    def open(self, opened: StreamOpened) -> None:
        """Take an opening; it is committed together with the first event of its stream."""
        self._waiting[opened.stream] = opened

    def take(self, stream: bytes, events: Iterator[Event]) -> None:
        """Take the events of one stream; from one on that cannot be carried, none, and no other one is held up."""
        opened = self._waiting.pop(stream, None)
        for event in events:
            fault = _fault(event)
            if fault is not None:
                self.done.refused.append(Refused(stream, event.version, fault))
                return
            if opened is not None:
                self._openings.append(opened)
                opened = None
            self._events.append(event)
            self._size += len(event.body or b"")
            if len(self._events) >= self._at_once or self._size >= _BYTES:
                self._commit()

    def flush(self) -> None:
        """Commit what was taken, and the openings of streams that have no event yet."""
        self._openings += self._waiting.values()
        self._waiting = {}
        self._commit()

    def _commit(self) -> None:
        if self._openings or self._events:
            self._target.append(self._openings, self._events)
            self.done.events += len(self._events)
        self._openings, self._events, self._size = [], [], 0


def _openings(store: SqlStore, rows: SnapshotRows, streams: Sequence[bytes]) -> dict[bytes, StreamOpened]:
    found = rows(f"{store.opening_rows} WHERE {_among(store, streams)}")
    return {row[0]: StreamOpened(*row) for row in found}


def _last_versions(store: SqlStore, rows: SnapshotRows, streams: Sequence[bytes]) -> dict[bytes, int]:
    named = store.id_out.format("stream")
    found = rows(f"SELECT {named}, max(version) FROM events WHERE {_among(store, streams)} GROUP BY stream")
    return {stream: int(version) for stream, version in found}


def _first_types(store: SqlStore, rows: SnapshotRows, streams: Sequence[bytes]) -> dict[bytes, str]:
    named = store.id_out.format("stream")
    found = rows(f"SELECT {named}, type FROM events WHERE {_among(store, streams)} AND version = 1")
    return {stream: TYPE_NAMES.get(code, "") for stream, code in found}


def _hashes(store: SqlStore, rows: SnapshotRows, streams: Iterable[bytes]) -> Generator[Row, None, None]:
    named, among = store.id_out.format("stream"), _among(store, streams)
    yield from rows(f"SELECT {named}, version, hash FROM events WHERE {among} ORDER BY stream, version")


def _among(store: SqlStore, streams: Iterable[bytes]) -> str:
    literals = ", ".join(map(store.id_literal, streams))
    return f"stream IN ({literals})" if literals else "1 = 0"


def _opening_fault(opened: StreamOpened) -> str | None:
    """Return why an opening cannot be written as it is; None where it can."""
    sizes = (len(opened.stream), len(opened.instance), len(opened.secret))
    return None if sizes == (ID_SIZE, ID_SIZE, 32) else "its opening holds what was never written"


def _fault(event: Event) -> str | None:
    """Return why an event cannot be written as it is: it was never written so, or by a newer version."""
    if event.type not in TYPE_CODES:
        return f"an event of a type that this version does not know ({event.type}): upgrade recorder"
    sound = (
        len(event.instance) == ID_SIZE
        and len(event.hash) == _HASH_SIZE
        and 0 <= event.flags < _SMALL
        and 0 < event.version < _WORD
        and (event.meta is None or (event.meta.isascii() and "\0" not in event.meta))
    )
    return None if sound else f"{event.type} holds what was never written: see `recorder verify`"
