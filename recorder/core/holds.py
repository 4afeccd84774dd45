"""What has to be kept, and until when: folded from the events of journals that say so.

A hold keeps an exchange, a conversation or everything from being erased until somebody releases it, or until a time
that was set with it. A retention period keeps everything, or one conversation, for so many days after an exchange
began; the last one that was set counts, and that of a conversation goes before that of everything.

Which one is the last: see :mod:`recorder.core.act_order`. A release comes after the hold that it names, and a period
after the one that it says to replace, whatever the order seems to be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from recorder.core.events import Event
from recorder.core.json_text import rfc3339
from recorder.errors import CorruptRecording

#: Types of the events that :func:`rules_of` folds.
TYPES: Final = ("hold_placed", "hold_released", "retention_set")
#: What an erasure says to have overridden, beside the ids of holds.
RETENTION: Final = "retention"
DAY_NS: Final = 86_400_000_000_000
#: Of a retention period.
LONGEST_DAYS: Final = 36_500
_SCOPES: Final = ("exchange", "conversation", "all")


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold that was placed.

    :ivar scope: ``exchange``, ``conversation`` or ``all``; ``of``: the id, empty for ``all``.
    :ivar placed_ns: when, UTC nanoseconds; ``until_ns``: when it ends by itself, None: when it is released.
    """

    id: str
    scope: str
    of: str
    ground: str
    by: str
    placed_ns: int
    until_ns: int | None = None

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
    :ivar journal: id of the journal that tells of it.
    """

    days: int
    of: str
    by: str
    set_ns: int
    journal: bytes

    def until_ns(self, started_ns: int) -> int:
        """Return when an exchange that began then may be erased; 0, which is any time, where nothing keeps it."""
        return started_ns + self.days * DAY_NS if self.days else 0


@dataclass(frozen=True, slots=True)
class Keeping:
    """What has to be kept.

    :ivar holds: those that nobody released, by id, in the order in which they were placed.
    :ivar retention: by the conversation that it is of; under the empty text that of everything.
    """

    holds: Mapping[str, Hold] = field(default_factory=dict)
    retention: Mapping[str, Retention] = field(default_factory=dict)

    @property
    def conversations(self) -> set[str]:
        """The conversations that something is said of, by the ids that they had then."""
        named = {hold.of for hold in self.holds.values() if hold.scope == "conversation"}
        return named | {of for of in self.retention if of}

    def in_force(self, now_ns: int) -> list[Hold]:
        """Return the holds that have not ended by themselves."""
        return [hold for hold in self.holds.values() if hold.until_ns is None or hold.until_ns > now_ns]

    def retention_of(self, conversations: Collection[str]) -> Retention | None:
        """Return what counts for an exchange in some conversations: of several, the longest."""
        own = [self.retention[one] for one in conversations if one in self.retention]
        return max(own, key=lambda one: one.days) if own else self.retention.get("")


def is_rule(kind: str, facts: Mapping[str, Any]) -> bool:
    """Whether facts of an event of :data:`TYPES` say what has to be kept, or not any more."""
    if kind == "retention_set":
        days = facts.get("days")
        return type(days) is int and 0 <= days <= LONGEST_DAYS and isinstance(facts.get("of", ""), str)
    until = facts.get("until_ns", 0)
    return isinstance(facts.get("hold"), str) and type(until) is int and 0 <= until < 1 << 63


def rules_of(events: Iterable[Event]) -> Keeping:
    """Return what has to be kept.

    :param events: of journals, of :data:`TYPES`, in the order in which it was done; others are passed over.
    :raises CorruptRecording: one does not say it, or cannot be read: then nobody knows what has to be kept.
    """
    holds: dict[str, Hold] = {}
    early: set[str] = set()  # holds of which the release comes first
    periods: list[Retention] = []
    replaced: set[str] = set()
    for event in events:
        if event.type in TYPES and not is_rule(event.type, event.facts):
            raise CorruptRecording(
                f"{event.type} in the journal {UUID(bytes=event.stream)} does not say what has to be kept, so nothing "
                "can be erased: run `recorder verify`, and compare with a backup"
            )
        if event.type == "hold_placed":
            hold = _hold(event)
            if hold.id in early:
                early.remove(hold.id)
            else:
                holds[hold.id] = hold
        elif event.type == "hold_released":
            released = str(event.facts.get("hold"))
            if holds.pop(released, None) is None:
                early.add(released)
        elif event.type == "retention_set":
            told = event.facts
            of, by = str(told.get("of", "")), str(told.get("by", ""))
            periods.append(Retention(int(told["days"]), of, by, event.wall_ns, event.stream))
            replaced.add(str(told.get("replaces")))
    return Keeping(holds, {one.of: one for one in periods if str(UUID(bytes=one.journal)) not in replaced})


def _hold(event: Event) -> Hold:
    told: dict[str, Any] = event.facts
    scope = next((one for one in _SCOPES if one in told), "all")
    of = "" if scope == "all" else str(told[scope])
    told_of = (str(told.get(name, "")) for name in ("hold", "ground", "by"))
    identity, ground, by = told_of
    return Hold(identity, scope, of, ground, by, event.wall_ns, told.get("until_ns"))
