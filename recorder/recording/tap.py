"""The tap: one exchange on its way from the wire to the spool, whatever the HTTP library.

A transport tells it what it saw, in order: the request, the head of the response, every read of the
body, and how it ended. The tap redacts, takes the framing apart and writes the events *before* the
transport hands the bytes on. It never alters a byte and keeps none.

One thread at a time tells it of requests and reads; the end may come from any other (a response closed
elsewhere, a recorder closed, the garbage collector): after the end nothing more is written, but for a
consumer that left before it had taken what had arrived.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from recorder.clock import id_text
from recorder.core.deframing import Deframer, Piece
from recorder.core.echoes import Echo
from recorder.core.events import (
    READ_END,
    VERBATIM,
    ErrorFacts,
    FailedMeta,
    RequestSentMeta,
    ResponseStartedMeta,
    meta_text,
)
from recorder.core.redaction import Redacted, scrub
from recorder.recording.write_path import WritePath

_log = logging.getLogger("recorder")
_TYPE_BYTES: Final = {
    name: name.encode()
    for name in ("chunk_received", "trailers_received", "response_completed", "response_truncated", "response_failed")
}


@dataclass(slots=True)
class Call:
    """One send of the user: the exchanges it caused share its id and know their order."""

    id: str
    attempts: int = 0
    conversation: Mapping[str, str] = field(default_factory=dict)  # "conversation": id, "name": …


class ExchangeTap:
    """Writes the events of one exchange.

    :param path: where events go.
    :param call: the call it belongs to.
    """

    def __init__(self, path: WritePath, call: Call) -> None:
        self._call = call
        self._path, self._writer = path.begin(self)  # another path where that one ended with the program
        self._seen = Redacted()
        self._echo: Echo | None = None
        self._deframer: Deframer | None = None
        self._before_read = 0  # body bytes before the last read
        self._last_read: list[Piece] = []
        self._last_size = 0
        self._lock = threading.RLock()  # a signal handler may end this in the middle of a write
        self._inside = False  # a write is under way
        self._departure: Callable[[], None] | None = None  # of the consumer, to be told when it is over
        self._completed = False
        self.started = False  # the response's head is recorded
        self.ended = False

    @property
    def id(self) -> bytes:
        """Id of the exchange, 16 bytes."""
        return self._writer.id

    @property
    def reads_payloads(self) -> bool:
        """Whether a payload has to be complete before it can be recorded."""
        return self._path.redaction.reads_bodies

    def request_sent(self, method: str, url: str, head: bytes, body: bytes, extra: Mapping[str, Any]) -> None:
        """Record the request, before its first byte leaves.

        :param url: absolute, as the user gave it.
        :param head: request line and headers as they go over the wire, with the blank line.
        :param body: the payload; empty where it is not known yet.
        :param extra: facts of the transport: see :class:`~recorder.core.events.RequestSentMeta`.
        :raises RecordingError: what is not recorded must not happen.
        """
        self._path.check(self._writer)
        number = self._path.announce(self._writer)
        redaction, seen = self._path.redaction, self._seen
        self._call.attempts += 1
        kept_head = redaction.head(head, seen)
        facts: dict[str, Any] = {
            "call": self._call.id,
            "attempt": self._call.attempts,
            "method": method,
            "url": redaction.url(url, seen),
            "head": len(kept_head),
            **self._call.conversation,
            **extra,
        }
        kept_body = redaction.body(body, seen)
        if seen.places:
            facts["redacted"] = list(dict.fromkeys(seen.places))
        if number is not None:
            facts["number"] = number
        self._tell(b"request_sent", 0, RequestSentMeta(**facts), kept_head + kept_body)  # type: ignore[typeddict-item]

    def request_body_sent(self, body: bytes) -> None:
        """Record the payload of a request whose body was not known when its head left."""
        known = len(self._seen.secrets)
        seen = Redacted(secrets=[*self._seen.secrets])
        kept = self._path.redaction.body(body, seen)
        self._seen.secrets += seen.secrets[known:]
        self._tell(b"request_body_sent", 0, {"redacted": seen.places} if seen.places else None, kept)

    def request_failed(self, kind: str, phase: str, error: ErrorFacts | None, **facts: Any) -> None:
        """Record that nothing came back; nothing is told where not even a request went out.

        :param facts: more of it: see :class:`~recorder.core.events.FailedMeta`.
        """
        if not self._writer.begun and not self.ended:
            self.ended = self._path.forget(self._writer)
            return
        self._end(b"request_failed", {**self._failure(kind, phase, error), **facts}, None)

    def response_started(self, head: bytes, status: int, framing: str, length: int | None, *, ends_read: bool) -> None:
        """Record the head of the response; what follows goes to :meth:`received`.

        :param head: as received, interim ``100 Continue`` heads included.
        :param framing: see :class:`~recorder.core.deframing.Deframer`.
        :param ends_read: the read that brought the head ended with it; else its rest is told next.
        """
        seen = Redacted()
        self._echo = Echo(self._seen.secrets)
        kept = self._kept_head(head, seen)
        self._seen.secrets += seen.secrets
        facts = ResponseStartedMeta(status=status, framing=framing)
        if length is not None:
            facts["length"] = length
        if seen.places:
            facts["redacted"] = list(dict.fromkeys(seen.places))
        if len(kept) != len(head):
            facts["grew"] = len(kept) - len(head)
        self._tell(b"response_started", READ_END if ends_read else 0, facts, kept)
        self.started = True
        self._deframer = Deframer(framing, length)
        if ends_read:  # else what came with it is part of the end, if this is the end already
            self._write_pieces(self._deframer.begin())

    def received(self, data: bytes) -> None:
        """Record one read of the body's wire."""
        deframer = self._deframer
        if deframer is None or self.ended:
            return
        self._before_read = deframer.received
        pieces = deframer.feed(data)
        self._last_read, self._last_size = pieces, len(data)
        self._write_pieces(pieces)

    def end_of_input(self) -> None:
        """Record that the peer closed the connection."""
        if self._deframer is not None and not self.ended:
            if self._deframer.malformed:
                self.malformed(None)
            else:
                self._write_pieces([self._deframer.end_of_input()])

    def failed(self, kind: str, error: ErrorFacts | None) -> None:
        """Record that reading the body failed."""
        self._end(b"response_failed", {**self._failure(kind, "body", error), **self._state()}, None)

    def head_failed(self, kind: str, error: ErrorFacts, received: bytes) -> None:
        """Record that no head could be read from what was received."""
        if not received:
            self.request_failed(kind, "head", error)
            return
        kept = self._kept_head(received, self._seen)
        self._end(b"response_failed", self._failure(kind, "head", error), kept)

    def malformed(self, error: ErrorFacts | None) -> None:
        """Record that the body's framing was malformed."""
        self.failed("malformed", error)

    def closed(self, unread: int, *, abandoned: bool) -> None:
        """Record that the consumer closed the response, or dropped it, before it had taken everything.

        Where the whole response had arrived by then, its end stands already: this is told after it.

        :param unread: bytes of the last read that it had not taken.
        """
        departure = partial(self.closed, unread, abandoned=abandoned)
        if not self.started or self._path.defers(departure):
            return
        self._departure = departure  # first, so that either here or there it is seen
        if self._inside:
            return
        self._departure = None
        kind = b"consumer_abandoned" if abandoned else b"consumer_closed"
        if self.ended:
            self._left_behind(kind, self._taken(unread))
        elif self._deframer is not None and self._deframer.malformed:
            self.malformed(None)
        elif self._deframer is not None and self._deframer.needs_no_more:
            self._write_pieces([self._deframer.end_of_input()])
        else:
            self._end(kind, {**self._state(), "taken": self._taken(unread)}, None)

    def file_closed(self) -> None:
        """Record a malformed framing where the reader above closes the socket's file because of it.

        Whoever closes the response afterwards finds no file any more: :meth:`closed` is not told then.
        """
        if self.ended or self._deframer is None or not self._deframer.malformed:
            return
        if not self._path.defers(self.file_closed):
            self.malformed(None)

    def _left_behind(self, kind: bytes, taken: int) -> None:
        received = self._deframer.received if self._deframer is not None else 0
        if self._completed and taken < received:
            self._completed = False  # told once
            self._write(kind, 0, {"received": received, "taken": taken}, None)

    def recorder_closed(self) -> None:
        """Record that recording stopped before the exchange ended; nothing follows."""
        with self._lock:
            if not self.ended and self._writer.begun:
                self._write(b"recorder_closed", 0, self._state(), None)
            self.ended = True

    def give_up(self, reason: str) -> None:
        """Record nothing more of this exchange but that the rest is missing."""
        if self._writer.begun and not self.ended:
            self._path.give_up(self._writer, reason)
        self.recorder_closed()

    @property
    def must_record(self) -> bool:
        """Whether what is not recorded must not happen."""
        return self._path.must_record

    def would_redact(self, line: bytes) -> bool:
        """Whether something would be replaced in a header line, or in what may be one."""
        return self._path.redaction.head(b"HTTP/1.1 200 \r\n" + line, Redacted()) != b"HTTP/1.1 200 \r\n" + line

    def _taken(self, unread: int) -> int:
        """Body bytes that the consumer took, from wire bytes that it did not take."""
        taken_wire = self._last_size - unread
        pieces = [piece for piece in self._last_read if piece.type == "chunk_received" and piece.body]
        return self._before_read + sum(
            min(max(taken_wire - piece.start, 0), len(piece.body or b"")) for piece in pieces
        )

    def _state(self) -> dict[str, Any]:
        """What is known when reading stops; a cut trailer in its ``tail`` is redacted like a whole one."""
        facts: dict[str, Any] = dict(self._deframer.state()) if self._deframer is not None else {}
        if "tail" in facts:
            kept = self._kept_head(facts["tail"].encode("latin-1"), self._seen).decode("latin-1")
            if kept != facts["tail"]:
                facts["tail"] = kept
                facts.pop("reads", None)  # they count bytes that are no longer there
        return facts

    def _failure(self, kind: str, phase: str, error: ErrorFacts | None) -> dict[str, Any]:
        facts: dict[str, Any] = dict(FailedMeta(kind=kind, phase=phase))
        if error is not None:
            facts["error"] = {**error, "message": self._scrubbed(error["message"])}
            if "args" in error:
                facts["error"]["args"] = [self._scrubbed(a) if isinstance(a, str) else a for a in error["args"]]
            if "raised" in error:
                facts["error"]["raised"] = {**error["raised"], "message": self._scrubbed(error["raised"]["message"])}
        return facts

    def _kept_head(self, head: bytes, seen: Redacted) -> bytes:
        """What is received as a head, or as one may be, without credentials and without those of the request."""
        redaction = self._path.redaction
        return redaction.without_echoes(redaction.head(head, seen), self._seen.secrets, seen)

    def _look_for_echoes(self, body: bytes | None) -> None:
        """Say so, once, where the body holds a credential of the request: it is recorded as it comes."""
        if self._echo and body and self._echo.stands_in(body):
            self._echo = None
            _log.warning(
                "recorder: the body of the answer %s repeats a credential of its request, and is recorded as it came: "
                "record with a credential that is none, or take the exchange out before somebody else gets it",
                id_text(self.id),
            )

    def _scrubbed(self, text: str) -> str:
        """A message without what was redacted in this exchange, and without what would be in any URL."""
        return self._path.redaction.url(scrub(text, self._seen.secrets), Redacted())

    def _write_pieces(self, pieces: list[Piece]) -> None:
        try:  # as in _tell
            with self._lock:
                try:
                    self._inside = True
                    for piece in pieces:
                        if self.ended:
                            return
                        kind, flags, meta, body, _ = piece
                        if kind == "chunk_received" and not flags & VERBATIM:
                            if self._echo:
                                self._look_for_echoes(body)
                            meta_bytes = meta.encode() if meta else None
                            self._path.write(self._writer, b"chunk_received", flags, meta_bytes, body)
                        else:
                            self._write_rare_piece(piece)
                finally:
                    self._inside = False
        finally:
            if self._departure is not None:
                self._tell_departure()

    def _write_rare_piece(self, piece: Piece) -> None:
        kind, flags, meta, body, _ = piece
        if body:
            # Trailers, or what nobody reads as a body: another response's head may be in it.
            body = self._kept_head(body, self._seen)
        if kind == "response_truncated":
            meta = meta_text(self._state())
        ends = kind not in ("chunk_received", "trailers_received")
        try:
            self._path.write(self._writer, _TYPE_BYTES[kind], flags, meta.encode() if meta else None, body)
        finally:  # not before: a signal handler may close the recorder first, and tell that as the end
            if ends:
                self.ended, self._completed = True, kind == "response_completed"

    def _tell(
        self, type_name: bytes, flags: int, facts: Mapping[str, Any] | None, body: bytes | None, *, ends: bool = False
    ) -> None:
        try:  # no generator for these four lines: an interrupt on its way out would keep the lock for ever
            with self._lock:
                try:
                    self._inside = True
                    if not self.ended:
                        self._write(type_name, flags, facts, body)
                finally:
                    self.ended = self.ended or ends
                    self._inside = False
        finally:
            self._tell_departure()

    def _end(self, type_name: bytes, facts: Mapping[str, Any], body: bytes | None) -> None:
        self._tell(type_name, 0, facts, body, ends=True)

    def _tell_departure(self) -> None:
        """Tell what a signal handler, or another thread, told of the consumer while a write was under way."""
        departure, self._departure = self._departure, None
        if departure is not None:
            departure()

    def _write(self, type_name: bytes, flags: int, facts: Mapping[str, Any] | None, body: bytes | None) -> None:
        meta = None if not facts else meta_text(facts).encode()
        self._path.write(self._writer, type_name, flags, meta, body)
