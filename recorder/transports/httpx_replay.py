"""Replay for httpx and httpx2, sync and async: a transport that answers from recordings.

The recorded reads are fed to the library's own pool of connections (``httpcore.ConnectionPool``), through the network
backend that it can be given: boundaries, exceptions and their messages come out as they did.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, Final

import anyio
import h11

from recorder.core.tape import Tape
from recorder.errors import RecordingEnded
from recorder.replay.answers import is_broken_off
from recorder.replay.pace import TIMED_OUT, Pace
from recorder.transports.failures import TLS_TIMED_OUT, as_asyncio_says, revive
from recorder.transports.http_library_replay import LibraryReplay
from recorder.transports.httpx_modules import core_of, like_core, made_of, module_in_use, module_of, raised_again
from recorder.transports.reel import SAID_ABOVE, Reel

_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which nobody asks: it saves loading certificates


class HttpxReplay(LibraryReplay):
    """Makes replaying transports."""

    def transport(self, like: object | None) -> Any:
        """Return a transport, sync and async, for clients of the module that *like* comes from.

        :raises ConfigurationError: that is neither httpx nor httpx2, or it is not said which.
        """
        module = module_in_use() if like is None else module_of(like)
        return _transport_class(module)(self, module)

    def tape(self, request: Any, payload: bytes) -> tuple[Tape, Pace]:
        """Return the recorded answer to a request, and the pace at which it comes.

        :raises NoMatchingExchange: there is none.
        """
        while True:
            tape = self.recorded(request.method, str(request.url), payload, lambda: request.headers.raw).tape
            if not is_broken_off(tape):
                return tape, self.pace.start()

    def known_tape(self, request: Any, payload: bytes) -> tuple[Tape, Pace] | None:
        """Return what :meth:`tape` does; None, and no miss, where no recorded answer is left."""
        while (
            answer := self.known(request.method, str(request.url), payload, lambda: request.headers.raw)
        ) is not None:
            if not is_broken_off(answer.tape):
                return answer.tape, self.pace.start()
        return None


@cache
def _transport_class(module: ModuleType) -> Any:
    bases = (_Transport, module.BaseTransport, module.AsyncBaseTransport)
    return type("ReplayingTransport", bases, {"__module__": __name__})


class _Transport:
    """What a replaying transport does, of whichever module it is."""

    def __init__(self, replay: HttpxReplay, module: ModuleType) -> None:
        self._replay = replay
        self._module = module
        self._core = core_of(module)

    def handle_request(self, request: Any) -> Any:
        """Return the recorded answer to a request.

        :raises NoMatchingExchange: there is none.
        """
        return self.play(request, *self._replay.tape(request, request.read()))

    def play(self, request: Any, tape: Tape, pace: Pace) -> Any:
        """Return a recorded answer to a request."""
        backend = _backend_class(self._core.NetworkBackend)(self._core, tape, pace, self._replay.note_ended)
        pool = self._core.ConnectionPool(network_backend=backend, ssl_context=_NO_TLS)
        with _as_the_library_says(self._module):
            answer = pool.handle_request(self._asked(request))
        return self._response(answer, self._module.SyncByteStream)

    async def handle_async_request(self, request: Any) -> Any:
        """Return the recorded answer to a request.

        :raises NoMatchingExchange: there is none.
        """
        return await self.play_async(request, *self._replay.tape(request, await request.aread()))

    async def play_async(self, request: Any, tape: Tape, pace: Pace) -> Any:
        """Return a recorded answer to a request."""
        backend = _backend_class(self._core.AsyncNetworkBackend)(self._core, tape, pace, self._replay.note_ended)
        pool = self._core.AsyncConnectionPool(network_backend=backend, ssl_context=_NO_TLS)
        with _as_the_library_says(self._module):
            answer = await pool.handle_async_request(self._asked(request))
        return self._response(answer, self._module.AsyncByteStream)

    def _asked(self, request: Any) -> Any:
        url, core = request.url, self._core
        target = core.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers, stream = request.headers.raw, request.stream
        return core.Request(request.method, target, headers=headers, content=stream, extensions=request.extensions)

    def _response(self, answer: Any, kind: type) -> Any:
        stream = _body_class(kind)(self._module, answer.stream)
        return self._module.Response(answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions)


@contextmanager
def _as_the_library_says(module: ModuleType) -> Iterator[None]:
    """Raise what *module* raises where its library of connections does."""
    try:
        yield
    except Exception as error:
        kind = like_core(module, error)
        if kind is None:
            raise
        raise kind(str(error)) from error


@cache
def _body_class(kind: type) -> Any:
    return type("ReplayedStream", (_Body, kind), {"__module__": __name__})


class _Body:
    """The body of a replayed response."""

    def __init__(self, module: ModuleType, below: Any) -> None:
        self._module = module
        self._below = below

    def __iter__(self) -> Iterator[bytes]:
        with _as_the_library_says(self._module):
            yield from self._below

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_the_library_says(self._module):
            async for data in self._below:
                yield data

    def close(self) -> None:
        """Close the recording's connection."""
        self._below.close()

    async def aclose(self) -> None:
        """Close the recording's connection."""
        await self._below.aclose()


@cache
def _backend_class(kind: type) -> Any:
    behaviour = _AsyncBackend if kind.__name__.startswith("Async") else _SyncBackend
    return type("RecordedBackend", (behaviour, kind), {"__module__": __name__})


