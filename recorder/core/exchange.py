"""The fold of one exchange's events: what was asked, what came back, how it ended.

Theory of operation: events are taken in order; :data:`NEXT` says which type may follow in which state.
A type that may not or that is not known, a version that is missing, facts that do not parse: each is an
:class:`~recorder.core.messages.Anomaly`, never an exception, and the fold goes on with what it has::

    new ── request_sent ──> asked ── response_started ──> answering ── chunk_received* ──> answering
    asked ── request_failed ──> ended          answering ── any other end ──> ended
    new ── imported ──> new, asked or answering: what the file does not tell has no event
    answering ── response_completed ──> completed ── consumer_closed | consumer_abandoned ──> ended

The first end is the transport's, and the one that counts: a consumer that leaves a completed response
had not taken everything that had arrived.

Nothing is parsed here beyond HTTP heads; what the body means is a dialect's business.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from recorder.core.events import EXCHANGE_ENDS, TYPE_CODES, VERBATIM, Event
from recorder.core.json_text import exactly, parse_json
from recorder.core.message_heads import Headers as Headers  # a name of this module as well
from recorder.core.message_heads import answer_head, header_fields
from recorder.core.messages import ERASED, UNKNOWN_TYPE, Anomaly

_new: Final = tuple.__new__  # of a named tuple, without its own __new__, which takes twice as long


def first_header(headers: Headers, name: str) -> str | None:
    """Return the first value of the header *name*, which is in lower case; None where it is not there."""
    return next((value for key, value in headers if key.lower() == name), None)


def is_without_body(method: str, status: int) -> bool:
    """Whether an answer to *method* with *status* has no body, whatever its head says (RFC 9112 §6.3)."""
    return method.upper() == "HEAD" or status in (204, 304) or status < 200


#: ``state -> types that may come in it``; what is in no row may come in any state.
NEXT: Final[Mapping[str, frozenset[str]]] = {
    "new": frozenset({"request_sent", "imported"}),
    "asked": frozenset({"request_body_sent", "response_started"}) | EXCHANGE_ENDS - {"response_completed"},
    "answering": frozenset({"request_body_sent", "chunk_received", "trailers_received"})
    | EXCHANGE_ENDS - {"request_failed"},
    "completed": frozenset({"consumer_closed", "consumer_abandoned"}),
    "ended": frozenset(),
}
_ANYWHERE: Final = frozenset({"gap_recorded", "tags_set", "imported", "conversation_named"})
_AFTER: Final[Mapping[str, str]] = {
    "request_sent": "asked",
    "response_started": "answering",
    **dict.fromkeys(EXCHANGE_ENDS, "ended"),
    "response_completed": "completed",
}


class Chunk(NamedTuple):
    """Where one ``chunk_received`` lies in the body.

    :ivar version: the event's version.
    :ivar start: its first byte in the body (as sent, before content-decoding).
    :ivar end: the byte after it.
    :ivar mono_ns: the writing process's monotonic clock.
    """

    version: int
    start: int
    end: int
    mono_ns: int


@dataclass(frozen=True)
class Request:
    """A request as it was sent, after redaction.

    :ivar headers: names and values in the order sent, latin-1.
    :ivar payload: the body's bytes.
    :ivar redacted: the places that were replaced by markers.
    :ivar version: of HTTP, as its first line has it (``HTTP/1.1``); empty where that is not known.
    """

    method: str
    url: str
    headers: Headers = ()
    payload: bytes = b""
    redacted: tuple[str, ...] = ()
    version: str = ""

    @cached_property
    def json(self) -> Any:
        """The payload's JSON value; None where it is no JSON."""
        try:
            return parse_json(self.payload) if self.payload else None
        except ValueError:
            return None

    @cached_property
    def exact_json(self) -> Any:
        """As :attr:`json`, with a :class:`~decimal.Decimal` for each number that a float does not hold."""
        return None if self.json is None else exactly(self.payload, self.json)


@dataclass(frozen=True)
class Response:
    """The head of an answer, after redaction; an interim answer (1xx) before it is left out.

    :ivar framing: ``chunked``, ``length``, ``close`` or ``none``; empty where that is not known.
    :ivar length: the announced Content-Length.
    :ivar version: of HTTP, as its first line has it (``HTTP/1.1``); empty where that is not known.
    """

    status: int
    reason: str = ""
    headers: Headers = ()
    framing: str = ""
    length: int | None = None
    redacted: tuple[str, ...] = ()
    version: str = ""

    def header(self, name: str) -> str | None:
        """Return the values of a header, joined by commas; None where it was not sent."""
        values = [value for key, value in self.headers if key.lower() == name]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Ending:
    """How the transport ended: the closing event's type and facts."""

    type: str
    facts: Mapping[str, Any]
    version: int


