"""The audit: is every event still what was written, and is none missing in between?

Every event stream is checked by itself: its opening, gapless versions, the hash of every event, known
types, readable facts, nothing after the end. What is wrong becomes a finding and the audit goes on;
after an event whose hash does not verify it follows the *stored* hash, so that one changed event is one
finding and not one for everything after it.

What a chain alone cannot prove, and this audit therefore does not claim: that no whole stream was
removed, that nothing was cut off the end of a stream, and that nobody who held the store rewrote a
stream together with all of its hashes. That takes checkpoints which are signed and kept elsewhere.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from types import UnionType
from typing import Any, Final

from recorder.clock import id_text
from recorder.core.chain import ChainVerifier, Finding
from recorder.core.events import (
    FORMAT_VERSION,
    TERMINAL_TYPES,
    TYPE_CODES,
    Event,
    StreamKind,
    StreamOpened,
    is_journal,
    stream_kind,
)
from recorder.errors import CorruptRecording, UnknownEventType

Streams = Iterable[tuple[StreamOpened | None, Iterable[Event]]]

#: What this version does not prove, one sentence each.
NOT_PROVED: Final = (
    "that no whole exchange was removed",
    "that nothing was cut off the end of an exchange",
    "that nobody rewrote an exchange together with all of its hashes",
)
_KINDS: Final[Mapping[str, type | UnionType]] = {
    "wall_ns": int,
    "mono_ns": int,
    "instance": bytes,
    "flags": int,
    "meta": str | None,
    "body": bytes | None,
    "hash": bytes,
}
#: What may follow an end: a consumer can leave what had arrived untaken, a loss be told late.
_AFTER_THE_END: Final = frozenset({"consumer_closed", "consumer_abandoned", "gap_recorded", "tags_set"})


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found.

    :ivar verdicts: ``unmodified``: every event is the one that was written; ``complete_in_range``: no
        stream lacks an event before its last one, the recorder itself tells of no loss, and nothing could
        not be read. Each ``yes`` or ``no``.
    :ivar findings: in the order of the streams.
    :ivar events: how many were checked.
    :ivar exchanges: how many event streams of exchanges.
    :ivar unfinished: exchanges without an end: still running, or their process died and nobody recovered.
    :ivar gaps: recorded losses (``gap_recorded``): the recorder says itself that something is missing.
    :ivar spooled: events that are in a spool and not in the store yet.
    """

    verdicts: Mapping[str, str]
    findings: tuple[Finding, ...]
    events: int
    exchanges: int
    unfinished: int = 0
    gaps: int = 0
    spooled: int = 0

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
        }


def verify(streams: Streams, damage: Iterable[str] = ()) -> Report:
    """Check event streams.

    :param streams: each with its opening (None where that is missing) and its events in order, as they
        are stored; what cannot be read any more raises :class:`~recorder.errors.CorruptRecording`, and
        the audit ends there with a finding.
    :param damage: what the store's engine finds wrong with its own file, a sentence each: what can be read
        of it may not be all that there is.
    """
    audit = _Audit()
    for detail in damage:
        audit.incomplete = True
        audit.find(b"", None, "page", "storage", f"the store's file is damaged: {detail}")
    try:
        for opened, events in streams:
            audit.stream(opened, events)
    except CorruptRecording as error:
        audit.incomplete = True
        audit.find(audit.current, None, "page", "storage", f"{error}; what follows was not read")
    return audit.report()


def _finding_json(finding: Finding) -> dict[str, Any]:
    shown: dict[str, Any] = {"exchange": finding.exchange}
    if finding.version is not None:
        shown["version"] = finding.version
    return shown | {"field": finding.field, "kind": finding.kind, "detail": finding.detail}


@dataclass
class _Audit:
    findings: list[Finding] = field(default_factory=list)
    events: int = 0
    exchanges: int = 0
    unfinished: int = 0
    gaps: int = 0
    spooled: int = 0
    incomplete: bool = False
    current: bytes = b""

    def find(self, stream: bytes, version: int | None, place: str, kind: str, detail: str) -> None:
        name = id_text(stream) if len(stream) == 16 else ""
        self.findings.append(Finding(name, version, place, kind, detail))

    def report(self) -> Report:
        verdicts = {
            "unmodified": "no" if self.findings else "yes",
            "complete_in_range": "no" if self.incomplete or self.gaps else "yes",
        }
        return Report(
            verdicts, tuple(self.findings), self.events, self.exchanges, self.unfinished, self.gaps, self.spooled
        )

    def stream(self, opened: StreamOpened | None, events: Iterable[Event]) -> None:
        """Check one stream."""
        checked = _Stream(self, opened)
        self.current = opened.stream if opened is not None else b""
        try:
            checked.take(iter(events))
        except UnknownEventType as error:
            self.incomplete = True
            self.find(self.current, checked.version + 1, "type", "type", f"{error}; what follows was not read")
        if checked.kind != "exchange":
            return
        self.exchanges += 1
        self.unfinished += checked.ended_at is None


