"""What clients send to the replay server: requests of every kind, and what is none."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from recorder import Player
from recorder.serving.server import in_thread
from tests.integration.test_replay import ask
from tests.raw_client import Wire, asked, request
from tests.served import PATH, tapes, wire_of


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Host: api.openai.example"], 403),
        (["Host: evil.example"], 403),
        (["Host: localhost:99"], 200),
        (["Host: [::1]:99"], 200),
        (["Host: 127.0.0.1", "Origin: https://evil.example"], 403),
        (["Host: 127.0.0.1", "Origin: null"], 403),
        (["Host: 127.0.0.1", "Origin: http://localhost:3000", "Sec-Fetch-Site: cross-site"], 200),
        (["Host: 127.0.0.1", "Sec-Fetch-Site: cross-site"], 403),
        (["Host: 127.0.0.1", "Sec-Fetch-Site: none"], 200),
    ],
)
def test_pages_of_other_sites_are_not_answered(lines: list[str], status: int, player: Player) -> None:
    body = json.dumps(ask("a")).encode()
    head = "\r\n".join([f"POST {PATH} HTTP/1.1", f"Content-Length: {len(body)}", "Connection: close", *lines, "", ""])
    with player.serve() as url:
        for path in (PATH, "/_recorder/status"):
            with Wire(url) as wire:
                wire.send(head.replace(PATH, path).encode() + body)
                came = wire.until_the_end()
            assert came.status == (status if path == PATH else 405 if status == 200 else status)
        assert (len(player.unplayed) == 3) == (status == 403)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000, 431),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.0\r\n\r\n", 505),
        (b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\nConnection: close\r\n\r\n", 501),
        (b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\nConnection: close\r\n\r\n", 501),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"\r\nGET /_recorder/health HTTP/1.0\r\n\r\n", 200),
        (b"POST /_recorder/health/../reset HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
    ],
)
def test_what_is_no_request_is_told_so_and_disturbs_nobody(sent: bytes, status: int, player: Player) -> None:
    with player.serve() as url, Wire(url) as other:
        other.send(request(PATH, ask("a"))[:60])
        with Wire(url) as wire:
            wire.send(sent)
            came = wire.until_the_end()
        assert (came.status, came.end) == (status, "closed")
        other.send(request(PATH, ask("a"))[60:])
        assert other.answer().status == 200


@pytest.mark.parametrize("sent", [b"POST / HTTP/1.1\r\nHost: a", request("/", b"12345")[:-1]])
def test_a_request_that_does_not_go_on_is_given_up(sent: bytes, player: Player) -> None:
    server = player.server()
    server.patience = 0.05
    with in_thread(server) as url, Wire(url) as idle, Wire(url) as wire:
        wire.send(sent)
        came = wire.until_the_end()
        assert (came.status, came.end) == (408, "closed")
        idle.ask("/_recorder/health", method="GET")  # a connection without a request may wait
        assert idle.answer().status == 200


@pytest.fixture(scope="module")
def busy(recorded: str) -> Iterator[str]:
    """The URL of one server for all examples of a property; at the end it still answers."""
    player = Player(recorded)
    with player.serve() as url:
        yield url
        assert asked(url, "/_recorder/health", method="GET").status == 200
    player.close()


@given(junk=st.binary(max_size=200), at=st.integers(0, 200))
def test_nothing_that_is_sent_breaks_it(busy: str, junk: bytes, at: int) -> None:
    whole = request(PATH, {"model": "m"}, "Connection: close")
    with Wire(busy) as wire:
        try:
            wire.send(whole[:at] + junk + whole[at:] if at % 2 else junk)
            wire.socket.shutdown(socket.SHUT_WR)
            came = wire.until_the_end()
        except OSError:  # it was answered and closed before everything was sent
            return
    assert came.reads == [] or 400 <= came.status < 506, came
    assert came.end in ("closed", "reset")


def test_uploads_in_chunks_and_with_100_continue(recorded: str) -> None:
    body = json.dumps(ask("a")).encode()
    pieces = b"".join(b"%x\r\n%b\r\n" % (1, body[at : at + 1]) for at in range(len(body))) + b"0\r\n\r\n"
    lines = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with Player(recorded) as player, player.serve() as url, Wire(url) as wire:
        wire.send(f"{lines}Transfer-Encoding: chunked\r\n\r\n".encode() + pieces)
        assert wire.answer().status == 200
        wire.send(f"{lines}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert wire.until(lambda data: data.endswith(b"\r\n\r\n")).data.startswith(b"HTTP/1.1 100 ")
        wire.send(body)
        assert wire.answer().data == wire_of(tapes(recorded)[1])


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("cutt:after-chunks=1", "did you mean cut?"),
        ("corrupt-gzip", "not compressed"),
        ("cut", "say where to cut"),
        ("\xff", "is no UTF-8"),
        ("cut:after-bytes=1000000", "there is nothing after that to go wrong"),
        ("late:1", "at a pace of 0"),
        ('status:429,retry-after="a\\r\\nX: y"', "nothing that a header can say"),
    ],
)
def test_a_wrong_fault_is_told_to_the_client(fault: str, says: str, player: Player) -> None:
    with player.serve() as url, Wire(url) as wire:
        header = b"X-Recorder-Fault: " + fault.encode("latin-1")
        wire.send(request(PATH, ask("a"), "Connection: close").replace(b"Host", header + b"\r\nHost"))
        came = wire.until_the_end()
    assert came.status == 400
    assert says in came.error["message"]
    (refused,) = player.refused
    assert says in str(refused)


def test_a_client_that_speaks_tls_is_told_so(recorded: str, caplog: pytest.LogCaptureFixture) -> None:
    with Player(recorded) as player:
        server = player.server()
        with in_thread(server) as url, requests.Session() as session, pytest.raises(requests.exceptions.SSLError):
            session.post(url.replace("http:", "https:") + PATH, json=ask("a"))
    assert "not a request, the client speaks TLS, the server does not: use a base URL of http://" in caplog.text
    assert server.report.failed


def test_a_client_that_goes_away_before_it_has_asked_is_nobodys_business(recorded: str) -> None:
    with Player(recorded) as player:
        server = player.server()
        with in_thread(server) as url:
            for sent in (b"", b"\r\n", b"POST / HT", request(PATH, ask("a"))[:-1]):
                with Wire(url) as wire:
                    wire.send(sent)
                    wire.socket.shutdown(socket.SHUT_WR)
                    assert wire.until_the_end().reads == []
        assert not server.report.failed
