"""A real HTTP server on loopback that streams like an OpenAI-compatible gateway, after a script.

In a test::

    with serve(Script(chunks=200, gap=0.005)) as server:
        requests.post(server.url, json={"messages": [...], "stream": True}, stream=True)
        server.visits(1)[0].gone_after      # chunks sent when the client went away, None when it stayed

From another process: ``python -m tests.loopback --chunks 200 --gap 0.005`` prints its port on the
first line and then, when an answer has ended, one line of JSON about it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any, Final

PATH: Final = "/v1/chat/completions"
_REASONS: Final = {200: "OK", 201: "Created", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
_WORDS: Final = ("Buy", " €1,07", " naïve", " 你好", " hold", "\n")


@dataclass(frozen=True)
class Script:
    """How one request is answered.

    :ivar chunks: content deltas, each a server-sent event in a chunk frame and a segment of its own.
    :ivar gap: seconds before each chunk but the first.
    :ivar status: 200 and 201 stream; any other answers a JSON error.
    :ivar choices: ``n``: the deltas go to the choices in turn.
    :ivar split_utf8: cut frames inside multi-byte characters instead of at event ends.
    :ivar comments: a comment before every fifth delta.
    :ivar usage: end with a usage chunk whose ``choices`` are empty.
    :ivar done: end with ``data: [DONE]``.
    :ivar cut_after: close the connection after so many chunks, in the middle of the next frame.
    :ivar reset_after: the same, with RST and at a frame's end.
    :ivar stall_after: send nothing more after so many chunks, until the client goes away.
    :ivar padding: bytes of filler in each delta.
    :ivar headers: further header fields of the answer.
    :ivar error: body of an answer with another status.
    """

    chunks: int = 20
    gap: float = 0.0
    status: int = 200
    choices: int = 1
    split_utf8: bool = False
    comments: bool = False
    usage: bool = True
    done: bool = True
    cut_after: int | None = None
    reset_after: int | None = None
    stall_after: int | None = None
    padding: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    error: str = '{"error":{"message":"scripted","type":"scripted_error"}}'

    def deltas(self, prompt: str) -> list[str]:
        """Return the text of each delta: it repeats the prompt, so that mixed-up streams show."""
        filler = "." * self.padding
        return [f"{_WORDS[n % len(_WORDS)]}[{prompt} {n}]{filler}" for n in range(self.chunks)]

    def text(self, prompt: str, choice: int = 0) -> str:
        """Return what a client that reads to the end has as the content of one choice."""
        return "".join(self.deltas(prompt)[choice :: self.choices])

    def frames(self, prompt: str) -> list[bytes]:
        """Return the bytes of each chunk of the body, before chunked framing."""
        events = [_comment(n) * self.comments + _delta(n, self, text) for n, text in enumerate(self.deltas(prompt))]
        events += [_finish(choice) for choice in range(self.choices)]
        events += [_usage(self.chunks)] if self.usage else []
        events += [b"data: [DONE]\n\n"] if self.done else []
        return _cut_in_characters(events) if self.split_utf8 else events

    def body(self, prompt: str) -> bytes:
        """Return the whole body of the stream."""
        return b"".join(self.frames(prompt))


@dataclass
class Visit:
    """One request and what became of its answer.

    :ivar connection: number of the connection it came on, from 1.
    :ivar sent: chunks handed to the network so far.
    :ivar gone_after: chunks sent when the client was seen to have gone; None while it has not.
    :ivar ended: the answer has come to its end, whichever.
    """

    connection: int
    headers: dict[str, str]
    body: Any
    sent: int = 0
    gone_after: int | None = None
    ended: bool = False
    started_at: float = field(default_factory=time.monotonic)
    gone_at: float | None = None

    @property
    def prompt(self) -> str:
        """The content of the last message, or an empty string."""
        messages = self.body.get("messages", []) if isinstance(self.body, dict) else []
        content = messages[-1].get("content", "") if messages else ""
        return content if isinstance(content, str) else ""


Choose = Callable[[int, Visit], Script]


class _Gone(Exception):
    """The client closed the connection."""


class LoopbackServer:
    """Answers every POST whose path ends in ``/chat/completions`` after a script.

    :param choose: gets the number of the visit (from 0) and the visit, returns the script.
    :param ended: is called when an answer has come to its end.
    """

    def __init__(self, choose: Choose, *, port: int = 0, ended: Callable[[Visit], None] | None = None) -> None:
        self._choose = choose
        self._ended = ended
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}{PATH}"
        self.connections = 0
        self._visits: list[Visit] = []
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def visits(self, ended: int = 0, timeout: float = 10.0) -> list[Visit]:
        """Return the visits so far, after at least *ended* of them have ended.

        :raises TimeoutError: they did not end in time (seconds).
        """
        with self._changed:
            if not self._changed.wait_for(lambda: sum(v.ended for v in self._visits) >= ended, timeout):
                raise TimeoutError(f"of {len(self._visits)} visits not {ended} have ended")
            return list(self._visits)

    def close(self) -> None:
        """Abort what is open and stop; closing twice is fine."""
        self._closed.set()
        for listening in (self._listener.shutdown, lambda how: self._listener.close()):
            with contextlib.suppress(OSError):
                listening(socket.SHUT_RDWR)
        with self._changed:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self.connections += 1
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True)
                self._threads = [t for t in self._threads if t.is_alive()] + [thread]
                thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            with contextlib.suppress(_Gone, OSError):
                while self._answer(connection, number):
                    pass
        finally:
            with self._changed:
                self._open.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, number: int) -> bool:
        line, headers, body = _receive(connection)
        visit = Visit(number, headers, body)
        with self._changed:
            self._visits.append(visit)
            script = self._choose(len(self._visits) - 1, visit)
        try:
            return _Answering(connection, visit, script, self._closed).run(line)
        except (_Gone, OSError):
            visit.gone_after, visit.gone_at = visit.sent, time.monotonic()
            raise
        finally:
            with self._changed:
                visit.ended = True
                self._changed.notify_all()
            if self._ended is not None:
                self._ended(visit)


class _Answering:
    def __init__(self, connection: socket.socket, visit: Visit, script: Script, closed: threading.Event) -> None:
        self._connection = connection
        self._visit = visit
        self._script = script
        self._closed = closed

    def run(self, line: str) -> bool:
        """Answer; return whether the connection stays open."""
        method, path, _ = line.split(" ", 2)
        if method != "POST" or not path.partition("?")[0].endswith("/chat/completions"):
            self._whole(404, '{"error":{"message":"no such path"}}')
        elif self._script.status not in (200, 201):
            self._whole(self._script.status, self._script.error)
        elif not self._visit.body.get("stream"):
            self._whole(self._script.status, _completion(self._script, self._visit.prompt))
        else:
            return self._stream()
        return True

    def _whole(self, status: int, text: str) -> None:
        body = text.encode()
        length = ("Content-Length", str(len(body)))
        self._connection.sendall(_head(status, "application/json", length, *self._script.headers) + body)

    def _stream(self) -> bool:
        script, chunked = self._script, ("Transfer-Encoding", "chunked")
        self._connection.sendall(_head(script.status, "text/event-stream; charset=utf-8", chunked, *script.headers))
        for number, data in enumerate(script.frames(self._visit.prompt)):
            self._wait(script.gap if number else 0.0)
            framed = b"%x\r\n%s\r\n" % (len(data), data)
            if number == script.cut_after:
                self._connection.sendall(framed[: len(framed) // 2])
                return False
            if number == script.reset_after:
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            while number == script.stall_after and not self._closed.is_set():
                self._wait(0.2)
            self._connection.sendall(framed)
            self._visit.sent += 1
        self._connection.sendall(b"0\r\n\r\n")
        return True

    def _wait(self, seconds: float) -> None:
        """Wait; notice at once when the client goes away."""
        if not select.select([self._connection], [], [], seconds)[0]:
            return
        if self._connection.recv(1, socket.MSG_PEEK) == b"":
            raise _Gone
        time.sleep(seconds)


def _receive(connection: socket.socket) -> tuple[str, dict[str, str], Any]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    opening, _, body = data.partition(b"\r\n\r\n")
    line, *fields_ = opening.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields_)}
    while len(body) < int(headers.get("content-length", "0")):
        body += _more(connection)
    if headers.get("transfer-encoding") == "chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(connection)
        body = _dechunked(body)
    try:
        return line, headers, json.loads(body) if body else {}
    except ValueError:  # a form, a text
        return line, headers, {}


def _dechunked(data: bytes) -> bytes:
    size, _, rest = data.partition(b"\r\n")
    length = int(size, 16)
    return rest[:length] + _dechunked(rest[length + 2 :]) if length else b""


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise _Gone
    return data


def _head(status: int, content_type: str, *headers: tuple[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Scripted')}", f"Content-Type: {content_type}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


def _data(**changes: object) -> bytes:
    chunk = {"id": "chatcmpl-loopback", "object": "chat.completion.chunk", "created": 1700000000, "model": "loopback"}
    return f"data: {json.dumps(chunk | changes, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def _delta(number: int, script: Script, text: str) -> bytes:
    delta = {"role": "assistant", "content": text} if number < script.choices else {"content": text}
    return _data(choices=[{"index": number % script.choices, "delta": delta, "finish_reason": None}])


def _finish(choice: int) -> bytes:
    return _data(choices=[{"index": choice, "delta": {}, "finish_reason": "stop"}])


def _usage(chunks: int) -> bytes:
    return _data(choices=[], usage={"prompt_tokens": 7, "completion_tokens": chunks, "total_tokens": 7 + chunks})


def _comment(number: int) -> bytes:
    return b": keep-alive\n\n" if number % 5 == 0 else b""


def _cut_in_characters(events: list[bytes]) -> list[bytes]:
    """Return the same bytes, each multi-byte character's first byte ending a frame."""
    body = b"".join(events)
    edges = [found.start() + 1 for found in re.finditer(rb"[\xc2-\xf4]", body)]
    return [body[a:b] for a, b in pairwise([0, *edges, len(body)]) if a < b]


