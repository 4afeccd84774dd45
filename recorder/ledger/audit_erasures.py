"""Whether somebody answers for what was erased: by a record of it that is signed and sealed, and that nothing forbade.

Whoever can write the database can empty payloads, and add an event to a journal that says that it was allowed; and the
next recorder that starts seals what it finds there. What he cannot do is to sign it. So a record counts where the
ledger's key signed its facts, and a signed checkpoint covers it; and it counts for nothing where a hold or a retention
period was in force that it does not say to have overridden. What was in force is folded twice: from all that journals
say, and from what of it is sealed; and of what is signed, nothing that nobody signed lifts anything. So a release that
somebody made up lifts no hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recorder.clock import id_text
from recorder.core.act_order import LeafOf, act_of, ranks
from recorder.core.events import Event, stream_kind
from recorder.core.holds import RETENTION, Hold, IsSigned, Keeping, Retention, by_nobody, rules_of
from recorder.core.json_text import rfc3339
from recorder.core.notes import NoteKey, open_checkpoint, parse_checkpoint, parse_note
from recorder.core.signed_facts import SIGNATURE
from recorder.errors import CorruptRecording
from recorder.ledger.audit_journals import Erasure
from recorder.ledger.kept import PassedOver, passed_over, rules_signed_by
from recorder.ledger.key_chain import KeyChain, short_name
from recorder.ledger.keys import verifier
from recorder.ledger.tally import Tally
from recorder.store.base import Ledger

#: Whether a signed checkpoint covers the event of a journal that has some version.
IsSealed = Callable[[bytes, int], bool]


@dataclass
class Authority:
    """What answers for erasures.

    :param records: of erasures, by journals.
    :param rules: the events of journals that say what has to be kept.
    :param is_sealed: None where the store has no ledger: then records are not asked for a seal.
    :param first: returns the first event of a stream; None: there is none.
    :param chain: the keys of the ledger that count; none: signatures are not checked, it is only asked whether there
        is one.
    :param leaf_of: where in the ledger a record or a rule stands.
    """

    records: Sequence[Erasure]
    rules: Sequence[Event]
    is_sealed: IsSealed | None
    first: Callable[[bytes], Event | None]
    chain: KeyChain = field(default_factory=KeyChain)
    leaf_of: LeafOf = lambda journal, version: None
    _ranks: Mapping[tuple[bytes, int], int] = field(init=False)
    _folds: list[_Fold] = field(init=False)
    _signed: dict[tuple[bytes, int], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sealed = [one for one in self.rules if self.is_sealed is None or self.is_sealed(one.stream, one.version)]
        self._ranks = ranks((*map(act_of, self.rules), *(one.act for one in self.records)), self.leaf_of)
        is_rule_signed = by_nobody if self.is_sealed is None else rules_signed_by(self.chain, self.leaf_of)
        self._folds = [_Fold(self.rules, self._ranks, is_rule_signed)]
        if len(sealed) < len(self.rules):
            self._folds.append(_Fold(sealed, self._ranks, is_rule_signed))

    def check(self, erased: Mapping[bytes, int], tally: Tally) -> None:
        """Find what nobody answers for.

        :param erased: how many payloads of which stream.
        """
        records: dict[bytes, list[Erasure]] = {}
        known = set[tuple[bytes, str]]()
        for one in sorted(self.records, key=self._first_sealed):
            if self.is_sealed is not None and self.is_signed(one):
                signed = one.stream, str(one.facts.get(SIGNATURE))
                if signed in known:
                    continue  # somebody wrote it down once more, which has to come after the one that was sealed
                known.add(signed)
            records.setdefault(one.stream, []).append(one)
        for stream, count in erased.items():
            self._check(stream, count, records.get(stream, []), tally)

    def _check(self, stream: bytes, count: int, records: Sequence[Erasure], tally: Tally) -> None:
        told = _events(records)
        if count > told:
            detail = f"{count:,} payloads were erased, journals tell of {told:,}: nobody answers for the others"
            tally.find(stream, None, "payload", "erasure", detail)
            return
        sealed = [one for one in records if self._is_sealed(one)]
        if count > _events(sealed):
            named = next(one.place for one in records if not self._is_sealed(one))
            detail = f"{count:,} payloads were erased, and no signed checkpoint covers the record of it ({named})"
            tally.find(stream, None, "authority", "erasure", f"{detail}: whoever can write the store can have made it")
            sealed = list(records)  # then whether these would have been allowed
        elif count > _events(vouched := [one for one in sealed if self.is_signed(one)]):
            unsigned = next(one for one in sealed if not self.is_signed(one))
            detail = f"{count:,} payloads were erased, and {self._unsigned(unsigned)}"
            who = "whoever can write the store can have made it, and a restart seals what it finds"
            finish = "whoever decided it vouches for it with `recorder erase --finish`"
            tally.find(stream, None, "authority", "erasure", f"{detail}: {who}; {finish}")
        else:
            sealed = vouched
        forbidden = [(one, why) for one in sealed if (why := self._forbidden(one)) is not None]
        if forbidden and count > _events(sealed) - _events([one for one, _ in forbidden]):
            record, (place, rule) = forbidden[0]
            tally.find(stream, None, place, "erasure", f"{record.place} erased it, and did not override this: {rule}")

    def _first_sealed(self, record: Erasure) -> tuple[bool, int]:
        """By what records are sorted so that the first one is that which was sealed first."""
        return not self._is_sealed(record), self._ranks[record.journal, record.version]

    def _is_sealed(self, record: Erasure) -> bool:
        return self.is_sealed is None or self.is_sealed(record.journal, record.version)

    def kind(self, stream: bytes) -> str:
        """Return what an event stream is: ``exchange``, ``conversation`` or ``link``."""
        first = self.first(stream)
        return "" if first is None else stream_kind(first.type)

    def as_json(self, record: Erasure) -> dict[str, Any]:
        """Return a record as ``verify --json`` prints it."""
        told = record.as_json() | {"kind": self.kind(record.stream)}
        return told if self.is_sealed is None else told | {"signed": self.is_signed(record)}

    def _began(self, stream: bytes) -> int | None:
        first = self.first(stream)
        return first.wall_ns if first is not None and stream_kind(first.type) == "exchange" else None

    def is_signed(self, record: Erasure) -> bool:
        """Whether the ledger's key vouches for a record; True where there is no ledger."""
        place = record.journal, record.version
        if place not in self._signed:
            self._signed[place] = self.is_sealed is None or self.chain.vouches_for(
                "payload_erased", record.facts, place, self.leaf_of
            )
        return self._signed[place]

    def _unsigned(self, record: Erasure) -> str:
        """Return why nobody vouches for a record, in words."""
        signer = self.chain.signer("payload_erased", record.facts)
        if signer is None:
            return f"no key of the ledger signed the record of it ({record.place})"
        return f"{short_name(signer)}, which signed the record of it ({record.place}), {self.chain.ended(signer)}"

    def _forbidden(self, record: Erasure) -> tuple[str, str] | None:
        """Return what was in force at that time and not overridden: the field of the finding, and words."""
        decided, signed = self._decided(record), self.is_signed(record)
        began = self._began(record.stream)
        found = (_forbids(kept, record, began, decided.at_ns, signed) for kept in self._kept(decided))
        return next((one for one in found if one is not None), None)

    def forbidden_since(self, record: Erasure) -> tuple[str, str] | None:
        """Return what forbids something now, and did not when it was recorded: the field of a finding, and words.

        :param record: that is signed.
        """
        began, rank = self._began(record.stream), self._ranks[record.journal, record.version]
        found = (
            _forbids_since(fold.at_last, record, began, lambda place: self._ranks[place] > rank) for fold in self._folds
        )
        return next((one for one in found if one is not None), None)

    def _decided(self, record: Erasure) -> Erasure:
        """Return what was recorded when it was decided, where a record with the key's signature vouches for that."""
        if self.is_sealed is None or "recorded_ns" not in record.facts or not self.is_signed(record):
            return record
        told = record.stream, record.facts["recorded_ns"]
        same = (one for one in self.records if (one.stream, one.at_ns) == told)
        return min(same, key=self._first_sealed, default=record)

    def unknown(self) -> int:
        """Count the erasures of which is not known in which conversation it was, while rules name conversations."""
        return sum(
            record.conversations is None and any(kept.conversations for kept in self._kept(record))
            for record in self.records
        )

    def unsigned_rules(self, now_ns: int) -> int:
        """Count the holds and retention periods that keep something now, and that nobody signed."""
        kept = self._folds[0].at_last
        holds = [hold.signed for hold in kept.in_force(now_ns)]
        idle = {(event.stream, event.version) for event in kept.without_effect}
        periods = [one.signed for one in kept.retention.values() if one.days and one.place not in idle]
        return [*holds, *periods].count(False)

    def without_effect(self) -> Sequence[PassedOver]:
        """Return what would end, change or repeat what is signed to be kept, and has no effect."""
        return passed_over(self._folds[0].at_last, self.chain, self.leaf_of)

    def _kept(self, record: Erasure) -> Iterator[Keeping]:
        """Yield what had to be kept when something was erased: by all rules, and by what of them is sealed."""
        rank = self._ranks[record.journal, record.version]
        yield from (fold.before(rank) for fold in self._folds)


