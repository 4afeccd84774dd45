"""One request of httpx or httpx2 and its answer, told to a tap."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any, Final

from recorder.core.events import INTERRUPTED, ErrorFacts
from recorder.recording.tap import Call, ExchangeTap
from recorder.transports.guard import Guard
from recorder.transports.httpx_modules import (
    describe_failure,
    is_cut,
    is_of_the_network,
    kind_of_failure,
    phase_of_failure,
    version_of,
)
from recorder.transports.httpx_streams import RecordedBody, RecordedUpload, joined

NOTE: Final = "the heads are as the library shows them, a part of a frame that came in a read of its own is a frame"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_QUOTED: Final = re.compile(r"""(?:bytearray\()?b(?:'((?:[^'\\]|\\.)*)'|"(?:[^"\\]|\\.)*")\)?""")
_WITHOUT_BODY: Final = frozenset({204, 304})


class HttpxExchange:
    """One request and its answer, told to a tap.

    :ivar request: the user's.
    :ivar call: which it belongs to.
    """

    def __init__(self, module: ModuleType, request: Any, call: Call, tap: ExchangeTap) -> None:
        self._module = module
        self._chunked = False
        self.request = request
        self.tap = tap
        self.call = call
        self.guard = Guard(tap)

    def tell_request(self) -> None:
        """Record the request."""
        request, payload = self.request, self._payload()
        extra: dict[str, Any] = {"client": version_of(self._module), "fallback": NOTE}
        if payload is None:
            extra["streamed"] = True
        # A line end inside a value is never sent: it is kept as a fold, so that redaction sees whose value goes on.
        lines = b"".join(b"%b: %b\r\n" % (name, _LINE_END.sub(b"\r\n ", value)) for name, value in request.headers.raw)
        method = request.method.encode("ascii", "replace")
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, request.url.raw_path, lines)
        self.tap.request_sent(request.method, str(request.url), head, payload or b"", extra)

    def _payload(self) -> bytes | None:
        try:
            return bytes(self.request.content)
        except self._module.RequestNotRead:
            return None

    def watch_payload(self) -> None:
        """Have a payload recorded while it is sent, where it is not known before."""
        with self.guard:
            if self._payload() is not None:
                return
            module, stream = self._module, self.request.stream
            if isinstance(stream, RecordedUpload):  # the request was sent before
                stream = stream.below
            kinds = tuple(k for k in (module.SyncByteStream, module.AsyncByteStream) if isinstance(stream, k))
            self.request.stream = joined("RecordedUpload", RecordedUpload, kinds)(self.tap, stream)

    def not_answered(self, error: BaseException) -> None:
        """Record that nothing came back."""
        with self.guard:
            if is_of_the_network(self._module, error):
                self.tap.request_failed(kind_of_failure(error), phase_of_failure(error), self._facts(error))
            else:
                name = f"{type(error).__module__}.{type(error).__qualname__}"
                self.tap.request_failed(INTERRUPTED, "send", {"type": name, "message": ""})

    def _facts(self, error: BaseException) -> ErrorFacts:
        """Return the facts of a failure without header lines: what is wrong with one is told by quoting it."""
        facts = describe_failure(self._module, error)
        facts["message"] = self._unquoted(facts["message"])
        if "raised" in facts:
            facts["raised"]["message"] = self._unquoted(facts["raised"]["message"])
        return facts

    def _unquoted(self, message: str) -> str:
        if "chunk" in message:
            return message

        def hidden(quoted: re.Match[str]) -> str:
            if "status line" in message and not self.tap.would_redact(quoted[1].encode("latin-1", "replace")):
                return quoted[0]
            return "~redacted~"

        return _QUOTED.sub(hidden, message)

    def answers(self, response: object) -> bool:
        """Whether what the transport returned is a response; if it is not, nothing more is recorded."""
        if not isinstance(response, self._module.Response):
            self.tap.give_up("the transport returned no response")
            return False
        return True

    def answered(self, response: Any) -> None:
        """Record a response's head, and have its body recorded while it is read."""
        module = self._module
        self._tell_head(response)
        if isinstance(response.stream, module.ByteStream):  # it is here already
            self.received(b"".join(response.stream))
            self.finished()
            return
        kinds = (module.SyncByteStream, module.AsyncByteStream)
        bases = tuple(kind for kind in kinds if isinstance(response.stream, kind))
        response.stream = joined("RecordedStream", RecordedBody, bases)(self, response.stream)

    def _tell_head(self, response: Any) -> None:
        extensions, headers = response.extensions, response.headers
        version = extensions.get("http_version", b"HTTP/1.1")
        reason = extensions.get("reason_phrase", response.reason_phrase.encode("ascii", "replace"))
        lines = b"".join(b"%b: %b\r\n" % line for line in headers.raw)
        shown = version if version in (b"HTTP/1.0", b"HTTP/1.1") else b"HTTP/1.1"
        head = b"%b %d %b\r\n%b\r\n" % (shown, response.status_code, reason, lines)
        framing, length = self._framing(version, response)
        self._chunked = framing == "chunked"
        self.tap.response_started(head, response.status_code, framing, length, ends_read=True)

    def _framing(self, version: bytes, response: Any) -> tuple[str, int | None]:
        headers = response.headers
        if self.request.method == "HEAD" or response.status_code in _WITHOUT_BODY:
            return "none", None
        if version in (b"HTTP/1.0", b"HTTP/1.1") and "chunked" in headers.get("transfer-encoding", "").lower():
            return "chunked", None
        length = headers.get("content-length", "")
        return ("length", int(length)) if length.isdecimal() else ("close", None)

    def received(self, data: bytes) -> None:
        """Record a piece of the body."""
        with self.guard:
            if data:
                self.tap.received(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def finished(self) -> None:
        """Record that the body is whole."""
        with self.guard:
            if self._chunked:
                self.tap.received(b"0\r\n\r\n")
            elif not self.tap.ended:
                self.tap.end_of_input()

    def broke(self, error: BaseException) -> None:
        """Record that reading the body failed."""
        if not is_of_the_network(self._module, error):
            return  # the program's own doing: whoever closes the response tells
        with self.guard:
            if is_cut(error):
                self.tap.end_of_input()
            else:
                self.tap.failed(kind_of_failure(error), self._facts(error))

    def left(self, *, abandoned: bool = False) -> None:
        """Record that the consumer is done; it may have taken everything."""
        with self.guard:
            self.tap.closed(0, abandoned=abandoned)
