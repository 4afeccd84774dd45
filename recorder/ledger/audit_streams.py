"""The audit of one event stream: its chain, and whatever is said of it elsewhere.

A chain is checked event by event: the opening, gapless versions, hashes, known types, readable facts, nothing after
the end. After an event whose hash does not verify the audit follows the *stored* hash, so that one changed event is
one finding and not one for everything after it.

Elsewhere stand the lengths at which it was sealed, or a journal tells of it, each with the hash of its last event then.
*Every* one of them is compared with the chain: the newest alone would let a store show two histories.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Final

from recorder.clock import ID_SIZE, id_text
from recorder.core.chain import ChainVerifier, Window, told_of
from recorder.core.clock_bounds import Bounds, StreamBounds
from recorder.core.events import (
    FORMAT_VERSION,
    SEALED_FORMAT,
    TERMINAL_TYPES,
    TYPE_CODES,
    Event,
    StreamKind,
    StreamOpened,
    is_journal,
    stream_kind,
)
from recorder.core.heads import ENDED, OPEN
from recorder.core.seal_times import SealedLeaf, SealTimes
from recorder.errors import UnknownEventType
from recorder.ledger.audit_said import Said, Told, leaves_of
from recorder.ledger.tally import Tally
from recorder.store.walked import Walked

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
_FORMATS: Final = (FORMAT_VERSION, SEALED_FORMAT)
_ANY: Final = (-(2**63), 2**63)  # difference of the two clocks of an event
_NOTHING_SAID: Final = Said()


class StreamsAudit:
    """Checks event streams one after the other.

    :param tally: takes what is found.
    :param said: what is said of them elsewhere.
    """

    def __init__(self, tally: Tally, said: Said = _NOTHING_SAID) -> None:
        self.tally = tally
        self.said = said
        self.bounds = Bounds(said.seals if said.seals is not None else SealTimes())
        self.current = b""

    def take(self, walked: Walked) -> None:
        """Check the next one."""
        self.current = walked.stream
        checked = _Stream(self, walked)
        try:
            checked.take()
        except UnknownEventType as error:
            self.tally.incomplete = True
            told = f"{error}; what follows was not read"
            self.tally.find(self.current, checked.version + 1, "type", "type", told)
        checked.finish()

    def end(self) -> Tally:
        """Return the tally, after the last one."""
        for name, count in self.bounds.kept.items():
            self.tally.kept[name] += count
        self.tally.late += self.bounds.late
        self.tally.older += self.bounds.older
        self.tally.untimely |= self.bounds.found
        return self.tally


class _Stream:
    """One stream under audit.

    :ivar version: the last one that was checked.
    :ivar ended_at: version of the event that ended the exchange.
    :ivar kind: what it tells of.
    """

    def __init__(self, audit: StreamsAudit, walked: Walked) -> None:
        opened = walked.opened
        self._audit, self._tally, self._said = audit, audit.tally, audit.said
        self._opened = opened
        self._events = walked.events
        self._stream = walked.stream
        self._chain = ChainVerifier(opened) if opened is not None and self._sound(opened) else None
        self._erased = dict(walked.erased)
        self._taken_away = 0
        self._withheld = 0  # payloads that are sealed, and whose key is not here
        self._missed = 0  # events that are missing before the last one
        self._told: set[str] = set()  # kinds of those that told of events that are missing
        self._due = self._expected(walked)
        self._window = Window()
        self.version = 0
        self.ended_at: int | None = None
        self._clocked = True  # its times are those of a process that recorded it
        self.number: object = None  # what the exchange says to be in its process's journal
        self.kind: StreamKind = "journal" if opened is not None and is_journal(opened) else "exchange"

    def _expected(self, walked: Walked) -> list[Told]:
        """Return what is said elsewhere, the shortest length first; its bounds in time are made on the way."""
        leaves = leaves_of(walked, self._said.log, self._tally)
        sealed = [SealedLeaf(leaf.number, self._stream, leaf.head.length, leaf.sealed_ns) for leaf in leaves]
        late = self._said.late_because(walked.stream, None if walked.opened is None else walked.opened.instance)
        self._bounds: StreamBounds = self._audit.bounds.stream(sealed, late)
        told = [Told(leaf.head.length, leaf.head.hash, None, leaf.number, leaf.head.state) for leaf in leaves]
        told += self._said.told.get(walked.stream, ())
        return sorted(told, key=lambda one: one.length)

    def _sound(self, opened: StreamOpened) -> bool:
        sizes: list[tuple[str, object, int]] = [("stream", opened.stream, 16), ("instance", opened.instance, 16)]
        sizes.append(("secret", opened.secret, 32))
        bad = [name for name, value, size in sizes if not (isinstance(value, bytes) and len(value) == size)]
        for name in bad:
            self._find(None, name, "opening", f"the opening's {name} is not what was written: no hash can be checked")
        if opened.format not in _FORMATS:
            told = f"event format {opened.format} is not known here, so no hash can be checked: upgrade recorder"
            self._find(None, "format", "opening", told)
        return not bad and opened.format in _FORMATS

    def _find(self, version: int | None, place: str, kind: str, detail: str) -> None:
        self._tally.find(self._stream, version, place, kind, detail)

    def take(self) -> None:
        """Check every event."""
        stored = self._events
        event = next(stored, None)
        if event is None:
            return
        self._stream = self._audit.current = event.stream
        if self.kind != "journal":
            self.kind = stream_kind(event.type)
        if self._opened is None:
            self._find(None, "opening", "opening", "the opening is missing: no hash can be checked")
        self._clocked = event.type != "imported"  # else they are what a file told
        if event.type == "request_sent":
            self.number = _facts(event).get("number")
        while event is not None:
            self._check(event)
            event = self._next(stored)

    def _next(self, events: Iterator[Event]) -> Event | None:
        """Return the next event that needs a closer look."""
        verifier = self._chain
        if verifier is None or self.ended_at is not None:
            return next(events, None)
        window, tally = self._window, self._tally
        reached, window.earliest, window.latest = self._bounds.window
        window.least, window.most = tally.clocks.window() if self._clocked else _ANY
        window.until = min(reached + 1, self._due[0].length) if self._due else reached + 1
        try:
            return verifier.pass_chunks(events, window)
        finally:
            if verifier.passed is not None:
                count = verifier.version - self.version
                tally.events += count
                if self._clocked:
                    tally.clocks.take(verifier.passed)
                self._bounds.passed(count)
                self.version = verifier.version

    def _check(self, event: Event) -> None:
        self._tally.events += 1
        self._tally.spooled += event.position is None
        if event.version != self.version + 1:
            self._gap(self.version + 1, event.version)
        self.version = event.version
        self._look(event)
        if self._chain is not None:
            self._check_hash(self._chain, event)
            self._chain.skip_to(event)
        while self._due and self._due[0].length <= event.version:
            self._compare(self._due.pop(0), event)

    def _check_hash(self, chain: ChainVerifier, event: Event) -> None:
        left = self._erased.pop(event.version, None) if event.meta is None and event.body is None else None
        try:
            if len(event.instance) != ID_SIZE:  # struct fills up or cuts off: the hash may hold all the same
                self._damaged(event)
            elif left is not None:
                self._taken_away += 1
                if not chain.verifies_without(event, *left):
                    told = f"what an erasure is said to have left of {event.type} is not what its hash was made with"
                    self._find(event.version, "commitment", "erasure", told)
            elif not chain.verifies(event):
                self._mismatch(event)
            elif self._opened is not None and self._opened.format == SEALED_FORMAT:
                self._withheld += 1
            self._time(event)
        except (struct.error, TypeError, AttributeError):
            self._damaged(event)

    def _time(self, event: Event) -> None:
        if self._clocked:
            self._tally.clocks.take(event)
        found = self._bounds.take(event)
        if found is not None:
            self._tally.find(*found)
        if self._bounds.kept == "unsealed" and self._clocked:  # what was imported waits since then, as its journal does
            waiting = self._tally.waiting_ns
            self._tally.waiting_ns = event.wall_ns if waiting is None else min(waiting, event.wall_ns)

    def _gap(self, expected: int, found: int) -> None:
        self._missed += max(found - expected, 0)
        missing = f"version {expected} is" if found == expected + 1 else f"versions {expected} to {found - 1} are"
        self._find(found, "version", "version", f"{missing} missing: {found} follows")
        self._tally.incomplete = True

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
        self._tally.gaps += kind == "gap_recorded"

    def _mismatch(self, event: Event) -> None:
        if event.type not in TYPE_CODES:  # the name of an unknown type is part of what was hashed
            return
        if event.meta is None and event.body is None:
            told = f"{event.type} does not verify without a payload, and nothing says that one was erased"
            self._find(event.version, "payload", "hash", told)
        elif self._opened is not None and self._opened.sealed is not None and told_of(event) is not None:
            told = f"the sealed payload of {event.type} is not what was written: its key does not open it"
            self._find(event.version, "payload", "hash", told)
        else:
            self._find(event.version, "hash", "hash", f"{event.type} is not what was written: its hash does not verify")

    def _damaged(self, event: Event) -> None:
        """Report a value of a type or size that was never written."""
        values: dict[str, object] = event._asdict()
        places = [name for name, kinds in _KINDS.items() if not isinstance(values[name], kinds)]
        instance = values["instance"]
        if isinstance(instance, bytes) and len(instance) != ID_SIZE:
            places.append("instance")
        for place in places or ["numbers"]:
            self._find(event.version, place, "storage", f"{place} of {event.type} holds what was never written")

    # What is said elsewhere

    def _compare(self, told: Told, event: Event) -> None:
        if self._missed and told.kind not in self._told:
            self._told.add(told.kind)
            here = f"{told.by} has {told.length:,} events of it up to there, and {self._missed:,} of them are not here"
            self._find(told.length, "version", "omitted", here)
        if told.length != event.version:
            return
        if told.hash != event.hash:
            named = f"{told.by} says that version {told.length} is another event: the stream was written anew"
            self._find(told.length, "hash", told.kind, named)
            return
        wrong = (told.state == ENDED and self.ended_at is None) or (
            told.state == OPEN and event.type in TERMINAL_TYPES and self.kind in ("exchange", "journal")
        )
        if wrong:
            self._find(told.length, "state", told.kind, f"{told.by} is not of its state, ended or not")

    def finish(self) -> None:
        """Tell what is missing after the last event."""
        for kind in ("leaf", "journal"):
            missing = [told for told in self._due if told.kind == kind and told.length > self.version]
            if missing:
                self._missing(missing[-1])
        if self._taken_away:
            self._tally.erased[self._stream] = self._taken_away
        if self._withheld:
            self._tally.withheld[self._stream] = self._withheld
        for version in sorted(self._erased):
            told = "a payload is said to be erased, and is there, or its event is not"
            self._find(version, "payload", "erasure", told)
        if self.version:
            self._placed()
        if self.kind == "exchange" and (self._opened is not None or self.version):
            self._tally.exchanges += 1
            self._tally.unfinished += self.ended_at is None

    def _missing(self, told: Told) -> None:
        if told.journal is not None and self._said.may_come(told.journal):
            self._tally.again.add(self._stream)
            return
        self._tally.incomplete = True
        if self.version:
            gone = f"ends with version {self.version}, and {told.by} has {told.length:,}: its end was removed"
            self._find(self.version, "version", "omitted", f"the stream {gone}")
        else:
            self._find(None, "stream", "omitted", f"{told.by} has {told.length:,} events of it: all of it was removed")

    def _placed(self) -> None:
        """Check that the journal of its process tells of it."""
        if self.kind == "journal" or self._opened is None:
            return
        if self.kind != "exchange" and self._said.is_running(self._opened.instance):
            return  # an exchange is announced before it begins; of other streams the journal tells afterwards
        fault = self._said.fault_of(self._stream, self._opened.instance, self.number)
        if fault is None:
            return
        if self._said.may_come(self._opened.instance):
            self._tally.again.add(self._stream)
            return
        self._find(None, *fault)
        self._tally.incomplete |= fault[1] == "omitted"


def _is_object(meta: object) -> bool:
    try:
        return isinstance(meta, str) and meta.isascii() and isinstance(json.loads(meta), dict)
    except ValueError:
        return False


def _facts(event: Event) -> dict[str, object]:
    return json.loads(event.meta) if event.meta is not None and _is_object(event.meta) else {}


def missing_streams(audit: StreamsAudit, met: set[bytes]) -> None:
    """Check those streams that journals tell of, and that were not met."""
    for stream in sorted((audit.said.told.keys() | audit.said.announced.keys()) - met):
        audit.take(Walked(stream, None, iter(()), (), {}))
        announced = audit.said.announced.get(stream)
        if announced is None or stream in audit.said.told:
            continue
        if audit.said.may_come(announced[0]):
            audit.tally.again.add(stream)
        elif not audit.said.is_lossy(announced[0]):
            told = f"exchange {announced[1]} of the journal {id_text(announced[0])} is not there"
            audit.tally.find(stream, None, "stream", "omitted", told)
            audit.tally.incomplete = True
