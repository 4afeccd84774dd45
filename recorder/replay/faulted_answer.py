"""The answer that a fault happens to: its events by what they are, and the ends that it may come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from recorder.clock import id_text
from recorder.core.events import FRAME_CLOSED, FRAME_END, READ_END, TERMINAL_TYPES, Event, meta_text
from recorder.errors import ConfigurationError
from recorder.replay.rewriting import split_events

_WHOLE: Final = FRAME_END | READ_END | FRAME_CLOSED
_CRLF: Final = b"\r\n"
_LENGTH: Final = re.compile(rb"(?im)^(content-length:[ \t]*)\d+")

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


@dataclass
class FaultedAnswer:
    """The events of an exchange, by what they are to a fault."""

    asked: list[Event]
    started: Event
    chunks: list[Event]
    after: list[Event]
    answered: bool = True

    @classmethod
    def of(cls, events: Sequence[Event], *, answered: bool = True) -> FaultedAnswer:
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
        """The request and the head."""
        return [*self.asked, self.started]

    @property
    def body(self) -> bytes:
        """What came of the body, before content decoding."""
        return b"".join(chunk.body or b"" for chunk in self.chunks)

    @property
    def chunked(self) -> bool:
        """Whether it has the frames of the chunked coding."""
        return self.started.facts.get("framing") == "chunked"

    @property
    def coding(self) -> str:
        """Its content coding; empty where it has none."""
        found = re.search(rb"(?im)^content-encoding:[ \t]*([^\r\n]*)", self.started.body or b"")
        return found.group(1).strip().decode("latin-1").lower() if found else ""

    def require_plain(self) -> None:
        """:raises ConfigurationError: what was sent cannot be read as it came."""
        if self.coding not in ("", "identity"):
            raise ConfigurationError(
                f"the recorded answer is compressed ({self.coding}): its events cannot be told apart"
            )

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"the answer of {id_text(self.started.stream)}"

    def bytes_of(self, count: int, unit: str, *, lenient: bool = False) -> int:
        """Return how many bytes the first *count* bytes, chunks or events are.

        :param lenient: all of them where there are fewer.
        :raises ConfigurationError: there are fewer.
        """
        if unit == "bytes":
            sizes = [1] * len(self.body)
        else:
            sizes = [len(chunk.body or b"") for chunk in self.chunks] if unit == "chunks" else self.sse_sizes()
        if count > len(sizes) and not lenient:
            raise self.past_the_end(len(sizes), unit)
        return sum(sizes[:count])

    def past_the_end(self, there: int, unit: str) -> ConfigurationError:
        """Return what is raised where a fault would come after everything, so that nothing would go wrong."""
        return ConfigurationError(
            f"{self.name} has {there:,} {unit[:-1] if there == 1 else unit}: there is nothing after that to go wrong, "
            "use a place before"
        )

    def is_over_after_its_body(self, how: str) -> bool:
        """Whether a client that has the whole body has the whole answer, so that an end there changes nothing for it.

        :param how: what the end is: a close is what ends a body that has no other end.
        """
        facts = self.started.facts
        framing, completed = facts.get("framing"), any(event.type == "response_completed" for event in self.after)
        if framing == "length":
            return len(self.body) >= int(facts["length"]) if "length" in facts else completed
        return framing == "none" or (framing == "close" and completed and how == "close")

    def sse_sizes(self) -> list[int]:
        """Return the sizes of :meth:`sse_events`."""
        return [*map(len, self.sse_events())]

    def sse_events(self) -> list[bytes]:
        """Return the server-sent events of the body, each with the blank line that ends it; a rest comes last."""
        self.require_plain()
        return split_events(self.body)

    def time_after(self, kept: Sequence[Event]) -> int:
        """Return when the last of these chunks came; the head, where there is none."""
        return kept[-1].mono_ns if kept else self.started.mono_ns

    def chunk(self, body: bytes, at: int, flags: int = _WHOLE) -> Event:
        """Return a chunk that comes at a moment of the monotonic clock, in nanoseconds."""
        return self.started._replace(type="chunk_received", meta=None, body=body, mono_ns=at, flags=flags)

    def end(self, kind: str, facts: dict[str, Any], at: int | None = None) -> Event:
        """Return an end of this kind; after the last chunk, where no other moment is given."""
        at = self.time_after(self.chunks) if at is None else at
        meta = meta_text(facts) if facts else None
        return self.started._replace(type=kind, meta=meta, body=None, mono_ns=at, flags=0)

    def ended(self, kept: list[Event], how: str) -> list[Event]:
        """Return the exchange that ends after these chunks."""
        at = self.time_after(kept)
        if how == "close":
            return [*self.before, *kept, self.end("response_truncated", {}, at)]
        return [*self.before, *kept, self.end("response_failed", failure(how, "body"), at)]

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


def failure(how: str, phase: str) -> dict[str, Any]:
    """Return the facts of an end; ``silent``: a timeout is the client's own, however long it is."""
    facts = {"kind": how, "phase": phase, "error": _FAILURES[how]}
    return facts | {"silent": True} if how == "timeout" else facts


def _plain_end(event: Event) -> Event:
    """Return an end without what it says of the recorded framing."""
    facts = {name: value for name, value in event.facts.items() if name not in ("pre", "reads", "tail")}
    return event._replace(meta=meta_text(facts) if facts else None)


def unclosed(chunks: Sequence[Event]) -> bool:
    """Whether the last frame lacks the line end that closes it, so that what follows begins with it."""
    return bool(chunks) and chunks[-1].flags & (FRAME_END | FRAME_CLOSED) == FRAME_END


def first_of(answer: FaultedAnswer, size: int) -> list[Event]:
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


def rest_of(answer: FaultedAnswer, size: int) -> list[Event]:
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


def _part(answer: FaultedAnswer, before: Sequence[Event], chunk: Event, size: int) -> Event:
    """Return the beginning of a chunk; its frame still announces what was to come."""
    begins = not before or bool(before[-1].flags & FRAME_END)
    facts = chunk.facts
    if answer.chunked and begins and "pre" not in facts:
        announced = b"%x\r\n" % len(chunk.body or b"")
        facts["pre"] = ((_CRLF if unclosed(before) else b"") + announced).decode("ascii")
    flags = chunk.flags & ~(FRAME_END | FRAME_CLOSED) | READ_END
    return chunk._replace(body=(chunk.body or b"")[:size], flags=flags, meta=meta_text(facts) if facts else None)
