"""The tap at the socket file: below http.client, above the socket.

``http.client.HTTPResponse`` reads from ``BufferedReader(SocketIO)``. Here a :class:`Tee` stands
between the two. Whatever sits above (urllib3, requests, code that reads ``raw._fp.fp``) runs
unchanged, and every byte that it can see was recorded before it could see it.
"""

from __future__ import annotations

import http.client
import io
import socket
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any, Final, Protocol

from recorder.core.deframing import head_end
from recorder.core.events import ErrorFacts
from recorder.errors import RecordingError
from recorder.transports.failures import NETWORK_ERRORS, cause_of, describe, kind_of
from recorder.transports.guard import NO_END, Guard

_WITHOUT_BODY: Final = frozenset({204, 304})


class Tap(Protocol):
    """What the socket file tells, as :class:`recorder.recording.tap.ExchangeTap` describes it."""

    ended: bool

    @property
    def must_record(self) -> bool:
        """Whether what is not recorded must not happen."""
        ...

    def give_up(self, reason: str) -> None:
        """Record nothing more but that the rest is missing."""
        ...

    def response_started(self, head: bytes, status: int, framing: str, length: int | None, *, ends_read: bool) -> None:
        """Take the head."""
        ...

    def received(self, data: bytes) -> None:
        """Take one read of the body's wire."""
        ...

    def end_of_input(self) -> None:
        """Take note that the peer closed."""
        ...

    def failed(self, kind: str, error: ErrorFacts | None) -> None:
        """Take note that reading the body failed."""
        ...

    def head_failed(self, kind: str, error: ErrorFacts, received: bytes) -> None:
        """Take note that there is no head."""
        ...

    def closed(self, unread: int, *, abandoned: bool) -> None:
        """Take note that the consumer left."""
        ...

    def file_closed(self) -> None:
        """Take note that the socket's file was closed, by whomever."""
        ...


class Tee(io.RawIOBase):
    """Reads from the socket and tells the tap before it hands anything on.

    There is deliberately no ``__getattr__``: BufferedReader probes attributes on every call.
    """

    def __init__(self, raw: Any, tap: Tap) -> None:
        self._raw = raw
        self._tap = tap
        self.guard = Guard(tap)
        self._head: bytearray | None = bytearray()
        self._ended = False  # the connection ended inside the head, and http.client made do with it
        self.total = 0
        self._measuring = False

    @property
    def name(self) -> Any:
        """The descriptor's number, as SocketIO has it."""
        return self._raw.name

    @property
    def mode(self) -> str:
        """``rb``, as SocketIO has it."""
        return str(self._raw.mode)

    @property
    def _sock(self) -> Any:
        return self._raw._sock  # some programs reach for it to change the timeout

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return int(self._raw.fileno())

    def readable(self) -> bool:
        """Return True."""
        return bool(self._raw.readable())

    def readinto(self, buffer: Any) -> int | None:
        """Read once from the socket; what came is recorded when this returns."""
        try:
            size: int | None = self._raw.readinto(buffer)
        except NETWORK_ERRORS as error:  # else the program's own: who closes, tells
            if self._head is None:
                with self.guard:
                    self._tap.failed(kind_of(error), describe(cause_of(error)))
            raise
        if size is not None:
            with self.guard:
                self.total += size
                if self._head is not None:
                    self._head += buffer[:size]
                    self._ended = not size
                elif size:
                    self._tap.received(bytes(buffer[:size]))
                else:
                    self._tap.end_of_input()
        return size

    def head_done(self, status: int, framing: str, length: int | None) -> None:
        """Tell the head, and the part of the body that came with it."""
        data, self._head = bytes(self._head or b""), None
        end = head_end(data)
        end = len(data) if end < 0 else end
        self._tap.response_started(data[:end], status, framing, length, ends_read=end == len(data))
        if end < len(data):
            self._tap.received(data[end:])
        if self._ended:
            self._tap.end_of_input()

    def head_failed(self, error: BaseException) -> None:
        """Tell that http.client could not make a head of what came."""
        received, self._head = bytes(self._head or b""), None
        self._tap.head_failed(kind_of(error), describe(cause_of(error)), received)

    def tell(self) -> int:
        """Return the number of bytes read, only while :meth:`unread` asks (SocketIO cannot tell)."""
        if self._measuring:
            return self.total
        raise io.UnsupportedOperation("not seekable")

    def unread(self, reader: io.BufferedReader) -> int:
        """Return how many bytes *reader* holds that nobody took."""
        self._measuring = True
        try:
            return self.total - reader.tell()
        finally:
            self._measuring = False

    __del__ = NO_END  # see :class:`BufferedReader`

    def close(self) -> None:
        """Close the socket file below; http.client does so by itself when it finds the framing malformed."""
        if not self.closed:
            try:
                with self.guard:
                    self._tap.file_closed()
            finally:
                super().close()
                self._raw.close()


