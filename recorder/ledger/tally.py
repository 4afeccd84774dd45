"""What an audit counts and finds on its way through event streams; parts of it, made apart, can be joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from recorder.clock import ID_SIZE, id_text
from recorder.core.chain import Finding
from recorder.core.clock_steps import ClockReadings

#: Findings that are kept of one kind: of a store that was replaced as a whole there is one for each event.
MOST_OF_A_KIND: Final = 10_000


@dataclass
class Tally:
    """Findings and counts.

    :ivar findings: in the order of the streams.
    :ivar more: those that were found beyond.
    :ivar events: how many were checked; *spooled* of them are not in the store yet.
    :ivar exchanges: event streams of exchanges; *unfinished* of them have no end.
    :ivar gaps: recorded losses.
    :ivar incomplete: something is missing, or could not be read.
    :ivar erased: how many payloads of each stream were erased.
    :ivar withheld: how many payloads of each stream are sealed and were not checked, since their key is not here.
    :ivar kept: events under a time stamp, sealed without one, and not sealed; see
        :class:`recorder.core.clock_bounds.Bounds`. *late* of them were sealed late for a reason that a journal gives,
        *older* say to be older than the ledger.
    :ivar untimely: whether a time contradicts another one.
    :ivar waiting_ns: ``wall_ns`` of the oldest event that is not sealed.
    :ivar again: streams to be looked at once more: their process was still writing.
    """

    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    events: int = 0
    exchanges: int = 0
    unfinished: int = 0
    gaps: int = 0
    spooled: int = 0
    incomplete: bool = False
    erased: dict[bytes, int] = field(default_factory=dict)
    withheld: dict[bytes, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=lambda: {"stamped": 0, "unstamped": 0, "unsealed": 0})
    late: int = 0
    older: int = 0
    untimely: bool = False
    waiting_ns: int | None = None
    again: set[bytes] = field(default_factory=set)
    clocks: ClockReadings = field(default_factory=ClockReadings)
    _kinds: dict[str, int] = field(default_factory=dict)

    def find(self, stream: bytes, version: int | None, place: str, kind: str, detail: str) -> None:
        """Take a finding."""
        self.add(Finding(id_text(stream) if len(stream) == ID_SIZE else stream.hex(), version, place, kind, detail))

    def add(self, finding: Finding) -> None:
        """Take a finding."""
        known = self._kinds[finding.kind] = self._kinds.get(finding.kind, 0) + 1
        if known <= MOST_OF_A_KIND:
            self.findings.append(finding)
        else:
            self.more += 1

    def join(self, other: Tally) -> None:
        """Take what another one has, which comes after this one."""
        for finding in other.findings:
            self.add(finding)
        for name in ("more", "events", "exchanges", "unfinished", "gaps", "spooled", "late", "older"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, count in other.kept.items():
            self.kept[name] += count
        self.incomplete |= other.incomplete
        self.untimely |= other.untimely
        self.erased |= other.erased
        self.withheld |= other.withheld
        self.again |= other.again
        self.clocks.merge(other.clocks)
        if other.waiting_ns is not None:
            self.waiting_ns = other.waiting_ns if self.waiting_ns is None else min(self.waiting_ns, other.waiting_ns)
