"""Servers that repeat a credential of the request: it goes from heads, and is told of where it stands in a body."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import httpx
import pytest
import requests

from recorder import Recorder, Store
from recorder.core.redaction import MARKER
from tests.commands import run
from tests.wire import Got, chunked, wire

KEY = "sk-S3cr3t-0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}


def _head(request: Got) -> bytes:
    return (
        f"HTTP/1.1 401 no such key {KEY}\r\nX-Asked: {request.headers['authorization']}\r\n"
        f"Content-Length: 2\r\nLocation: /x?u={KEY}\r\n\r\n{{}}"
    ).encode()


def test_a_repeated_credential_goes_from_the_head(sqlite_url: str) -> None:
    with wire(_head) as server, Recorder(sqlite_url) as recorder, requests.Session() as session:
        got = recorder.mount(session).get(server.url, headers=HEADERS)
        assert (got.reason, got.headers["x-asked"]) == (f"no such key {KEY}", HEADERS["Authorization"])  # untouched
        with httpx.Client(transport=recorder.httpx_transport(httpx.HTTPTransport())) as client:
            client.get(server.url, headers=HEADERS)
    with Store(sqlite_url) as store:
        events = [event for one in store.exchanges() for event in store.events(one["id"])]
    assert KEY.encode() not in b"".join(event.body or b"" for event in events)
    for started in (event for event in events if event.type == "response_started"):
        assert len(MARKER.findall((started.body or b"").decode())) == 3
        assert started.facts["redacted"] == ["header::status", "header:x-asked", "header:location"]


@pytest.mark.parametrize("pieces", [[f'{{"key": "{KEY}"}}'], [f'{{"key": "{KEY[:9]}', f'{KEY[9:]}", "n": 1}}']])
def test_a_repeated_credential_in_a_body_is_told_of_and_the_body_stays(
    pieces: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "echo.jsonl"
    frames = [piece.encode() for piece in pieces]
    with wire(lambda _: chunked(*frames)) as server, Recorder(path) as recorder, requests.Session() as session:
        with caplog.at_level(logging.WARNING, "recorder"):
            assert recorder.mount(session).get(server.url, headers=HEADERS).content == b"".join(frames)
    (told,) = [record.getMessage() for record in caplog.records if "repeats a credential" in record.getMessage()]
    with Store(path) as store:
        (exchange,) = (one["id"] for one in store.exchanges())
    assert exchange in told
    checked = run("cassette", "check", str(path))
    assert checked.exit_code == 1
    assert f"the answer of {exchange} repeats a credential of its request (authorization)" in checked.output
    assert KEY not in told + checked.output


def test_what_repeats_nothing_is_told_nothing_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "plain.jsonl"
    body = b'{"key": "sk-S3cr3t-other", "short": "abc"}'
    with wire(lambda _: chunked(body)) as server, Recorder(path) as recorder, requests.Session() as session:
        recorder.mount(session).get(server.url, headers={**HEADERS, "X-Api-Key": "abc"})
    assert not [record for record in caplog.records if "repeats" in record.getMessage()]
    assert run("cassette", "check", str(path)).exit_code == 0


def test_a_packed_body_is_looked_into_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "packed.jsonl"
    body = gzip.compress(f"you are Bearer:{KEY}.".encode(), mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with wire(lambda _: head + body) as server, Recorder(path) as recorder, requests.Session() as session:
        recorder.mount(session).get(server.url, headers=HEADERS)
    assert "repeats a credential" in run("cassette", "check", str(path)).output