def _completion(script: Script, prompt: str) -> str:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": script.text(prompt, n)}, "finish_reason": "stop"}
        for n in range(script.choices)
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": script.chunks, "total_tokens": 7 + script.chunks}
    answer = {"id": "chatcmpl-loopback", "object": "chat.completion", "model": "loopback", "choices": choices}
    return json.dumps(answer | {"usage": usage}, ensure_ascii=False)


@contextlib.contextmanager
def serve(*scripts: Script | Choose) -> Iterator[LoopbackServer]:
    """Serve until the block is left.

    :param scripts: the nth request gets the nth script, the last one repeats; or one function that
        chooses; nothing means ``Script()``.
    """

    def choose(number: int, visit: Visit) -> Script:
        script = scripts[min(number, len(scripts) - 1)] if scripts else Script()
        return script if isinstance(script, Script) else script(number, visit)

    server = LoopbackServer(choose)
    try:
        yield server
    finally:
        server.close()


def main() -> None:
    """Serve until the process is ended, one option for each plain field of :class:`Script`."""
    parser = argparse.ArgumentParser(prog="python -m tests.loopback", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    for each in fields(Script):
        name, default = f"--{each.name.replace('_', '-')}", each.default
        if isinstance(default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=default)
        elif each.name != "headers":
            parser.add_argument(name, type=int if default is None else type(default), default=default)
    options = vars(parser.parse_args())
    port = options.pop("port")
    script = Script(**options)

    def ended(visit: Visit) -> None:
        told = {name: asdict(visit)[name] for name in ("connection", "sent", "gone_after")}
        print(json.dumps(told | {"prompt": visit.prompt}), flush=True)

    server = LoopbackServer(lambda _number, _visit: script, port=port, ended=ended)
    print(server.port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    server.close()
    sys.exit(0)


if __name__ == "__main__":
    main()
