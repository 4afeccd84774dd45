"""One request of aiohttp and its answer, told to a tap."""

from __future__ import annotations

import http.client
from typing import Any, Final

import aiohttp

from recorder.core.events import INTERRUPTED, ErrorFacts, RaisedFacts
from recorder.recording.tap import ExchangeTap
from recorder.transports.aiohttp_wire import CLIENT, Written, answered
from recorder.transports.failures import cause_of, describe, kind_of
from recorder.transports.guard import Guard

_PIECE: Final = 1024 * 1024  # bytes of a streamed payload that are held before they are recorded
_DISCONNECTED: Final = http.client.RemoteDisconnected("Remote end closed connection without response")
_BROKEN_OFF: Final = ErrorFacts(type="asyncio.exceptions.CancelledError", message="")


class AiohttpExchange:
    """One request and its answer, told to a tap.

    :param extra: facts of the connection: see :class:`~recorder.core.events.RequestSentMeta`.
    """

    def __init__(self, tap: ExchangeTap, method: str, url: str, extra: dict[str, Any]) -> None:
        self.tap = tap
        self.guard = Guard(tap)
        self._method, self._url = method, url
        self._extra: dict[str, Any] = {"client": CLIENT, **extra}
        self._written = Written()
        self._told = False
        self._held: list[bytes] = []
        self._head: bytearray | None = bytearray()

    def prepared(self, head: bytes, payload: bytes | None) -> None:
        """Record a request that was not sent."""
        if payload is None:
            self._extra["streamed"] = True
        self.tap.request_sent(self._method, self._url, head, payload or b"", self._extra)

    def writing(self, data: bytes) -> None:
        """Record what is about to be written."""
        with self.guard:
            payload = self._written.feed(data)
            if self._told:
                self._hold(payload)
            elif self._written.head is not None:
                self._told = True
                whole = self._written.whole
                if not whole:
                    self._extra["streamed"] = True
                self.tap.request_sent(
                    self._method, self._url, self._written.head, payload if whole else b"", self._extra
                )
                if not whole:
                    self._hold(payload)

    def _hold(self, payload: bytes) -> None:
        if payload:
            self._held.append(payload)
        held = sum(map(len, self._held))
        if self._written.whole or (held >= _PIECE and not self.tap.reads_payloads):
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self.tap.request_body_sent(b"".join(self._held))
            self._held.clear()

    def received(self, data: bytes) -> None:
        """Record what a read returned."""
        with self.guard:
            if self._head is None:
                self.tap.received(data)
                return
            self._flush()
            self._head += data
            came = bytes(self._head)
            if (head := answered(came, self._method)) is None:
                return
            self._head = None
            at = head.end
            self.tap.response_started(came[:at], head.status, head.framing, head.length, ends_read=at == len(came))
            if at < len(came):
                self.tap.received(came[at:])

    def end_of_input(self) -> None:
        """Record that the peer closed its side of the connection."""
        with self.guard:
            if self._head is None:
                self.tap.end_of_input()
            else:
                self._failed(kind_of(_DISCONNECTED), describe(_DISCONNECTED))

    def lost(self, error: BaseException | None) -> None:
        """Record that the connection is closed, or broke."""
        if error is None:
            self.end_of_input()
            return
        with self.guard:
            self._failed(kind_of(error), describe(error))

    def left(self, error: BaseException | None) -> None:
        """Record that the client closes the connection.

        :param error: why, where it says so.
        """
        with self.guard:
            if isinstance(error, aiohttp.SocketTimeoutError):
                self._failed("timeout", _timed_out(error))
            elif error is not None:
                self._failed("malformed", _facts(error))
            elif self._head is None:
                self.tap.closed(0, abandoned=False)
            else:
                self._failed(INTERRUPTED, _BROKEN_OFF)

    def _failed(self, kind: str, facts: ErrorFacts) -> None:
        self._flush()
        if self.tap.ended:
            return
        if self._head is None:
            self.tap.failed(kind, facts)
        else:
            self.tap.head_failed(kind, facts, bytes(self._head))


def connect_failed(tap: ExchangeTap, error: BaseException) -> None:
    """Record that no connection could be made, or that the program did not wait for one."""
    if isinstance(error, aiohttp.ClientConnectionError | TimeoutError):
        below = cause_of(error)
        facts = {"proxy": True} if isinstance(error, aiohttp.ClientProxyConnectionError) else {}
        tap.request_failed(kind_of(below), "connect", {**describe(below), "raised": _raised(error)}, **facts)
    else:
        name = f"{type(error).__module__}.{type(error).__qualname__}"
        tap.request_failed(INTERRUPTED, "connect", {"type": name, "message": ""})


def _raised(error: BaseException) -> RaisedFacts:
    return RaisedFacts(type=f"aiohttp.{type(error).__name__}", message=str(error))


def _timed_out(error: BaseException) -> ErrorFacts:
    return {**describe(TimeoutError("timed out")), "raised": _raised(error)}


def _facts(error: BaseException) -> ErrorFacts:
    """Of what is wrong with the protocol only the class: the message may quote header lines."""
    return ErrorFacts(type=f"aiohttp.{type(error).__name__}", message="")
