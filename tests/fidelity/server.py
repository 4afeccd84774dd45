"""A scripted HTTP/1.1 server on loopback whose bytes, segments and failures are exact.

Pacing is a handshake, not a clock: before each segment but the first the server waits until the
client has taken the last one out of its socket (``FIONREAD`` on the client's end, which lies in the
same process). So every read of the client ends where the script says, on a loaded machine too, and
a pass over the matrix takes no longer than the work in it. A client in another process gets a fixed
pause instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import select
import socket
import stat
import struct
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.fidelity.behaviours import BEHAVIOURS, Behaviour, Close, Reply, Reset, Send, Stall, head

_PATIENCE: Final = 30.0  # seconds; a client that takes nothing will close, sooner or later
_PAUSE: Final = 0.003  # between segments to a client whose socket cannot be looked into
_PATH: Final = re.compile(r"/(c|after)/([a-z0-9_]+)/([\w.-]+)")
_FD_FOLDER: Final = Path("/dev/fd")


@dataclass
class Request:
    """A request as the server received it.

    :ivar connection: 1 for the first connection that served this case, 2 for the next.
    """

    connection: int
    line: str
    headers: list[str]
    body_sha256: str


@dataclass
class Answer:
    """How far one reply got.

    :ivar segments: segments handed to the network; fewer than the script's when the client closed early.
    :ivar ended: ``sending``, ``waiting`` (for the client to read), ``stalled``, ``sent`` or ``client went away``.
    """

    segments: int = 0
    ended: str = "sending"


@dataclass
class Report:
    """What the server saw of one case."""

    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


class _ClientGone(Exception):
    """The client closed or reset the connection."""


class _Peer:
    """The client's end of a connection, when it lies in this process."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._fd = _descriptor_of(address)
        self.visible = self._fd is not None

    def has_taken_all(self) -> bool:
        """Tell whether the client's socket is empty; True for one that is out of sight.

        False for one that was closed: its descriptor goes before its FIN, and no segment may slip
        in between.
        """
        if self._fd is None:
            return True
        unread = bytearray(4)
        try:
            fcntl.ioctl(self._fd, termios.FIONREAD, unread)
            return struct.unpack("i", unread)[0] == 0 and _name_of(self._fd) == self._address
        except OSError:
            return False


def _descriptor_of(address: tuple[str, int]) -> int | None:
    for entry in _FD_FOLDER.iterdir():
        fd = int(entry.name)
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and _name_of(fd) == address:
                return fd
    return None


def _name_of(fd: int) -> object:
    looked_at = socket.socket(fileno=fd)
    try:
        return looked_at.getsockname()
    finally:
        looked_at.detach()  # it is the client's: never close it


class _Case:
    """The server's state of one case: independent of every other."""

    def __init__(self) -> None:
        self.report = Report()
        self.visits = 0
        self.peer: _Peer | None = None
        self._serving: list[int] = []

    def ordinal(self, connection: int) -> int:
        """Return which of the case's connections this is, from 1."""
        if connection not in self._serving:
            self._serving.append(connection)
            self.report.connections = len(self._serving)
        return self._serving.index(connection) + 1

    def settled(self) -> bool:
        """Tell whether the server will do nothing more before the client does something."""
        if any(answer.ended == "sending" for answer in self.report.answers):
            return False
        waiting = any(answer.ended == "waiting" for answer in self.report.answers)
        return not waiting or self.peer is None or not self.peer.visible or not self.peer.has_taken_all()

    def finished(self) -> bool:
        """Tell whether every answer has come to its end."""
        return all(answer.ended in ("sent", "client went away") for answer in self.report.answers)


