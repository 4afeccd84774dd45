"""Replay for aiohttp: a connector whose connections answer from recordings.

aiohttp's own protocol reads the recorded reads, and its own parser, timers and exceptions do the rest. It sits on a
transport that writes to nobody. What is fed is ahead of what the program reads, so where the recording ends without
an end, nothing is said before somebody waits for more: a program that stops there too is none that reads on.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from http.client import HTTPException
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

from recorder.core.tape import Tape
from recorder.errors import RecorderError, RecordingEnded
from recorder.replay.answers import is_broken_off
from recorder.replay.pace import Pace
from recorder.transports.aiohttp_wire import Written, known_payload, require
from recorder.transports.failures import as_asyncio_says, revive
from recorder.transports.http_library_replay import LibraryReplay
from recorder.transports.reel import Reel

_READ = 256 * 1024  # what asyncio reads at once, at most
_AT_ONCE = 1e-9  # seconds


class ReplayingConnector(aiohttp.BaseConnector):
    """Makes connections to the recording; each serves one request.

    :raises ConfigurationError: this aiohttp is too old.
    """

    def __init__(self, replay: LibraryReplay) -> None:
        require(aiohttp.__version__)
        super().__init__(force_close=True, limit=0)
        self._replay = replay

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        """Return a connection, or fail as the recorded one failed: the one method that every connector has to have.

        :raises NoMatchingExchange: there is no recorded answer.
        """
        payload = await known_payload(req)
        asked = req.method, str(req.url)
        if payload is None:
            answer = self._replay.refused(*asked, req.headers.items)
        else:
            answer = self._replay.recorded(*asked, payload, req.headers.items)
            while is_broken_off(answer.tape):
                answer = self._replay.recorded(*asked, payload, req.headers.items)
        tape = answer.tape if answer is not None else None
        if tape is not None and tape.end == "request_failed" and tape.facts.get("phase") == "connect":
            patience = timeout.sock_connect or timeout.connect
            await self._replay.pace.start().rest(tape.failed_after(patience), asyncio.sleep, patience)
            error, below = _not_connected(req, tape)
            raise error from below
        protocol = _RecordedProtocol(asyncio.get_running_loop())
        protocol.connection_made(_RecordedTransport(self._replay, protocol, req, tape))
        return protocol


def _not_connected(req: Any, tape: Tape) -> tuple[BaseException, BaseException | None]:
    """Return what aiohttp makes of a connection that cannot be made, and what it makes that of."""
    key = req.connection_key
    below = as_asyncio_says(revive(tape.facts["error"]), key.host, key.port)
    if not isinstance(below, OSError):
        return below, None
    if isinstance(below, TimeoutError) and below.errno is None:
        return TimeoutError(), None
    if isinstance(below, ssl.SSLCertVerificationError):
        return aiohttp.ClientConnectorCertificateError(key, below), below
    if isinstance(below, ssl.SSLError):
        return aiohttp.ClientConnectorSSLError(key, below), below
    if tape.facts.get("proxy"):
        return aiohttp.ClientProxyConnectionError(key, below), below
    kind = aiohttp.ClientConnectorDNSError if isinstance(below, socket.gaierror) else aiohttp.ClientConnectorError
    return kind(key, below), below


class _RecordedProtocol(ResponseHandler):
    """aiohttp's protocol, which knows whether somebody waits for more than has come.

    :ivar wanted: is set where somebody has waited since it was cleared.
    :ivar body: of the answer whose head was taken; None before.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.wanted = asyncio.Event()
        self.body: StreamReader | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection: a body asks before it waits, and only then."""
        self.wanted.set()
        return super().connected

    async def read(self) -> tuple[RawResponseMessage, StreamReader]:
        """Return the next head, and its body."""
        self.wanted.set()
        message, self.body = await super().read()
        return message, self.body

    def end_unknown(self, ended: RecordingEnded) -> None:
        """Have whoever waits, or reads later, told where the recording ends."""
        if self.body is not None and not self.body.is_eof():
            error = aiohttp.ClientPayloadError(f"Response payload is not completed: {ended!r}")
            error.__cause__ = ended
            self.body.set_exception(error)


class _RecordedTransport(asyncio.Transport):
    """Stands where a connected transport stands, for aiohttp's protocol."""

    def __init__(self, replay: LibraryReplay, protocol: _RecordedProtocol, request: Any, tape: Tape | None) -> None:
        super().__init__()
        self._replay = replay
        self._protocol = protocol
        self._request = request
        self._tape = tape
        self._written = Written()
        self._payload = bytearray()
        self._playing: asyncio.Task[None] | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._closing = False

    def write(self, data: Any) -> None:
        """Take what a request sends; the answer begins when it is whole."""
        if self._playing is not None or self._closing:
            return
        self._payload += self._written.feed(bytes(data))
        if self._written.whole:
            self._playing = asyncio.get_running_loop().create_task(self._answer())

    def writelines(self, list_of_data: Any) -> None:
        """Take what a request sends."""
        self.write(b"".join(list_of_data))

    async def _answer(self) -> None:
        try:
            if self._tape is None:
                asked, payload = self._request, bytes(self._payload)
                self._tape = self._replay.recorded(asked.method, str(asked.url), payload, asked.headers.items).tape
            await self._play(Reel(self._tape), self._replay.pace.start())
        except TimeoutError as error:
            if error.errno is None:
                self._time_out()
            else:  # the operating system's
                self._end(error)
        except RecordingEnded as ended:
            await self._end_unknown(ended)
        except (OSError, EOFError, HTTPException, RecorderError) as error:
            self._end(error)  # what reading failed with, or why it is not known

    async def _play(self, reel: Reel, pace: Pace) -> None:
        """Feed what each read returned, in a turn of the loop of its own, when it is due."""
        while True:
            if (due := reel.due_ns) is not None:
                await pace.rest(due, asyncio.sleep, self._protocol.read_timeout)
            if reel.left_here:
                await pace.linger(asyncio.sleep)
            await self._going.wait()
            if self.is_closing():
                return
            data = reel.take(_READ)
            if not data:
                self._protocol.eof_received()
                self._end(None)
                return
            self._protocol.wanted.clear()
            self._protocol.data_received(data)
            await asyncio.sleep(0)  # who waits for it takes it before the next one comes

    def _time_out(self) -> None:
        """Have aiohttp say that nothing came for too long: with its own timer, which is due now."""
        self._protocol.read_timeout = _AT_ONCE
        self._protocol.start_timeout()

    async def _end_unknown(self, ended: RecordingEnded) -> None:
        """End where the recording does, once somebody waits for what it has not."""
        self._protocol.eof_received()  # no timer of aiohttp's runs meanwhile
        await self._protocol.wanted.wait()
        if not self._closing:
            self._replay.note_ended(ended)
            self._protocol.end_unknown(ended)
            self._end(ended)

    def _end(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def close(self) -> None:
        """Close; the recording is not read any further."""
        if not self._closing:
            self._closing = True
            self._going.set()
            self._protocol.wanted.set()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Close."""
        self.close()

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._closing

    def pause_reading(self) -> None:
        """Feed nothing for the time being."""
        self._going.clear()

    def resume_reading(self) -> None:
        """Go on."""
        self._going.set()

    def is_reading(self) -> bool:
        """Whether anything is fed."""
        return self._going.is_set() and not self._closing
