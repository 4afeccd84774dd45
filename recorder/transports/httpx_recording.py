"""Recording for httpx and httpx2, sync and async: a transport around the user's own.

It stands above the HTTP protocol, at the one seam that both libraries document. So heads are recorded as the library
shows them, not as bytes of the wire; trailers and interim answers do not show; and where frames of the
``chunked`` coding came in several reads, each read is recorded as a frame.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from recorder.errors import ConfigurationError
from recorder.recording.tap import Call, ExchangeTap
from recorder.transports.guard import Guard
from recorder.transports.http_library_recording import LibraryRecording
from recorder.transports.httpx_exchange import HttpxExchange
from recorder.transports.httpx_modules import module_of
from recorder.transports.httpx_streams import joined

_log = logging.getLogger("recorder")

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHALLENGES: Final = frozenset({401, 407})


@dataclass(frozen=True, slots=True)
class _Sent:
    """What was sent last in a context, as far as it tells whether the next request goes on with it."""

    recording: HttpxRecording
    status: int
    timeout: object  # the object that a client makes for a call, and hands on to each of its requests
    headers: list[tuple[bytes, bytes]]
    call: Call


_LAST: ContextVar[_Sent | None] = ContextVar("recorder_httpx_sent", default=None)


class HttpxRecording(LibraryRecording):
    """Makes recording transports."""

    def transport(self, wrapped: Any) -> Any:
        """Return a transport that records what *wrapped* sends; sync, async or both, as that is.

        :raises ConfigurationError: it is no transport of httpx or httpx2.
        """
        module = module_of(wrapped)
        if isinstance(wrapped, _Transport):
            if wrapped.recording is not self and wrapped.recording.is_open:
                _log.warning("recorder: a transport that another recorder recorded is recorded by this one from now on")
            wrapped = wrapped.wrapped
        bases = tuple(kind for kind in (module.BaseTransport, module.AsyncBaseTransport) if isinstance(wrapped, kind))
        if not bases:
            raise ConfigurationError(
                f"{wrapped!r} is no transport: give one, as in httpx_transport({module.__name__}.HTTPTransport())"
            )
        return joined("RecordingTransport", _Transport, bases)(self, module, wrapped)

    def begin(self, module: ModuleType, request: Any) -> HttpxExchange | None:
        """Record a request; return its exchange, None where nothing is recorded.

        :raises RecordingError: what cannot be recorded must not happen.
        """
        path = self._path()
        if path is None:
            self._ids[request] = None
            return None
        with self.guard:
            call = self._call_of(request)
            exchange = HttpxExchange(module, request, call, ExchangeTap(path, call))
            self._ids[request] = exchange.tap.id
            with Guard(exchange.tap):
                exchange.tell_request()
            return exchange
        return None

    def _call_of(self, request: Any) -> Call:
        """A redirect or an auth round goes on with the call that it follows from, in the same thread or task.

        A client makes the timeouts of a call once; requests that the user makes have each their own. A request that
        the user sends again answers no challenge, unless its headers are others.
        """
        last, timeout = _LAST.get(), request.extensions.get("timeout")
        if (
            last is not None
            and last.recording is self
            and timeout is not None
            and last.timeout is timeout
            and last.call.conversation == self._conversation()
            and (last.status in _REDIRECTS or (last.status in _CHALLENGES and last.headers != request.headers.raw))
        ):
            return last.call
        return self._new_call()

    def given(self, exchange: HttpxExchange, response: Any) -> None:
        """Record a response, and have its body recorded while it is read.

        :raises RecordingError: what cannot be recorded must not happen.
        """
        with exchange.guard:
            if not exchange.answers(response):
                return
            self._ids[response] = exchange.tap.id
            request = exchange.request
            timeout, headers = request.extensions.get("timeout"), list(request.headers.raw)
            _LAST.set(_Sent(self, response.status_code, timeout, headers, exchange.call))
            exchange.answered(response)


class _Transport:
    """What a recording transport does, of whichever module and kind it is.

    :ivar recording: whom it records for.
    :ivar wrapped: the user's transport.
    """

    def __init__(self, recording: HttpxRecording, module: ModuleType, wrapped: Any) -> None:
        self.recording = recording
        self._module = module
        self.wrapped = wrapped

    def handle_request(self, request: Any) -> Any:
        """Send a request; it is recorded before."""
        exchange = self.recording.begin(self._module, request)
        if exchange is None:
            return self.wrapped.handle_request(request)
        exchange.watch_payload()
        try:
            response = self.wrapped.handle_request(request)
        except BaseException as error:
            exchange.not_answered(error)
            raise
        try:
            self.recording.given(exchange, response)
        except BaseException:
            response.close()  # nobody gets it
            raise
        return response

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request; it is recorded before."""
        exchange = self.recording.begin(self._module, request)
        if exchange is None:
            return await self.wrapped.handle_async_request(request)
        exchange.watch_payload()
        try:
            response = await self.wrapped.handle_async_request(request)
        except BaseException as error:
            exchange.not_answered(error)
            raise
        try:
            self.recording.given(exchange, response)
        except BaseException:
            await response.aclose()  # nobody gets it
            raise
        return response

    def close(self) -> None:
        """Close the transport below."""
        self.wrapped.close()

    async def aclose(self) -> None:
        """Close the transport below."""
        await self.wrapped.aclose()

    def __enter__(self) -> Any:
        self.wrapped.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.wrapped.__exit__(*exc_info)

    async def __aenter__(self) -> Any:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.wrapped.__aexit__(*exc_info)
