"""A token in every place where one may be, and then a search of every byte that was written anywhere."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from sqlalchemy.engine import make_url

from recorder import Player, Recorder
from recorder.locations import spool_directory
from tests.postgres_server import PostgresServer
from tests.recorded import exchanges, only, streams, traces
from tests.wire import Got, Wire, chunked, proxy, reply, wire

# Nothing that looks like a token of anybody's: made of words, each place with one of its own.
PLACES = [
    "authorization",
    "proxy-authorization",
    "basic",
    "cookie",
    "set-cookie",
    "api-key",
    "client-secret",
    "session-token",
    "userinfo-name",
    "userinfo-password",
    "proxy-password",
    "query-key",
    "query-token",
    "query-signature",
    "location",
    "body-plain",
    "body-deep",
    "body-pointer",
    "body-streamed",
    "body-form",
    "body-named",
    "trailer",
    "error-url",
    "refused-url",
    "own-header",
    "own-query",
    "streamed-error",
]
SECRETS = {place: f"wolf-{place}-secret-value-{number:03d}" for number, place in enumerate(PLACES)}
RULES = ["header:X-Desk", "query:desk", "body:password", "body:/wallet/*/pin"]


def _answer(request: Got) -> bytes | None:
    path = request.target.removeprefix("http://").partition("?")[0]
    if path.endswith("/redirect"):
        place = f"/landed?key={SECRETS['location']}&page=2"
        return reply(b"", f"Location: {place}", f"Set-Cookie: sid={SECRETS['set-cookie']}; Path=/", status="302 Found")
    if path.endswith("/trailers"):
        return chunked(b"x", headers=("Trailer: X-Auth-Token",), trailers=f"X-Auth-Token: {SECRETS['trailer']}\r\n")
    if path.endswith("/cut"):
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort")
        return None
    if path.endswith("/broken"):
        return None
    return reply(b'{"ok":true}', "x-ratelimit-remaining-tokens: 149984")


@pytest.fixture
def server() -> Iterator[Wire]:
    with wire(_answer) as served:
        yield served


def _act(session: requests.Session, server: Wire, proxy_port: int) -> None:
    s, url = SECRETS, server.url
    headers = {
        "Authorization": f"Bearer {s['authorization']}",
        "Cookie": f"a={s['cookie']}; theme=dark",
        "X-Api-Key": s["api-key"],
        "X-Client-Secret-Id": s["client-secret"],
        "X-Session-Token": s["session-token"],
        "X-Desk": s["own-header"],
    }
    body = {
        "password": s["body-plain"],
        "deep": [{"password": {"old": s["body-deep"]}}],
        "wallet": [{"pin": s["body-pointer"]}],
        "prompt": "buy or hold?",
        "tools": [{"type": "mcp", "authorization": s["body-named"]}],
        "again": [s["authorization"], f"curl -H 'X-Api-Key: {s['api-key']}'", s["cookie"]],
    }
    session.post(f"{url}/v1", headers=headers, json=body)
    signed = f"key={s['query-key']}&access_token={s['query-token']}&sig={s['query-signature']}&desk={s['own-query']}"
    session.get(f"{url}/query?{signed}&page=1")
    host = url.removeprefix("http://")
    session.get(f"http://{s['userinfo-name']}:{s['userinfo-password']}@{host}/userinfo")
    session.get(f"{url}/basic", auth=("user", s["basic"]))
    session.get(f"{url}/redirect")
    session.get(f"{url}/trailers").close()
    streamed = json.dumps({"a": 1, "password": s["body-streamed"]}).encode()
    session.post(f"{url}/generator", data=(streamed[at : at + 7] for at in range(0, len(streamed), 7)))
    session.post(f"{url}/file", data=io.BytesIO(streamed))
    session.post(f"{url}/form", data={"password": s["body-form"], "user": "me"})
    through = f"http://user:{s['proxy-password']}@127.0.0.1:{proxy_port}"
    session.get(f"{url}/proxied", proxies={"http": through})
    session.get(f"{url}/proxied", headers={"Proxy-Authorization": f"Token {s['proxy-authorization']}"})
    for path in ("cut", "broken"):
        with suppress(requests.RequestException):
            session.get(f"{url}/{path}?token={s['error-url']}", timeout=5).close()
    with suppress(requests.RequestException):
        session.get(f"http://127.0.0.1:1/?token={s['refused-url']}")

    def pieces() -> Iterator[bytes]:
        yield b'{"a":'
        raise ValueError(f"no more for http://127.0.0.1/?token={s['streamed-error']}&x={s['error-url']}")

    with suppress(ValueError):
        session.post(f"{url}/failing?token={s['streamed-error']}", data=pieces())


def _nothing_in(data: bytes, where: object) -> None:
    for place, secret in SECRETS.items():
        for trace in traces(secret):
            assert trace not in data, f"the secret of {place} is in {where}"


def _dump(url: str, server: PostgresServer | None) -> Iterator[tuple[bytes, object]]:
    """Yield every byte that lies in the files of a store."""
    folder = Path(make_url(url).database or "").parent if server is None else server.data
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes(), path


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("durability", ["delivered", "batched"])
def test_no_secret_is_written_anywhere(
    engine: str,
    durability: str,
    server: Wire,
    request: pytest.FixtureRequest,
    own_home: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # its debug lines quote URLs; they are not ours
    postgres: PostgresServer | None = None
    if engine == "sqlite":
        url = request.getfixturevalue("sqlite_url")
    else:
        postgres = request.getfixturevalue("own_postgres")
        url = postgres.create_database()
        from recorder.store.schema import upgrade

        upgrade(url)
    with wire(proxy) as through, Recorder(url, redact=RULES, durability=durability) as recorder:
        session = recorder.mount(requests.Session())
        spool = spool_directory(url)
        _act(session, server, through.port)
        if durability == "delivered":
            spooled = b"".join(path.read_bytes() for path in spool.iterdir())
            assert b"buy or hold?" in spooled  # the spool keeps what it has drained until it is rolled over
            _nothing_in(spooled, "the spool")
        assert recorder.flush()
        for data, where in _dump(url, postgres):  # with its write-ahead log
            _nothing_in(data, where)
    if postgres is not None:
        postgres.stop()
        for data, where in _dump(url, postgres):
            _nothing_in(data, where)
        postgres.start()
    else:
        for data, where in _dump(url, None):
            _nothing_in(data, where)
    for path in own_home.rglob("*"):
        if path.is_file():
            _nothing_in(path.read_bytes(), path)
    _nothing_in("".join(record.getMessage() + str(record.exc_info) for record in caplog.records).encode(), "the log")
    output = capfd.readouterr()
    _nothing_in((output.out + output.err).encode(), "the output")
    everything = [
        (event.meta or "").encode() + b"\n" + (event.body or b"")
        for events in streams(url).values()
        for event in events
    ]
    _nothing_in(b"\n".join(everything), "the events")
    _what_was_kept(url)


def _what_was_kept(url: str) -> None:
    found = list(exchanges(url).values())
    first = next(e for e in found if e.request is not None and e.request.url.endswith("/v1"))
    assert first.request is not None
    assert first.response is not None
    assert first.response.header("x-ratelimit-remaining-tokens") == "149984"
    assert first.request.json["prompt"] == "buy or hold?"
    assert first.request.json["password"].startswith("~redacted~password~")
    assert {"header:authorization", "header:cookie", "header:x-desk", "body:/password", "body:/wallet/0/pin"} <= set(
        first.request.redacted
    )
    failed = [e for e in found if e.transport_end == "request_failed"]
    assert len(failed) >= 3
    assert sum(len(events) for events in streams(url).values()) > 40


_AFTER: dict[str, bytes] = {
    "cut-trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSet-Cookie: sid=%s\r\n",
    "second-head": reply(b"x") + b"HTTP/1.1 408 Request Timeout\r\nSet-Cookie: sid=%s\r\n\r\n",
    "no-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\nSet-Cookie: sid=%s\r\n\r\n",
    "no-start-line": b"Set-Cookie: sid=%s\r\n\r\n",
}


@pytest.mark.parametrize("place", _AFTER)
def test_a_credential_where_no_head_is_read(place: str, sqlite_url: str) -> None:
    secret = f"wolf-{place}-secret-value"

    def answer(request: Got) -> None:
        request.connection.sendall(_AFTER[place].replace(b"%s", secret.encode()))

    with wire(answer) as served, Recorder(sqlite_url) as recorder:
        with suppress(requests.RequestException):
            _ = recorder.mount(requests.Session()).get(served.url, timeout=5).content
        assert recorder.flush()
    every = [event for events in streams(sqlite_url).values() for event in events]
    written = b"".join((event.meta or "").encode() + (event.body or b"") for event in every)
    assert b"sid=~redacted~cookie~" in written
    for trace in traces(secret):
        assert trace not in written


def test_the_same_key_shows_as_the_same_and_another_as_another(sqlite_url: str, server: Wire) -> None:
    with Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        for key in ("one", "one", "two"):
            session.get(f"{server.url}/", headers={"Authorization": f"Bearer {key * 8}"})
    shown = []
    for exchange in exchanges(sqlite_url).values():
        assert exchange.request is not None
        shown.append(dict(exchange.request.headers)["Authorization"])
    assert shown[0] == shown[1] != shown[2]
    assert all(value.startswith("Bearer ~redacted~authorization~") for value in shown)


def test_another_key_and_another_value_play_the_recording(sqlite_url: str, server: Wire) -> None:
    with Recorder(sqlite_url, redact=["body:password"]) as recorder:
        session = recorder.mount(requests.Session())
        recorded = session.post(f"{server.url}/v1?key=real-key", json={"password": "real-one", "n": 1}).content
    with Player(sqlite_url) as player, player.mount(requests.Session()) as session:
        played = session.post(f"{server.url}/v1?key=dummy", json={"password": "dummy", "n": 1})
    assert played.content == recorded
    assert len(only(sqlite_url)) > 0
