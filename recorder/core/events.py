"""Events: what happened, in the past tense, never changed afterwards.

An *event stream* holds the events of one exchange in order, numbered from version 1 without a gap; or those of
one opening of a conversation, of one recorder process (its journal), or of one link. The meaning of ``meta`` and
``body`` per type is fixed by docs/format.md; the ``*Meta`` types, below and in :mod:`recorder.core.journal_facts`,
are the same thing for the type checker. A field that is not known is absent: there are no nulls.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, NotRequired, TypedDict

from recorder.errors import CorruptRecording

FORMAT_VERSION: Final = 1
#: The same with payloads that are sealed (:mod:`recorder.core.sealed_payloads`); hashes are those of format 1.
SEALED_FORMAT: Final = 2

# Stable names. The numbers are what the column ``events.type`` holds; they are never reused.
TYPE_CODES: Final[dict[str, int]] = {
    "request_sent": 1,
    "request_body_sent": 2,
    "request_failed": 3,
    "response_started": 4,
    "chunk_received": 5,
    "trailers_received": 6,
    "response_completed": 7,
    "response_truncated": 8,
    "response_failed": 9,
    "consumer_closed": 10,
    "consumer_abandoned": 11,
    "process_died": 12,
    "recorder_closed": 13,
    "gap_recorded": 14,
    "conversation_named": 15,
    "tags_set": 16,
    "imported": 17,
    "instance_started": 18,
    "exchange_opened": 19,
    "exchange_closed": 20,
    "stream_written": 21,
    "clock_sampled": 22,
    "events_dropped": 23,
    "configuration_changed": 24,
    "key_created": 25,
    "key_rotated": 26,
    "payload_erased": 27,
    "hold_placed": 28,
    "hold_released": 29,
    "accessed": 30,
    "anchored": 31,
    "instance_stopped": 32,
    "linked": 33,
    "retention_set": 34,
    "redaction_set": 35,
    "redaction_lifted": 36,
}
TYPE_NAMES: Final[dict[int, str]] = {code: name for name, code in TYPE_CODES.items()}

#: Types after which the event stream of an exchange or a journal is closed (a late ``gap_recorded`` may still follow).
TERMINAL_TYPES: Final = frozenset(
    {
        "request_failed",
        "response_completed",
        "response_truncated",
        "response_failed",
        "consumer_closed",
        "consumer_abandoned",
        "process_died",
        "recorder_closed",
        "instance_stopped",
    }
)

#: Types of the events of a conversation's opening: a stream that has no end.
CONVERSATION_TYPES: Final = frozenset({"conversation_named", "tags_set"})

#: Types that only the journal of a recorder process holds; where it was killed, ``process_died`` is its end.
JOURNAL_TYPES: Final = frozenset(
    {
        "instance_started",
        "exchange_opened",
        "exchange_closed",
        "stream_written",
        "clock_sampled",
        "events_dropped",
        "configuration_changed",
        "key_created",
        "key_rotated",
        "payload_erased",
        "hold_placed",
        "hold_released",
        "accessed",
        "anchored",
        "instance_stopped",
        "retention_set",
        "redaction_set",
        "redaction_lifted",
    }
)

#: The kind of a failure that is the program's own doing: an exception of its own came through.
INTERRUPTED: Final = "interrupted"

#: Types after which an exchange is over: all ends but the one that only a journal has.
EXCHANGE_ENDS: Final = TERMINAL_TYPES - JOURNAL_TYPES

#: Types of the one event of a link: a stream that has no end, as a conversation's opening has none.
LINK_TYPES: Final = frozenset({"linked"})

#: What an event stream tells of.
StreamKind = Literal["exchange", "conversation", "journal", "link"]

_KINDS: Final[dict[str, StreamKind]] = {
    **dict.fromkeys(CONVERSATION_TYPES, "conversation"),
    **dict.fromkeys(JOURNAL_TYPES, "journal"),
    **dict.fromkeys(LINK_TYPES, "link"),
}


def stream_kind(first: str) -> StreamKind:
    """Return what an event stream tells of.

    :param first: the type of its first event. One that is not known here begins an exchange.
    """
    return _KINDS.get(first, "exchange")


def is_journal(opened: StreamOpened) -> bool:
    """Whether an event stream is the journal of the process that opened it, whatever it holds: they have one id."""
    return opened.stream == opened.instance


# Flags of chunk_received (and READ_END also of response_started): where the wire was cut.
FRAME_END: Final = 1  # the last byte of the body is the last data byte of its HTTP chunk frame
READ_END: Final = 2  # the read of the wire that delivered this ended here
FRAME_CLOSED: Final = 4  # the frame's closing CRLF came with it, in the same read
VERBATIM: Final = 8  # not de-framed: the framing was malformed, these are the wire's own bytes


class Event(NamedTuple):
    """One recorded fact with its place, its times and its hash.

    A named tuple rather than a dataclass: the drainer makes one per chunk, and this is four times faster.

    :ivar stream: id of the event stream, 16 bytes (an exchange's id, or a conversation opening's).
    :ivar version: index in the event stream, from 1, gapless.
    :ivar type: a stable snake_case name, see :data:`TYPE_CODES`.
    :ivar wall_ns: UTC wall time in nanoseconds since 1970.
    :ivar mono_ns: the writing process's monotonic clock in nanoseconds.
    :ivar instance: id of the recorder process that wrote it, 16 bytes.
    :ivar flags: small bit field, meaning by type.
    :ivar meta: a JSON object as ASCII text exactly as it was hashed, or None.
    :ivar body: raw bytes, or None.
    :ivar hash: 32 bytes, the chain up to and including this event.
    :ivar position: index across the store; None while the event is only in a spool.
    """

    stream: bytes
    version: int
    type: str
    wall_ns: int
    mono_ns: int
    instance: bytes
    flags: int
    meta: str | None
    body: bytes | None
    hash: bytes
    position: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The parsed ``meta``; empty when there is none.

        :raises CorruptRecording: it is no JSON object.
        """
        try:
            facts = json.loads(self.meta) if self.meta else {}
        except ValueError:
            facts = None
        if not isinstance(facts, dict):
            raise CorruptRecording(
                f"the facts of event {self.version} ({self.type}) of {uuid.UUID(bytes=self.stream)} cannot be read: "
                "see `recorder verify`",
                position=self.position,
            )
        return facts


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The birth of an event stream: what every event of it has in common.

    :ivar stream: 16-byte id.
    :ivar instance: the recorder process that opened it.
    :ivar secret: 32 random bytes from which the salts of its payload commitments derive.
    :ivar format: the event format its events are written in.
    :ivar sealed: what is stored in the place of the secret, where payloads are sealed and the key is at hand: *secret*
        and *format* are then what they would be without.
    """

    stream: bytes
    instance: bytes
    secret: bytes
    format: int = FORMAT_VERSION
    sealed: bytes | None = None


# One for all: json.dumps makes a new one each time, which takes as long as the encoding.
_encode: Final = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def meta_text(facts: Any) -> str:
    """Return *facts* as the JSON text that is stored and hashed: ASCII, sorted keys, no spaces."""
    return _encode(facts)


class RaisedFacts(TypedDict):
    """The exception that an HTTP library made of one of the network stack."""

    type: str  # "httpx2.ReadTimeout"
    message: str


class ErrorFacts(TypedDict):
    """An exception of the network stack, enough to raise its like again."""

    type: str  # "builtins.ConnectionResetError", "ssl.SSLCertVerificationError", "socket.gaierror"
    message: str
    errno: NotRequired[int]
    args: NotRequired[list[Any]]  # only strings and numbers
    raised: NotRequired[RaisedFacts]  # where it does not follow from this one


class RequestSentMeta(TypedDict):
    """Facts of ``request_sent``; the body is the head (request line, headers) and then the payload."""

    call: str  # id shared by the exchanges of one send
    attempt: int  # 1, 2, … within the call
    method: str
    url: str  # after redaction
    head: int  # size of the head within the body, in bytes
    client: str  # "requests/2.34.2 urllib3/2.8.0"
    connection: NotRequired[int]  # a number per connection of this recorder
    reused: NotRequired[bool]  # the connection had carried an exchange before
    unsent: NotRequired[bool]  # the connection failed first: the head is as prepared, not as sent
    streamed: NotRequired[bool]  # the payload follows in request_body_sent
    redacted: NotRequired[list[str]]  # places replaced by markers: "header:authorization", "url:key", "body:/a/b"
    conversation: NotRequired[str]  # id of the conversation opening it was sent in
    name: NotRequired[str]  # name of that conversation
    number: NotRequired[int]  # of the exchange in the journal of its process


class ImportedMeta(TypedDict):
    """Facts of ``imported``, the first event of an exchange that something else had recorded."""

    file: str  # its name, without folders
    sha256: str  # of its bytes, hexadecimal
    size: int
    entry: int  # which exchange of the file it is, from 1
    format: str  # "har", "vcrpy", "ruby-vcr", …
    by: str  # "recorder 0.1.0"
    missing: list[str]  # what the file does not tell of it: docs/format.md has the words
    version: NotRequired[str]  # of the format
    creator: NotRequired[str]  # what had recorded it, in the words of the file
    recorded_at: NotRequired[str]  # when it was written down, in the words of the file
    called: NotRequired[str]  # its name in the file
    before: NotRequired[dict[str, Any]]  # of our own exports: imported and imported_at, as the export has them
    http: NotRequired[dict[str, str]]  # versions of HTTP by side, in the words of the file
    replaced: NotRequired[list[str]]  # headers whose values something had replaced before: "request:authorization"
    set_aside: NotRequired[list[list[str]]]  # headers that contradict the body as it is kept: side, name, value


class ResponseStartedMeta(TypedDict):
    """Facts of ``response_started``; the body is the head as received, after redaction."""

    status: int
    framing: str  # "chunked", "length", "close", "none", "interim"
    length: NotRequired[int]  # the announced Content-Length
    redacted: NotRequired[list[str]]
    grew: NotRequired[int]  # bytes that redaction added to the head (negative: removed)


class ChunkReceivedMeta(TypedDict, total=False):
    """Facts of ``chunk_received``, absent when the framing was the plain one."""

    pre: str  # the framing bytes before the body, verbatim, latin-1
    reads: list[int]  # offsets in pre where reads of the wire ended


class FailedMeta(TypedDict):
    """Facts of ``request_failed`` and ``response_failed``."""

    kind: str  # "dns", "refused", "tls", "timeout", "reset", "disconnected", "malformed", "interrupted", "other"
    phase: str  # "connect", "send", "head", "body"
    error: NotRequired[ErrorFacts]
    proxy: NotRequired[bool]  # it was the proxy that could not be reached
    tail: NotRequired[str]  # framing bytes received after the last chunk, verbatim, latin-1


class EndedMeta(TypedDict, total=False):
    """Facts of the other ends of an exchange."""

    pre: str  # response_completed, trailers_received: the framing before, where it is not the plain one
    reads: list[int]
    tail: str
    taken: int  # body bytes that the consumer had taken
    received: int  # body bytes that had arrived
    expected: int  # body bytes announced


class GapRecordedMeta(TypedDict):
    """Facts of ``gap_recorded``: what could not be written."""

    events: int
    bytes: int
    from_ns: int
    to_ns: int
    reason: str
