"""The audit of a whole store: journals first, then event streams, the ledger, what lies outside; then the report.

What belongs together is read in an order in which a store that is being recorded to cannot seem to lack anything:
what says that something is there before what it speaks of. What is missed of a process that still runs is looked at
once more at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from recorder.core.clock_bounds import Late
from recorder.core.events import Event, StreamOpened, is_journal
from recorder.core.heads import log_id
from recorder.core.notes import NoteKey
from recorder.core.seal_times import SealTimes
from recorder.errors import CorruptRecording
from recorder.ledger import keys as signing
from recorder.ledger.anchored import look
from recorder.ledger.anchors import Anchor
from recorder.ledger.audit_carried_out import CarriedOut
from recorder.ledger.audit_erasures import Authority, IsSealed, sealed_by_now
from recorder.ledger.audit_journals import Journals
from recorder.ledger.audit_ledger import LedgerAudit, find_forks
from recorder.ledger.audit_outside import Outside, trusted_keys
from recorder.ledger.audit_ranges import Range, Task, auditing, fitting, ranges
from recorder.ledger.audit_report import Audited, report_of
from recorder.ledger.audit_said import Said
from recorder.ledger.audit_state import State, identity_of
from recorder.ledger.audit_streams import StreamsAudit, missing_streams
from recorder.ledger.audit_time import find_contradicted, find_steps, seal_times
from recorder.ledger.key_chain import chain_of, retired_by
from recorder.ledger.report import Report
from recorder.ledger.succession import with_keys_before
from recorder.ledger.tally import Tally
from recorder.ledger.verify import find_damage
from recorder.store.erased import sealing_leaf
from recorder.store.ledger_rows import LedgerRows
from recorder.store.sql import SqlStore
from recorder.store.walked import Walked, walked

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_LAST_ID: Final = (1 << 128) - 1
_ONE_BY_ONE: Final = 16  # streams


class Spooled(Protocol):
    """What is only in spools: openings and events by stream."""

    @property
    def openings(self) -> Mapping[bytes, StreamOpened]:
        """Openings."""
        ...

    @property
    def events(self) -> Mapping[bytes, Sequence[Event]]:
        """Events, each stream's in order; some of them may be in the store by now."""
        ...


@dataclass(frozen=True)
class Asked:
    """How a store is to be checked.

    :ivar now_ns: UTC nanoseconds.
    :ivar keys: vkeys, or fingerprints of keys, that the auditor got by another way than the store.
    :ivar outside: the file of what was signed of the log; None: where this machine keeps it.
    :ivar anchors: places outside that he names.
    :ivar roots: certificates that he trusts, for time stamps.
    :ivar jobs: processes that check event streams; None: as many as pay.
    :ivar resume: file in which is kept how far the audit is.
    :ivar damage: what the engine finds wrong with its own file.
    :ivar advance: told how many of the ranges of the streams are done, and how many there are.
    """

    now_ns: int
    keys: Sequence[str] = ()
    outside: Path | None = None
    anchors: Sequence[Anchor] = ()
    roots: Sequence[Certificate] = ()
    jobs: int | None = 1
    resume: Path | None = None
    damage: Iterable[str] = ()
    advance: Callable[[int, int], None] = field(default=lambda done, of: None)


def audit(url: str, store: SqlStore, spooled: Callable[[], Spooled], asked: Asked) -> Report:
    """Check a whole store; nothing in it is changed, and each event is read once but those of journals.

    :param url: of the store, for other processes; *store*: the same, open.
    :param spooled: reads what is only in spools, each time anew.
    :raises ConfigurationError: a key, or the file to resume from, is not one.
    :raises AnchorFailed: a place that was named cannot be reached.
    :raises StoreError: the store failed.
    """
    return _Audit(url, store, spooled, asked).run()


