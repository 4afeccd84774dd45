"""The connections of a recording adapter: they tell what is sent, and give each response a tap.

What a recorder knows of a connection is kept outside it: the connection is the user's, and may have attributes of
any name, or be seen by another recorder as well.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from requests.models import PreparedRequest

from recorder.recording.tap import Call, ExchangeTap
from recorder.transports.failures import cause_of, describe, kind_of
from recorder.transports.guard import Guard
from recorder.transports.prepared import CLIENT, known_payload, tell_prepared
from recorder.transports.sharing import VIEWS, Identities, View, under_way
from recorder.transports.socket_file import HTTPResponse, recording_response

HTTP2_NOTE: Final = "HTTP/2: the heads are rendered as HTTP/1.1, frame and read boundaries are not recorded"
_PIECE: Final = 1024 * 1024  # bytes of a streamed payload that are held before they are recorded


class Recording(Protocol):
    """The recording that connections tell what happens."""

    @property
    def guard(self) -> Guard:
        """What stops a defect of ours where there is no tap yet."""
        ...

    def open_tap(self) -> ExchangeTap | None:
        """Return the tap of a new exchange of the send under way; None where nothing is recorded."""
        ...

    def next_connection(self) -> int:
        """Return a number for a connection that was just made."""
        ...


@dataclass(slots=True)
class Sending:
    """One ``HTTPAdapter.send`` under way.

    :ivar recording: whom it is recorded for.
    :ivar given: the responses that recorded connections gave, each with the id of its exchange.
    :ivar failure: why the last attempt could not be sent whole, where urllib3 reads an answer all the same.
    """

    recording: Recording
    request: PreparedRequest
    call: Call
    taps: list[ExchangeTap] = field(default_factory=list)
    response: HTTPResponse | None = None
    given: list[tuple[Any, bytes]] = field(default_factory=list)
    failure: BaseException | None = None

    def take(self, pool: Any, usual: Callable[[], Any]) -> Any:
        """Return a view of one of the pool's connections; the connection itself where that is not possible."""
        connection = usual()
        with self.recording.guard:
            behaviour = Http2RecordingConnection if speaks_http2(type(connection)) else RecordingConnection
            return VIEWS.of(connection, behaviour, _STATES.get(connection, ConnectionState))
        return connection

    def put(self, pool: Any, connection: Any) -> bool:
        """Return False: connections are the pool's."""
        return False


def sending_now() -> Sending | None:
    """Return the send under way that is recorded; None where there is none."""
    send = under_way()
    return send if isinstance(send, Sending) else None


class ConnectionState:
    """What is known of one connection, and of the request that it is sending.

    :ivar tap: of the exchange under way; None where nothing is recorded.
    :ivar guard: what stops a defect of ours meanwhile.
    :ivar response_class: in place of the connection's own while it makes a response; None at other times.
    """

    def __init__(self) -> None:
        self._number = 0
        self._numbered_by: Callable[[], Any] = _nothing
        self._used = False
        self._sock: Callable[[], Any] = _nothing  # that the number is for
        self._payload: bytes | None = None
        self._streamed: list[bytes] | None = None
        self._held = 0  # bytes of it
        self._chunked = False
        self._head_sent = True
        self.connecting = False
        self.tap: ExchangeTap | None = None
        self.guard = Guard(None)
        self.response_class: Callable[..., Any] | None = None

    def put(self, pool: Any, connection: Any) -> bool:
        """Return False: the connection is the pool's."""
        return False

    def connected(self, recording: Recording, sock: Any, *, used: bool) -> None:
        """Take note of a socket that has no number yet with that recording."""
        self._number, self._used, self._sock = recording.next_connection(), used, _weakly(sock)
        self._numbered_by = weakref.ref(recording)

    def connect_failed(self, error: BaseException, *, proxy: bool) -> None:
        """Record that no connection could be made.

        :param proxy: it was the one to the proxy.
        """
        tap, sending = self.tap, sending_now()
        if (tap is None or tap.ended or tap.started) and sending is not None:
            tap = sending.recording.open_tap()
            if tap is not None:
                tell_prepared(tap, sending.request, {"unsent": True})
        if tap is not None:
            below = cause_of(error)
            facts = {"proxy": True} if proxy else {}
            tap.request_failed(kind_of(below), "connect", describe(below), **facts)

    def begin(self, body: Any) -> bool:
        """Begin an exchange; return whether it is recorded."""
        self.tap, sending = None, sending_now()
        if sending is None:
            return False
        with sending.recording.guard:
            self.tap = sending.recording.open_tap()
        if self.tap is None:
            return False
        self.guard = Guard(self.tap)
        self._payload = known_payload(body)
        self._streamed = None if self._payload is not None else []
        self._head_sent = False
        return True

    def all_sent(self) -> None:
        """Record what was held back of the payload: the request is sent, or has failed."""
        self._head_sent = True
        self._payload = None
        with self.guard:
            self._flush_streamed()
        self._streamed = None

    def sending(self, data: Any, sock: Any) -> None:
        """Record what is about to be sent."""
        if not self._head_sent:
            self._head_sent = True
            self._tell_request(bytes(data), sock)
        elif self._streamed is not None:
            self._tell_payload(bytes(data))

    def answering(self) -> ExchangeTap | None:
        """Return the tap for the response, and keep nothing of the exchange."""
        tap, self.tap = self.tap, None
        self._used = True
        return tap

    def _tell_request(self, head: bytes, sock: Any) -> None:
        sending = sending_now()
        if self.tap is None or sending is None:
            return
        extra: dict[str, Any] = {"client": CLIENT}
        if sock is not None:
            recording = sending.recording
            if self._sock() is not sock:  # connected before the adapter was mounted
                self.connected(recording, sock, used=True)
            elif self._numbered_by() is not recording:  # another recorder's number
                self.connected(recording, sock, used=self._used)
            extra.update(connection=self._number, reused=self._used)
        if self._streamed is not None:
            extra["streamed"] = True
            self._chunked = b"\r\ntransfer-encoding: chunked\r\n" in head.lower()
        request = sending.request
        self.tap.request_sent(request.method or "GET", request.url or "", head, self._payload or b"", extra)

    def _tell_payload(self, data: bytes) -> None:
        if self._streamed is None or self.tap is None:
            return
        if self._chunked:
            data = data[data.find(b"\r\n") + 2 : -2]  # one send is one frame
        if data:
            self._streamed.append(data)
            self._held += len(data)
        if self._held >= _PIECE and not self.tap.reads_payloads:
            self._flush_streamed()

    def _flush_streamed(self) -> None:
        if self._streamed and self.tap is not None:
            self.tap.request_body_sent(b"".join(self._streamed))
            self._streamed.clear()
        self._held = 0


