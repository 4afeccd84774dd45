"""The wire again: from the events of one exchange to the reads that a socket returned.

The inverse of :mod:`recorder.core.deframing`. Replay feeds these reads to the stock http.client and
urllib3, so that every way of consuming the response behaves as it did when it was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from recorder.core.events import FRAME_CLOSED, FRAME_END, READ_END, TERMINAL_TYPES, VERBATIM, Event

_CRLF: Final = b"\r\n"
_CLOSES: Final = re.compile(rb"(?i)\AHTTP/1\.0|\nconnection:[^\n]*\bclose\b")
_KEEPS: Final = re.compile(rb"(?i)\nconnection:[^\n]*\bkeep-alive\b")
_DELIMITED: Final = frozenset({"chunked", "length", "none", "interim"})
#: When nothing comes any more, and no end either: nanoseconds after the request.
NEVER: Final = 1 << 62


class Read(NamedTuple):
    """What one read of the socket returned, and when: nanoseconds after the request was sent."""

    data: bytes
    elapsed_ns: int


@dataclass(slots=True)
class Tape:
    """A recorded response as the socket showed it.

    :ivar reads: the reads in order.
    :ivar end: the type of the event that ended the exchange; None when the recording just stops.
    :ivar facts: the facts of that event.
    :ivar elapsed_ns: when it ended, nanoseconds after the request was sent.
    :ivar grew: bytes that redaction added to the head; what one read held then may be longer now.
    :ivar reusable: the connection could carry another exchange afterwards: the answer is whole, its end can be told
        from its framing, and its head does not say that the connection closes.
    """

    reads: list[Read] = field(default_factory=list)
    end: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    elapsed_ns: int = 0
    grew: int = 0
    reusable: bool = False

    @property
    def silent(self) -> bool:
        """Whether it does not end: nothing more comes, and the connection stays open."""
        return bool(self.facts.get("silent"))

    def failed_after(self, timeout: float | None) -> int:
        """Return when it was seen that no connection could be made, in nanoseconds after the request was sent.

        :param timeout: how long the client waits for one, in seconds; without one, silence ends as it did.
        """
        return NEVER if self.silent and timeout is not None else self.elapsed_ns


def render(events: Iterable[Event]) -> Tape:
    """Return the tape of one exchange.

    A ``gap_recorded`` ends it: what the socket returned after a gap is not known.

    :param events: the exchange's events in order, from ``request_sent`` on.
    """
    renderer = _Renderer()
    for event in events:
        renderer.take(event)
        if renderer.tape.end is not None:
            break
    renderer.cut()
    return renderer.tape


class _Renderer:
    def __init__(self) -> None:
        self.tape = Tape()
        self._current = bytearray()
        self._origin: int | None = None
        self._elapsed = 0
        self._chunked = False
        self._begins = True
        self._unclosed = False
        self._trailers = False
        self._keeps = False

    def take(self, event: Event) -> None:
        if self._origin is None:
            self._origin = event.mono_ns
        self._elapsed = max(event.mono_ns - self._origin, 0)
        if event.type == "chunk_received":
            self._chunk(event)
        elif event.type == "response_started":
            facts = event.facts
            self._chunked = facts.get("framing") == "chunked"
            self.tape.grew = facts.get("grew", 0)
            head = event.body or b""
            closes = _CLOSES.search(head) is not None and _KEEPS.search(head) is None
            self._keeps = facts.get("framing") in _DELIMITED and not closes
            self._append(head, (), ends=bool(event.flags & READ_END))
        elif event.type == "trailers_received":
            self._framed(event.facts, (_CRLF if self._unclosed else b"") + b"0\r\n", event.body or b"")
            self._trailers, self._unclosed = True, False
        elif event.type in TERMINAL_TYPES or event.type == "gap_recorded":
            self._end(event)

    def _chunk(self, event: Event) -> None:
        body = event.body or b""
        flags = event.flags
        ends = bool(flags & READ_END)
        if flags & VERBATIM or not self._chunked:
            self._append(body, (), ends=ends)
            return
        plain = (_CRLF if self._unclosed else b"") + (b"%x\r\n" % len(body) if self._begins else b"")
        self._framed(event.facts, plain, body + (_CRLF if flags & FRAME_CLOSED else b""), ends=ends)
        self._begins = bool(flags & FRAME_END)
        self._unclosed = flags & (FRAME_END | FRAME_CLOSED) == FRAME_END

    def _end(self, event: Event) -> None:
        facts = event.facts
        if event.type == "response_completed" and self._chunked:
            plain = _CRLF if self._trailers else (_CRLF if self._unclosed else b"") + b"0\r\n\r\n"
            self._framed(facts, plain, event.body or b"")
        elif event.body:  # the start of a malformed head, or what came after the body's end
            self._append(event.body, (), ends=True)
        if facts.get("tail"):
            self._append(facts["tail"].encode("latin-1"), facts.get("reads", ()), ends=True)
        self.cut()
        self.tape.end, self.tape.facts, self.tape.elapsed_ns = event.type, facts, self._elapsed
        self.tape.reusable = self._keeps and event.type == "response_completed"

    def _framed(self, facts: dict[str, Any], plain: bytes, body: bytes, *, ends: bool = False) -> None:
        pre = facts["pre"].encode("latin-1") if "pre" in facts else plain
        self._append(pre + body, facts.get("reads", ()), ends=ends)

    def _append(self, data: bytes, read_ends: Iterable[int], *, ends: bool) -> None:
        at = 0
        for offset in read_ends:
            self._current += data[at:offset]
            at = offset
            self.cut()
        self._current += data[at:]
        if ends:
            self.cut()

    def cut(self) -> None:
        """End the current read here."""
        if self._current:
            self.tape.reads.append(Read(bytes(self._current), self._elapsed))
            self._current.clear()
