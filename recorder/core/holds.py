"""What has to be kept, and until when: folded from the events of journals that say so.

A hold keeps an exchange, a conversation or everything from being erased until somebody releases it, or until a time
that was set with it. A retention period keeps everything, or one conversation, for so many days after an exchange
began; the last one that was set counts, and that of a conversation goes before that of everything.

Which one is the last: see :mod:`recorder.core.act_order`. A release comes after the hold that it names, and a period
after the one that it says to replace, whatever the order seems to be.

Whoever can write the database can add an event to a journal. So what the ledger's key has signed is lifted, replaced or
narrowed by nothing but what it has signed as well; and what is signed names its journal, so that a copy of it elsewhere
is nobody's word, and cannot be had to come last. What nobody signed keeps until anybody says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeAlias
from uuid import UUID

from recorder.core.events import Event
from recorder.core.json_text import rfc3339
from recorder.core.signed_facts import JOURNAL, SIGNATURE
from recorder.errors import CorruptRecording

#: Types of the events that :func:`rules_of` folds.
TYPES: Final = ("hold_placed", "hold_released", "retention_set")
#: What an erasure says to have overridden, beside the ids of holds.
RETENTION: Final = "retention"
DAY_NS: Final = 86_400_000_000_000
#: Of a retention period.
LONGEST_DAYS: Final = 36_500
_SCOPES: Final = ("exchange", "conversation", "all")

#: Whether the ledger's key vouches for what an event of :data:`TYPES` says.
IsSigned: TypeAlias = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold that was placed.

    :ivar scope: ``exchange``, ``conversation`` or ``all``; ``of``: the id, empty for ``all``.
    :ivar placed_ns: when, UTC nanoseconds; ``until_ns``: when it ends by itself, None: when it is released.
    :ivar place: journal and version of the event that tells of it.
    :ivar signed: whether the ledger's key vouches for it.
    """

    id: str
    scope: str
    of: str
    ground: str
    by: str
    placed_ns: int
    place: tuple[bytes, int]
    until_ns: int | None = None
    signed: bool = False

    def is_of(self, exchange: str, conversations: Collection[str]) -> bool:
        """Whether it keeps an exchange that is in some conversations."""
        if self.scope == "exchange":
            return self.of == exchange
        return self.scope == "all" or self.of in conversations

    @property
    def told(self) -> str:
        """The hold in words."""
        of = "everything" if self.scope == "all" else f"the {self.scope} {self.of}"
        until = "" if self.until_ns is None else f" until {rfc3339(self.until_ns)}"
        return f"hold {self.id} of {self.by} keeps {of}{until} ({self.ground})"


@dataclass(frozen=True, slots=True)
class Retention:
    """How long is kept what began.

    :ivar days: 0: no longer than anybody likes.
    :ivar of: id of the conversation; empty for everything.
    :ivar place: journal and version of the event that tells of it.
    :ivar signed: whether the ledger's key vouches for it.
    """

    days: int
    of: str
    by: str
    set_ns: int
    place: tuple[bytes, int]
    signed: bool = False

    def until_ns(self, started_ns: int) -> int:
        """Return when an exchange that began then may be erased; 0, which is any time, where nothing keeps it."""
        return started_ns + self.days * DAY_NS if self.days else 0


@dataclass(frozen=True, slots=True)
class Keeping:
    """What has to be kept.

    :ivar holds: those that nobody released, by id, in the order in which they were placed.
    :ivar retention: by the conversation that it is of; under the empty text that of everything.
    :ivar without_effect: what would end, change or repeat what is signed, and counts for nothing: somebody else wrote
        it. In the order in which it was done.
    """

    holds: Mapping[str, Hold] = field(default_factory=dict)
    retention: Mapping[str, Retention] = field(default_factory=dict)
    without_effect: Sequence[Event] = ()

    @property
    def conversations(self) -> set[str]:
        """The conversations that something is said of, by the ids that they had then."""
        named = {hold.of for hold in self.holds.values() if hold.scope == "conversation"}
        return named | {of for of in self.retention if of}

    def in_force(self, now_ns: int) -> list[Hold]:
        """Return the holds that have not ended by themselves."""
        return [hold for hold in self.holds.values() if hold.until_ns is None or hold.until_ns > now_ns]

    def retention_of(self, conversations: Collection[str]) -> Retention | None:
        """Return what counts for an exchange in some conversations: of several, the longest.

        What nobody signed of a conversation shortens nothing that is signed of everything.
        """
        some = [self.retention[one] for one in conversations if one in self.retention]
        everything = self.retention.get("")
        if everything is not None and (not some or (everything.signed and not any(one.signed for one in some))):
            some.append(everything)
        return max(some, key=lambda one: one.days, default=None)

    @property
    def least_retention(self) -> Retention | None:
        """What counts at least for every exchange, whichever conversation it is in; None: nothing does."""
        everything = self.retention.get("")
        if everything is None:
            return None
        some = [one for one in self.retention.values() if one.signed or not everything.signed]
        return min(some, key=lambda one: one.days)


def is_rule(kind: str, facts: Mapping[str, Any]) -> bool:
    """Whether facts of an event of :data:`TYPES` say what has to be kept, or not any more."""
    if kind == "retention_set":
        days = facts.get("days")
        return type(days) is int and 0 <= days <= LONGEST_DAYS and isinstance(facts.get("of", ""), str)
    until = facts.get("until_ns", 0)
    return isinstance(facts.get("hold"), str) and type(until) is int and 0 <= until < 1 << 63


