"""An upstream that can fall silent, and whole answers recorded from it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import requests

from recorder import Recorder
from tests.wire import Got, chunked, wire

PATH = "/v1/chat/completions"
BODY = {"prompt": "Buy or hold?"}
FRAMES = [b"data: one\n\n", b"data: two\n\n", b"data: three\n\n"]
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Upstream:
    """Answers at once; where the path says so, it is silent before the head or after the first frame."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __call__(self, request: Got) -> bytes | None:
        answer = chunked(*FRAMES)
        if request.target == PATH:
            return answer
        if request.target.endswith("body"):
            request.connection.sendall(answer[: answer.index(FRAMES[0]) + len(FRAMES[0]) + 2])
        self.released.wait(30)
        return None


def record_answers(sqlite_url: str, count: int = 1) -> str:
    """Record whole answers; return the address of the server, which is gone."""
    with wire(Upstream()) as server, Recorder(sqlite_url) as recorder, recorder.mount(requests.Session()) as session:
        for number in range(count):
            with recorder.conversation(f"answer {number}"):
                assert session.post(server.url + PATH, json=BODY).ok
        return server.url + PATH