def _events(records: Sequence[Erasure]) -> int:
    return sum(one.events for one in records)


class _Fold:
    """Tells what had to be kept whenever something was done.

    :param ranks: which place each act has among them.
    :param is_signed: whether the ledger's key vouches for a rule.
    """

    def __init__(self, rules: Sequence[Event], ranks: Mapping[tuple[bytes, int], int], is_signed: IsSigned) -> None:
        self._rules = sorted(rules, key=lambda one: ranks[one.stream, one.version])
        self._ranks = [ranks[one.stream, one.version] for one in self._rules]
        self._is_signed = is_signed
        self._known: dict[int, Keeping] = {}

    def before(self, rank: int) -> Keeping:
        """Return what had to be kept by the rules that were there before an act."""
        return self._of(bisect_left(self._ranks, rank))

    @property
    def at_last(self) -> Keeping:
        """What has to be kept by all rules."""
        return self._of(len(self._rules))

    def _of(self, count: int) -> Keeping:
        if count not in self._known:
            self._known[count] = rules_of(self._rules[:count], self._is_signed)
        return self._known[count]


def _forbids(kept: Keeping, record: Erasure, began: int | None, at_ns: int, signed: bool) -> tuple[str, str] | None:
    overrides = record.overrides if signed else frozenset[str]()
    hold = next(_holding(kept.in_force(at_ns), record, overrides), None)
    if hold is not None:
        return "hold", hold.told
    period = None if RETENTION in overrides else _period(kept, record, signed)
    return _keeps(period, record, began, at_ns)


