"""What one send of the program causes: attempts, payloads and proxies, each exchange in its place."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3.util import Retry

from recorder import Player, Recorder
from recorder.core.redaction import MARKER
from tests.recorded import end, in_order, linked, only, streams, types
from tests.wire import Got, certificate, proxy, reply, server_tls, wire

# Attempts


def test_retries_are_exchanges_of_one_call(sqlite_url: str) -> None:
    answers = iter([reply(b"busy", status="503 Busy"), None, reply(b"at last")])
    with wire(lambda _: next(answers)) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)))
        response = recorder.mount(session).get(server.url)
        assert response.content == b"at last"
        identity = recorder.exchange(response)
    assert linked(sqlite_url) == [
        (1, 503, "response_completed"),
        (2, None, "request_failed"),
        (3, 200, "response_completed"),
    ]
    assert in_order(sqlite_url)[-1].id == identity


def test_retries_of_a_refused_connection_are_each_recorded(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0)))
        with pytest.raises(requests.ConnectionError):
            recorder.mount(session).get("http://127.0.0.1:1/")
    assert linked(sqlite_url) == [(n, None, "request_failed") for n in (1, 2, 3)]


def test_a_redirect_goes_on_with_the_call(sqlite_url: str) -> None:
    def answer(request: Got) -> bytes:
        if request.target == "/old":
            return reply(b"", "Location: /new", status="307 Elsewhere")
        return reply(request.body)

    with wire(answer) as server, Recorder(sqlite_url) as recorder:
        response = recorder.mount(requests.Session()).post(f"{server.url}/old", data=b"keep me")
        assert response.content == b"keep me"
        assert recorder.exchange(response) != recorder.exchange(response.history[0])
    assert linked(sqlite_url) == [(1, 307, "response_completed"), (2, 200, "response_completed")]


def test_a_digest_round_goes_on_with_the_call(sqlite_url: str) -> None:
    def answer(request: Got) -> bytes:
        if "authorization" not in request.headers:
            challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
            return reply(b"", challenge, status="401 Who")
        return reply(b"in")

    with wire(answer) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert session.get(server.url, auth=HTTPDigestAuth("me", "pass-phrase")).content == b"in"
    assert linked(sqlite_url) == [(1, 401, "response_completed"), (2, 200, "response_completed")]
    with Player(sqlite_url) as player, player.mount(requests.Session()) as session:
        assert session.get(server.url, auth=HTTPDigestAuth("me", "another")).content == b"in"


@pytest.mark.parametrize("status", ["401 Who", "407 Who"])
def test_copies_sent_unchanged_after_a_challenge_are_calls_of_their_own(status: str, sqlite_url: str) -> None:
    with wire(lambda _: reply(b"", status=status)) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        prepared = session.prepare_request(requests.Request("GET", server.url))
        for _ in range(2):
            session.send(prepared.copy())
        changed = prepared.copy()
        changed.headers["Authorization"] = "Bearer another"
        session.send(changed)
    found = in_order(sqlite_url)
    assert [exchange.attempt for exchange in found] == [1, 1, 2]
    assert found[0].call != found[1].call == found[2].call


def test_two_sends_are_two_calls(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert session.get(server.url).ok
        assert session.get(server.url).ok
    found = in_order(sqlite_url)
    assert [exchange.attempt for exchange in found] == [1, 1]
    assert len({exchange.call for exchange in found}) == 2
    reused = [events[0].facts.get("reused") for _, events in sorted(streams(sqlite_url).items())]
    assert reused[1] is True


# Payloads


@pytest.mark.parametrize("redact", [None, "body:password"])
def test_streamed_payloads_are_recorded(redact: str | None, sqlite_url: str) -> None:
    payload = b'{"prompt": "' + b"a" * 40_000 + b'"}'
    with wire(lambda request: reply(request.body)) as server, Recorder(sqlite_url, redact=redact) as recorder:
        session = recorder.mount(requests.Session())
        pieces = [payload[at : at + 7000] for at in range(0, len(payload), 7000)]
        assert session.post(server.url, data=iter(pieces)).content == payload
        assert session.post(server.url, data=io.BytesIO(payload)).content == payload
        assert session.post(server.url, data=b"").content == b""
        assert session.post(server.url, data="text €".encode()).content == "text €".encode()
    *readable, text = [e.request.payload for e in in_order(sqlite_url) if e.request]
    assert readable == [payload, payload, b""]
    if redact is None:
        assert text == "text €".encode()
    else:  # where a field is to be found and none can be read, nothing is written
        assert MARKER.fullmatch(text.decode())
    with Player(sqlite_url) as player, player.mount(requests.Session()) as session:
        assert session.post(server.url, data=iter(pieces)).content == payload
        assert session.post(server.url, data=io.BytesIO(payload)).content == payload


def test_a_large_streamed_payload_is_recorded_in_pieces(sqlite_url: str) -> None:
    piece = b"x" * 300_000
    with wire(lambda request: reply(b"%d" % len(request.body))) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert session.post(server.url, data=(piece for _ in range(8))).content == b"2400000"
    bodies = [len(event.body or b"") for event in only(sqlite_url) if event.type == "request_body_sent"]
    assert len(bodies) == 2
    assert sum(bodies) == 2_400_000


def test_a_generator_that_fails_is_the_programs_own_failure(sqlite_url: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise LookupError("mine")

    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        with pytest.raises(LookupError, match="mine"):
            recorder.mount(requests.Session()).post(server.url, data=pieces())
    events = only(sqlite_url)
    assert types(events) == ["request_sent", "request_body_sent", "request_failed"]
    assert end(events).facts["error"] == {"type": "builtins.LookupError", "message": ""}


def test_a_server_that_answers_before_it_has_read_everything(sqlite_url: str) -> None:
    def answer(request: Got) -> bytes:
        return reply(b"too much", "Connection: close", status="413 Too Large")

    with wire(answer) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert session.post(server.url, data=b"y" * 200_000).status_code == 413
    assert types(only(sqlite_url))[0] == "request_sent"


# Proxies


def test_an_http_proxy_is_used_and_is_no_exchange(sqlite_url: str) -> None:
    with wire(lambda _: reply(b"behind")) as server, wire(proxy) as through, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert session.get(server.url, proxies={"http": through.url}).content == b"behind"
        assert [request.method for request in through.got] == ["GET"]
    (exchange,) = in_order(sqlite_url)
    assert exchange.request is not None
    assert exchange.request.url == f"{server.url}/"


def test_a_tunnel_is_no_exchange_and_what_goes_through_it_is_one(sqlite_url: str, tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    with (
        wire(lambda _: reply(b"in the tunnel"), server_tls(pem)) as server,
        wire(proxy) as through,
        Recorder(sqlite_url) as recorder,
    ):
        session = recorder.mount(requests.Session())
        for _ in range(2):
            got = session.get(server.url, proxies={"https": through.url}, verify=str(pem))
            assert got.content == b"in the tunnel"
        assert [request.method for request in through.got] == ["CONNECT"]  # the connection was used twice
        session.close()
    assert [e.request.method for e in in_order(sqlite_url) if e.request] == ["GET", "GET"]
    with Player(sqlite_url) as player, player.mount(requests.Session()) as session:
        assert session.get(server.url, proxies={"https": through.url}).content == b"in the tunnel"


def test_a_proxy_that_refuses_the_tunnel(sqlite_url: str) -> None:
    with wire(lambda _: reply(b"no", status="403 No")) as through, Recorder(sqlite_url) as recorder:
        with pytest.raises(requests.exceptions.ProxyError):
            recorder.mount(requests.Session()).get("https://127.0.0.1:1/", proxies={"https": through.url})
    events = only(sqlite_url)
    assert types(events) == ["request_sent", "request_failed"]
    assert end(events).facts["phase"] == "connect"