class _Backend:
    """Stands where the network stands, for ``httpcore``: one connection, which was made or failed once."""

    def __init__(self, core: ModuleType, tape: Tape, pace: Pace, note: Callable[[RecordingEnded], None]) -> None:
        self._core = core
        self._tape = tape
        self._pace = pace
        self._note = note

    def _failure(self, host: str, port: int) -> Exception | None:
        """Return what connecting to an address failed with; None where it did not."""
        tape, core = self._tape, self._core
        if tape.end != "request_failed" or tape.facts.get("phase") != "connect":
            return None
        error = tape.facts["error"]
        if error["type"] == error.get("raised", {}).get("type"):  # what it came from is not known
            return raised_again(core, error)
        name = "ConnectTimeout" if tape.facts.get("kind") == "timeout" else "ConnectError"
        kind = getattr(core, "ProxyError" if tape.facts.get("proxy") else name)
        return made_of(core, error, self._seen(revive(error), host, port), kind)

    def _seen(self, error: BaseException, host: str, port: int) -> BaseException:
        """Return what the library of connections gets to see of it."""
        return error


class _SyncBackend(_Backend):
    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return a stream over the recording, or fail as it did."""
        if (failure := self._failure(host, port)) is not None:
            try:
                self._pace.wait(self._tape.failed_after(timeout), timeout)
            except TimeoutError as late:
                raise self._core.ConnectTimeout(late) from late
            raise failure
        return _stream_class(self._core.NetworkStream)(self._core, self._tape, self._pace, self._note)


class _AsyncBackend(_Backend):
    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return a stream over the recording, or fail as it did."""
        if (failure := self._failure(host, port)) is not None:
            try:
                await self._pace.rest(self._tape.failed_after(timeout), anyio.sleep, timeout)
            except TimeoutError as late:
                raise self._core.ConnectTimeout(late) from late
            raise failure
        return _stream_class(self._core.AsyncNetworkStream)(self._core, self._tape, self._pace, self._note)

    def _seen(self, error: BaseException, host: str, port: int) -> BaseException:
        """Return what anyio makes of it, who tries every address of a name."""
        refused = as_asyncio_says(error, host, port)
        if not isinstance(refused, ConnectionRefusedError):
            return error
        failed = OSError("All connection attempts failed")
        failed.__cause__ = refused
        return failed


@cache
def _stream_class(kind: type) -> Any:
    behaviour = _AsyncStream if kind.__name__.startswith("Async") else _SyncStream
    return type("RecordedStream", (behaviour, kind), {"__module__": __name__})


class _Stream:
    """Stands where a connected stream stands, for ``httpcore``."""

    def __init__(self, core: ModuleType, tape: Tape, pace: Pace, note: Callable[[RecordingEnded], None]) -> None:
        self._core = core
        self._tape = tape
        self._reel = Reel(tape, note)
        self._pace = pace
        self._timed_out = TIMED_OUT

    def get_extra_info(self, info: str) -> Any:
        """Return None: there is no socket."""
        return None

    def _taken(self, size: int) -> bytes:
        """Return what a read returned."""
        core, error = self._core, self._tape.facts.get("error", {})
        below: Exception
        try:
            data = self._reel.take(size)
        except OSError as failure:
            below = self._seen(failure)
            kind = core.ReadTimeout if isinstance(failure, TimeoutError) else core.ReadError
        else:
            said = raised_again(core, error) if self._tape.facts.get("kind") in SAID_ABOVE else None
            if data or said is None:
                return data
            if self._tape.facts["kind"] == "disconnected":  # which it says of nothing
                raise said
            # What was wrong with the protocol was seen above the wire: the bytes are not in the recording.
            below, kind = h11.RemoteProtocolError(str(said)), core.RemoteProtocolError
        raise made_of(core, error, below, kind)

    def _seen(self, error: OSError) -> Exception:
        """Return what the library of connections gets to see of a failed read."""
        return error


class _SyncStream(_Stream):
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what the next read returned."""
        if (due := self._reel.due_ns) is not None:
            try:
                self._pace.wait(due, timeout, self._timed_out)
            except TimeoutError as late:
                raise self._core.ReadTimeout(late) from late
            except RecordingEnded as ended:
                self._reel.note(ended)
                raise
        return self._taken(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Take what a request sends."""

    def close(self) -> None:
        """Close; there is nothing to give back."""

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        """Return the stream: what it returns was recorded above TLS."""
        self._timed_out = TLS_TIMED_OUT
        return self


class _AsyncStream(_Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what the next read returned."""
        if (due := self._reel.due_ns) is not None:
            try:
                await self._pace.rest(due, anyio.sleep, timeout)
            except TimeoutError as late:
                raise self._core.ReadTimeout(late) from late
            except RecordingEnded as ended:
                self._reel.note(ended)
                raise
        if self._reel.left_here:
            await self._pace.linger(anyio.sleep)
        return self._taken(max_bytes)

    def _seen(self, error: OSError) -> Exception:
        """Return what anyio makes of it: what the operating system said is only its cause."""
        if isinstance(error, TimeoutError):
            return error
        broken = anyio.BrokenResourceError()
        broken.__cause__ = error
        return broken

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Take what a request sends."""

    async def aclose(self) -> None:
        """Close; there is nothing to give back."""

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        """Return the stream: what it returns was recorded above TLS."""
        return self