class _Stream:
    """One stream under audit.

    :ivar version: the last one that was checked.
    :ivar ended_at: version of the event that ended the exchange.
    :ivar kind: what it tells of.
    """

    def __init__(self, audit: _Audit, opened: StreamOpened | None) -> None:
        self._audit = audit
        self._stream = b"" if opened is None else opened.stream
        self._chain = ChainVerifier(opened) if opened is not None and self._sound(opened) else None
        self._opening_missing = opened is None
        self.version = 0
        self.ended_at: int | None = None
        self.kind: StreamKind = "journal" if opened is not None and is_journal(opened) else "exchange"

    def _sound(self, opened: StreamOpened) -> bool:
        sizes: list[tuple[str, object, int]] = [("stream", opened.stream, 16), ("instance", opened.instance, 16)]
        sizes.append(("secret", opened.secret, 32))
        bad = [name for name, value, size in sizes if not (isinstance(value, bytes) and len(value) == size)]
        for name in bad:
            self._find(None, name, "opening", f"the opening's {name} is not what was written: no hash can be checked")
        if opened.format != FORMAT_VERSION:
            told = f"event format {opened.format} is not known here, so no hash can be checked: upgrade recorder"
            self._find(None, "format", "opening", told)
        return not bad and opened.format == FORMAT_VERSION

    def _find(self, version: int | None, place: str, kind: str, detail: str) -> None:
        self._audit.find(self._stream, version, place, kind, detail)

    def take(self, events: Iterator[Event]) -> None:
        """Check every event."""
        first = next(events, None)
        if first is None:
            return
        self._stream = self._audit.current = first.stream
        if self.kind != "journal":
            self.kind = stream_kind(first.type)
        if self._opening_missing:
            self._find(None, "opening", "opening", "the opening is missing: no hash can be checked")
        stored = chain((first,), events)
        while (event := self._next(stored)) is not None:
            self._check(event)

    def _next(self, events: Iterator[Event]) -> Event | None:
        """Return the next event that needs a closer look."""
        verifier = self._chain
        if verifier is None or self.ended_at is not None:
            return next(events, None)
        try:
            return verifier.pass_chunks(events)
        finally:
            self._audit.events += verifier.version - self.version
            self.version = verifier.version

    def _check(self, event: Event) -> None:
        self._audit.events += 1
        self._audit.spooled += event.position is None
        if event.version != self.version + 1:
            self._gap(self.version + 1, event.version)
        self.version = event.version
        self._look(event)
        if self._chain is None:
            return
        try:
            if len(event.instance) != 16:  # struct fills up or cuts off: the hash may hold all the same
                self._damaged(event)
            elif not self._chain.verifies(event):
                self._mismatch(event)
        except (struct.error, TypeError, AttributeError):
            self._damaged(event)
        self._chain.skip_to(event)

    def _gap(self, expected: int, found: int) -> None:
        missing = f"version {expected} is" if found == expected + 1 else f"versions {expected} to {found - 1} are"
        self._find(found, "version", "version", f"{missing} missing: {found} follows")
        self._audit.incomplete = True

    def _look(self, event: Event) -> None:
        kind = event.type
        if kind not in TYPE_CODES:
            told = f"an event of unknown type ({kind}), so its hash cannot be checked: upgrade recorder"
            self._find(event.version, "type", "type", told)
        elif self.ended_at is not None and kind not in _AFTER_THE_END:
            self._find(event.version, "type", "order", f"{kind} after the end, which is version {self.ended_at}")
        if event.meta is not None and not _is_object(event.meta):
            self._find(event.version, "meta", "meta", f"the facts of {kind} are not a JSON object")
        if kind in TERMINAL_TYPES and self.ended_at is None:
            self.ended_at = event.version
        self._audit.gaps += kind == "gap_recorded"

    def _mismatch(self, event: Event) -> None:
        if event.type in TYPE_CODES:  # the name of an unknown type is part of what was hashed
            self._find(event.version, "hash", "hash", f"{event.type} is not what was written: its hash does not verify")

    def _damaged(self, event: Event) -> None:
        """Report a value of a type or size that was never written."""
        values: dict[str, object] = event._asdict()
        places = [name for name, kinds in _KINDS.items() if not isinstance(values[name], kinds)]
        instance = values["instance"]
        if isinstance(instance, bytes) and len(instance) != 16:
            places.append("instance")
        for place in places or ["numbers"]:
            self._find(event.version, place, "storage", f"{place} of {event.type} holds what was never written")


def _is_object(meta: object) -> bool:
    try:
        return isinstance(meta, str) and meta.isascii() and isinstance(json.loads(meta), dict)
    except ValueError:
        return False
