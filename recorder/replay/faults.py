"""Faults: what a recorded answer would have been like, had something gone wrong on its way.

A fault makes other events of the events of one exchange, and replay renders these as it renders any: the stock HTTP
libraries see the wire that a broken server would have shown, and raise what they raise then. Nothing is written, and
the recording stays what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from recorder.core.events import FRAME_CLOSED, FRAME_END, READ_END, TERMINAL_TYPES, VERBATIM, Event, meta_text
from recorder.errors import ConfigurationError
from recorder.replay.rewriting import split_events

_WHOLE: Final = FRAME_END | READ_END | FRAME_CLOSED
_CRLF: Final = b"\r\n"
_LENGTH: Final = re.compile(rb"(?im)^(content-length:[ \t]*)\d+")
_REASONS: Final = {
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    408: b"Request Timeout",
    409: b"Conflict",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}

#: What an operating system says of the ways in which a connection can end, as docs/format.md writes them down.
_FAILURES: Final[dict[str, dict[str, Any]]] = {
    "reset": {
        "type": "builtins.ConnectionResetError",
        "message": "[Errno 104] Connection reset by peer",
        "errno": 104,
        "args": [104, "Connection reset by peer"],
    },
    "timeout": {"type": "builtins.TimeoutError", "message": "timed out", "args": ["timed out"]},
    "refused": {
        "type": "builtins.ConnectionRefusedError",
        "message": "[Errno 111] Connection refused",
        "errno": 111,
        "args": [111, "Connection refused"],
    },
}


class Fault(Protocol):
    """Makes other events of the events of one exchange."""

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """Return what is played in the place of *events*.

        :raises ConfigurationError: the recorded answer is not one that this can happen to.
        """
        ...


@dataclass(frozen=True)
class Cut:
    """The stream ends early: see :func:`recorder.faults.cut`."""

    after: int
    unit: str
    how: str = "close"

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = _Answer.of(events)
        return answer.ended(_first(answer, answer.bytes_of(self.after, self.unit)), self.how)

    def __str__(self) -> str:
        return f"{self.how}-after-{self.after}-{self.unit}"


@dataclass(frozen=True)
class Malformed:
    """A frame of the chunked coding whose size is none."""

    after_chunks: int

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = _Answer.of(events)
        if not answer.chunked:
            raise ConfigurationError("the recorded answer has no frames to be malformed: it is not chunked")
        kept = answer.chunks[: self.after_chunks]
        closing = _CRLF if _unclosed(kept) else b""
        broken = answer.chunk(closing + b"zz" + _CRLF, answer.time_after(kept), flags=VERBATIM | READ_END)
        return [*answer.before, *kept, broken, answer.end("response_failed", {"kind": "malformed", "phase": "body"})]

    def __str__(self) -> str:
        return f"malformed-after-{self.after_chunks}-chunks"


@dataclass(frozen=True)
class Status:
    """Another answer altogether: a status, and a short body."""

    status: int
    retry_after: str | None
    body: bytes
    content_type: str

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = _Answer.of(events)
        lines = [
            b"HTTP/1.1 %d %b" % (self.status, _REASONS.get(self.status, b"")),
            b"Content-Type: " + self.content_type.encode("latin-1"),
            b"Content-Length: %d" % len(self.body),
        ]
        if self.retry_after is not None:
            lines.append(b"Retry-After: " + self.retry_after.encode("latin-1"))
        facts = {"status": self.status, "framing": "length", "length": len(self.body)}
        started = answer.started._replace(body=_CRLF.join([*lines, b"", b""]), meta=meta_text(facts), flags=READ_END)
        chunks = [answer.chunk(self.body, started.mono_ns, flags=READ_END)] if self.body else []
        return [*answer.asked, started, *chunks, answer.end("response_completed", {}, at=started.mono_ns)]

    def __str__(self) -> str:
        return f"status-{self.status}"


@dataclass(frozen=True)
class Unreachable:
    """No connection can be made."""

    how: str

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = _Answer.of(events, answered=False)
        return [*answer.asked, answer.end("request_failed", _failed(self.how, "connect"), answer.asked[-1].mono_ns)]

    def __str__(self) -> str:
        return f"unreachable-{self.how}"


@dataclass(frozen=True)
class Rewritten:
    """The same answer with another body, or other boundaries.

    :ivar rewrite: gets the body; returns the pieces that come instead, each as a read and a frame of its own.
    """

    name: str
    rewrite: Callable[[bytes], Iterable[bytes]] = field(repr=False, compare=False)
    reads_events: bool = True

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = _Answer.of(events)
        if self.reads_events:
            answer.require_plain()
        if any(chunk.flags & VERBATIM for chunk in answer.chunks):
            raise ConfigurationError("the recorded answer is malformed: its body cannot be told from its frames")
        return answer.with_body([piece for piece in self.rewrite(answer.body) if piece])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class CorruptGzip:
    """A compressed body with a damaged byte."""

    after_bytes: int

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = _Answer.of(events)
        if answer.coding not in ("gzip", "x-gzip", "deflate"):
            raise ConfigurationError("the recorded answer is not compressed: there is no gzip to be corrupt")
        changed, at = [], 0
        for chunk in answer.chunks:
            body = bytearray(chunk.body or b"")
            if at <= self.after_bytes < at + len(body):
                body[self.after_bytes - at :] = bytes(each ^ 0xFF for each in body[self.after_bytes - at :])
            at += len(body)
            changed.append(chunk._replace(body=bytes(body)))
        return [*answer.before, *changed, *answer.after]

    def __str__(self) -> str:
        return f"corrupt-gzip-after-{self.after_bytes}-bytes"


@dataclass(frozen=True)
class Late:
    """Everything that is received comes later."""

    seconds: float

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        late = int(self.seconds * 1e9)
        return [
            event
            if event.type in ("request_sent", "request_body_sent")
            else event._replace(mono_ns=event.mono_ns + late)
            for event in events
        ]

    def __str__(self) -> str:
        return f"late-by-{self.seconds:g}-s"


@dataclass(frozen=True)
class Stall:
    """The stream pauses: what follows comes later."""

    seconds: float
    after: int
    unit: str

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer, pause = _Answer.of(events), int(self.seconds * 1e9)
        size = answer.bytes_of(self.after, self.unit)
        kept, rest = _first(answer, size), [*_rest(answer, size), *answer.after]
        if not kept:
            answer.started = answer.started._replace(flags=answer.started.flags | READ_END)
        return [*answer.before, *kept, *(event._replace(mono_ns=event.mono_ns + pause) for event in rest)]

    def __str__(self) -> str:
        return f"stall-{self.seconds:g}-s-after-{self.after}-{self.unit}"


@dataclass(frozen=True)
class Several:
    """Faults one after the other."""

    faults: tuple[Fault, ...]

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        made = list(events)
        for fault in self.faults:
            made = fault.apply(made)
        return made

    def __str__(self) -> str:
        return "+".join(map(str, self.faults))


@dataclass
class _Answer:
    """The events of an exchange, by what they are to a fault."""

    asked: list[Event]
    started: Event
    chunks: list[Event]
    after: list[Event]
    answered: bool = True

    @classmethod
    def of(cls, events: Sequence[Event], *, answered: bool = True) -> _Answer:
        """:raises ConfigurationError: there is no answer."""
        asked = [event for event in events if event.type in ("imported", "request_sent", "request_body_sent")]
        heads = [event for event in events if event.type == "response_started"]
        if answered and not heads:
            raise ConfigurationError("the recorded request was not answered: this fault needs an answer to happen to")
        chunks = [event for event in events if event.type == "chunk_received"]
        after = [event for event in events if event.type in TERMINAL_TYPES or event.type == "trailers_received"]
        return cls(asked, heads[-1] if heads else asked[-1], chunks, after)

    @property
    def before(self) -> list[Event]:
        return [*self.asked, self.started]

    @property
    def body(self) -> bytes:
        return b"".join(chunk.body or b"" for chunk in self.chunks)

    @property
    def chunked(self) -> bool:
        return self.started.facts.get("framing") == "chunked"

    @property
    def coding(self) -> str:
        found = re.search(rb"(?im)^content-encoding:[ \t]*([^\r\n]*)", self.started.body or b"")
        return found.group(1).strip().decode("latin-1").lower() if found else ""

    def require_plain(self) -> None:
        """:raises ConfigurationError: what was sent cannot be read as it came."""
        if self.coding not in ("", "identity"):
            raise ConfigurationError(
                f"the recorded answer is compressed ({self.coding}): its events cannot be told apart"
            )

    def bytes_of(self, count: int, unit: str) -> int:
        """Return how many bytes the first *count* bytes, chunks or events are."""
        if unit == "bytes":
            return count
        pieces = [chunk.body or b"" for chunk in self.chunks] if unit == "chunks" else self.sse_events()
        return sum(map(len, pieces[:count]))

    def sse_events(self) -> list[bytes]:
        """Return the server-sent events of the body, each with the blank line that ends it; a rest comes last."""
        self.require_plain()
        return split_events(self.body)

    def time_after(self, kept: Sequence[Event]) -> int:
        return kept[-1].mono_ns if kept else self.started.mono_ns

    def chunk(self, body: bytes, at: int, flags: int = _WHOLE) -> Event:
        return self.started._replace(type="chunk_received", meta=None, body=body, mono_ns=at, flags=flags)

    def end(self, kind: str, facts: dict[str, Any], at: int | None = None) -> Event:
        at = self.time_after(self.chunks) if at is None else at
        meta = meta_text(facts) if facts else None
        return self.started._replace(type=kind, meta=meta, body=None, mono_ns=at, flags=0)

    def ended(self, kept: list[Event], how: str) -> list[Event]:
        at = self.time_after(kept)
        if how == "close":
            return [*self.before, *kept, self.end("response_truncated", {}, at)]
        return [*self.before, *kept, self.end("response_failed", _failed(how, "body"), at)]

    def with_body(self, pieces: Sequence[bytes]) -> list[Event]:
        """Return the exchange with these pieces; each comes when the byte of the recorded body at its end did."""
        size, ends, last = sum(map(len, pieces)), [], 0
        for chunk in self.chunks:
            last += len(chunk.body or b"")
            ends.append((last, chunk.mono_ns))
        made, at, nearest = [], 0, 0
        for piece in pieces:
            at += len(piece)
            while nearest < len(ends) - 1 and ends[nearest][0] < at:
                nearest += 1
            made.append(self.chunk(piece, ends[nearest][1] if ends else self.started.mono_ns))
        facts, head = self.started.facts, self.started.body or b""
        if facts.get("framing") == "length":
            facts["length"], head = size, _LENGTH.sub(rb"\g<1>%d" % size, head)
        started = self.started._replace(body=head, meta=meta_text(facts), flags=READ_END)
        return [*self.asked, started, *made, *map(_plain_end, self.after)]


def _failed(how: str, phase: str) -> dict[str, Any]:
    """Return the facts of an end; ``silent``: a timeout is the client's own, however long it is."""
    facts = {"kind": how, "phase": phase, "error": _FAILURES[how]}
    return facts | {"silent": True} if how == "timeout" else facts


