"""What the journals in a bundle say of its exchanges: that each was announced, and how far it came.

A recorder process writes into its journal that it begins an exchange, with a number that has no gaps, before the
first byte leaves; and at the end how many events it has, and the hash of the last. So an exchange that is not in
the store any more is noticed by whoever has the journal.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from recorder.core.clock_bounds import Late
from recorder.ledger.standalone.findings import Findings
from recorder.ledger.standalone.notes import Key, signed_by
from recorder.ledger.standalone.reasons import Reasons, stream_named
from recorder.ledger.standalone.records import Entry, facts_of
from recorder.ledger.standalone.streams import StreamSummary

_MOST_ERASURES = 100  # of one event stream
_MOST_CLOSINGS, _MOST_MISSING = 1000, 10_000  # of what hostile journals could tell


class _Opened(NamedTuple):
    journal: bytes
    number: int
    wall_ns: int


class _Closed(NamedTuple):
    journal: bytes
    version: int
    length: int
    head: str


class Erasure(NamedTuple):
    """That payloads were erased, and on whose authority.

    :ivar signed: whether a key that counts has signed it.
    """

    journal: bytes
    version: int
    at_ns: int
    events: int
    facts: Mapping[str, Any]
    signed: bool


class Journals:
    """Takes the events of all journals, then tells where they and the exchanges disagree.

    :param here: the event streams that are in the bundle.
    :param period: the time that the bundle was made for, from and to (nanoseconds); None: not for a time.
    :param keys: of the ledger: those whose signature under an erasure counts.
    :param in_force: whether one of them was that of the ledger yet when a version of a journal was sealed.
    :ivar elsewhere: exchanges that a journal announces and that are not in the bundle.
    :ivar erasures: what journals tell of erasures, by event stream.
    :ivar dropped: events of what is here that the recorder itself says to have lost.
    :ivar copied: exchanges that were copied from another store, as journals here tell; their own are there.
    :ivar linked: of links that were erased, what journals tell that they named.
    """

    def __init__(
        self,
        here: Collection[bytes],
        period: tuple[int, int] | None,
        findings: Findings,
        keys: Sequence[Key] = (),
        in_force: Callable[[Key, bytes, int], bool] = lambda key, journal, version: True,
    ) -> None:
        self._keys, self._in_force = keys, in_force
        self._here, self._period, self._findings = here, period, findings
        self._opened: dict[bytes, _Opened] = {}
        self._closed: dict[bytes, list[_Closed]] = {}
        self._numbers: dict[bytes, int] = {}
        self._missing: dict[bytes, tuple[bytes, int]] = {}
        self.elsewhere = self.dropped = 0
        self.erasures: dict[bytes, list[Erasure]] = {}
        self.linked: dict[bytes, Mapping[str, Any]] = {}
        self.copied: set[bytes] = set()
        self._reasons = Reasons(here)

    def take(self, summary: StreamSummary, entry: Entry) -> None:
        """Take the next event of a journal."""
        facts = facts_of(entry)
        self._reasons.take(entry, facts, self._is_vouched_for)
        if entry.type == "exchange_opened":
            self._open(summary, entry, facts)
        elif entry.type == "exchange_closed":
            self._close(summary.stream, entry, facts, stream_named(facts.get("exchange")))
        elif entry.type == "stream_written" and facts.get("kind") == "copy":
            copied = stream_named(facts.get("stream"))
            self.copied.update({copied} & set(self._here))
            self._close(summary.stream, entry, facts, copied)
        elif entry.type == "events_dropped":
            if "exchange" not in facts or stream_named(facts["exchange"]) in self._here:
                events = facts.get("events")
                self.dropped += events if type(events) is int and 0 < events < 1 << 63 else 1
        elif entry.type == "payload_erased":
            self._erase(summary.stream, entry, facts)

    def late_because(self, stream: bytes, instance: bytes, began_ns: int | None) -> Late | None:
        """Return what is said here of why a stream may have been sealed late; None: nothing is.

        :param instance: the process that opened it.
        :param began_ns: when the ledger was begun; None: that is not known.
        """
        return self._reasons.late_because(stream, instance, began_ns)

    def _is_vouched_for(self, entry: Entry, facts: Mapping[str, Any]) -> bool:
        """Return whether a key that counts has signed the facts of an event, while it was in force."""
        by = signed_by(entry.type, facts, self._keys)
        return by is not None and self._in_force(by, entry.stream, entry.version)

    def _erase(self, journal: bytes, entry: Entry, facts: Mapping[str, Any]) -> None:
        stream, events = stream_named(facts.get("exchange")), facts.get("events")
        told = self.erasures.setdefault(stream, []) if stream in self._here else []
        signature = facts.get("signature")
        if stream not in self._here or len(told) >= _MOST_ERASURES:
            return
        by = self._is_vouched_for(entry, facts)
        if by and any(one.signed and one.facts.get("signature") == signature for one in told):
            return  # somebody wrote it down once more
        count = events if type(events) is int else 0
        told.append(Erasure(journal, entry.version, entry.wall_ns, count, facts, by))
        if isinstance(facts.get("linked"), dict):
            self.linked[stream] = facts["linked"]

    def _open(self, summary: StreamSummary, entry: Entry, facts: Mapping[str, Any]) -> None:
        journal = summary.stream
        number, stream = facts.get("number"), stream_named(facts.get("exchange"))
        if type(number) is not int or not stream:
            self._findings.add("journal", "exchange_opened", "it names no exchange", journal, entry.version)
            return
        before = self._numbers.get(journal, 0 if summary.first == 1 else None)
        if before is not None and number != before + 1:
            told = f"exchange {number} follows exchange {before}: numbers have no gaps"
            self._findings.add("journal", "number", told, journal, entry.version)
        self._numbers[journal] = number
        if stream in self._here:
            self._opened[stream] = _Opened(journal, number, entry.wall_ns)
        else:
            self.elsewhere += 1
            within = self._period is not None and self._period[0] <= entry.wall_ns < self._period[1]
            if within and len(self._missing) < _MOST_MISSING:
                self._missing[stream] = (journal, entry.version)

    def _close(self, journal: bytes, entry: Entry, facts: Mapping[str, Any], stream: bytes) -> None:
        length, head = facts.get("length"), facts.get("head", "")
        if length == 0:
            self._missing.pop(stream, None)  # nothing was recorded of it, nor sent
        if stream in self._here and type(length) is int and 0 <= length < 1 << 63:
            told = self._closed.setdefault(stream, [])
            if len(told) < _MOST_CLOSINGS:
                told.append(_Closed(journal, entry.version, length, str(head)))

    @property
    def announced(self) -> dict[bytes, int]:
        """When the exchanges that are here were announced, nanoseconds."""
        return {stream: opened.wall_ns for stream, opened in self._opened.items()}

    def lengths(self, stream: bytes) -> list[int]:
        """Return the versions of an exchange after which journals tell its hash."""
        return [closed.length for closed in self._closed.get(stream, ())]

    def compare(self, summaries: Mapping[bytes, StreamSummary]) -> None:
        """Tell where exchanges are not as the journals say."""
        for stream, summary in summaries.items():
            if summary.kind == "exchange" and summary.whole:
                self._compare_one(stream, summary, summaries)
        for stream, (journal, version) in self._missing.items():
            told = f"the exchange {uuid.UUID(bytes=stream)} was begun in this period, and is not here"
            self._findings.add("omitted", "exchange_opened", told, journal, version)

    def _compare_one(self, stream: bytes, summary: StreamSummary, here: Mapping[bytes, StreamSummary]) -> None:
        number, opened = summary.sent.get("number"), self._opened.get(stream)
        if opened is not None and number is not None and opened.number != number:
            told = f"it says that it is number {number} of its process, whose journal says {opened.number}"
            self._findings.add("journal", "number", told, stream, 1)
        journal = here.get(summary.instance)
        if number is not None and opened is None and journal is not None and journal.whole:
            told = "it has a number, and the journal of its process does not name it"
            self._findings.add("journal", "number", told, stream, 1)
        if number is not None and journal is None and stream not in self.copied:
            self._findings.add("omitted", "journal", "the journal of its process is not here", stream)
        for closed in self._closed.get(stream, ()):
            head = summary.heads.get(closed.length)
            if closed.length and (head is None or head.hex() != closed.head):
                told = f"version {closed.version} of the journal {uuid.UUID(bytes=closed.journal)} tells another "
                told += f"hash, or more events: {closed.length}"
                self._findings.add("journal", "head", told, stream, closed.length)
