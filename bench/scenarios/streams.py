"""Streams: the pieces that a program is handed, when, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import requests

from bench.scenarios.server import Answer
from bench.scenarios.trial import FailedError, Trial, expect, scenario

GAP = 0.015
EVENTS = [b'data: {"n": %d}\n\n' % number for number in range(6)]
SPLIT = [b'data: {"t": "on', b'e"}\n\nda', b'ta: {"t": "two"}\n', b"\n", b"data: [DONE]\n\n"]
EURO = ["data: 1,07 €\n\n".encode()[:12], "data: 1,07 €\n\n".encode()[12:], b"data: [DONE]\n\n"]
CRLF = [b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n", b"data: c\r\n\r\n"]
SSE = [("Content-Type", "text/event-stream")]


def streamed(chunks: list[bytes], **facts: Any) -> Answer:
    return Answer(chunks, "chunked", headers=SSE, gap=GAP, **facts)


def pieces_of(url: str, size: int | None = None) -> Any:
    return lambda session: list(session.post(url, json={"q": "a"}, stream=True).iter_content(size))


def ends(pieces: Iterator[Any]) -> tuple[list[Any], str]:
    """Return the pieces, and the name of the exception that they end with."""
    found: list[Any] = []
    try:
        found.extend(pieces)  # keeps what came before an error
    except Exception as error:  # noqa: BLE001 - whichever it is, its name is compared with the one that is due
        return found, type(error).__name__
    return found, ""


@scenario("streams", "litellm", "chunks of `iter_content(None)` have the boundaries of the wire")
def boundaries(trial: Trial) -> None:
    trial.same(pieces_of(trial.server.on("/s", streamed(EVENTS))), EVENTS)


@scenario("streams", "litellm", "an event that is split in mid-token stays split")
def split_event(trial: Trial) -> None:
    trial.same(pieces_of(trial.server.on("/s", streamed(SPLIT))), SPLIT)


@scenario("streams", "litellm", "chunked JSON that is no event stream keeps its chunks")
def chunked_json(trial: Trial) -> None:
    chunks = [b'{"a": 1,', b' "b": 2}']
    url = trial.server.on("/s", Answer(chunks, "chunked", gap=GAP, headers=[("Content-Type", "application/json")]))
    trial.same(pieces_of(url), chunks)


@scenario("streams", "litellm", "an answer with a length is one with a length on replay")
def with_length(trial: Trial) -> None:
    url = trial.server.on("/s", Answer([b"x" * 10], headers=[("X-Upstream", "1")]))

    def ask(session: requests.Session) -> Any:
        return {name.lower(): value for name, value in session.get(url).headers.items()}

    trial.same(ask, {"x-upstream": "1", "content-length": "10"})


@scenario("streams", "vcrpy", "`iter_content(7)`: the same pieces")
def sized(trial: Trial) -> None:
    trial.same(pieces_of(trial.server.on("/s", streamed(EVENTS)), 7))


@scenario("streams", "", "`iter_lines()`: the same lines")
def lines(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(SPLIT))
    trial.same(lambda session: list(session.get(url, stream=True).iter_lines(chunk_size=None)))


@scenario("streams", "", "`iter_lines()` where chunks split CR and LF: the same lines")
def crlf(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(CRLF))
    trial.same(lambda session: list(session.get(url, stream=True).iter_lines(chunk_size=None)))


@scenario("streams", "", "a character that is split between chunks: the same pieces and text")
def multibyte(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(EURO))

    def ask(session: requests.Session) -> Any:
        answer = session.get(url, stream=True)
        answer.encoding = "utf-8"
        return list(answer.iter_content(None, decode_unicode=True))

    trial.same(ask)


@scenario("streams", "vcrpy", "`raw.stream()`: the same pieces")
def raw_stream(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(EVENTS))
    trial.same(lambda session: list(session.get(url, stream=True).raw.stream()), EVENTS)


@scenario("streams", "", "`raw.read(5)` until the end: the same pieces")
def raw_read(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(EVENTS))

    def ask(session: requests.Session) -> Any:
        raw = session.get(url, stream=True).raw
        return list(iter(lambda: raw.read(5), b""))

    trial.same(ask)


@scenario("streams", "", "httpx `iter_raw()`: the chunks of the wire")
def httpx_raw(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(EVENTS))

    def ask(client: httpx.Client) -> Any:
        with client.stream("POST", url, json={"q": "a"}) as answer:
            return list(answer.iter_raw())

    trial.same_httpx(ask, EVENTS)


@scenario("streams", "", "httpx `iter_lines()`: the same lines")
def httpx_lines(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(CRLF))

    def ask(client: httpx.Client) -> Any:
        with client.stream("GET", url) as answer:
            return list(answer.iter_lines())

    trial.same_httpx(ask)


@scenario("streams", "", "httpx `AsyncClient`, `aiter_raw()`: the chunks of the wire")
def httpx_async(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(EVENTS))

    async def ask(client: httpx.AsyncClient) -> list[bytes]:
        async with client.stream("GET", url) as answer:
            return [piece async for piece in answer.aiter_raw()]

    trial.same_async(ask, EVENTS)


def gated(trial: Trial) -> tuple[str, Answer, threading.Event]:
    """Return a URL, its answer, and what lets the server send more than the first chunk of it."""
    gate = threading.Event()
    answer = streamed(EVENTS, gate=gate)
    return trial.server.on("/s", answer), answer, gate


@scenario("streams", "", "while recording, the first chunk is handed on before the second is sent")
def first_chunk(trial: Trial) -> None:
    url, answer, gate = gated(trial)

    def ask(session: requests.Session) -> None:
        pieces = session.get(url, stream=True).iter_content(None)
        next(pieces)
        gate.set()
        list(pieces)

    trial.record(ask)
    if answer.late:
        raise FailedError("the program waits for the whole answer")


@scenario("streams", "", "the same with httpx")
def first_chunk_httpx(trial: Trial) -> None:
    url, answer, gate = gated(trial)
    with trial.tool.recording(trial.path) as taps, taps.client() as client, client.stream("GET", url) as got:
        pieces = got.iter_raw()
        next(pieces)
        gate.set()
        list(pieces)
    if answer.late:
        raise FailedError("the program waits for the whole answer")


@scenario("streams", "", "while recording, a client that closes early is seen to go by the server")
def early_close(trial: Trial) -> None:
    url = trial.server.on("/s", Answer([b"x" * 4096] * 200, "chunked", gap=0.02))

    def ask(session: requests.Session) -> None:
        with session.get(url, stream=True) as answer:
            next(answer.iter_content(None))

    trial.record(ask)
    if not trial.server.gone.wait(2):
        raise FailedError("the server sends to the end")


def broken(trial: Trial, **how: int) -> None:
    url = trial.server.on("/s", streamed(EVENTS, **how))
    live: Any = lambda session: ends(session.get(url, stream=True).iter_content(None))  # noqa: E731
    wanted = live(requests.Session())
    if wanted[0] != EVENTS[:3]:
        raise AssertionError(f"the server did not break where it should: {wanted}")
    trial.same(live, wanted)


@scenario("streams", "litellm", "a stream that was cut: the same chunks and the same exception, live and on replay")
def cut(trial: Trial) -> None:
    broken(trial, cut_after=3)


@scenario("streams", "litellm", "a stream that was reset: the same chunks and the same exception")
def reset(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(EVENTS, reset_after=3))
    live: Any = lambda session: ends(session.get(url, stream=True).iter_content(None))  # noqa: E731
    recorded = trial.record(live)
    if not recorded[1] or not recorded[0]:
        raise FailedError(f"while recording: {len(recorded[0])} chunks, and {recorded[1] or 'no exception'}")
    expect(trial.play(live), recorded, "on replay")


@scenario("streams", "", "httpx: a stream that was cut: the same chunks and the same exception")
def cut_httpx(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(EVENTS, cut_after=3))

    def ask(client: httpx.Client) -> Any:
        with client.stream("GET", url) as answer:
            return ends(answer.iter_raw())

    trial.same_httpx(ask, (EVENTS[:3], "RemoteProtocolError"))


@scenario("streams", "", "a read timeout in mid-stream recurs on replay, at once")
def stalled(trial: Trial) -> None:
    url = trial.server.on("/s", streamed(EVENTS, stall_after=2))

    def ask(session: requests.Session) -> Any:
        return ends(session.get(url, stream=True, timeout=0.4).iter_content(None))

    expect(trial.record(ask), (EVENTS[:2], "ConnectionError"), "while recording")
    began = time.monotonic()
    expect(trial.play(ask), (EVENTS[:2], "ConnectionError"), "on replay")
    if time.monotonic() - began > 5:
        raise FailedError("the replay waits for it")


@scenario("streams", "", "a refused connection recurs on replay")
def refused(trial: Trial) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"

    def ask(session: requests.Session) -> str:
        try:
            session.get(url, timeout=2)
        except Exception as error:  # noqa: BLE001 - as in `ends`: a tool's own exception is another than is due
            return type(error).__name__
        return ""

    expect(trial.record(ask), "ConnectionError", "while recording")
    expect(trial.play(ask), "ConnectionError", "on replay")
    if not trial.path.exists() or not trial.tool.urls(trial.path):
        raise FailedError("nothing is recorded")


@scenario("streams", "", "two streams that are read in turn do not mix")
def interleaved(trial: Trial) -> None:
    others = [each.replace(b"n", b"m") for each in EVENTS]
    one, two = trial.server.on("/one", streamed(EVENTS)), trial.server.on("/two", streamed(others))

    def ask(session: requests.Session) -> Any:
        first, second = (session.get(url, stream=True).iter_content(None) for url in (one, two))
        return [piece for pair in zip(first, second, strict=True) for piece in pair]

    trial.same(ask, [piece for pair in zip(EVENTS, others, strict=True) for piece in pair])


@scenario("streams", "", "an answer that is left unread and closed does not disturb the next one")
def left_unread(trial: Trial) -> None:
    url, other = trial.server.on("/s", streamed(EVENTS)), trial.server.on("/o", Answer([b"ok"]))

    def ask(session: requests.Session) -> str:
        with session.get(url, stream=True) as answer:
            next(answer.iter_content(None))
        return session.get(other).text

    trial.same(ask, "ok")


def killed(trial: Trial) -> bytes:
    """Record one whole answer and a part of another, in a process that is killed; return what is left on disk."""
    whole = trial.server.on("/whole", Answer([b"the whole answer"]))
    part = trial.server.on("/part", streamed([b"data: the first part\n\n", *EVENTS], stall_after=2))
    code = f"""
import sys, time
from pathlib import Path
from bench.scenarios.tools import TOOLS
with TOOLS[{trial.tool.name!r}].recording(Path({str(trial.path)!r})) as taps:
    session = taps.session()
    session.get({whole!r}).text
    print("whole", flush=True)
    for piece in session.get({part!r}, stream=True).iter_content(None):
        print("part", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        reader = threading.Thread(target=process.stdout.readline)
        reader.start()
        reader.join(2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
    if trial.tool.name == "recorder":
        from click.testing import CliRunner

        from recorder.cli.application import application

        CliRunner().invoke(application, ["recover", "--store", str(trial.path)])
    return trial.path.read_bytes() if trial.path.exists() else b""


@scenario("streams", "", "a run that is killed keeps the exchanges that had finished")
def killed_whole(trial: Trial) -> None:
    if b"the whole answer" not in killed(trial):
        raise FailedError("nothing is on disk")


@scenario("streams", "", "a run that is killed keeps the chunks that the program had seen")
def killed_part(trial: Trial) -> None:
    if b"the first part" not in killed(trial):
        raise FailedError("nothing of it is on disk")
