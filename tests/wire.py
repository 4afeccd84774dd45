"""A server and a proxy on loopback that answer with the very bytes a test gives them, TLS included."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"


@dataclass
class Got:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: socket.socket = field(repr=False)

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]


#: Returns the answer's bytes; None to close; or sends by itself and returns b"".
Answer = Callable[[Got], bytes | None]


class Wire:
    """Serves until it is closed.

    :param answer: is called for every request, in the connection's thread.
    :param tls: wrap each connection.
    """

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{HOST}:{self.port}"
        self.got: list[Got] = []
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            while True:
                request = receive(connection)
                self.got.append(request)
                answer = self._answer(request)
                if answer is None:
                    break
                connection.sendall(answer)
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def close(self) -> None:
        """Stop, aborting what is open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def receive(connection: socket.socket) -> Got:
    """Read one request.

    :raises EOFError: the client closed.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    opening, _, body = data.partition(b"\r\n\r\n")
    line, *fields = opening.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
    while len(body) < int(headers.get("content-length", "0")):
        body += _more(connection)
    if headers.get("transfer-encoding") == "chunked":
        while not re.search(rb"(\A|\r\n)0\r\n\r\n\Z", body):
            body += _more(connection)
        body = dechunked(body)
    return Got(line, headers, body, connection)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise EOFError
    return data


def dechunked(data: bytes) -> bytes:
    """Return the payload of a chunked body without extensions and trailers."""
    payload = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return payload
        payload, data = payload + data[:length], data[length + 2 :]


def reply(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*frames: bytes, headers: tuple[str, ...] = (), trailers: str = "") -> bytes:
    """Return an answer of chunk frames."""
    lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(frame), frame) for frame in frames)
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + framed + b"0\r\n" + trailers.encode() + b"\r\n"


@contextlib.contextmanager
def wire(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """Serve until the block is left."""
    server = Wire(answer, tls)
    try:
        yield server
    finally:
        server.close()


def proxy(request: Got) -> bytes | None:
    """Answer as an HTTP proxy: CONNECT opens a tunnel, anything else is passed on to its host."""
    if request.method == "CONNECT":
        host, _, port = request.target.partition(":")
        with socket.create_connection((host, int(port))) as upstream:
            request.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(upstream, request.connection), daemon=True)
            back.start()
            _pump(request.connection, upstream)
            back.join(5)
        return None
    host, _, path = request.target.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port))) as upstream:
        kept = {k: v for k, v in request.headers.items() if not k.startswith("proxy-") and k != "connection"}
        lines = [f"{request.method} /{path} HTTP/1.1", *(f"{k}: {v}" for k, v in kept.items()), "connection: close"]
        upstream.sendall("\r\n".join([*lines, "", ""]).encode() + request.body)
        answer = b""
        while data := upstream.recv(65536):
            answer += data
            opening, blank, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", opening)
            if blank and length is not None and len(body) >= int(length[1]):
                break
    return answer


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def certificate(folder: Path) -> Path:
    """Make a key and a certificate for the loopback address, signed by itself; return the file with both."""
    made = folder / "loopback.pem"
    key = folder / "loopback.key"
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subject = ["-subj", "/CN=loopback", "-addext", f"subjectAltName=IP:{HOST},DNS:localhost"]
    command = ["openssl", "req", "-x509", *options, *subject, "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    made.write_bytes(made.read_bytes() + key.read_bytes())
    return made


def server_tls(pem: Path) -> ssl.SSLContext:
    """Return the context of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