def is_signed_here(event: Event) -> bool:
    """Whether what an event says is said in the journal in which it was signed, whoever signed it."""
    return bool(event.facts.get(JOURNAL) == str(UUID(bytes=event.stream)))


def signed_by(vouched: IsSigned) -> IsSigned:
    """Return what tells whether the ledger's key vouches for what an event says, in the journal in which it is.

    :param vouched: tells whether it has signed the facts, wherever they stand.
    """

    @cache
    def is_signed(event: Event) -> bool:
        return is_signed_here(event) and vouched(event)

    return is_signed


def by_nobody(event: Event) -> bool:
    """Tell of a store without a ledger that nobody signs there: all that is said counts alike."""
    return False


def rules_of(events: Iterable[Event], is_signed: IsSigned = by_nobody) -> Keeping:
    """Return what has to be kept.

    :param events: of journals, of :data:`TYPES`, in the order in which it was done; others are passed over.
    :raises CorruptRecording: one does not say it, or cannot be read: then nobody knows what has to be kept.
    """
    holds: dict[str, Hold] = {}
    early: set[str] = set()  # holds of which the release comes first
    periods: list[Retention] = []
    replaced: set[tuple[str, str]] = set()
    said = _said(events, is_signed)
    for event, signed in _counting(said):
        told = event.facts
        if event.type == "hold_placed":
            hold = _hold(event, signed)
            if hold.id in early:
                early.remove(hold.id)
            else:
                holds[hold.id] = hold
        elif event.type == "hold_released":
            released = str(told.get("hold"))
            if holds.pop(released, None) is None:
                early.add(released)
        else:
            of, by, place = str(told.get("of", "")), str(told.get("by", "")), (event.stream, event.version)
            periods.append(Retention(int(told["days"]), of, by, event.wall_ns, place, signed))
            replaced.add((of, str(told.get("replaces"))))
    left = (one for one in periods if (one.of, str(UUID(bytes=one.place[0]))) not in replaced)
    retention = {one.of: one for one in left}
    return Keeping(holds, retention, tuple(_without_effect(said, retention)))


def _said(events: Iterable[Event], is_signed: IsSigned) -> list[tuple[Event, bool]]:
    """Return what was said, and whether it is signed."""
    told: list[tuple[Event, bool]] = []
    for event in events:
        if event.type not in TYPES:
            continue
        if not is_rule(event.type, event.facts):
            raise CorruptRecording(
                f"{event.type} in the journal {UUID(bytes=event.stream)} does not say what has to be kept, so nothing "
                "can be erased: run `recorder verify`, and compare with a backup"
            )
        told.append((event, is_signed(event)))
    return told


def _counting(said: Sequence[tuple[Event, bool]]) -> Iterator[tuple[Event, bool]]:
    """Yield what counts of what was said, and whether it is signed.

    Of what somebody has signed something of, a hold or the period of something, only what is signed counts, once.
    """
    vouched = {_subject(event) for event, signed in said if signed and event.type != "hold_released"}
    once: set[str] = set()
    for event, signed in said:
        if signed:
            signature = str(event.facts[SIGNATURE])
            if signature not in once:
                once.add(signature)
                yield event, True
        elif _subject(event) not in vouched:
            yield event, False


def _without_effect(said: Sequence[tuple[Event, bool]], retention: Mapping[str, Retention]) -> Iterator[Event]:
    """Yield what counts for nothing, though whoever wrote it wanted it to: nobody records it who has the key.

    A period that nobody signed and that a signed one has followed is none of these: it counted until then. Of a hold,
    what is signed goes before the rest in whichever order they come.

    :param retention: what counts.
    """
    vouched = {_subject(event) for event, signed in said if signed and event.type == "hold_placed"}
    everything = retention.get("")
    least = everything.days if everything is not None and everything.signed else 0
    longest = 0  # of the signed periods of everything so far
    once: set[str] = set()
    for event, signed in said:
        subject = _subject(event)
        if signed:
            signature = str(event.facts[SIGNATURE])
            if signature in once:
                yield event
            once.add(signature)
            if event.type == "retention_set":
                vouched.add(subject)
                longest = max(longest, 0 if subject[1] else int(event.facts["days"]))
        elif subject in vouched:
            yield event
        elif event.type == "retention_set" and int(event.facts["days"]) < min(least, longest):
            counts = retention.get(subject[1])
            if counts is None or not counts.signed:
                yield event


def _subject(event: Event) -> tuple[str, str]:
    """Return which hold, or the retention period of what, an event is about."""
    facts = event.facts
    return ("of", str(facts.get("of", ""))) if event.type == "retention_set" else ("hold", str(facts["hold"]))


def _hold(event: Event, signed: bool) -> Hold:
    told: dict[str, Any] = event.facts
    scope = next((one for one in _SCOPES if one in told), "all")
    of = "" if scope == "all" else str(told[scope])
    identity, ground, by = (str(told.get(name, "")) for name in ("hold", "ground", "by"))
    place = event.stream, event.version
    return Hold(identity, scope, of, ground, by, event.wall_ns, place, told.get("until_ns"), signed)
