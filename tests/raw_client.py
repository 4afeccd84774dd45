"""A client of bytes and nothing else: what a server sends, read by read, and how the connection ends."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass
class Came:
    """What came over a connection.

    :ivar reads: what each read returned.
    :ivar end: ``closed``, ``reset`` or ``open``: nothing came any more.
    """

    reads: list[bytes] = field(default_factory=list)
    end: str = "open"

    @property
    def data(self) -> bytes:
        return b"".join(self.reads)

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def error(self) -> dict[str, Any]:
        """The error that a refusal tells."""
        return dict(json.loads(self.body)["error"])


class Wire:
    """A connection to a server.

    :param url: of the server.
    :param timeout: seconds without a byte after which the connection counts as open and silent.
    """

    def __init__(self, url: str, timeout: float = 10.0, receive_buffer: int | None = None) -> None:
        parts = urlsplit(url)
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((parts.hostname, parts.port))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, path: str, body: Any = None, *lines: str, method: str = "POST", host: str = "127.0.0.1") -> None:
        """Send a request whose body is JSON."""
        self.send(request(path, body, *lines, method=method, host=host))

    def until_the_end(self) -> Came:
        """Read until the connection ends, or nothing comes any more."""
        return self.until(lambda _: False)

    def answer(self) -> Came:
        """Read a whole answer with a Content-Length, or with chunks and no trailers."""

        def whole(data: bytes) -> bool:
            head, found, body = data.partition(b"\r\n\r\n")
            if not found:
                return False
            fields = {line.split(b":")[0].lower(): line.split(b":", 1)[1] for line in head.split(b"\r\n")[1:]}
            if b"content-length" in fields:
                return len(body) >= int(fields[b"content-length"])
            return body.endswith(b"0\r\n\r\n")

        return self.until(whole)

    def until(self, whole: Any) -> Came:
        came = Came()
        try:
            while not whole(came.data):
                data = self.socket.recv(1 << 16)
                if not data:
                    came.end = "closed"
                    break
                came.reads.append(data)
        except ConnectionResetError:
            came.end = "reset"
        except TimeoutError:
            pass
        return came

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def request(path: str, body: Any = None, *lines: str, method: str = "POST", host: str = "127.0.0.1") -> bytes:
    """Return the bytes of a request."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    length = [f"Content-Length: {len(data)}"] if data or method == "POST" else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *length, *lines, "", ""]).encode() + data


def asked(url: str, path: str, body: Any = None, *lines: str, **more: Any) -> Came:
    """Ask once over a connection of its own, and return what came until its end."""
    with Wire(url) as wire:
        wire.ask(path, body, "Connection: close", *lines, **more)
        return wire.until_the_end()