def _nothing() -> None:
    """Return None, as a weak reference does whose object has gone."""


def _weakly(sock: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(sock)
    except TypeError:  # none of ours, nor of the standard library's
        return lambda: sock


class RecordingConnection(View):
    """The mixin of a recording connection: tells the request, and gives the response a tap."""

    __slots__ = ()
    recorder_state: ConnectionState
    has_connected_to_proxy: bool

    def connect(self) -> None:
        """Connect; a failure is recorded even when nothing was sent."""
        state = self.recorder_state
        state.connecting = True
        try:
            super().connect()  # type: ignore[misc]
        except BaseException as error:
            if (sending := sending_now()) is not None:
                with sending.recording.guard:
                    proxied = getattr(self, "proxy", None) is not None
                    state.connect_failed(error, proxy=proxied and not self.has_connected_to_proxy)
            raise
        finally:
            state.connecting = False
        if (sending := sending_now()) is not None:
            state.connected(sending.recording, self.recorder_plain.sock, used=False)

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        """Send a request; it is recorded before its first byte leaves."""
        state = self.recorder_state
        if not state.begin(body):
            super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]
            return
        try:
            super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            if (sending := sending_now()) is not None:
                sending.failure = error
            raise
        finally:
            state.all_sent()

    def send(self, data: Any) -> None:
        """Send bytes; the first ones of a request are its head."""
        state = self.recorder_state
        if state.tap is not None and not state.connecting:
            with state.guard:
                state.sending(data, getattr(self, "sock", None))
        super().send(data)  # type: ignore[misc]

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        """Return the response; it is told to the tap while it is read."""
        tap = self.recorder_state.answering()
        if tap is None:
            return super().getresponse(*args, **kwargs)  # type: ignore[misc]
        below, made = self.recorder_plain.response_class, None

        def response_class(sock: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal made
            made = recording_response(below, tap, sock, *args, **kwargs)
            return made

        state = self.recorder_state
        state.response_class = response_class
        sending = sending_now()
        try:
            response = super().getresponse(*args, **kwargs)  # type: ignore[misc]
            if sending is not None and made is not None:  # else the user's connection has its answers from elsewhere
                sending.given.append((response, tap.id))
            return response
        finally:
            state.response_class = None
            if isinstance(made, HTTPResponse) and sending is not None:
                sending.response = made
                made.kept_alive = sending.recording  # by whoever still reads it, whatever else is let go of

    @property
    def response_class(self) -> Any:
        """What responses are made of: the connection's own, but for the time of :meth:`getresponse`."""
        return self.recorder_state.response_class or self.recorder_plain.response_class

    @response_class.setter
    def response_class(self, made: Any) -> None:
        """Have the connection make its responses of something else."""
        self.recorder_plain.response_class = made


def speaks_http2(connection: type[Any]) -> bool:
    """Whether a connection class is that of urllib3's HTTP/2: it has no socket file to stand at."""
    return any(each.__module__.startswith("urllib3.http2") for each in connection.__mro__)


class Http2RecordingConnection(View):
    """The mixin of a recording HTTP/2 connection: a fall-back above the protocol.

    There are no header bytes, frames or reads to record: the heads are rendered in the form of HTTP/1.1,
    the body comes in one piece, and the recording says so (``"fallback"`` in ``request_sent``). urllib3
    reads an HTTP/2 answer whole before it returns it, so the consumer loses nothing by that.
    """

    __slots__ = ()
    recorder_state: ConnectionState

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        """Send a request; it is recorded, as it was prepared, before its first byte leaves."""
        state, sending = self.recorder_state, sending_now()
        state.begin(body)
        if state.tap is not None and sending is not None:
            with state.guard:
                tell_prepared(state.tap, sending.request, {"fallback": HTTP2_NOTE})
        super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        """Return the response; it is recorded before."""
        tap = self.recorder_state.answering()
        try:
            response = super().getresponse(*args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            if tap is not None:
                with Guard(tap):
                    below = cause_of(error)
                    tap.request_failed(kind_of(below), "head", describe(below))
            raise
        if tap is not None:
            if (sending := sending_now()) is not None:
                sending.given.append((response, tap.id))
            with Guard(tap):
                lines = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
                head = f"HTTP/1.1 {response.status} {response.reason or ''}\r\n{lines}\r\n".encode("latin-1", "replace")
                tap.response_started(head, response.status, "close", None, ends_read=True)
                if response.data:
                    tap.received(response.data)
                tap.end_of_input()
        return response


_STATES: Final = Identities[ConnectionState]()
