"""A server on loopback that answers by path, byte for byte as it is told, and knows what has become of its clients."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedReader


@dataclass
class Answer:
    """One answer.

    :ivar chunks: of the body; of ``framing`` ``chunked`` each is a frame and a segment of its own.
    :ivar framing: ``chunked``, ``length``, ``close`` (the end of the connection ends it) or ``none``: no body.
    :ivar gap: seconds between chunks.
    :ivar cut_after: the connection ends after so many chunks; ``reset_after`` likewise, by RST.
    :ivar stall_after: nothing more is sent after so many chunks.
    :ivar gate: is waited for after the first chunk, at most two seconds.
    """

    chunks: list[bytes] = field(default_factory=list)
    framing: str = "length"
    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=list)
    gap: float = 0.0
    cut_after: int | None = None
    reset_after: int | None = None
    stall_after: int | None = None
    gate: threading.Event | None = None
    late: bool = False


@dataclass
class Hit:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Choose = Callable[[Hit, int], Answer]


class Server:
    """Listens on a free port of 127.0.0.1.

    :ivar hits: the requests so far.
    :ivar gone: is set when a client went away before its answer had ended.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.hits: list[Hit] = []
        self.gone = threading.Event()
        self._answers: dict[str, Choose] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, path: str, answer: Answer | Choose) -> str:
        """Answer a path so; return its URL. A function is given the request and how many came to this path before."""
        self._answers[path] = answer if callable(answer) else lambda _hit, _number: answer
        return self.base + path

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            while (hit := _receive(file)) is not None:
                path = hit.path.partition("?")[0]
                with self._lock:
                    number = sum(each.path.partition("?")[0] == path for each in self.hits)
                    self.hits.append(hit)
                choose = self._answers.get(path)
                answer = choose(hit, number) if choose else Answer(status="404 Not Found")
                if not self._answer(connection, hit, answer) or hit.headers.get("connection") == "close":
                    return

    def _answer(self, connection: socket.socket, hit: Hit, answer: Answer) -> bool:
        """Send an answer; return whether the connection goes on."""
        fields = list(answer.headers)
        if answer.framing == "length":
            fields.append(("Content-Length", str(sum(map(len, answer.chunks)))))
        elif answer.framing == "chunked":
            fields.append(("Transfer-Encoding", "chunked"))
        head = "\r\n".join([f"HTTP/1.1 {answer.status}", *(f"{name}: {value}" for name, value in fields), "", ""])
        connection.sendall(head.encode("latin-1"))
        if hit.method == "HEAD" or answer.framing == "none":
            return True
        try:
            return self._body(connection, answer)
        except OSError:
            self.gone.set()
            raise

    def _body(self, connection: socket.socket, answer: Answer) -> bool:
        for number, chunk in enumerate(answer.chunks):
            if number == 1 and answer.gate is not None:
                answer.late = not answer.gate.wait(2)
            if number:
                time.sleep(answer.gap)
            if number == answer.reset_after:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if number in (answer.cut_after, answer.reset_after):
                return False
            if number == answer.stall_after:
                time.sleep(30)
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk) if answer.framing == "chunked" else chunk)
        if answer.framing == "chunked":
            connection.sendall(b"0\r\n\r\n")
        return answer.framing != "close"


def _receive(file: BufferedReader) -> Hit | None:
    first = file.readline()
    if not first:
        return None
    method, path, _ = first.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := file.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(file.readline(), 16):
            body += file.read(size)
            file.readline()
        file.readline()
    else:
        body = file.read(int(headers.get("content-length", "0")))
    return Hit(method, path, headers, body)


def echo(hit: Hit, number: int) -> Answer:
    """Answer with what was asked, and which time it was."""
    prompt = json.loads(hit.body)["q"] if hit.body else ""
    return Answer(
        [json.dumps({"answer": prompt, "time": number}).encode()], headers=[("Content-Type", "application/json")]
    )