@dataclass(frozen=True)
class Exchange:
    """What the events of one exchange say.

    :ivar stream: id of the event stream, 16 bytes.
    :ivar started_ns: wall time of ``request_sent``, else of the first event, UTC nanoseconds.
    :ivar body: the body's bytes as sent, de-framed, not content-decoded.
    :ivar chunks: where each recorded chunk lies in it.
    :ivar verbatim_bytes: bytes of malformed framing, which are in no body.
    :ivar ending: None while none is recorded.
    :ivar origin_ns: the writing process's monotonic clock when it was sent: what times of chunks are told from.
    :ivar head_ns: from the request to the head of the answer, monotonic.
    :ivar first_chunk_ns: from the request to the first body byte, monotonic.
    :ivar duration_ns: from the request to the end, monotonic; None where another process wrote the end.
    :ivar gaps: facts of every ``gap_recorded``.
    :ivar holes: the versions before which events are missing; 0 where nobody knows what is missing, and where.
    :ivar call: id shared by the exchanges of one send.
    :ivar conversation: id of the conversation opening that it was sent in.
    :ivar imported: facts of ``imported``, where something else had recorded it. What it lacks is None above, or left at
        what an empty one has: :meth:`lacks` tells. ``started_ns`` is then when it was imported first.
    :ivar imported_ns: when that was, UTC nanoseconds.
    """

    stream: bytes
    started_ns: int
    request: Request | None = None
    response: Response | None = None
    body: bytes = b""
    chunks: tuple[Chunk, ...] = ()
    verbatim_bytes: int = 0
    ending: Ending | None = None
    origin_ns: int = 0
    head_ns: int | None = None
    first_chunk_ns: int | None = None
    duration_ns: int | None = None
    gaps: tuple[Mapping[str, Any], ...] = ()
    call: str | None = None
    attempt: int | None = None
    conversation: str | None = None
    conversation_name: str | None = None
    anomalies: tuple[Anomaly, ...] = ()
    imported: Mapping[str, Any] | None = None
    imported_ns: int | None = None
    holes: tuple[int, ...] = ()

    def lacks(self, what: str) -> bool:
        """Whether it was imported from a file that does not tell *what* (docs/format.md, "imported")."""
        return self.imported is not None and what in _texts(self.imported.get("missing"))

    @property
    def id(self) -> str:
        """The exchange's id as text."""
        return str(uuid.UUID(bytes=self.stream))

    @property
    def content_coding(self) -> str | None:
        """The coding that the answer's body came in; None where its head says none, or there is none."""
        return self.response.header("content-encoding") if self.response else None

    @property
    def transport_end(self) -> str | None:
        """The type of the event that closed it; None while none did."""
        return self.ending.type if self.ending else None


def fold(events: Iterable[Event]) -> Exchange | None:
    """Return the exchange that *events*, in order, tell of; None where there are none."""
    state: _Fold | None = None
    for event in events:
        if state is None:
            state = _Fold(event)
        state.take(event)
    return state.result() if state else None


