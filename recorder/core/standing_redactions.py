"""What is hidden of what is shown, until somebody lifts it: folded from the events of journals that say so.

A standing redaction hides what its rules find in an exchange, a conversation or everything. It is about what is shown
and exported; what is recorded stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from recorder.core.events import Event
from recorder.core.export_rules import parse_rules
from recorder.errors import ConfigurationError, CorruptRecording

#: Types of the events that :func:`standing_of` folds.
TYPES: Final = ("redaction_set", "redaction_lifted")
_SCOPES: Final = ("exchange", "conversation", "all")
_SPECIAL: Final = frozenset(".^$*+?{}[]\\|()")


@dataclass(frozen=True, slots=True)
class StandingRedaction:
    """One redaction that nobody has lifted.

    :ivar scope: ``exchange``, ``conversation`` or ``all``; ``of``: the id, empty for ``all``.
    :ivar rules: as :mod:`recorder.core.export_rules` has them, without ``text``.
    :ivar set_ns: when, UTC nanoseconds.
    """

    id: str
    scope: str
    of: str
    rules: tuple[str, ...]
    ground: str
    by: str
    set_ns: int

    def is_of(self, exchange: str, conversations: Collection[str]) -> bool:
        """Whether it hides something of an exchange that is in some conversations."""
        if self.scope == "exchange":
            return self.of == exchange
        return self.scope == "all" or self.of in conversations


def standing_of(events: Iterable[Event]) -> tuple[StandingRedaction, ...]:
    """Return the redactions that are in force, in the order in which they were set.

    One that was lifted is not, also where the clock of whoever set it was ahead.

    :param events: of journals, of :data:`TYPES`; others are passed over.
    :raises CorruptRecording: the facts of one cannot be read: then nobody knows what has to be hidden.
    """
    found: dict[str, StandingRedaction] = {}
    early: set[str] = set()  # those of which the lifting comes first
    for event in sorted(events, key=lambda one: (one.wall_ns, one.stream, one.version)):
        if event.type == "redaction_set":
            made = _redaction(event)
            if made.id in early:
                early.remove(made.id)
            else:
                found[made.id] = made
        elif event.type == "redaction_lifted":
            lifted = str(event.facts.get("redaction"))
            if found.pop(lifted, None) is None:
                early.add(lifted)
    return tuple(found.values())


def _redaction(event: Event) -> StandingRedaction:
    told: dict[str, Any] = event.facts
    scope = next((one for one in _SCOPES if one in told), None)
    rules = told.get("rules")
    if scope is None or not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
        raise CorruptRecording(
            f"the redaction that was set in the journal {event.stream.hex()} cannot be read: see `recorder verify`",
            position=event.position,
        )
    identity, ground, by = (str(told.get(name, "")) for name in ("redaction", "ground", "by"))
    of = "" if scope == "all" else str(told[scope])
    return StandingRedaction(identity, scope, of, tuple(rules), ground, by, event.wall_ns)


def require_standing(rules: Iterable[str]) -> tuple[str, ...]:
    """Return rules that may be recorded for ever.

    :raises ConfigurationError: there is none, one is no rule, or one says the very text that it is to hide.
    """
    given = tuple(rules)
    if not given:
        raise ConfigurationError("nothing says what to hide: give --rule json:PATH, re:EXPRESSION or detect:NAME")
    for number, rule in enumerate(given, 1):
        kind, _, what = rule.partition(":")
        if kind == "text" or (kind == "re" and not _SPECIAL.intersection(what)):
            raise ConfigurationError(
                f"redaction rule {number} is a text as it is written, and the recorded rule would be a copy of it that "
                "nobody can take back: say where it stands (json:PATH) or what it looks like (re:EXPRESSION, "
                "detect:NAME)"
            )
    parse_rules(given)
    return given
