"""Recording for requests: adapters that tell the write path what goes over the wire."""

from __future__ import annotations

import itertools
import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from requests.models import PreparedRequest

from recorder.clock import id_text
from recorder.recording.tap import Call, ExchangeTap
from recorder.recording.write_path import WritePath
from recorder.transports.cloning import http_adapters, users_adapter
from recorder.transports.failures import cause_of, describe, kind_of
from recorder.transports.guard import Guard
from recorder.transports.prepared import CLIENT, known_payload, tell_prepared
from recorder.transports.sharing import SharedAdapter, View, Views
from recorder.transports.socket_file import HTTPResponse

_log = logging.getLogger("recorder")

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHALLENGES: Final = frozenset({401, 407})
HTTP2_NOTE: Final = "HTTP/2: the heads are rendered as HTTP/1.1, frame and read boundaries are not recorded"
_PIECE: Final = 1024 * 1024  # bytes of a streamed payload that are held before they are recorded


@dataclass(slots=True)
class _Sending:
    """One ``HTTPAdapter.send`` under way.

    :ivar failure: why the last attempt could not be sent whole, where urllib3 reads an answer all the same.
    """

    request: PreparedRequest
    call: Call
    taps: list[ExchangeTap] = field(default_factory=list)
    response: HTTPResponse | None = None
    failure: BaseException | None = None


_sending: ContextVar[_Sending | None] = ContextVar("recorder_sending", default=None)


class RequestsRecording:
    """Mounts recording adapters on sessions.

    :param path: where events go; None once the recorder is closed.
    :param conversation: returns the facts of the conversation that the current context is in.
    :param must_record: what cannot be recorded must not happen.
    """

    def __init__(
        self,
        path: Callable[[], WritePath | None],
        conversation: Callable[[], Mapping[str, str]],
        *,
        must_record: bool = False,
    ) -> None:
        self._path = path
        self._conversation = conversation
        self._connections = itertools.count(1)
        self._ids: weakref.WeakKeyDictionary[object, bytes | None] = weakref.WeakKeyDictionary()
        self._last = threading.local()
        self.guard = Guard(None, must_record=must_record)
        self._views = Views(_connection_behaviour, self.guard, recorder_recording=self)

    def mount(self, session: requests.Session) -> None:
        """Replace the session's HTTP adapters by recording views of them.

        :raises ConfigurationError: an adapter is not an ``HTTPAdapter``.
        """
        found = http_adapters(session)
        before = {one.recorder_recording for one in found.values() if isinstance(one, _RecordingAdapter)} - {self}
        if any(other.is_open for other in before):
            _log.warning("recorder: a session that another recorder recorded is recorded by this one from now on")
        for prefix, adapter in found.items():
            session.adapters[prefix] = self._views.adapter(users_adapter(adapter), _RecordingAdapter)

    @property
    def is_open(self) -> bool:
        """Whether anything is recorded."""
        return self._path() is not None

    def knows(self, sent: requests.Response | PreparedRequest) -> bool:
        """Whether a response, or a request, went through an adapter of this recorder."""
        return sent in self._ids

    def exchange_of(self, sent: requests.Response | PreparedRequest) -> bytes | None:
        """Return the id of the exchange that a response came from, or a request's last one; None: not recorded."""
        return self._ids.get(sent)

    def next_connection(self) -> int:
        """Return a number for a connection that was just made."""
        return next(self._connections)

    def begin(self, request: PreparedRequest) -> Token[_Sending | None]:
        """Open the context of a send; an empty one where nothing is recorded (any more)."""
        sending = None
        with self.guard:
            if self._path() is not None:
                sending = _Sending(request, self._call_of(request))
        return _sending.set(sending)

    def _call_of(self, request: PreparedRequest) -> Call:
        """A redirect or an auth round goes on with the call that it follows from.

        requests makes such a request by copying the one before; copies share the ``hooks`` object,
        which every request that the user makes has of its own. A user may send copies too: one that answers
        no challenge, since its headers are the same, is a call of its own. One that was copied by hand and
        given other credentials cannot be told from an auth round of requests, and does what one does.
        """
        before: tuple[PreparedRequest, int | None, Call] | None = getattr(self._last, "sent", None)
        if before is not None:
            sent, status, call = before
            copied = sent.hooks is request.hooks and sent is not request
            answers = status in _CHALLENGES and request.headers != sent.headers
            if copied and (status in _REDIRECTS or answers):
                return call
        path = self._path()
        identity = path.clock.new_id() if path is not None else b""
        return Call(id_text(identity), conversation=self._conversation())

    def open_tap(self) -> ExchangeTap | None:
        """Return the tap of a new exchange of the send under way; None where nothing is recorded."""
        sending, path = _sending.get(), self._path()
        if sending is None or path is None:
            return None
        self._finish_attempts(sending, sending.failure)
        tap = ExchangeTap(path, sending.call)
        sending.taps.append(tap)
        sending.failure = None
        return tap

    def end(
        self, token: Token[_Sending | None], response: requests.Response | None, error: BaseException | None
    ) -> None:
        """Settle what is open when a send returns, and close its context."""
        sending = _sending.get()
        _sending.reset(token)
        if sending is None:
            if response is not None:
                self._ids[response] = None
            return
        with self.guard:
            self._finish_attempts(sending, sending.failure or error)
            status = response.status_code if response is not None else None
            self._last.sent = (sending.request, status, sending.call)
            last = sending.taps[-1].id if sending.taps else None
            self._ids[sending.request] = last
            if response is not None:
                self._ids[response] = last
                if sending.response is not None:
                    sending.response.consumer = weakref.ref(response)

    @staticmethod
    def _finish_attempts(sending: _Sending, error: BaseException | None) -> None:
        below = cause_of(error) if error is not None else None
        for tap in sending.taps:
            if not tap.started and not tap.ended:
                facts = describe(below) if below is not None else None
                tap.request_failed(kind_of(below) if below is not None else "other", "send", facts)


