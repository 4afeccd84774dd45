"""Builds the events of exchanges, chained as a recorder chains them, without a recorder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from recorder.core.chain import genesis, link
from recorder.core.events import FRAME_CLOSED, FRAME_END, READ_END, Event, StreamOpened, meta_text

WHOLE_FRAME = FRAME_END | READ_END | FRAME_CLOSED
URL = "https://api.example.test/v1/chat/completions"


def identity(number: int) -> bytes:
    """Return a 16-byte id (a UUIDv7 of sorts) that sorts by *number*."""
    return bytes.fromhex(f"{0x0190_0000_0000 + number:012x}7000800000000000{0:04x}"[:32])


class ExchangeBuilder:
    """Makes the events of one exchange, one call after the other; every method returns the builder.

    :param number: tells exchanges apart; ids and start times rise with it.
    """

    def __init__(self, number: int = 1, *, instance: bytes = b"i" * 16, step_ns: int = 1_000_000) -> None:
        self.opened = StreamOpened(identity(number), instance, bytes([number % 256]) * 32)
        self.events: list[Event] = []
        self.wall_ns = 1_790_000_000_000_000_000 + number * 1_000_000_000
        self.mono_ns = 5_000_000_000 + number * 1_000_000_000
        self._step = step_ns
        self._head = genesis(self.opened.stream)

    def event(
        self,
        kind: str,
        facts: dict[str, Any] | None = None,
        body: bytes | None = None,
        *,
        flags: int = 0,
        instance: bytes | None = None,
        meta: str | None = None,
    ) -> ExchangeBuilder:
        """Append any event; *meta* overrides the text that *facts* make."""
        text = meta if meta is not None else (meta_text(facts) if facts is not None else None)
        event = Event(
            self.opened.stream,
            len(self.events) + 1,
            kind,
            self.wall_ns,
            self.mono_ns,
            instance or self.opened.instance,
            flags,
            text,
            body,
            b"",
        )
        self._head = link(self._head, self.opened.secret, event)
        self.events.append(event._replace(hash=self._head))
        self.wall_ns += self._step
        self.mono_ns += self._step
        return self

    def request(
        self,
        payload: Any = None,
        *,
        method: str = "POST",
        url: str = URL,
        headers: Iterable[tuple[str, str]] = (("content-type", "application/json"),),
        **facts: Any,
    ) -> ExchangeBuilder:
        """Append ``request_sent``; *payload* is bytes, or a value that becomes JSON."""
        body = b"" if payload is None else payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        target = "/" + url.split("/", 3)[3] if url.count("/") > 2 else "/"
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        fixed = {"call": "call-1", "attempt": 1, "method": method, "url": url, "head": len(head), "client": "tests"}
        return self.event("request_sent", fixed | facts, head + body)

    def response(
        self,
        status: int = 200,
        reason: str = "OK",
        headers: Iterable[tuple[str, str]] = (("content-type", "text/event-stream"),),
        *,
        framing: str = "chunked",
        before: bytes = b"",
        **facts: Any,
    ) -> ExchangeBuilder:
        """Append ``response_started``; *before* is what stood before the head (``100 Continue`` …)."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
        body = before + "\r\n".join(lines).encode("latin-1")
        return self.event("response_started", {"status": status, "framing": framing} | facts, body, flags=READ_END)

    def chunks(self, *pieces: bytes, flags: int = WHOLE_FRAME) -> ExchangeBuilder:
        """Append a ``chunk_received`` for each piece."""
        for piece in pieces:
            self.event("chunk_received", None, piece, flags=flags)
        return self

    def sse(self, *values: Any, done: bool = True) -> ExchangeBuilder:
        """Append each value as a server-sent event in a chunk of its own, and ``[DONE]``."""
        texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
        return self.chunks(*(f"data: {text}\n\n".encode() for text in [*texts, *(["[DONE]"] if done else [])]))

    def completed(self) -> ExchangeBuilder:
        """Append ``response_completed``."""
        return self.event("response_completed", {})


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a chunk of a chat completion with one choice."""
    choice = {"index": index, "delta": fields, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice]}
