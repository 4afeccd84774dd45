"""A tape, played to a client: read by read, at its pace, with the end that the recorded connection had.

Each recorded read is one write to a socket that does not wait for more (``TCP_NODELAY``), and the next one follows when
it is due and the client has taken the last one, where the kernel tells. What a client makes of a failure depends on how
the connection ends, so each end of a recording is the one of TCP that had caused it.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from recorder.core.tape import Read, Tape
from recorder.errors import RecordingEnded
from recorder.replay.pace import Pace
from recorder.serving.peers import Peers
from recorder.transports.failures import revive

#: How long a client that the recording has no more for may take to close by itself, in seconds.
GRACE: Final = 1.0
_LINGER: Final = 2.0  # seconds for a client to close after the server has
_POLL: Final = 0.002
_TAKING: Final = 1.0  # seconds for a client to take a read; one that is slower gets the rest without being asked
_LOOKS: Final = 50  # looks at a client's socket before there is a pause between them
_PAUSE: Final = 0.0003
_READ: Final = 1 << 16
_NO_LINGER: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_SO_NWRITE: Final = 0x1024  # of macOS: what is not sent yet
_CONTINUE: Final = b"HTTP/1.1 100 "
_HEAD_END: Final = b"\r\n\r\n"


class End(enum.Enum):
    """How a connection goes on after an answer."""

    KEPT = "kept"  # for the next request
    CLOSED = "closed"  # FIN
    RESET = "reset"  # RST
    HELD = "held"  # open and silent, until the client gives up
    UNKNOWN = "unknown"  # it was not recorded what came: RST, where the client waits for it


def end_of(tape: Tape) -> End:
    """Return how a tape ends."""
    kind = tape.facts.get("kind")
    if tape.end == "response_completed":
        return End.KEPT if tape.reusable else End.CLOSED
    if tape.end == "response_truncated":
        return End.CLOSED
    if tape.end not in ("response_failed", "request_failed"):
        return End.UNKNOWN
    if kind in ("disconnected", "malformed"):
        return End.CLOSED
    if kind == "timeout":
        return End.HELD
    try:
        revive(tape.facts["error"])
    except (KeyError, RecordingEnded):  # the recorded program broke off by itself
        return End.UNKNOWN
    return End.RESET


class LeftError(Exception):
    """The client closed before it had everything.

    :ivar sent: bytes that the connection had taken.
    """

    def __init__(self, sent: int) -> None:
        super().__init__(f"the client closed after {sent:,} bytes")
        self.sent = sent


class Channel:
    """One client's connection, for writing exact bytes and exact ends.

    :param reader: what the client sends.
    :param writer: what it gets.
    :param peers: tells what the client has not taken yet.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peers: Peers) -> None:
        self._look = partial(peers.look, writer.get_extra_info("sockname"), writer.get_extra_info("peername"))
        self._shown = True
        self._sent = 0
        self._reader = reader
        self._writer = writer
        self._socket: Any = writer.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.transport.set_write_buffer_limits(high=0)

    def write(self, data: bytes) -> None:
        """Write, at once where the kernel takes it."""
        self._writer.write(data)
        self._sent += len(data)

    async def send(self, data: bytes) -> None:
        """Write, and wait until the kernel has taken it.

        :raises OSError: the client has gone.
        """
        self.write(data)
        await self._writer.drain()

    async def play(self, reads: Sequence[Read], pace: Pace) -> None:
        """Write recorded reads, each when it is due.

        :raises LeftError: the client closed before the last one.
        """
        sent, left = 0, False
        try:
            for number, (data, elapsed_ns) in enumerate(reads):
                await pace.rest(elapsed_ns, asyncio.sleep)
                if number:
                    await self._taken()
                left = left or self._reader.at_eof()
                await self.send(data)
                sent += len(data)
        except OSError:
            raise LeftError(sent) from None
        if left and self._failed():
            raise LeftError(sent)  # it had not only finished sending: the rest was refused

    async def _taken(self) -> None:
        """Wait until the client has taken everything; not for one that the kernel does not show, or that is slow."""
        looks, arrived = 0, False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TAKING):
                while self._shown:
                    look = self._look()
                    if look is None:
                        break
                    if arrived and not look.unread:
                        return
                    arrived = look.received >= self._sent  # what is under way to a busy socket is not unread yet
                    looks += 1
                    await asyncio.sleep(0 if looks < _LOOKS else _PAUSE)
        self._shown = False

    def _failed(self) -> bool:
        """Whether the connection has failed since it was asked last."""
        try:
            return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        except OSError:
            return True

    async def left_by(self, seconds: float | None) -> None:
        """Wait until the client closes, for so many seconds at most; what it sends is nothing to anybody."""
        with contextlib.suppress(OSError):  # a time that is over is one too
            async with asyncio.timeout(seconds):
                while await self._reader.read(_READ):
                    pass

    async def next_move(self, seconds: float) -> bytes | None:
        """Return what the client sends next, nothing where it closes; None where it does neither in that time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reader.read(_READ)
        except TimeoutError:
            return None
        except OSError:
            return b""

    async def close(self) -> None:
        """Close for good: FIN, and then, when the client has closed too or does not for a while, the socket.

        A socket that is closed with something in it that nobody has read would reset the connection.
        """
        with contextlib.suppress(OSError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            await self.left_by(_LINGER)
        self._writer.close()

    async def reset(self) -> None:
        """Reset the connection, when everything that was written has been taken: a reset overtakes what has not."""
        await self._taken()
        while not self._writer.transport.is_closing() and _unsent(self._socket) and not self._failed():
            await asyncio.sleep(_POLL)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._writer.transport.abort()


def without_continue(reads: Sequence[Read]) -> list[Read]:
    """Return recorded reads without the 100 that they begin with: the client has had it before it was matched."""
    head = b"".join(read.data for read in reads[:16])
    over = head.find(_HEAD_END) + len(_HEAD_END) if head.startswith(_CONTINUE) and _HEAD_END in head else 0
    kept = []
    for data, elapsed_ns in reads:
        if over < len(data):
            kept.append(Read(data[over:], elapsed_ns))
        over = max(over - len(data), 0)
    return kept


def _unsent(connection: Any) -> int:
    """Return the bytes that the peer's kernel has not acknowledged; 0 where the system does not tell."""
    try:
        if sys.platform == "darwin":
            return int(connection.getsockopt(socket.SOL_SOCKET, _SO_NWRITE))
        import fcntl
        import termios

        return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    except (ImportError, OSError, ValueError):
        return 0