def _plain_end(event: Event) -> Event:
    """Return an end without what it says of the recorded framing."""
    facts = {name: value for name, value in event.facts.items() if name not in ("pre", "reads", "tail")}
    return event._replace(meta=meta_text(facts) if facts else None)


def _unclosed(chunks: Sequence[Event]) -> bool:
    return bool(chunks) and chunks[-1].flags & (FRAME_END | FRAME_CLOSED) == FRAME_END


def _first(answer: _Answer, size: int) -> list[Event]:
    """Return the chunks that hold the first *size* bytes of the body, the last one as far as it came."""
    kept: list[Event] = []
    for chunk in answer.chunks:
        body = chunk.body or b""
        if len(body) <= size:
            kept.append(chunk)
            size -= len(body)
            continue
        if size:
            kept.append(_part(answer, kept, chunk, size))
        break
    if kept:
        kept[-1] = kept[-1]._replace(flags=kept[-1].flags | READ_END)
    return kept


def _rest(answer: _Answer, size: int) -> list[Event]:
    """Return the chunks after the first *size* bytes of the body, the first one without what is before."""
    left: list[Event] = []
    for chunk in answer.chunks:
        body = chunk.body or b""
        if size <= 0:
            left.append(chunk)
        elif size < len(body):
            left.append(chunk._replace(body=body[size:], meta=None))
        size -= len(body)
    return left


def _part(answer: _Answer, before: Sequence[Event], chunk: Event, size: int) -> Event:
    """Return the beginning of a chunk; its frame still announces what was to come."""
    begins = not before or bool(before[-1].flags & FRAME_END)
    facts = chunk.facts
    if answer.chunked and begins and "pre" not in facts:
        announced = b"%x\r\n" % len(chunk.body or b"")
        facts["pre"] = ((_CRLF if _unclosed(before) else b"") + announced).decode("ascii")
    flags = chunk.flags & ~(FRAME_END | FRAME_CLOSED) | READ_END
    return chunk._replace(body=(chunk.body or b"")[:size], flags=flags, meta=meta_text(facts) if facts else None)
