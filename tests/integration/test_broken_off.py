"""A program that breaks off by itself, with an exception of its own: not the provider's failure."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

import httpx
import pytest
import requests

from recorder import Player, Recorder, RecordingEnded, Store
from tests.recorded import end, only, types
from tests.wire import Got, wire

BODY = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b'data: {"choices": []}\n\n'


class Deadline(Exception):
    """A bot's own time limit: raised from a handler of ``SIGALRM``."""


@pytest.fixture(autouse=True)
def time_limit() -> Iterator[None]:
    def raises(*_: object) -> None:
        raise Deadline

    before = signal.signal(signal.SIGALRM, raises)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _limited(act: Callable[[], object]) -> None:
    with pytest.raises(Deadline):
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        act()


def _silent(request: Got) -> None:
    time.sleep(1)


def _half(request: Got) -> bytes:
    request.connection.sendall(BODY)
    time.sleep(1)
    return b""


def _verdict(url: str) -> str:
    with Store(url) as store:
        return str(next(store.exchanges())["verdict"])


def test_in_the_middle_of_an_answer(sqlite_url: str) -> None:
    with wire(_half) as server, Recorder(sqlite_url) as recorder, recorder.mount(requests.Session()) as session:
        response = session.post(server.url, json={"a": 1}, stream=True)
        _limited(lambda: response.content)
    events = only(sqlite_url)
    assert (end(events).type, end(events).facts["taken"]) == ("consumer_closed", 23)
    assert _verdict(sqlite_url) == "aborted_by_client"
    with pytest.raises(RecordingEnded), Player(sqlite_url) as player, player.mount(requests.Session()) as session:
        assert session.post(server.url, json={"a": 1}, stream=True).content is None


def test_before_the_answer(sqlite_url: str) -> None:
    with wire(_silent) as server, Recorder(sqlite_url) as recorder, recorder.mount(requests.Session()) as session:
        _limited(lambda: session.post(server.url, json={"a": 1}))
    events = only(sqlite_url)
    assert types(events) == ["request_sent", "request_failed"]
    assert end(events).facts["kind"] == "interrupted"
    assert end(events).facts["error"] == {"type": f"{__name__}.Deadline", "message": ""}
    assert _verdict(sqlite_url) == "aborted_by_client"
    with pytest.raises(RecordingEnded), Player(sqlite_url) as player, player.mount(requests.Session()) as session:
        session.post(server.url, json={"a": 1})


def test_a_payload_that_raises(sqlite_url: str) -> None:
    def payload() -> Iterator[bytes]:
        yield b"a"
        raise Deadline

    with (
        wire(lambda _: BODY) as server,
        Recorder(sqlite_url) as recorder,
        recorder.mount(requests.Session()) as session,
    ):
        with pytest.raises(Deadline):
            session.post(server.url, data=payload())
    assert end(only(sqlite_url)).facts["kind"] == "interrupted"
    assert _verdict(sqlite_url) == "aborted_by_client"


def test_a_task_that_is_cancelled(sqlite_url: str) -> None:
    async def ask(recorder: Recorder, url: str) -> None:
        transport = recorder.httpx_transport(httpx.AsyncHTTPTransport())
        async with httpx.AsyncClient(transport=transport) as client:
            await asyncio.wait_for(client.post(url, json={"a": 1}), 0.2)

    with wire(_silent) as server, Recorder(sqlite_url) as recorder, pytest.raises(TimeoutError):
        asyncio.run(ask(recorder, server.url))
    assert end(only(sqlite_url)).facts["kind"] == "interrupted"
    assert _verdict(sqlite_url) == "aborted_by_client"


def test_what_a_handler_raises_is_lost_in_no_finalizer_of_ours(sqlite_url: str) -> None:
    """What is raised in a ``__del__`` of Python's is printed and forgotten, and a handler may be called in any."""
    ended = list[str]()

    def note(frame: FrameType, what: str, _: object) -> None:
        if (
            what == "call"
            and frame.f_code.co_name == "__del__"
            and f"{os.sep}recorder{os.sep}" in frame.f_code.co_filename
        ):
            ended.append(frame.f_code.co_qualname)

    with wire(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as server, Recorder(sqlite_url) as recorder:
        sys.setprofile(note)
        try:
            with recorder.mount(requests.Session()) as session:
                for _ in range(3):
                    assert session.post(server.url, json={"a": 1}).content == b"ok"
            del session
            gc.collect()
        finally:
            sys.setprofile(None)
    assert ended == []