class _RecordingAdapter(SharedAdapter):
    """The mixin of a recording adapter."""

    __slots__ = ()
    recorder_recording: RequestsRecording

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send as the adapter below does, recording every attempt."""
        recording = self.recorder_recording
        token = recording.begin(request)
        try:
            response: requests.Response = super().send(request, *args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            recording.end(token, None, error)
            raise
        recording.end(token, response, None)
        return response


class RecordingConnection(View):
    """The mixin of a recording connection: tells the request, and gives the response a tap."""

    recorder_recording: RequestsRecording
    sock: Any
    _tap: ExchangeTap | None = None
    _guard: Guard
    _number = 0
    _used = False
    _known: Any = None
    _connecting = False
    _payload: Any = None
    _streamed: list[bytes] | None = None
    _chunked = False
    _head_sent = True

    def connect(self) -> None:
        """Connect; a failure is recorded even when nothing was sent."""
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        except BaseException as error:
            with self.recorder_recording.guard:
                self._connect_failed(error)
            raise
        finally:
            self._connecting = False
        self._numbered(used=False)

    def _numbered(self, *, used: bool) -> None:
        self._number, self._used, self._known = self.recorder_recording.next_connection(), used, self.sock

    def _connect_failed(self, error: BaseException) -> None:
        tap, sending = self._tap, _sending.get()
        if (tap is None or tap.ended or tap.started) and sending is not None:
            tap = self.recorder_recording.open_tap()
            if tap is not None:
                tell_prepared(tap, sending.request, {"unsent": True})
        if tap is not None:
            below = cause_of(error)
            tap.request_failed(kind_of(below), "connect", describe(below))

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        """Send a request; it is recorded before its first byte leaves."""
        self._tap = None
        with self.recorder_recording.guard:
            self._tap = self.recorder_recording.open_tap()
        if self._tap is None:
            super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]
            return
        self._guard = Guard(self._tap)
        self._payload = known_payload(body)
        self._streamed = None if self._payload is not None else []
        self._head_sent = False
        try:
            super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            if (sending := _sending.get()) is not None:
                sending.failure = error
            raise
        finally:
            self._head_sent = True
            self._payload = None
            with self._guard:
                self._flush_streamed()
            self._streamed = None

    def send(self, data: Any) -> None:
        """Send bytes; the first ones of a request are its head."""
        if self._tap is not None and not self._connecting:
            with self._guard:
                self._tell_sent(data)
        super().send(data)  # type: ignore[misc]

    def _tell_sent(self, data: Any) -> None:
        if not self._head_sent:
            self._head_sent = True
            self._tell_request(bytes(data))
        elif self._streamed is not None:
            self._tell_payload(bytes(data))

    def _tell_request(self, head: bytes) -> None:
        sending = _sending.get()
        if self._tap is None or sending is None:
            return
        extra: dict[str, Any] = {"client": CLIENT}
        if getattr(self, "sock", None) is not None:
            if self._known is not self.sock:  # connected before the adapter was mounted
                self._numbered(used=True)
            extra.update(connection=self._number, reused=self._used)
        if self._streamed is not None:
            extra["streamed"] = True
            self._chunked = b"\r\ntransfer-encoding: chunked\r\n" in head.lower()
        request = sending.request
        self._tap.request_sent(request.method or "GET", request.url or "", head, self._payload or b"", extra)

    def _tell_payload(self, data: bytes) -> None:
        if self._streamed is None or self._tap is None:
            return
        if self._chunked:
            data = data[data.find(b"\r\n") + 2 : -2]  # one send is one frame
        if data:
            self._streamed.append(data)
        if sum(map(len, self._streamed)) >= _PIECE and not self._tap.reads_payloads:
            self._flush_streamed()

    def _flush_streamed(self) -> None:
        if self._streamed and self._tap is not None:
            self._tap.request_body_sent(b"".join(self._streamed))
            self._streamed.clear()

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        """Return the response; it is told to the tap while it is read."""
        tap, self._tap = self._tap, None
        self._used = True
        if tap is None:
            return super().getresponse(*args, **kwargs)  # type: ignore[misc]
        del self._guard  # the connection is the user's: it keeps nothing of the recording
        made: list[HTTPResponse] = []

        def response_class(sock: Any, *args: Any, **kwargs: Any) -> HTTPResponse:
            made.append(HTTPResponse(sock, *args, tap=tap, **kwargs))
            return made[0]

        self.response_class = response_class
        try:
            return super().getresponse(*args, **kwargs)  # type: ignore[misc]
        finally:
            del self.response_class
            sending = _sending.get()
            if made and sending is not None:
                sending.response = made[0]


def _connection_behaviour(connection: type[Any]) -> type[Any]:
    return Http2RecordingConnection if speaks_http2(connection) else RecordingConnection


def speaks_http2(connection: type[Any]) -> bool:
    """Whether a connection class is that of urllib3's HTTP/2: it has no socket file to stand at."""
    return any(each.__module__.startswith("urllib3.http2") for each in connection.__mro__)


