"""Faults: what a recorded answer would have been like, had something gone wrong on its way.

A fault makes other events of the events of one exchange, and replay renders these as it renders any: the stock HTTP
libraries see the wire that a broken server would have shown, and raise what they raise then. Nothing is written, and
the recording stays what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from recorder.core.events import READ_END, VERBATIM, Event, meta_text
from recorder.errors import ConfigurationError
from recorder.replay.faulted_answer import FaultedAnswer, failure, first_of, rest_of, unclosed

_CRLF: Final = b"\r\n"
_SHOWN: Final = 80
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


class Fault(Protocol):
    """Makes other events of the events of one exchange."""

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """Return what is played in the place of *events*.

        :raises ConfigurationError: the recorded answer is not one that this can happen to.
        """
        ...


@dataclass(frozen=True)
class Cut:
    """The stream ends early: see :func:`recorder.faults.cut`.

    :ivar lenient: an answer that is over before that place stays whole: for the cuts of another answer's places.
    """

    after: int
    unit: str
    how: str = "close"
    lenient: bool = field(default=False, repr=False, compare=False)

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = FaultedAnswer.of(events)
        size = answer.bytes_of(self.after, self.unit, lenient=self.lenient)
        if size >= len(answer.body) and answer.is_over_after_its_body(self.how):
            if self.lenient:
                return [*events]
            raise answer.past_the_end(self.after, self.unit)
        return answer.ended(first_of(answer, size), self.how)

    def __str__(self) -> str:
        return f"{self.how}-after-{self.after}-{self.unit}"


def require_fault(value: object) -> Fault:
    """Return a value that is a fault.

    :raises ConfigurationError: it is none.
    """
    if isinstance(value, type) or not callable(getattr(value, "apply", None)):
        shown = getattr(value, "__name__", None) or repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
        raise ConfigurationError(
            f"fault={shown} is no fault: use one of recorder.faults, as cut(after_events=3); every_cut(…) makes many, "
            'one for each run of a test: @pytest.mark.parametrize("fault", every_cut(…), ids=str)'
        )
    return cast("Fault", value)


def require_time(fault: Fault, *, passes: bool) -> None:
    """Refuse a fault that is nothing but time where none passes.

    :raises ConfigurationError: nobody would wait for it, or for one of several.
    """
    if isinstance(fault, Several):
        for one in fault.faults:
            require_time(one, passes=passes)
    elif isinstance(fault, Late | Stall) and fault.seconds > 0 and not passes:
        raise ConfigurationError(
            f"the fault {fault} changes nothing at a pace of 0: give a pace, as pace=1.0 or --pace 1, or a VirtualClock"
        )


@dataclass(frozen=True)
class Malformed:
    """A frame of the chunked coding whose size is none."""

    after_chunks: int

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = FaultedAnswer.of(events)
        if not answer.chunked:
            raise ConfigurationError(f"{answer.name} has no frames to be malformed: it is not chunked")
        if self.after_chunks > len(answer.chunks):
            raise answer.past_the_end(len(answer.chunks), "chunks")
        kept = answer.chunks[: self.after_chunks]
        closing = _CRLF if unclosed(kept) else b""
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
        answer = FaultedAnswer.of(events)
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
        answer = FaultedAnswer.of(events, answered=False)
        return [*answer.asked, answer.end("request_failed", failure(self.how, "connect"), answer.asked[-1].mono_ns)]

    def __str__(self) -> str:
        return f"unreachable-{self.how}"


@dataclass(frozen=True)
class Rewritten:
    """The same answer with another body, or other boundaries.

    :ivar rewrite: gets the body; returns the pieces that come instead, each as a read and a frame of its own.
    :ivar why_not: gets the server-sent events; returns why this cannot happen to them, None where it can.
    """

    name: str
    rewrite: Callable[[bytes], Iterable[bytes]] = field(repr=False, compare=False)
    reads_events: bool = True
    why_not: Callable[[Sequence[bytes]], str | None] = field(default=lambda _: None, repr=False, compare=False)

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = FaultedAnswer.of(events)
        if self.reads_events:
            answer.require_plain()
        if any(chunk.flags & VERBATIM for chunk in answer.chunks):
            raise ConfigurationError("the recorded answer is malformed: its body cannot be told from its frames")
        if self.reads_events and (why := self.why_not(answer.sse_events())) is not None:
            raise ConfigurationError(f"{answer.name} {why}")
        return answer.with_body([piece for piece in self.rewrite(answer.body) if piece])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class CorruptGzip:
    """A compressed body with a damaged byte."""

    after_bytes: int

    def apply(self, events: Sequence[Event]) -> list[Event]:
        """See :meth:`Fault.apply`."""
        answer = FaultedAnswer.of(events)
        if answer.coding not in ("gzip", "x-gzip", "deflate"):
            raise ConfigurationError(f"{answer.name} is not compressed: there is no gzip to be corrupt")
        if self.after_bytes >= len(answer.body):
            raise answer.past_the_end(len(answer.body), "bytes")
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
        answer, pause = FaultedAnswer.of(events), int(self.seconds * 1e9)
        size = answer.bytes_of(self.after, self.unit)
        if size >= len(answer.body) and answer.is_over_after_its_body("stall"):
            raise answer.past_the_end(self.after, self.unit)
        kept, rest = first_of(answer, size), [*rest_of(answer, size), *answer.after]
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