@dataclass
class _Fold:
    first: Event
    state: str = "new"
    version: int = 0
    sent: Event | None = None
    request_facts: dict[str, Any] = field(default_factory=dict)
    request_body: list[bytes] = field(default_factory=list)
    redacted_later: tuple[str, ...] = ()
    response: Response | None = None
    head: Event | None = None
    bodies: list[bytes] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    size: int = 0
    verbatim: int = 0
    ending: Ending | None = None
    end: Event | None = None
    gaps: list[dict[str, Any]] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    imported: dict[str, Any] | None = None
    imported_ns: int | None = None
    gone: int = 0
    holes: list[int] = field(default_factory=list)

    def take(self, event: Event) -> None:
        version = event.version
        if version != self.version + 1:
            self._note("missing_events", f"version {self.version + 1} is missing: {version} follows", version)
            self.holes.append(version)
        self.version = version
        if event.type == "chunk_received" and self.state == "answering":
            self._chunk(event)  # as nearly all: in its place, and nothing changes by it
        else:
            self._any(event)

    def _any(self, event: Event) -> None:
        kind = event.type
        if kind not in TYPE_CODES:
            self._note(UNKNOWN_TYPE, f"nobody here knows an event of type {kind}", event.version)
            self.holes.append(0)
        elif kind not in NEXT[self.state] and kind not in _ANYWHERE:
            self._note("out_of_order", f"{kind} in the state {self.state}", event.version)
        self.state = _AFTER.get(kind, self.state)
        if kind == "chunk_received":
            self._chunk(event)
        elif kind == "request_sent":
            self.sent = event
            self.gone += self._is_gone(event)
            self.request_facts = self._facts(event)
            if self._lacks("response_head"):
                self.state = "answering"
        elif kind == "request_body_sent":
            self.request_body.append(event.body or b"")
            self.redacted_later += _texts(self._facts(event).get("redacted"))
        elif kind == "response_started" and not self._is_gone(event):
            self._response(event)
        elif kind == "imported":
            self._imported(event)
        elif kind == "gap_recorded":
            self.gaps.append(self._facts(event))
            self.holes.append(event.version if self.imported is None else 0)  # a file says that there are some
        elif kind in EXCHANGE_ENDS and self.ending is None:
            self.end = event
            self.ending = Ending(kind, self._facts(event), event.version)

    def _imported(self, event: Event) -> None:
        self.gone += self._is_gone(event)
        self.imported, self.imported_ns = self._facts(event), event.wall_ns
        if self.state == "new" and self._lacks("request"):
            self.state = "answering" if self._lacks("response_head") else "asked"

    def _lacks(self, what: str) -> bool:
        return self.imported is not None and what in _texts(self.imported.get("missing"))

    def _http_version(self, side: str, written: str) -> str:
        """An imported head is written as one of HTTP/1.1, whatever it was."""
        if self.imported is None:
            return written
        told = self.imported.get("http")
        return str(told.get(side, "")) if isinstance(told, dict) else ""

    @staticmethod
    def _is_gone(event: Event) -> bool:
        """Whether an event has no payload that is of a type which always has one: it was erased, or removed."""
        return event.meta is None and event.body is None

    def _facts(self, event: Event) -> dict[str, Any]:
        try:
            facts = parse_json(event.meta) if event.meta else {}
        except ValueError:
            facts = None
        if isinstance(facts, dict):
            return facts
        self._note("bad_facts", f"the facts of {event.type} are no JSON object", event.version)
        return {}

    def _note(self, kind: str, detail: str, version: int) -> None:
        self.anomalies.append(Anomaly(kind, detail, version=version))

    def _chunk(self, event: Event) -> None:
        body = event.body or b""
        if event.flags & VERBATIM:
            self.verbatim += len(body)
            return
        start, self.size = self.size, self.size + len(body)
        self.bodies.append(body)
        self.chunks.append(_new(Chunk, (event.version, start, self.size, event.mono_ns)))

    def _response(self, event: Event) -> None:
        facts = self._facts(event)
        version, status, reason, headers = answer_head(event.body or b"")
        self.head = event
        self.response = Response(
            _number(facts.get("status")) or status,
            reason,
            headers,
            str(facts.get("framing", "")),
            _number(facts.get("length")),
            _texts(facts.get("redacted")),
            self._http_version("response", version),
        )

    def _request(self) -> Request | None:
        if self.sent is None or self._is_gone(self.sent):
            return None
        facts, body = self.request_facts, self.sent.body or b""
        size = _number(facts.get("head")) or 0
        start, *lines = body[:size].split(b"\r\n")
        last = start.rpartition(b" ")[2]
        return Request(
            str(facts.get("method", "")),
            str(facts.get("url", "")),
            header_fields(lines),
            body[size:] + b"".join(self.request_body),
            _texts(facts.get("redacted")) + self.redacted_later,
            self._http_version("request", last.decode("latin-1") if last.startswith(b"HTTP/") else ""),
        )

    def result(self) -> Exchange:
        if self.gone:
            self._note(ERASED, "what was said in it is not here any more", self.first.version)
        origin = self.sent or self.first
        facts = self.request_facts
        first = None if self._lacks("chunk_times") else next((one for one in self.chunks if one.end > one.start), None)
        head = self.head
        timed = self.end is not None and self.end.instance == origin.instance and not self._lacks("end_time")
        if head is not None and (head.instance != origin.instance or self._lacks("head_time")):
            head = None
        return Exchange(
            stream=self.first.stream,
            request=self._request(),
            response=self.response,
            body=b"".join(self.bodies),
            chunks=tuple(self.chunks),
            verbatim_bytes=self.verbatim,
            ending=self.ending,
            started_ns=(self.sent or (self.end or self.head if self._lacks("started_at") else None) or origin).wall_ns,
            origin_ns=origin.mono_ns,
            head_ns=head.mono_ns - origin.mono_ns if head is not None else None,
            first_chunk_ns=first.mono_ns - origin.mono_ns if first else None,
            duration_ns=self.end.mono_ns - origin.mono_ns if self.end is not None and timed else None,
            gaps=tuple(self.gaps),
            call=_text(facts.get("call")),
            attempt=_number(facts.get("attempt")),
            conversation=_text(facts.get("conversation")),
            conversation_name=_text(facts.get("name")),
            anomalies=tuple(self.anomalies),
            imported=self.imported,
            imported_ns=self.imported_ns,
            holes=tuple(self.holes),
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
