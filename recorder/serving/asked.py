"""The requests that come over one connection, one after the other, read by h11."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import h11

MOST_HEAD: Final = 1 << 17  # bytes of a request's head
MOST_PAYLOAD: Final = 1 << 27  # bytes of a request's payload: more than any API of a model takes inline
PATIENCE: Final = 30.0  # seconds for what a client has begun to send
_READ: Final = 1 << 16
_TLS: Final = b"\x16\x03"  # how a handshake begins


class UnreadableError(Exception):
    """What came is no request that can be answered.

    :ivar status: what is answered instead.
    """

    def __init__(self, status: int, told: str) -> None:
        super().__init__(told)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came.

    :ivar target: of the request line: a path with its query, or an absolute URL.
    :ivar headers: names in lower case.
    :ivar last: the client says that it sends no other request over this connection.
    :ivar continued: it was told to go on (100) before it sent its payload.
    """

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    payload: bytes
    last: bool
    continued: bool

    def header(self, name: str) -> str | None:
        """Return the value of a header, the first of several; None where it is missing."""
        return next((value for each, value in self.headers if each == name), None)


class Requests:
    """Reads the requests of one connection.

    :param reader: what the client sends.
    :param write: tells a client that waits for it to go on (RFC 9110 §10.1.1).
    :param patience: seconds in which the head has to be there once it has begun, and then each further read.
    """

    def __init__(
        self, reader: asyncio.StreamReader, write: Callable[[bytes], None], patience: float = PATIENCE
    ) -> None:
        self._reader = reader
        self._patience = patience
        self._write = write
        self._left = b""
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        self._continued = False

    async def next(self) -> Asked | None:
        """Return the next request, whole; None where the client has closed instead.

        :raises UnreadableError: what came is none, or too large, or did not come in time.
        :raises OSError: the connection failed.
        """
        while not (data := self._left.lstrip(b"\r\n")):  # RFC 9112 §2.2
            self._left = await self._reader.read(_READ)
            if not self._left:
                return None
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        self._continued = False
        if data.startswith(_TLS):
            raise UnreadableError(400, "the client speaks TLS, the server does not: use a base URL of http://")
        self._parser.receive_data(data)
        try:
            asked = await self._whole()
        except h11.RemoteProtocolError as error:
            raise UnreadableError(error.error_status_hint, f"this is no request of HTTP/1.1 ({error})") from None
        except TimeoutError:
            raise UnreadableError(408, f"the rest of the request did not come within {self._patience:g} s") from None
        self._left = self._parser.trailing_data[0]
        return asked

    @property
    def ahead(self) -> bool:
        """Whether something of the next request is here already."""
        return bool(self._left)

    def push(self, data: bytes) -> None:
        """Take what somebody else has read of the connection after the last request."""
        self._left += data

    def reply(
        self, status: int, headers: dict[str, str], body: bytes, *, head_only: bool = False
    ) -> tuple[bytes, bool]:
        """Return an answer that was not recorded, and whether the connection stays open after it."""
        parser = self._parser
        fields = [*headers.items(), ("content-length", str(len(body)))]
        reason = HTTPStatus(status).phrase.encode("ascii")
        data = parser.send(h11.Response(status_code=status, headers=fields, reason=reason)) or b""
        if not head_only:
            data += parser.send(h11.Data(data=body)) or b""
        data += parser.send(h11.EndOfMessage()) or b""
        return data, parser.our_state is h11.DONE and parser.their_state is h11.DONE

    async def _whole(self) -> Asked:
        async with asyncio.timeout(self._patience):
            request = await self._event()
        assert isinstance(request, h11.Request)
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
        _check_size(_announced(headers))
        payload = bytearray()
        while True:
            async with asyncio.timeout(self._patience):
                event = await self._event()
            if isinstance(event, h11.EndOfMessage):
                break
            assert isinstance(event, h11.Data)
            payload += event.data
            _check_size(len(payload))
        version = request.http_version.decode("ascii")
        last = version < "1.1" or any(name == "connection" and "close" in value.lower() for name, value in headers)
        method, target = request.method.decode("ascii"), request.target.decode("ascii")
        return Asked(method, target, version, headers, bytes(payload), last, self._continued)

    async def _event(self) -> object:
        parser = self._parser
        while True:
            event = parser.next_event()
            if event is not h11.NEED_DATA:
                return event
            if parser.they_are_waiting_for_100_continue:
                self._continued = True
                self._write(parser.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            data = await self._reader.read(_READ)
            if not data:
                raise ConnectionAbortedError("the client closed in the middle of a request")
            parser.receive_data(data)


def _announced(headers: tuple[tuple[str, str], ...]) -> int:
    return next((int(value) for name, value in headers if name == "content-length"), 0)


def _check_size(size: int) -> None:
    if size > MOST_PAYLOAD:
        raise UnreadableError(413, f"the request's payload is larger than {MOST_PAYLOAD >> 20} MiB")
