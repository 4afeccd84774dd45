"""What goes into a bundle: which event streams, up to which event, and which leaves of the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from recorder.clock import id_text
from recorder.core.events import StreamKind, StreamOpened
from recorder.core.heads import Leaf
from recorder.errors import NotFound
from recorder.ledger.bundle_journals import JournalSpan, copied_stream, erased_exchange, span_of
from recorder.ledger.bundle_late import is_late, journals_of_late, with_their_processes
from recorder.ledger.bundle_range import Range, covered, leaves_of, range_of
from recorder.store.base import Ledger
from recorder.store.erased import ErasedPayload, erased_of, events_of_types, recorded_erasures
from recorder.store.sql import SqlStore

_AT_ONCE: Final = 500  # streams


@dataclass(frozen=True)
class Wanted:
    """What a bundle is asked to hold.

    :ivar selection: what was asked for, as the manifest tells it.
    :ivar exchanges: ids, in the order in which people read them.
    :ivar openings: of the conversations of these.
    :ivar links: event streams of links.
    :ivar withheld: exchanges whose payloads are not given.
    :ivar period: UTC nanoseconds from which, and up to which, every exchange of the store belongs to it.
    """

    selection: Mapping[str, Any]
    exchanges: tuple[bytes, ...]
    openings: tuple[bytes, ...] = ()
    links: tuple[bytes, ...] = ()
    withheld: frozenset[bytes] = frozenset()
    period: tuple[int, int] | None = None


@dataclass(frozen=True)
class Part:
    """An event stream of a bundle.

    :ivar first: version of its first event there; more than 1 only of a journal.
    :ivar last: version of its last one: what follows is not sealed.
    :ivar leaf: the leaf that sealed it up to there; None without a ledger.
    """

    opened: StreamOpened
    kind: StreamKind
    first: int
    last: int
    leaf: Leaf | None
    withheld: bool = False
    erased: Mapping[int, ErasedPayload] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Everything that is known of a bundle before it is written.

    :ivar wanted: what was asked for, with what else was begun in its period.
    :ivar within: the part of the ledger; None where the store has none.
    :ivar taken_away: event streams of which content is gone though no journal tells of an erasure.
    """

    wanted: Wanted
    parts: tuple[Part, ...]
    within: Range | None
    taken_away: frozenset[bytes] = frozenset()


def planned(store: SqlStore, wanted: Wanted) -> Plan:
    """Find out what goes into a bundle.

    :raises NotFound: nothing is stored of one of the streams.
    :raises ConfigurationError: something of it is not sealed yet.
    """
    return _Planning(store, wanted).plan()