class _Audit:
    def __init__(self, url: str, store: SqlStore, spooled: Callable[[], Spooled], asked: Asked) -> None:
        self._url, self._store, self._asked = url, store, asked
        self._read_spooled = spooled
        self._spooled = spooled()
        self._tally = Tally()
        self._earlier = (0, 0)
        self._origin = store.ledger.origin()

    def run(self) -> Report:
        tally, asked, origin = self._tally, self._asked, self._origin
        find_damage(tally, asked.damage)
        known = () if origin is None else signing.known(origin)
        outside = Outside.of(origin, asked, tally)
        journals = self._journals(tally)
        trusted = trusted_keys(asked.keys, _own(origin, (*known, *journals.keys)), origin, tally)
        start = trusted or known or _own(origin, journals.founding)
        leaf_of = partial(sealing_leaf, self._store)
        public = retired_by(chain_of(start, journals.rotations, leaf_of), self._store.ledger.checkpoints())
        public = with_keys_before(journals.created, public, leaf_of)
        find_forks(public, tally)
        journals.succeeding = [one.facts for one in journals.created if public.counts(one, leaf_of)]
        journals.vouch(lambda event: public.counts(event, leaf_of))
        looked = list(look(self._store.ledger, asked.anchors, asked.roots)) if origin is not None else []
        find_contradicted(looked, journals.anchored, tally)
        times = seal_times(self._store.ledger, looked, journals.anchored)
        ledger = LedgerAudit(tally, origin, public, trusted, signing.verifier(), times, _telling(journals))
        streams = Tally()
        every = tuple(dict.fromkeys((*public.keys, *known)))
        claims = list(outside.claims(every))  # before the ledger, which only grows
        with self._store.snapshot() as rows, closing(LedgerRows(self._store, rows)) as kept:
            size = kept.size()
            said = self._said(journals, times)
            self._streams(said, size, streams, lambda: ledger.take(kept, claims))
        tally.join(streams)
        self._again(tally)
        authority = self._answered(journals, ledger)
        steps = find_steps(tally)
        audited = Audited(
            tally,
            ledger,
            journals,
            outside,
            looked,
            steps,
            times,
            trusted,
            bool(asked.keys),
            asked.now_ns,
            authority,
            self._earlier,
        )
        return report_of(audited)

    # Journals

    def _journals(self, tally: Tally) -> Journals:
        journals = Journals(tally)
        try:
            for opened in self._openings():
                journals.take(opened.stream, self._events(opened.stream))
        except CorruptRecording as error:
            tally.incomplete = True
            tally.find(b"", None, "page", "storage", f"the journals cannot be read: {error}")
        return journals

    def _openings(self) -> Iterator[StreamOpened]:
        stored = set()
        for opened in self._store.openings_where("stream = instance"):
            stored.add(opened.stream)
            yield opened
        for opened in self._spooled.openings.values():
            if is_journal(opened) and opened.stream not in stored:
                yield opened

    def _events(self, stream: bytes) -> Iterator[Event]:
        version = 0
        for event in self._store.found_events(stream):
            version = event.version
            yield event
        yield from self._spooled_after(stream, version)

    def _spooled_after(self, stream: bytes, version: int) -> Iterator[Event]:
        for event in self._spooled.events.get(stream, ()):
            if event.version > version:
                version = event.version
                yield event

    def _said(self, journals: Journals, times: SealTimes) -> Said:
        origin, first = self._origin, None
        if origin is not None:
            first = next(iter(self._first_leaf()), None)
        return Said(
            log=None if origin is None else log_id(origin),
            seals=times,
            began_ns=first,
            journals=journals.kept,
            told=journals.told,
            announced=journals.announced,
            imported=frozenset(journals.imported),
            copied=frozenset(journals.copied),
            unsigned=frozenset(journals.unsigned),
            vouched={stream: _late(event) for stream, event in journals.vouched.items()},
            last=False,
        )

    def _first_leaf(self) -> Iterator[int]:
        try:
            yield from (leaf.sealed_ns for leaf in self._store.ledger.leaves(0, 1))
        except CorruptRecording:
            return  # the ledger's own audit tells of it

    # Event streams

    def _streams(self, said: Said, size: int, tally: Tally, meanwhile: Callable[[], None]) -> None:
        """Check all streams; what else is to be done is done while other processes are at it."""
        asked, store = self._asked, self._store
        state = State(asked.resume, identity_of(store, size)) if asked.resume is not None else None
        events, streams = store.counts()
        jobs = fitting(events) if asked.jobs is None else asked.jobs
        parts = (state.ranges if state is not None else None) or ranges(store, streams, jobs)
        if state is not None:
            state.begin(parts)
        done = state.done[:] if state is not None else []
        self._earlier = (len(done), len(parts))
        apart = frozenset(self._spooled.events)
        tasks = [
            Task(part, said.within(*part), size, frozenset(one for one in apart if _is_in(one, part)))
            for part in parts[len(done) :]
        ]
        with auditing(self._url, store, jobs if len(tasks) > 1 else 1) as begin:
            results = begin(tasks)
            meanwhile()
            for number, one in enumerate(chain(done, results)):
                if state is not None and number >= len(done):
                    state.add(one)
                tally.join(one)
                asked.advance(number + 1, len(parts))
        tally.join(self._apart(said, sorted(apart), size))
        if state is not None:
            state.end()

    def _apart(self, said: Said, streams: Sequence[bytes], size: int | None) -> Tally:
        """Check single streams, with what of them is only in spools."""
        audit = StreamsAudit(Tally(), said)
        for stream in streams:
            found = False
            for one in walked(self._store, stream, _after(stream), size=size):
                found = True
                audit.take(self._with_spooled(one))
            if not found:
                audit.take(self._with_spooled(Walked(stream, None, iter(()), (), {})))
        return audit.end()

    def _with_spooled(self, one: Walked) -> Walked:
        opened = one.opened or self._spooled.openings.get(one.stream)

        def events() -> Iterator[Event]:
            version = 0
            for event in one.events:
                version = event.version
                yield event
            yield from self._spooled_after(one.stream, version)

        return one._replace(opened=opened, events=events())

    def _again(self, tally: Tally) -> None:
        """Look once more at streams of processes that were still writing; what is missed now is missing."""
        if not tally.again:
            return
        self._spooled = self._read_spooled()
        journals = Journals(Tally())
        for opened in self._openings():
            journals.take(opened.stream, self._events(opened.stream))
        said = Said(journals=journals.kept, told=journals.told, announced=journals.announced)
        audit, met = StreamsAudit(Tally(), said), set[bytes]()
        for one in self._few(tally.again):
            met.add(one.stream)
            audit.take(self._with_spooled(one))
        for stream in sorted(tally.again - met):
            if stream in self._spooled.openings:
                audit.take(self._with_spooled(Walked(stream, None, iter(()), (), {})))
            else:
                missing_streams(StreamsAudit(audit.tally, said.within(stream, _after(stream))), set())
        for finding in audit.tally.findings:
            if finding.kind in ("omitted", "journal"):
                tally.add(finding)
        tally.incomplete |= audit.tally.incomplete

    def _answered(self, journals: Journals, ledger: LedgerAudit) -> Authority:
        """Find erasures that nobody answers for; look once more where they may have come during this audit."""
        is_sealed: IsSealed | None = None if self._origin is None else ledger.is_sealed
        of = (self._first, replace(ledger.chain, retired=ledger.retired), ledger.leaf_of)
        authority = Authority(journals.erasures, journals.rules, is_sealed, *of)
        found = Tally()
        authority.check(self._tally.erased, found)
        if found.findings:  # what is erased while this runs was recorded and sealed after both were read
            if is_sealed is not None:
                is_sealed = sealed_by_now(self._store.ledger, self._origin or "", ledger.keys, ledger.is_sealed)
            journals, found = self._journals(Tally()), Tally()
            authority = Authority(journals.erasures, journals.rules, is_sealed, *of)
            authority.check(self._tally.erased, found)
        if is_sealed is not None:
            gone = [one for one in authority.records if one.stream in self._tally.erased and authority.is_signed(one)]
            CarriedOut(journals.carried_out, authority).check(gone, found)
        for finding in found.findings:
            self._tally.add(finding)
        return authority

    def _first(self, stream: bytes) -> Event | None:
        return next(self._store.found_events(stream), None)

    def _few(self, streams: set[bytes]) -> Iterator[Walked]:
        """Yield some streams: what began just now stands together, so it is read in one go."""
        if len(streams) <= _ONE_BY_ONE:
            for stream in sorted(streams):
                yield from walked(self._store, stream, _after(stream), size=0)
        else:
            span = walked(self._store, min(streams), _after(max(streams)), size=0)
            yield from (one for one in span if one.stream in streams)


def _late(event: Event) -> Late:
    length = event.facts["events"]
    return Late(f"up to version {length} somebody vouches for it: {event.facts.get('ground')}", until=length)


def _after(stream: bytes) -> bytes | None:
    number = int.from_bytes(stream)
    return None if number == _LAST_ID else (number + 1).to_bytes(16)


def _telling(journals: Journals) -> frozenset[bytes]:
    """Return the journals that tell of erasures, and of what has to be kept."""
    others = (one.stream for one in (*journals.rules, *journals.carried_out))
    return frozenset({*(one.journal for one in journals.erasures), *others})


def _is_in(stream: bytes, part: Range) -> bool:
    return (part.start is None or stream >= part.start) and (part.end is None or stream < part.end)


def _own(origin: str | None, found: Iterable[NoteKey]) -> tuple[NoteKey, ...]:
    return tuple(dict.fromkeys(key for key in found if key.name == origin))
