"""Recording for aiohttp: a connector around the user's own, whose connections are seen from both sides.

``connect`` is what a connector is asked for, and ``set_protocol`` is what asyncio has for standing between a transport
and its protocol. So what is recorded are the bytes of the wire, above TLS and below everything of HTTP: heads, frames
and reads as they came, before any content decoding.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

import aiohttp

from recorder.errors import ConfigurationError, RecordingError
from recorder.recording.tap import Call, ExchangeTap
from recorder.recording.write_path import WritePath
from recorder.transports.aiohttp_exchange import AiohttpExchange, connect_failed
from recorder.transports.aiohttp_wire import known_payload, prepared_head, require
from recorder.transports.http_library_recording import LibraryRecording

_log = logging.getLogger("recorder")
_LAST: ContextVar[tuple[object, Call] | None] = ContextVar("recorder_aiohttp_sent", default=None)


class AiohttpRecording(LibraryRecording):
    """Makes recording connectors."""

    def __init__(
        self,
        path: Callable[[], WritePath | None],
        conversation: Callable[[], Mapping[str, str]],
        *,
        must_record: bool = False,
    ) -> None:
        super().__init__(path, conversation, must_record=must_record)
        self._tees: weakref.WeakKeyDictionary[Any, _Tee] = weakref.WeakKeyDictionary()
        self._connections = 0

    def connector(self, wrapped: object) -> RecordingConnector:
        """Return a connector that records what goes over the connections of *wrapped*.

        :raises ConfigurationError: it is no connector of aiohttp.
        """
        require(aiohttp.__version__)
        if isinstance(wrapped, RecordingConnector):
            if wrapped.recording is not self and wrapped.recording.is_open:
                _log.warning("recorder: a connector that another recorder recorded is recorded by this one from now on")
            wrapped = wrapped.wrapped
        if not isinstance(wrapped, aiohttp.BaseConnector):
            raise ConfigurationError(
                f"{wrapped!r} is no connector: give one, as in aiohttp_connector(aiohttp.TCPConnector())"
            )
        return RecordingConnector(self, wrapped)

    def watch(self, connection: Any, request: Any, call: Call) -> None:
        """Have the next request over a connection recorded, and its answer."""
        protocol = connection.protocol
        tee = self._tees.get(protocol)
        reused = tee is not None
        if tee is None:
            self._connections += 1
            transport = connection.transport
            tee = self._tees[protocol] = _Tee(protocol, transport, self._connections)
            transport.set_protocol(tee)
            protocol.connection_made(_Transport(transport, tee))
        connection.add_callback(tee.releasing)
        tee.expect(lambda: self._begin(request, call, {"connection": tee.number, "reused": reused}))

    def _begin(self, request: Any, call: Call, extra: dict[str, Any]) -> AiohttpExchange | None:
        path = self._path()
        if path is None:
            return None
        with self.guard:
            return AiohttpExchange(ExchangeTap(path, call), request.method, str(request.url), extra)
        return None

    async def not_connected(self, request: Any, call: Call, error: BaseException) -> None:
        """Record that no connection could be made, or that the program did not wait for one."""
        path = self._path()
        if path is None:
            return
        with self.guard:
            payload = await known_payload(request)
            exchange = AiohttpExchange(ExchangeTap(path, call), request.method, str(request.url), {"unsent": True})
            with exchange.guard:
                exchange.prepared(prepared_head(request), payload)
                connect_failed(exchange.tap, error)

    def call_of(self, traces: object) -> Call:
        """Return the call that a request belongs to: a client makes the list of its tracers once for a call."""
        last = _LAST.get()
        if last is not None and last[0] is traces and last[1].conversation == self._conversation():
            return last[1]
        call = self._new_call()
        _LAST.set((traces, call))
        return call


class RecordingConnector(aiohttp.BaseConnector):
    """A connector whose connections are another one's, recorded.

    :ivar recording: whom it records for.
    :ivar wrapped: the user's connector.
    """

    def __init__(self, recording: AiohttpRecording, wrapped: aiohttp.BaseConnector) -> None:
        super().__init__()
        self.recording = recording
        self.wrapped = wrapped
        self.allowed_protocol_schema_set = wrapped.allowed_protocol_schema_set

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """Return a connection of the user's connector; what goes over it is recorded."""
        recording = self.recording
        if not recording.is_open:
            return await self.wrapped.connect(req, traces, timeout)
        call: Call | None = None
        with recording.guard:
            call = recording.call_of(traces)
        try:
            connection = await self.wrapped.connect(req, traces, timeout)
        except BaseException as error:
            if call is not None:
                await recording.not_connected(req, call, error)
            raise
        if call is not None:
            with recording.guard:
                recording.watch(connection, req, call)
        return connection

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Close the user's connector."""
        await super().close()
        await self.wrapped.close(*args, **kwargs)

    @property
    def force_close(self) -> bool:
        """Whether the user's connector closes each connection after its answer."""
        return self.wrapped.force_close

    @property
    def limit(self) -> int:
        """How many connections the user's connector has at most."""
        return self.wrapped.limit

    @property
    def limit_per_host(self) -> int:
        """How many connections to one host the user's connector has at most."""
        return self.wrapped.limit_per_host


