"""What an audit came to: verdicts that are given apart, since one word for all of them would hide something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.core.chain import Finding

#: What chains alone do not prove, one sentence each: where there is no ledger.
NOT_PROVED: Final = (
    "that no whole exchange was removed",
    "that nothing was cut off the end of an exchange",
    "that nobody rewrote an exchange together with all of its hashes",
)
#: Of findings: those after which an event may still be the one that was written.
_OF_TIMES: Final = frozenset({"clock", "back_dated"})
_OF_MISSING: Final = frozenset({"omitted", "rolled_back"})
_ELSEWHERE: Final = frozenset({"key", "unsigned", "anchor", "projection"})


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found.

    :ivar verdicts: ``unmodified``: every event is the one that was written (``partly``: payloads of
        some are sealed, and their keys are not here); ``complete_in_range``: nothing is missing
        that is said to be there, no stream lacks an event before its last one, the recorder itself tells of no loss,
        and nothing could not be read. Each ``yes`` or ``no``. Where all of a store was checked, also ``authentic``
        (``yes``, ``no``, ``not proved``), ``bounded_in_time`` (also ``partly``) and ``fresh`` (``yes``,
        ``no``: something is not sealed yet, ``not sealed``: there is no ledger).
    :ivar findings: in the order of the streams.
    :ivar events: how many were checked.
    :ivar exchanges: how many event streams of exchanges.
    :ivar unfinished: exchanges without an end: still running, or their process died and nobody recovered.
    :ivar gaps: recorded losses (``gap_recorded``): the recorder says itself that something is missing.
    :ivar spooled: events that are in a spool and not in the store yet.
    :ivar not_proved: one sentence each.
    :ivar more: further parts of the answer, by name: see docs/schema/verify.schema.json.
    """

    verdicts: Mapping[str, str]
    findings: tuple[Finding, ...]
    events: int
    exchanges: int
    unfinished: int = 0
    gaps: int = 0
    spooled: int = 0
    not_proved: tuple[str, ...] = NOT_PROVED
    more: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what ``verify --json`` prints (docs/schema/verify.schema.json)."""
        return {
            "verdicts": dict(self.verdicts),
            "findings": [_finding_json(finding) for finding in self.findings],
            "events": self.events,
            "exchanges": self.exchanges,
            "unfinished": self.unfinished,
            "gaps": self.gaps,
            "spooled": self.spooled,
            "not_proved": list(self.not_proved),
            **self.more,
        }


def unmodified(findings: Sequence[Finding], withheld: int = 0) -> str:
    """Return whether every event is the one that was written: ``yes``, ``partly`` or ``no``.

    :param withheld: payloads that were not checked, since they are sealed and their keys are not here.
    """
    others = _OF_TIMES | _OF_MISSING | _ELSEWHERE
    if any(finding.kind not in others for finding in findings):
        return "no"
    return "partly" if withheld else "yes"


def withheld_json(withheld: Mapping[bytes, int]) -> dict[str, int]:
    """Return how many payloads, of how many event streams, were not checked."""
    return {"payloads": sum(withheld.values()), "streams": len(withheld)}


def not_unsealed(withheld: Mapping[bytes, int]) -> tuple[str, ...]:
    """Return what is not proved of payloads that were not checked, a sentence each."""
    if not withheld:
        return ()
    return (
        f"what {sum(withheld.values()):,} sealed payloads hold: their keys are not here, so that only what their "
        "events commit to was checked",
    )


def _finding_json(finding: Finding) -> dict[str, Any]:
    shown: dict[str, Any] = {"exchange": finding.exchange}
    if finding.version is not None:
        shown["version"] = finding.version
    return shown | {"field": finding.field, "kind": finding.kind, "detail": finding.detail}