def _forbids_since(
    kept: Keeping, record: Erasure, began: int | None, is_later: Callable[[tuple[bytes, int]], bool]
) -> tuple[str, str] | None:
    later = [hold for hold in kept.holds.values() if is_later(hold.place)]
    hold = next(_holding(later, record, record.overrides), None)
    if hold is not None:
        return "hold", hold.told
    period = None if RETENTION in record.overrides else _period(kept, record, True)
    if period is None or not is_later(period.place):
        return None
    return _keeps(period, record, began, period.set_ns)


def _holding(holds: Iterable[Hold], record: Erasure, overrides: Collection[str]) -> Iterator[Hold]:
    """Yield those of some holds that keep what was erased, and that were not overridden."""
    for hold in holds:
        of = any(hold.is_of(one, record.conversations or ()) for one in record.exchanges)
        if of and hold.id not in overrides:
            yield hold


def _period(kept: Keeping, record: Erasure, signed: bool) -> Retention | None:
    """Return what counts for what was erased; where nobody says in what it was, what every conversation has to obey."""
    if record.conversations is None or not signed:
        return kept.least_retention
    return kept.retention_of(record.conversations)


def _keeps(period: Retention | None, record: Erasure, began: int | None, at_ns: int) -> tuple[str, str] | None:
    if period is None or began is None or period.until_ns(began) <= at_ns:
        return None
    return "retention", f"{id_text(record.stream)} is kept until {rfc3339(period.until_ns(began))}"


def sealed_by_now(ledger: Ledger, origin: str, keys: Sequence[NoteKey], before: IsSealed) -> IsSealed:
    """Return what tells whether the newest checkpoint covers an event, which may be newer than what was audited.

    :param origin: the ledger's name; *keys*: its public keys, none: signatures are not checked.
    :param before: tells it of what was audited.
    """
    last = ledger.last_checkpoint()
    try:
        if last is None:
            return before
        note = last[1]
        signed = open_checkpoint(note, origin, keys, verifier()) if keys else parse_checkpoint(parse_note(note).text)
        if ledger.size() < signed.size or ledger.root(signed.size) != signed.root:
            return before
    except CorruptRecording:  # which the audit of the ledger tells of
        return before
    size = signed.size

    def is_sealed(journal: bytes, version: int) -> bool:
        leaves = ledger.leaves_of(journal)
        return any(leaf.number < size and leaf.head.length >= version for leaf in leaves)

    return is_sealed


def unanswered(authority: Authority, erased: Mapping[bytes, int], now_ns: int) -> Iterator[str]:
    """Return what is not proved of erasures, and of what is to be kept now, a sentence each."""
    if erased and authority.is_sealed is None:
        yield (
            "who erased what is erased, and that nothing forbade it: nothing is sealed here, so whoever can write the "
            "store can have made the record of it"
        )
    unsigned = 0 if authority.is_sealed is None else authority.unsigned_rules(now_ns)
    if unsigned:
        yield (
            f"that what has to be kept is kept: {unsigned:,} of the holds and retention periods are signed by no key "
            "that counts, so whoever can write the store can lift them; place or set them once more where the key is"
        )
    passed = len(authority.without_effect())
    if passed:
        yield (
            f"who wrote {passed:,} of the records of holds and retention periods: no key that counts signed them "
            "there, so they have no effect; whoever wrote them can write the store: if you did, say it once more where "
            "the key is"
        )
    unknown = authority.unknown()
    if unknown:
        yield (
            f"that no hold or retention period of a conversation forbade {unknown:,} of the erasures: their records "
            "do not say in which it was"
        )