class _Planning:
    def __init__(self, store: SqlStore, wanted: Wanted) -> None:
        self._store, self._wanted = store, wanted
        self._origin = store.ledger.origin()
        self._ledger: Ledger | None = store.ledger if self._origin is not None else None

    def plan(self) -> Plan:
        asked = self._wanted
        erased = {
            stream: erased_of(self._store, stream) for stream in (*asked.exchanges, *asked.openings, *asked.links)
        }
        journals = self._journals([stream for stream, left in erased.items() if left])
        added = self._begun_besides(journals)
        if added:
            self._wanted = replace(self._wanted, exchanges=(*self._wanted.exchanges, *added))
            journals = self._journals([stream for stream, left in erased.items() if left])
        wanted = self._wanted
        kinds: dict[bytes, StreamKind] = dict.fromkeys(wanted.exchanges, "exchange")
        kinds |= dict.fromkeys(wanted.openings, "conversation")
        kinds |= dict.fromkeys(wanted.links, "link")
        journals = self._with_reasons(kinds, journals, [stream for stream, left in erased.items() if left])
        leaves, within = self._sealed(kinds, journals)
        parts = [
            Part(
                self._opened(stream, kind),
                kind,
                1,
                self._last(stream, kind, leaves),
                leaves.get(stream),
                stream in wanted.withheld,
                erased.get(stream, {}),
            )
            for stream, kind in kinds.items()
        ]
        for stream, span in journals.items():
            last, leaf = self._last(stream, "journal", leaves), leaves.get(stream)
            parts.append(Part(self._opened(stream, "journal"), "journal", span.first, last, leaf))
        gone = frozenset(part.opened.stream for part in parts if part.erased)
        return Plan(wanted, tuple(parts), within, gone - recorded_erasures(self._store) if gone else gone)

    def _opened(self, stream: bytes, kind: StreamKind) -> StreamOpened:
        opened = self._store.opening(stream)
        if opened is None:
            raise NotFound(f"nothing is stored of the {kind} {id_text(stream)}: see `recorder list`")
        return opened

    def _last(self, stream: bytes, kind: StreamKind, leaves: Mapping[bytes, Leaf]) -> int:
        leaf = leaves.get(stream)
        if leaf is not None:
            return leaf.head.length
        head = self._store.head(stream)
        if head is None:
            raise NotFound(f"no events are stored of the {kind} {id_text(stream)}")
        return head.version

    # Journals

    def _with_reasons(
        self, kinds: Mapping[bytes, StreamKind], journals: dict[bytes, JournalSpan], erased: Collection[bytes]
    ) -> dict[bytes, JournalSpan]:
        """Return the journals, with those that say why something of it, or of them, was sealed late."""
        if self._ledger is None:
            return journals
        looked, late = set[bytes](), set[bytes]()
        while left := {*kinds, *journals} - looked:
            looked |= left
            found = {one for one in left if is_late(self._store, one, list(self._ledger.leaves_of(one)))}
            if found:
                late |= found
                journals = self._journals(erased, late)
        return journals

    def _journals(self, erased: Collection[bytes], late: Collection[bytes] = ()) -> dict[bytes, JournalSpan]:
        """Return what of which journals belongs to it, in the order of their ids.

        :param late: event streams that were sealed late.
        """
        exchanges, period = frozenset(self._wanted.exchanges), self._wanted.period
        candidates = {self._opened(stream, "exchange").instance for stream in exchanges}
        for some in _some(self._wanted.exchanges):
            candidates.update(event.instance for event in self._store.heads(some).values())
        if erased:
            told = events_of_types(self._store, ["payload_erased"])
            candidates.update(event.stream for event in told if erased_exchange(event) in erased)
        if period is not None:
            candidates.update(self._journals_within(*period))
        if any(self._store.opening(instance) is None for instance in candidates):  # it was copied from another store
            told = events_of_types(self._store, ["stream_written"])
            candidates.update(event.stream for event in told if copied_stream(event.facts) in exchanges)
        candidates.update(journals_of_late(self._store, late))
        named, late = exchanges | frozenset(erased), with_their_processes(self._store, late)
        found = {}
        for stream in sorted(candidates):
            span = span_of(self._store.events(stream), named, period, late)
            if span.last:
                found[stream] = span
        return found

    def _journals_within(self, since: int, until: int) -> Iterator[bytes]:
        for opened in self._store.openings_where("stream = instance"):
            first = next(self._store.found_events(opened.stream), None)
            last = self._store.head(opened.stream)
            if first is not None and last is not None and first.wall_ns < until and last.wall_ns >= since:
                yield opened.stream

    def _begun_besides(self, journals: Mapping[bytes, JournalSpan]) -> list[bytes]:
        """Return what journals say was begun in the period, and is stored, besides what was asked for."""
        known = set(self._wanted.exchanges)
        begun = {stream for span in journals.values() for stream in span.opened} - known
        return sorted(stream for stream in begun if self._store.head(stream) is not None)

    # The ledger

    def _sealed(
        self, kinds: Mapping[bytes, StreamKind], journals: Mapping[bytes, JournalSpan]
    ) -> tuple[dict[bytes, Leaf], Range | None]:
        """Return the last leaf of each stream in the range of leaves, and that range."""
        ledger, origin = self._ledger, self._origin
        if ledger is None or origin is None:
            return {}, None
        limit = covered(ledger)
        named = {**kinds, **dict.fromkeys(journals, "journal")}
        every = {stream: leaves_of(ledger, stream, limit, kind) for stream, kind in named.items()}
        needed: list[int] = []
        for stream, leaves in every.items():
            if stream in journals:
                least = journals[stream].last
                needed.append(next((one for one in leaves if one.head.length >= least), leaves[-1]).number)
            elif kinds[stream] != "conversation":
                needed += (one.number for one in leaves)
        openings = [every[stream][0].number for stream, kind in kinds.items() if kind == "conversation"]
        within = range_of(ledger, origin, needed, openings)
        last = {
            stream: next(one for one in reversed(leaves) if one.number < within.end) for stream, leaves in every.items()
        }
        return last, within


def _some(streams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for at in range(0, len(streams), _AT_ONCE):
        yield streams[at : at + _AT_ONCE]
