"""The server of ``recorder demo``: a chat completions API on loopback, with the oddities of real ones.

Comments between the events, characters cut in two by the HTTP frames, a usage chunk without choices,
201 instead of 200, and a stream whose connection is closed in the middle.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

MODEL: Final = "demo-1"
_FRAME_SECONDS: Final = 0.004


@dataclass(frozen=True, slots=True)
class _Script:
    """One answer: its status, its text in deltas, and after how many of them the connection is closed."""

    status: int
    deltas: tuple[str, ...]
    cut_after: int | None = None


#: The answer to the first, the second, … message of a user.
_SCRIPTS: Final = (
    _Script(201, ("Hold. ", "At 1.0850 ", "the pair sits ", "under résistance — ", "buy above ", "€1.0880. ", "📈")),
    _Script(200, ("Put the stop ", "at 1.0815, ", "12 pips below ", "the last low; ", "risk ≤ 1 %.")),
    _Script(200, ("Placing: ", "BUY 10 000 EUR/USD ", "stop 1.0815 ", "limit 1.0", "920, ", "good till Friday."), 4),
)


def _events(script: _Script, asked: int) -> Iterator[bytes]:
    """Yield the server-sent events of an answer."""
    head = {"id": f"chatcmpl-demo-{asked}", "object": "chat.completion.chunk", "model": MODEL}

    def event(**fields: Any) -> bytes:
        return f"data: {json.dumps(head | fields, ensure_ascii=False)}\n\n".encode()

    def choice(delta: dict[str, str], reason: str | None = None) -> bytes:
        return event(choices=[{"index": 0, "delta": delta, "finish_reason": reason}])

    yield b": the model is thinking\n\n"
    yield choice({"role": "assistant", "content": ""})
    for number, text in enumerate(script.deltas):
        if number == 3:
            yield b": keep-alive\n\n"
        yield choice({"content": text})
    yield choice({}, "stop")
    counts = {"prompt_tokens": 20 * asked, "completion_tokens": len(script.deltas)}
    yield event(choices=[], usage=counts | {"total_tokens": sum(counts.values())})
    yield b"data: [DONE]\n\n"


def _frames(event: bytes) -> Iterator[bytes]:
    """Yield an event in pieces that end inside of characters: nobody promised otherwise."""
    start = 0
    for at, byte in enumerate(event):
        if byte >= 0xC0:  # the first byte of a character of several
            yield event[start : at + 1]
            start = at + 1
    yield event[start:]


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = sum(message["role"] == "user" for message in request["messages"])
        script = _SCRIPTS[asked - 1]
        self.send_response(script.status)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = bytearray()
        self.server.bodies.append(sent)
        for number, event in enumerate(_events(script, asked)):
            if script.cut_after is not None and number > script.cut_after:
                self._cut(event, sent)
                return
            for frame in _frames(event):
                self._send(b"%x\r\n%b\r\n" % (len(frame), frame))
                sent += frame
        self._send(b"0\r\n\r\n")

    def _cut(self, event: bytes, sent: bytearray) -> None:
        """Announce a frame, send half of it and close the connection."""
        half = event[: len(event) // 2]
        self._send(b"%x\r\n%b" % (len(event), half))
        sent += half
        self.close_connection = True

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        time.sleep(_FRAME_SECONDS)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the screen belongs to the demo."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: list[bytearray] = []
        super().__init__(("127.0.0.1", 0), _Answering)


class DemoServer:
    """Runs from construction until :meth:`stop`; a context manager.

    :ivar url: the address of its API.
    :ivar place: host and port.
    """

    def __init__(self) -> None:
        self._server = _Server()
        host, port = self._server.server_address[:2]
        self.place = f"{host!s}:{port}"
        self.url = f"http://{self.place}/v1/chat/completions"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def bodies(self) -> list[bytes]:
        """What it sent, body by body."""
        return [bytes(body) for body in self._server.bodies]

    def stop(self) -> None:
        """Stop listening; stopping twice is fine."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> DemoServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
