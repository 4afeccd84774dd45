"""What the journals of a store say, and whether they agree with themselves.

Each recorder process tells in its journal that an exchange begins, with a number that has no gaps, before the first
byte leaves, and later how far it went. So what is missing of a store leaves a hole, as long as the journals are there;
and each journal names the one before it. Whether they are what was written is for the audit of their own streams.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recorder.clock import id_bytes, id_text
from recorder.core.act_order import Act
from recorder.core.clock_samples import ClockSamples
from recorder.core.events import Event
from recorder.core.holds import TYPES, is_rule
from recorder.core.json_text import rfc3339
from recorder.core.notes import NoteKey, parse_key
from recorder.errors import ConfigurationError
from recorder.ledger.audit_said import Kept, Told
from recorder.ledger.tally import Tally


@dataclass(frozen=True)
class Erasure:
    """That payloads were erased, and on whose authority.

    :ivar at_ns: when, by the clock of the process that did it.
    :ivar journal: that tells of it; ``version``: of the event there; ``position``: of that in the store.
    """

    stream: bytes
    events: int
    at_ns: int
    facts: Mapping[str, Any]
    journal: bytes
    version: int
    position: int | None = None

    @property
    def act(self) -> Act:
        """Itself among other acts."""
        return Act(self.journal, self.version, self.at_ns, self.position)

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"version {self.version} of the journal {id_text(self.journal)}"

    @property
    def overrides(self) -> frozenset[str]:
        """What it says to have overridden."""
        return frozenset(self._texts("overrides") or ())

    @property
    def conversations(self) -> frozenset[str] | None:
        """In which it was; None where that is not said."""
        told = self._texts("conversations")
        return None if told is None else frozenset(told)

    @property
    def exchanges(self) -> tuple[str, ...]:
        """What it erased, and the exchange that a link was of."""
        linked = self.facts.get("linked")
        of = linked.get("exchange") if isinstance(linked, dict) else None
        return (id_text(self.stream), *([of] if isinstance(of, str) else ()))

    def _texts(self, name: str) -> list[str] | None:
        told = self.facts.get(name)
        return [one for one in told if isinstance(one, str)] if isinstance(told, list) else None

    def as_json(self) -> dict[str, Any]:
        """Return it as ``verify --json`` prints it."""
        told = {
            name: self.facts[name]
            for name in ("ground", "by", "approved_by", "overrides", "vouched_by")
            if name in self.facts
        }
        return {"exchange": id_text(self.stream), "events": self.events, "at": rfc3339(self.at_ns), **told}


def is_carried_out(facts: Mapping[str, Any]) -> bool:
    """Whether an ``accessed`` says that an erasure was carried out."""
    return facts.get("action") == "erase" and facts.get("result") == CARRIED_OUT


@dataclass
class Journals:
    """Takes the journals of a store, one after the other.

    :ivar kept: each that was begun.
    :ivar told, announced: see :class:`recorder.ledger.audit_said.Said`; ``imported``, ``copied``, ``unsigned``: so too,
        after :meth:`vouch`, by ``brought``: what says that a stream was imported or copied.
    :ivar erasures: in the order of the journals; ``rules``: what says what has to be kept;
        ``carried_out``: what says that an erasure was carried out.
    :ivar keys: public keys of the ledger that they tell of; nothing vouches for them. ``founding``: the first one of
        each log; ``rotations``: what says that one takes the place of another.
    :ivar anchored: digests of evidence, with the journal and the version that has it.
    :ivar succeeding: facts of those ``key_created`` that name a ledger whose place that of the store has taken;
        ``created``: what tells of them, whoever wrote it.
    :ivar dropped: events that recorders say to have lost.
    :ivar late_told: what says that a stream was sealed late, whoever wrote it; ``vouched``: by stream, after
        :meth:`vouch`, which of these says it of the most events and is the word of the key's holder.
    """

    tally: Tally
    kept: dict[bytes, Kept] = field(default_factory=dict)
    told: dict[bytes, list[Told]] = field(default_factory=dict)
    announced: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    imported: set[bytes] = field(default_factory=set)
    copied: set[bytes] = field(default_factory=set)
    unsigned: set[bytes] = field(default_factory=set)
    brought: list[tuple[bytes, Event]] = field(default_factory=list)
    erasures: list[Erasure] = field(default_factory=list)
    rules: list[Event] = field(default_factory=list)
    carried_out: list[Event] = field(default_factory=list)
    keys: list[NoteKey] = field(default_factory=list)
    founding: list[NoteKey] = field(default_factory=list)
    rotations: list[Event] = field(default_factory=list)
    anchored: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    samples: ClockSamples = field(default_factory=ClockSamples)
    dropped: int = 0
    created: list[Event] = field(default_factory=list)
    succeeding: list[Mapping[str, Any]] = field(default_factory=list)

    late_told: list[Event] = field(default_factory=list)
    vouched: dict[bytes, Event] = field(default_factory=dict)

    def take(self, journal: bytes, events: Iterable[Event]) -> None:
        """Take the events of one journal, in order."""
        number, ended, died, lossy, first = 0, False, False, False, True
        for event in events:
            kind, facts = event.type, _facts(event)
            if first and kind != "instance_started":
                self._find(journal, event.version, "type", f"it begins with {kind}: its beginning is not there")
            first = False
            died, ended = died or kind == "process_died", ended or kind in _ENDS
            lossy = lossy or kind == "gap_recorded" or (kind == "events_dropped" and "exchange" not in facts)
            if kind == "exchange_opened":
                number = self._open(journal, number, event, facts)
            elif kind in _TELLING:
                self._tell(journal, event, facts)
            else:
                self._note(journal, event, facts)
        if not first:
            self.kept[journal] = Kept(ended, died, lossy)

    def vouch(self, counts: Callable[[Event], bool]) -> None:
        """Look which of the streams that are said to come from elsewhere somebody vouches for.

        :param counts: whether the facts of an event are the word of the key's holder.
        """
        for stream, event in self.brought:
            if counts(event):
                (self.imported if event.facts.get("kind") == "import" else self.copied).add(stream)
        self.unsigned = {stream for stream, _ in self.brought} - self.imported - self.copied
        for event in filter(counts, self.late_told):
            of, length = _id(event.facts.get("of")), event.facts.get("events")
            if of is not None and type(length) is int:
                known = self.vouched.get(of)
                if known is None or known.facts["events"] < length:
                    self.vouched[of] = event

    def brought_by(self, kind: str) -> int:
        """Count the event streams of which journals say that they come from elsewhere in one way."""
        return len({stream for stream, event in self.brought if event.facts.get("kind") == kind})

    def _find(self, journal: bytes, version: int, place: str, detail: str) -> None:
        self.tally.find(journal, version, place, "journal", detail)

    def _open(self, journal: bytes, before: int, event: Event, facts: Mapping[str, Any]) -> int:
        stream, number = _id(facts.get("exchange")), facts.get("number")
        if stream is None or type(number) is not int:
            self._find(journal, event.version, "meta", "it tells of an exchange without id or number")
            return before
        if number != before + 1:
            told = f"exchange {number} follows on {before}: what is between them is not there"
            self._find(journal, event.version, "number", told)
            self.tally.incomplete = True
        if stream in self.announced:
            self._find(journal, event.version, "exchange", f"{id_text(stream)} begins a second time")
        self.announced[stream] = journal, number
        return number

    def _tell(self, journal: bytes, event: Event, facts: Mapping[str, Any]) -> None:
        """Take a word on how far a stream goes."""
        if event.type == "instance_started" and "previous" not in facts:
            return
        said = facts["previous"] if event.type == "instance_started" else facts
        said = said if isinstance(said, dict) else {}
        stream, length = _id(said.get("exchange", said.get("stream"))), said.get("length")
        if stream is None or type(length) is not int:
            self._find(journal, event.version, "meta", f"{event.type} names no event stream and length")
            return
        if said.get("kind") in ("import", "copy"):
            self.brought.append((stream, event))
        told = self.told.setdefault(stream, [])
        if length > 0:
            told.append(Told(length, _hash(said.get("head")), journal, event.version))

    def _note(self, journal: bytes, event: Event, facts: Mapping[str, Any]) -> None:
        kind = event.type
        if kind == "clock_sampled":
            self.samples.take(facts)
        elif kind == "events_dropped":
            self.dropped += facts["events"] if type(facts.get("events")) is int else 1
        elif kind == "payload_erased":
            stream, count = _id(facts.get("exchange")), facts.get("events")
            if stream is None or type(count) is not int:
                self._find(journal, event.version, "meta", "payload_erased names no exchange and number of events")
            else:
                place = journal, event.version, event.position
                self.erasures.append(Erasure(stream, count, event.wall_ns, facts, *place))
        elif kind in TYPES:
            if is_rule(kind, facts):
                self.rules.append(event)
            else:
                self._find(journal, event.version, "meta", f"{kind} does not say what has to be kept")
        elif kind == "accessed" and is_carried_out(facts):
            self.carried_out.append(event)
        elif kind == "accessed" and facts.get("action") == "seal" and facts.get("result") == SEALED_LATE:
            self.late_told.append(event)
        elif kind == "anchored" and isinstance(facts.get("evidence_sha256"), str):
            self.anchored.setdefault(facts["evidence_sha256"], (journal, event.version))
        elif kind in ("key_created", "key_rotated"):
            self._key(journal, event.version, facts.get("key", facts.get("to")))
            if kind == "key_rotated":
                self.rotations.append(event)
            else:
                self._founded(event, facts)

    def _founded(self, event: Event, facts: Mapping[str, Any]) -> None:
        if self.keys and all(one.name != self.keys[-1].name for one in self.founding):
            self.founding.append(self.keys[-1])
        if isinstance(facts.get("succeeds"), dict):
            self.created.append(event)

    def _key(self, journal: bytes, version: int, text: object) -> None:
        try:
            self.keys.append(parse_key(str(text)))
        except ConfigurationError as error:
            self._find(journal, version, "key", f"it names a key that is none: {error}")


ACCESSED = "accessed"
CARRIED_OUT = "carried out"
SEALED_LATE = "sealed late"
_TOLD = ("ground", "by", "approved_by", "overrides", "vouched_by")  # of an erasure
_ENDS = frozenset({"instance_stopped", "process_died", "recorder_closed"})
_TELLING = frozenset({"instance_started", "exchange_closed", "stream_written"})


def _facts(event: Event) -> dict[str, Any]:
    try:
        facts = json.loads(event.meta or "{}")
    except (ValueError, TypeError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _id(text: object) -> bytes | None:
    try:
        return id_bytes(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _hash(text: object) -> bytes:
    """Return a hash, or what no hash equals."""
    try:
        return bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""