class _Tee(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol, and tells what passes.

    :ivar number: of the connection, for this recorder.
    """

    def __init__(self, inner: Any, transport: Any, number: int) -> None:
        self.number = number
        self._inner: Callable[[], Any] = weakref.ref(inner)  # which holds this one, by its transport
        self._transport: Any = transport  # None once it is broken
        self._begin: Callable[[], AiohttpExchange | None] | None = None
        self._exchange: AiohttpExchange | None = None
        self._delivering = False
        self._failure: BaseException | None = None

    def expect(self, begin: Callable[[], AiohttpExchange | None]) -> None:
        """Begin an exchange with the next bytes that are written."""
        self._begin, self._exchange, self._failure = begin, None, None

    def releasing(self) -> None:
        """Take note of what the client's protocol failed with: it forgets that when it closes the connection."""
        if (inner := self._inner()) is not None:
            self._failure = inner.exception()

    def writing(self, data: bytes) -> bool:
        """Tell what is about to be written; return whether it may be."""
        try:
            if self._begin is not None:
                begin, self._begin = self._begin, None
                self._exchange = begin()
            if self._exchange is not None:
                self._exchange.writing(data)
        except RecordingError as error:
            self._refuse(error)
        return self._transport is not None

    def _refuse(self, error: RecordingError) -> None:
        """Break the connection: what is not recorded must not happen."""
        transport, self._transport, self._exchange = self._transport, None, None
        inner, self._inner = self._inner(), _gone
        if inner is not None and transport is not None:
            inner.connection_lost(error)
            transport.abort()

    def leaving(self) -> None:
        """Tell that the client closes the connection, and why if it says so."""
        if self._exchange is not None and not self._delivering:
            self._exchange.left(self._failure)

    def data_received(self, data: bytes) -> None:
        """Tell what a read returned, before the client gets it."""
        exchange = self._exchange
        try:
            if exchange is not None:
                exchange.received(bytes(data))
        except RecordingError as error:
            self._refuse(error)
        if (inner := self._inner()) is None:
            return
        self._delivering = True
        try:
            inner.data_received(data)
        finally:
            self._delivering = False
        if exchange is not None and exchange is self._exchange and (failure := inner.exception()) is not None:
            exchange.left(failure)

    def eof_received(self) -> Any:
        """Tell that the peer closed its side."""
        if self._exchange is not None:
            self._exchange.end_of_input()
        inner = self._inner()
        return inner.eof_received() if inner is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the connection is closed, or broke."""
        if self._exchange is not None:
            self._exchange.lost(exc)
        if (inner := self._inner()) is not None:
            inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        if (inner := self._inner()) is not None:
            inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if (inner := self._inner()) is not None:
            inner.resume_writing()


def _gone() -> None:
    """Return None, as a weak reference does whose object has gone."""


class _Transport:
    """The transport that aiohttp's protocol writes to: everything is the real one's, but that it tells the tee."""

    def __init__(self, below: Any, tee: _Tee) -> None:
        self._below: Final = below
        self._tee: Final = tee

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)

    def write(self, data: Any) -> None:
        """Write; it is told before."""
        if self._tee.writing(bytes(data)):
            self._below.write(data)

    def writelines(self, pieces: Any) -> None:
        """Write; it is told before."""
        held = list(pieces)
        if self._tee.writing(b"".join(held)):
            self._below.writelines(held)

    def close(self) -> None:
        """Close; that the client does so is told before."""
        self._tee.leaving()
        self._below.close()

    def abort(self) -> None:
        """Close at once; that the client does so is told before."""
        self._tee.leaving()
        self._below.abort()