class Http2RecordingConnection(View):
    """The mixin of a recording HTTP/2 connection: a fall-back above the protocol.

    There are no header bytes, frames or reads to record: the heads are rendered in the form of HTTP/1.1,
    the body comes in one piece, and the recording says so (``"fallback"`` in ``request_sent``). urllib3
    reads an HTTP/2 answer whole before it returns it, so the consumer loses nothing by that.
    """

    recorder_recording: RequestsRecording
    _tap: ExchangeTap | None = None

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        """Send a request; it is recorded, as it was prepared, before its first byte leaves."""
        sending = _sending.get()
        self._tap = None
        with self.recorder_recording.guard:
            self._tap = self.recorder_recording.open_tap()
        if self._tap is not None and sending is not None:
            with Guard(self._tap):
                tell_prepared(self._tap, sending.request, {"fallback": HTTP2_NOTE})
        super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        """Return the response; it is recorded before."""
        tap, self._tap = self._tap, None
        try:
            response = super().getresponse(*args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            if tap is not None:
                with Guard(tap):
                    below = cause_of(error)
                    tap.request_failed(kind_of(below), "head", describe(below))
            raise
        if tap is not None:
            with Guard(tap):
                lines = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
                head = f"HTTP/1.1 {response.status} {response.reason or ''}\r\n{lines}\r\n".encode("latin-1", "replace")
                tap.response_started(head, response.status, "close", None, ends_read=True)
                if response.data:
                    tap.received(response.data)
                tap.end_of_input()
        return response
