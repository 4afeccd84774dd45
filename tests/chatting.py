"""`recorder chat` as the tests run it, and a server of one answer, byte by byte."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from tests.commands import json_lines, run

TOKEN = "a-bearer-that-is-none"


def chat(server_url: str, store: str, *args: str, stdin: str | bytes | None = None, **env: str | None) -> Any:
    known = {"AI_API_URL": server_url, "AI_ACCESS_TOKEN": TOKEN, "AI_MODEL_NAME": None, "NO_PROXY": "*"}
    return run("--store", store, "chat", *args, stdin=stdin, env={**known, **env})


def verdicts(store: str) -> list[str]:
    return [row["verdict"] for row in json_lines(run("list", "--json", "--store", store), "list")]


@contextmanager
def raw(answer: bytes, *, hold: float = 0, at_once: bool = False) -> Iterator[str]:
    """Serve one connection with these very bytes.

    :param hold: for how many seconds the connection stays open after them, unless the client leaves before.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one() -> None:
        with closing(listener), listener.accept()[0] as connection:
            got = connection.recv(65536)
            while not (at_once or _is_whole(got)):
                got += connection.recv(65536)
            connection.sendall(answer)
            with suppress(OSError):  # that the client is gone, or that the time is over
                connection.settimeout(hold)  # 0 does not wait
                connection.recv(1)

    thread = threading.Thread(target=serve_one, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
    thread.join(10)


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def whole(body: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
