"""The facts of a journal's events, and of a link: for the type checker what docs/format.md says in words.

Ids are written as uuid text, hashes as lower-case hexadecimal digits, times in nanoseconds since 1970. A field
that is not known is absent.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class PreviousJournal(TypedDict):
    """The newest other journal of the store at the moment at which one began."""

    stream: str
    length: int  # its number of events
    head: str  # hash of the last of them


class ConfigurationFacts(TypedDict):
    """How a recorder was set up."""

    durability: str
    on_failure: str
    drainer: str
    redact: list[str]  # the rules, without what they look for


class InstanceStartedMeta(TypedDict):
    """Facts of ``instance_started``, the first event of a journal."""

    recorder: str  # its version
    python: str
    system: str
    host: str
    pid: int
    configuration: dict[str, Any]  # at least ConfigurationFacts, where the process records exchanges
    digest: str  # SHA-256 of the configuration's meta_text
    boot: NotRequired[str]  # id of the boot of the machine
    previous: NotRequired[PreviousJournal]


class ExchangeOpenedMeta(TypedDict):
    """Facts of ``exchange_opened``: it stands in the journal before ``request_sent`` is written."""

    number: int  # gapless from 1 within the journal
    exchange: str


class ExchangeClosedMeta(TypedDict):
    """Facts of ``exchange_closed``: what the exchange's stream held when it had ended, or had grown after that."""

    exchange: str
    length: int  # 0: nothing was recorded, nor sent
    number: NotRequired[int]  # absent where another process closes it
    head: NotRequired[str]  # hash of the last event; absent where length is 0


class StreamWrittenMeta(TypedDict):
    """Facts of ``stream_written``: a stream that is no exchange of this process was written to."""

    stream: str
    length: int
    head: str
    kind: Literal["conversation", "link", "import", "copy"]
    signature: NotRequired[str]  # of the last two, by the ledger's key where that is at hand


class ClockSampledMeta(TypedDict):
    """Facts of ``clock_sampled``: what the kernel says of its clock, where it says anything."""

    exchanges: int  # opened so far
    synchronized: NotRequired[bool]
    maxerror_us: NotRequired[int]
    esterror_us: NotRequired[int]
    offset_us: NotRequired[int]


class EventsDroppedMeta(TypedDict):
    """Facts of ``events_dropped``."""

    events: int
    reason: str
    exchange: NotRequired[str]
    bytes: NotRequired[int]


class ConfigurationChangedMeta(TypedDict("ConfigurationChangedMeta", {"from": str, "to": str})):
    """Facts of ``configuration_changed``: digests, as in ``instance_started``."""


class SucceededLedger(TypedDict):
    """A ledger that is not gone on with, since its key, or its newest entries, are lost for good."""

    origin: str
    leaves: int  # that its store still has
    signed: int  # leaves of the newest checkpoint that is known
    checkpoint: str  # that signed note; empty where none is known
    keys: list[str]  # vkeys of it that counted: they vouch for what was signed then
    by: str


class KeyCreatedMeta(TypedDict):
    """Facts of ``key_created``."""

    key: str  # a C2SP vkey
    succeeds: NotRequired[SucceededLedger]  # the ledger whose place this one takes


class KeyRotatedMeta(TypedDict("KeyRotatedMeta", {"from": str, "to": str})):
    """Facts of ``key_rotated``: C2SP vkeys, and that both keys signed it, see :mod:`recorder.core.signed_facts`."""

    signature: str  # of the key of before
    accepted: str  # of the other one


class LinkedThing(TypedDict):
    """What a link named that was erased."""

    kind: str
    thing: str  # digest of the link's stream, its kind and what was linked
    exchange: str  # which had led to it


class PayloadErasedMeta(TypedDict):
    """Facts of ``payload_erased``."""

    exchange: str
    events: int
    bytes: int
    ground: str
    by: str
    approved_by: NotRequired[str]
    overrides: NotRequired[list[str]]  # holds that were in force; ``retention`` where a period was not over
    conversations: NotRequired[list[str]]  # in which it was, its own first; absent where nobody knew
    follows: NotRequired[str]  # the exchange that it went on from
    followed_by: NotRequired[list[str]]  # those that went on from it
    beside: NotRequired[list[str]]  # of the first of its conversation: others that went on from nothing
    linked: NotRequired[LinkedThing]  # of a link
    recorded_ns: NotRequired[int]  # when it was recorded by somebody without the key; this is his word's confirmation
    vouched_by: NotRequired[str]  # who confirmed that
    signature: NotRequired[str]  # by the ledger's key, see recorder.core.signed_facts; absent where it is not at hand


class HoldPlacedMeta(TypedDict):
    """Facts of ``hold_placed``: exactly one of ``exchange``, ``conversation`` and ``all`` is there."""

    hold: str
    ground: str
    by: str
    exchange: NotRequired[str]
    conversation: NotRequired[str]
    all: NotRequired[bool]
    until_ns: NotRequired[int]
    journal: NotRequired[str]  # in which it stands, where it is signed: a copy of it in another is nobody's word
    signature: NotRequired[str]  # by the ledger's key, see recorder.core.signed_facts; absent where it is not at hand


class HoldReleasedMeta(TypedDict):
    """Facts of ``hold_released``."""

    hold: str
    by: str
    ground: str
    journal: NotRequired[str]  # as of a hold that is placed
    signature: NotRequired[str]


class AccessedMeta(TypedDict):
    """Facts of ``accessed``."""

    action: str  # "export", "verify", "bundle", "show", …
    by: str
    of: str
    result: NotRequired[str]  # of "erase" "carried out": what was to be erased is gone; of "seal" "sealed late"
    signature: NotRequired[str]  # of these two, by the ledger's key
    ground: NotRequired[str]  # why it was sealed late
    events: NotRequired[int]  # of how many it is said; head: hash of the last of them
    head: NotRequired[str]


class AnchoredMeta(TypedDict):
    """Facts of ``anchored``: a checkpoint was shown to somebody outside."""

    anchor: str
    size: int  # of the tree
    root: str
    evidence_sha256: str


class RetentionSetMeta(TypedDict):
    """Facts of ``retention_set``."""

    days: int
    by: str
    of: NotRequired[str]
    replaces: NotRequired[str]  # journal of the period that counted for the same until then
    journal: NotRequired[str]  # as of a hold that is placed
    signature: NotRequired[str]


class RedactionSetMeta(TypedDict):
    """Facts of ``redaction_set``: exactly one of ``exchange``, ``conversation`` and ``all`` is there."""

    redaction: str
    rules: list[str]  # of an export (recorder.core.export_rules), none of them "text"
    ground: str
    by: str
    exchange: NotRequired[str]
    conversation: NotRequired[str]
    all: NotRequired[bool]


class RedactionLiftedMeta(TypedDict):
    """Facts of ``redaction_lifted``."""

    redaction: str
    by: str
    ground: str


class LinkedMeta(TypedDict):
    """Facts of ``linked``: something outside, an order for example, that an exchange led to."""

    kind: str
    id: str
    exchange: str
    facts: dict[str, Any]
    tag: NotRequired[str]  # what the other side was given to carry
