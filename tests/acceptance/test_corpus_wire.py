"""Every stream of the corpus over a real socket: recorded, rebuilt, replayed, byte for byte."""

from __future__ import annotations

import hashlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from recorder import Player, Recorder, Store
from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.rebuild import rebuild
from tests import corpus
from tests.building import ExchangeBuilder

pytestmark = corpus.needs_corpus

#: Every other one by default: each is served, recorded and replayed over real sockets. All of them with ``-m soak``.
SAMPLE = [
    pytest.param(name, marks=[pytest.mark.soak] if number % 2 else []) for number, name in enumerate(corpus.names(""))
]

REBUILT = ("dialect", "messages", "choices", "usage", "usage_reports", "finish_reasons", "models_answered", "verdict")


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its head

    def handle(self) -> None:
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            self.rfile.read(length)
            self._answer(corpus.stream(line.split()[1].decode().partition("/stream/")[2]))

    def _answer(self, stream: corpus.CorpusStream) -> None:
        head = [f"HTTP/1.1 {_status(stream)} OK", "Transfer-Encoding: chunked"]
        head += [f"{name}: {value}" for name, value in _headers(stream)]
        self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1"))
        for chunk in stream.transport_chunks:
            if chunk:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")


def _status(stream: corpus.CorpusStream) -> int:
    return int(stream.sidecar["response"]["status"] or 200)


def _headers(stream: corpus.CorpusStream) -> list[tuple[str, str]]:
    kept = [(str(name), str(value)) for name, value in stream.sidecar["response"]["headers"] or []]
    coding = stream.sidecar["response"].get("stored_content_encoding")
    kept = [pair for pair in kept if pair[0].lower() == "content-type"]
    return kept + ([("Content-Encoding", coding)] if coding else [])


def _payload(stream: corpus.CorpusStream) -> bytes:
    return (stream.sidecar["request"]["body"] or "{}").encode()


@dataclass
class Recorded:
    url: str
    base: str
    ids: dict[str, str]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Record the whole corpus once; the server is gone when the tests run."""
    folder: Path = tmp_path_factory.mktemp("corpus")
    url = f"sqlite:///{folder / 'corpus.db'}"
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}/stream/"
    ids = {}
    with Recorder(url) as recorder, requests.Session() as session:
        recorder.mount(session)
        for name in corpus.names(""):
            response = session.post(base + name, data=_payload(corpus.stream(name)), stream=True)
            assert b"".join(response.raw.stream(None, decode_content=False)) == corpus.stream(name).body
            ids[name] = recorder.exchange(response)
    server.shutdown()
    server.server_close()
    return Recorded(url, base, ids)


@pytest.fixture(scope="module")
def store(recorded: Recorded) -> Iterator[Store]:
    with Store(recorded.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def offline(recorded: Recorded) -> Iterator[requests.Session]:
    with Player(recorded.url) as player, requests.Session() as session:
        yield player.mount(session)


def _directly(stream: corpus.CorpusStream, request: Rebuilt) -> Rebuilt:
    """Rebuild from the corpus file itself, without wire or store between."""
    builder = ExchangeBuilder().request(
        _payload(stream), url=request.exchange.request.url if request.exchange.request else ""
    )
    exchange = fold(
        builder.response(_status(stream), headers=_headers(stream)).chunks(*stream.transport_chunks).completed().events
    )
    assert exchange is not None
    return rebuild(exchange)


def _timeless(value: Any) -> Any:
    """Return what was rebuilt without the times and the chunks of its parts: they are those of the wire."""
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {"bytes": item["bytes"]} if key == "origin" and "bytes" in item else _timeless(item)
        for key, item in value.items()
    }


@pytest.mark.parametrize("name", SAMPLE)
def test_recorded_rebuilt_and_replayed(name: str, recorded: Recorded, store: Store, offline: requests.Session) -> None:
    stream = corpus.stream(name)
    rebuilt = store.exchange(recorded.ids[name])
    assert rebuilt.exchange.body == stream.body
    recorded_chunks = [rebuilt.exchange.body[chunk.start : chunk.end] for chunk in rebuilt.exchange.chunks]
    assert b"".join(recorded_chunks) == stream.body
    assert len(recorded_chunks) >= len([chunk for chunk in stream.transport_chunks if chunk])
    ours, direct = as_json(rebuilt), as_json(_directly(stream, rebuilt))
    assert all(_timeless(ours.get(key)) == _timeless(direct.get(key)) for key in REBUILT)
    response = offline.post(recorded.base + name, data=_payload(stream), stream=True)
    frames = list(response.raw.stream(None, decode_content=False))
    assert hashlib.sha256(b"".join(frames)).hexdigest() == hashlib.sha256(stream.body).hexdigest()
    assert frames == [chunk for chunk in stream.transport_chunks if chunk]