class BufferedReader(io.BufferedReader):
    """``io.BufferedReader`` that is closed by its response, or by whoever calls ``close``, and not by its own end.

    The garbage collector ends what it finds in a cycle in an order of its own: a reader that was closed
    before its response would no longer know how much of what had arrived was taken.
    """

    __del__ = NO_END  # the socket's file below ends by itself


BufferedReader.__module__ = io.BufferedReader.__module__


class HTTPResponse(http.client.HTTPResponse):
    """``http.client.HTTPResponse`` over a :class:`Tee`.

    :param tap: the exchange that this is the response of.
    """

    def __init__(self, sock: socket.socket, *args: Any, tap: Tap, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._tap = tap
        self._asked = kwargs.get("method")
        self._tee: Tee | None = None
        if type(self.fp) is io.BufferedReader:  # else the user's class has put something of its own there
            self._tee = Tee(self.fp.detach(), tap)
            self.fp = BufferedReader(self._tee)
        else:
            tap.give_up("the connection's responses read from a file of their own")
        self.kept_alive: object = None
        #: the response that the user got, once there is one: when it is gone, nobody closed it
        self.consumer: weakref.ref[Any] | None = None

    def begin(self) -> None:
        """Read the head, and tell it."""
        if self.status != http.client._UNKNOWN:  # type: ignore[attr-defined]
            return
        tee = self._tee
        if tee is None:
            super().begin()
            return
        try:
            super().begin()
        except BaseException as error:
            with tee.guard:
                tee.head_failed(error)
            raise
        with tee.guard:
            tee.head_done(self.status, *self._framing())

    def _framing(self) -> tuple[str, int | None]:
        """How the body is framed, by the rules of http.client and of urllib3, which also reads this file."""
        codings = (self.headers.get("transfer-encoding") or "").lower().split(",")
        chunked = self.chunked or any(coding.strip() == "chunked" for coding in codings)
        if 101 < self.status < 200:
            return "interim", None  # http.client takes it for the answer and leaves the answer unread
        if self._asked == "HEAD" or (not chunked and (self.status in _WITHOUT_BODY or self.status < 200)):
            return "none", None
        if chunked:
            return "chunked", None
        return ("close", None) if self.length is None else ("length", self.length)

    def close(self) -> None:
        """Close, and tell how much had been taken if that is not everything."""
        abandoned = self.consumer is not None and self.consumer() is None
        try:
            tee = self._tee
            if tee is not None and self.fp is not None and not self.fp.closed:  # type: ignore[redundant-expr]
                with tee.guard:
                    self._tap.closed(tee.unread(self.fp), abandoned=abandoned)
        except RecordingError:
            if not abandoned:  # else the garbage collector is at work, and nobody is there to be told
                raise
        finally:
            super().close()


HTTPResponse.__module__ = http.client.HTTPResponse.__module__


def recording_response(below: Callable[..., Any], tap: Tap, sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
    """Return a response over a :class:`Tee`, of the class that the connection makes its responses of.

    :param below: that class; of what is no class, and no kind of ``http.client.HTTPResponse``, nothing is recorded,
        and the recording says so.
    """
    if isinstance(below, type) and issubclass(below, http.client.HTTPResponse):
        return _recording_class(below)(sock, *args, tap=tap, **kwargs)
    tap.give_up("the connection makes its responses by other means than a class of http.client's")
    make: Callable[..., Any] = below
    return make(sock, *args, **kwargs)


@cache
def _recording_class(below: type[http.client.HTTPResponse]) -> Any:
    if below is http.client.HTTPResponse:
        return HTTPResponse
    names = {"__module__": below.__module__, "__qualname__": below.__qualname__}
    return type(below.__name__, (HTTPResponse, below), names)