class Server:
    """Serves every behaviour at ``/c/<behaviour>/<case key>`` until it is closed.

    A case key names one run: state such as "503 twice" and the report belong to it. What is asked
    of ``/after/<behaviour>/<case key>`` is answered with the number of the connection that served it.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._nobody = socket.socket()  # bound, never listening: connections to it are refused
        self._nobody.bind(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.refusing_host = f"127.0.0.1:{self._nobody.getsockname()[1]}"
        self._cases: dict[str, _Case] = {}
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True, name="scripted server")]
        self._threads[0].start()

    def url(self, behaviour: Behaviour, key: str) -> str:
        """Return where *behaviour* is served for the case *key*."""
        host = self.host if behaviour.listening else self.refusing_host
        return f"http://{host}/c/{behaviour.name}/{key}"

    def after_url(self, behaviour: Behaviour, key: str) -> str:
        """Return where the second request of a case goes."""
        return f"http://{self.host}/after/{behaviour.name}/{key}"

    def settle(self, key: str, timeout: float = 5.0) -> None:
        """Wait until the server does nothing more for this case before its client acts."""
        self._wait(self._case(key).settled, timeout)

    def report(self, key: str, timeout: float) -> Report:
        """Return what the server saw of a case whose client has closed everything."""
        case = self._case(key)
        self._wait(case.finished, timeout)
        return case.report

    def close(self) -> None:
        """Stop serving, abort open connections and wait for the threads; closing twice is fine.

        The ports stay bound, refusing, until :meth:`release`: nobody else can take them over.
        """
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # where shutting down does not wake accept()
            socket.create_connection(self._listener.getsockname(), timeout=0.2).close()
        with self._lock:
            sockets = list(self._open)
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def release(self) -> None:
        """Close, and give the ports back."""
        self.close()
        self._listener.close()
        self._nobody.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def _case(self, key: str) -> _Case:
        with self._lock:
            return self._cases.setdefault(key, _Case())

    @staticmethod
    def _wait(condition: Callable[[], bool], timeout: float) -> None:
        deadline, pause = time.monotonic() + timeout, 0.00005
        while not condition() and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(pause * 1.5, 0.002)

    def _accept(self) -> None:
        number = 0
        while not self._closed.is_set():
            try:
                connection, address = self._listener.accept()
            except OSError:
                return
            number += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection, address, number), daemon=True)
            with self._lock:
                self._open.add(connection)
                self._threads = [t for t in self._threads if t.is_alive()] + [thread]
                thread.start()

    def _serve(self, connection: socket.socket, address: tuple[str, int], number: int) -> None:
        try:
            with contextlib.suppress(_ClientGone):
                peer = _Peer(address)
                while self._answer(connection, peer, number):
                    pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, peer: _Peer, number: int) -> bool:
        """Answer one request; return whether the connection stays open."""
        head_bytes, body = _receive(connection)
        line, *headers = head_bytes.decode("latin-1").split("\r\n")
        matched = _PATH.search(line)
        if matched is None:
            raise _ClientGone
        kind, name, key = matched.groups()
        case = self._case(key)
        with self._lock:
            ordinal = case.ordinal(number)
            case.report.requests.append(Request(ordinal, line, headers, hashlib.sha256(body).hexdigest()))
            case.peer = peer
            reply = _after(ordinal, headers) if kind == "after" else self._next_reply(case, name)
            answer = Answer()
            case.report.answers.append(answer)
        return _Performance(connection, peer, answer, self._closed).perform(reply)

    @staticmethod
    def _next_reply(case: _Case, name: str) -> Reply:
        replies = BEHAVIOURS[name].replies
        case.visits += 1
        return replies[min(case.visits, len(replies)) - 1]


class _Performance:
    """One reply being played on one connection."""

    def __init__(self, connection: socket.socket, peer: _Peer, answer: Answer, closed: threading.Event) -> None:
        self._connection = connection
        self._peer = peer
        self._answer = answer
        self._closed = closed
        self._patient = True

    def perform(self, reply: Reply) -> bool:
        """Play the steps; return whether the connection stays open."""
        try:
            for number, step in enumerate(reply):
                if number:
                    self._wait_until_taken()
                if not self._play(step):
                    self._answer.ended = "sent"
                    return False
        except _ClientGone:
            self._answer.ended = "client went away"
            raise
        self._answer.ended = "sent"
        return True

    def _play(self, step: Send | Close | Reset | Stall) -> bool:
        if isinstance(step, Send):
            try:
                self._connection.sendall(step.data)
            except OSError as error:
                raise _ClientGone from error
            self._answer.segments += 1
            return True
        if isinstance(step, Stall):
            self._stall()
        if isinstance(step, Reset):
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()
        return False

    def _stall(self) -> None:
        self._answer.ended = "stalled"
        while not self._closed.is_set():
            if select.select([self._connection], [], [], 0.2)[0]:
                self._raise_when_gone()

    def _wait_until_taken(self) -> None:
        self._raise_when_gone()
        if not self._peer.visible:
            time.sleep(_PAUSE)
        deadline, pause = time.monotonic() + _PATIENCE, 0.00003
        while self._patient and not self._peer.has_taken_all():
            self._answer.ended = "waiting"
            time.sleep(pause)
            pause = min(pause * 1.3, 0.0005)
            self._raise_when_gone()
            self._patient = time.monotonic() < deadline
        self._answer.ended = "sending"
        self._raise_when_gone()

    def _raise_when_gone(self) -> None:
        try:
            if self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
                raise _ClientGone
        except BlockingIOError:
            return
        except OSError as error:
            raise _ClientGone from error


def _receive(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    opening, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", opening)
    while len(body) < (int(length[1]) if length else 0):
        body += _more(connection)
    return opening, body


def _more(connection: socket.socket) -> bytes:
    try:
        data = connection.recv(65536)
    except OSError as error:
        raise _ClientGone from error
    if not data:
        raise _ClientGone
    return data


def _after(ordinal: int, headers: list[str]) -> Reply:
    cookies = next((h.partition(":")[2].strip() for h in headers if h.lower().startswith("cookie:")), "")
    names = ",".join(sorted(pair.partition("=")[0] for pair in cookies.split("; ")))
    body = f'{{"connection":{ordinal},"cookies":"{names}"}}'.encode()
    return (Send(head("200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}") + body),)
