"""What is mounted stays the user's; what goes over the wire is recorded; the process may do as it likes."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import pickle
import signal
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection
from urllib3.util import Retry

from recorder import ConfigurationError, NotFound, Player, Recorder, Store
from recorder.core.events import CONVERSATION_TYPES
from recorder.core.exchange import Exchange
from recorder.core.redaction import MARKER
from tests.loopback import Script, serve
from tests.recorded import ask, end, exchanges, only, python, streams, types, until
from tests.wire import Got, certificate, proxy, reply, server_tls, wire


def _in_order(url: str) -> list[Exchange]:
    return [exchange for _, exchange in sorted(exchanges(url).items())]


def _linked(url: str) -> list[tuple[int | None, int | None, str | None]]:
    """Return (attempt, status, end) of every exchange; all of them must be of one call."""
    found = _in_order(url)
    assert len({exchange.call for exchange in found}) == 1
    return [(e.attempt, e.response.status if e.response else None, e.transport_end) for e in found]


# Attempts


def test_retries_are_exchanges_of_one_call(sqlite_url: str) -> None:
    answers = iter([reply(b"busy", status="503 Busy"), None, reply(b"at last")])
    with wire(lambda _: next(answers)) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)))
        response = recorder.mount(session).get(server.url)
        assert response.content == b"at last"
        identity = recorder.exchange(response)
    assert _linked(sqlite_url) == [
        (1, 503, "response_completed"),
        (2, None, "request_failed"),
        (3, 200, "response_completed"),
    ]
    assert _in_order(sqlite_url)[-1].id == identity


def test_retries_of_a_refused_connection_are_each_recorded(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0)))
        with pytest.raises(requests.ConnectionError):
            recorder.mount(session).get("http://127.0.0.1:1/")
    assert _linked(sqlite_url) == [(n, None, "request_failed") for n in (1, 2, 3)]


def test_a_redirect_goes_on_with_the_call(sqlite_url: str) -> None:
    def answer(request: Got) -> bytes:
        if request.target == "/old":
            return reply(b"", "Location: /new", status="307 Elsewhere")
        return reply(request.body)

    with wire(answer) as server, Recorder(sqlite_url) as recorder:
        response = recorder.mount(requests.Session()).post(f"{server.url}/old", data=b"keep me")
        assert response.content == b"keep me"
        assert recorder.exchange(response) != recorder.exchange(response.history[0])
    assert _linked(sqlite_url) == [(1, 307, "response_completed"), (2, 200, "response_completed")]


def test_a_digest_round_goes_on_with_the_call(sqlite_url: str) -> None:
    def answer(request: Got) -> bytes:
        if "authorization" not in request.headers:
            challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
            return reply(b"", challenge, status="401 Who")
        return reply(b"in")

    with wire(answer) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert session.get(server.url, auth=HTTPDigestAuth("me", "pass-phrase")).content == b"in"
    assert _linked(sqlite_url) == [(1, 401, "response_completed"), (2, 200, "response_completed")]
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
    found = _in_order(sqlite_url)
    assert [exchange.attempt for exchange in found] == [1, 1, 2]
    assert found[0].call != found[1].call == found[2].call


def test_two_sends_are_two_calls(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert session.get(server.url).ok
        assert session.get(server.url).ok
    found = _in_order(sqlite_url)
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
    *readable, text = [e.request.payload for e in _in_order(sqlite_url) if e.request]
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
    (exchange,) = _in_order(sqlite_url)
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
    assert [e.request.method for e in _in_order(sqlite_url) if e.request] == ["GET", "GET"]
    with Player(sqlite_url) as player, player.mount(requests.Session()) as session:
        assert session.get(server.url, proxies={"https": through.url}).content == b"in the tunnel"


def test_a_proxy_that_refuses_the_tunnel(sqlite_url: str) -> None:
    with wire(lambda _: reply(b"no", status="403 No")) as through, Recorder(sqlite_url) as recorder:
        with pytest.raises(requests.exceptions.ProxyError):
            recorder.mount(requests.Session()).get("https://127.0.0.1:1/", proxies={"https": through.url})
    events = only(sqlite_url)
    assert types(events) == ["request_sent", "request_failed"]
    assert end(events).facts["phase"] == "connect"


# What the user mounted


class OwnAdapter(HTTPAdapter):
    """An adapter of the user's, with state of its own."""

    def __init__(self, context: ssl.SSLContext | None = None, **options: Any) -> None:
        self.context = context
        self.sends = 0
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self.context, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sends += 1
        return super().send(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name in ("sends", "max_retries", "config")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.__dict__.update(state)


def test_an_adapter_of_the_users_keeps_what_it_is_and_stays_untouched(sqlite_url: str, tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(pem))
    own = OwnAdapter(context, max_retries=Retry(2, status_forcelist=[503], backoff_factor=0), pool_maxsize=3)
    before, pools = dict(own.__dict__), own.poolmanager.pool_classes_by_scheme
    answers = iter([reply(status="503 Busy"), reply(b"ok")])
    with wire(lambda _: next(answers), server_tls(pem)) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount(server.url, own)
        recorder.mount(session)
        mounted = session.get_adapter(server.url)
        assert isinstance(mounted, OwnAdapter)
        assert type(mounted).__name__ == "OwnAdapter"
        session.verify = str(pem)
        assert session.get(server.url).content == b"ok"
        assert (mounted.sends, own.sends) == (1, 1)
        assert mounted.context is context
        assert mounted.max_retries is own.max_retries
        session.close()
    assert own.__dict__ == {**before, "sends": 1}
    assert own.poolmanager.pool_classes_by_scheme is pools
    assert own.poolmanager.__class__ is PoolManager
    assert len(_linked(sqlite_url)) == 2


class TokenAdapter(HTTPAdapter):
    """Sends a token that the program changes."""

    token = "old"

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.headers["X-Desk"] = self.token
        return super().send(request, *args, **kwargs)


def test_an_adapter_that_is_changed_after_it_was_mounted(sqlite_url: str) -> None:
    own = TokenAdapter()
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", own)
        recorder.mount(session).get(server.url)
        own.token = "new"
        own.max_retries = Retry(7)
        session.get(server.url)
        assert session.get_adapter(server.url).max_retries.total == 7
        session.get_adapter(server.url).token = "newest"
        assert own.token == "newest"
    assert [{name.lower(): value for name, value in got.headers.items()}["x-desk"] for got in server.got] == [
        "old",
        "new",
    ]


def test_an_adapter_of_two_sessions_and_two_prefixes_has_one_pool(sqlite_url: str) -> None:
    own = HTTPAdapter(pool_maxsize=1, pool_block=True)
    sessions = [requests.Session() for _ in range(2)]
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        for session in sessions:
            session.mount("http://", own)
            session.mount("http://127.0.0.1", own)
            recorder.mount(session)
        assert len({id(session.adapters[at]) for session in sessions for at in ("http://", "http://127.0.0.1")}) == 1
        for session in (*sessions, *sessions):
            assert session.get(server.url).ok
        recorder.flush()
        told = [events[0].facts.get("connection") for events in streams(sqlite_url).values()]
        assert (server.connections, told) == (1, [None, 1, 1, 1])  # the head of the first left with the connecting


def test_a_connection_from_before_and_one_that_is_used_without_the_recorder(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        own, session, bare = HTTPAdapter(), requests.Session(), requests.Session()
        for each in (session, bare):
            each.mount("http://", own)
        assert session.get(server.url).ok
        assert recorder.mount(session).get(server.url).ok
        assert bare.get(server.url).ok
        assert session.get(server.url).ok
        recorder.flush()
        sent = [events[0].facts for events in streams(sqlite_url).values()]
        assert [(facts["connection"], facts["reused"]) for facts in sent] == [(1, True), (1, True)]
        assert server.connections == 1
        pools = own.poolmanager.pools
        (pool,) = [pools.get(key) for key in pools.keys()]  # noqa: SIM118 - urllib3's container does not iterate
        assert type(pool) is HTTPConnectionPool
        assert [type(one) for one in pool.pool.queue if one is not None] == [HTTPConnection]


def test_an_adapter_that_is_recorded_by_two_recorders(tmp_path: Path) -> None:
    own = HTTPAdapter(pool_maxsize=1)
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in "ab"]
    with wire(lambda _: reply()) as server, Recorder(urls[0]) as first, Recorder(urls[1]) as second:
        sessions = [requests.Session() for _ in range(2)]
        for session, recorder in zip(sessions, (first, second), strict=True):
            session.mount("http://", own)
            recorder.mount(session)
        for session in (*sessions, *sessions):
            assert session.get(server.url).ok
        assert server.connections == 1
    assert [len(exchanges(url)) for url in urls] == [2, 2]


def test_an_adapter_that_goes_to_its_pools_by_itself(sqlite_url: str) -> None:
    class Direct(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            pool = self.poolmanager.connection_from_url(request.url)
            answer = pool.urlopen("GET", "/", preload_content=False, decode_content=False)
            return self.build_response(request, answer)

    with wire(lambda _: reply(b"direct")) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("http://", Direct())
        assert recorder.mount(session).get(server.url).content == b"direct"
        session.get_adapter(server.url).init_poolmanager(1, 1)
        assert session.get(server.url).content == b"direct"
    assert len(exchanges(sqlite_url)) == 2


def test_mounting_twice_records_once(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(recorder.mount(requests.Session()))
        assert session.get(server.url).ok
    assert len(exchanges(sqlite_url)) == 1


def test_what_is_mounted_last_takes_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in "ab"]
    own = OwnAdapter()
    with wire(lambda _: reply(b"one")) as server, Recorder(urls[0]) as first, Recorder(urls[1]) as second:
        session = requests.Session()
        session.mount("http://", own)
        assert second.mount(first.mount(session)).get(server.url).content == b"one"
        assert "is recorded by this one from now on" in caplog.text
        assert len(caplog.records) == 1
        assert type(pickle.loads(pickle.dumps(session)).get_adapter("http://x/")) is OwnAdapter
        second.flush()
        with Player(urls[1]) as player:
            assert player.mount(session).get(server.url).content == b"one"
        assert len(server.got) == 1
    assert exchanges(urls[0]) == {}
    assert len(exchanges(urls[1])) == 1


def test_a_session_whose_adapter_is_no_http_adapter_is_refused(sqlite_url: str) -> None:
    class Own(BaseAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            raise NotImplementedError

        def close(self) -> None:
            pass

    with Recorder(sqlite_url) as recorder, requests.Session() as session:
        session.mount("https://api.", Own())
        session.mount("file://", Own())
        with pytest.raises(ConfigurationError, match=r"at 'https://api\.' is a Own, not an HTTPAdapter"):
            recorder.mount(session)
        assert session.get_adapter("http://x/").__class__ is HTTPAdapter
        session.adapters.pop("https://api.")
        recorder.mount(session)  # what is not for http is left alone


def test_a_pickled_session_comes_back_plain(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        session.mount("https://own.", OwnAdapter())
        session.headers["X-Kept"] = "yes"
        recorder.mount(session)
        copy = pickle.loads(pickle.dumps(session))
        assert copy.get(server.url).ok
        assert copy.headers["X-Kept"] == "yes"
        assert type(copy.get_adapter("http://x/")) is HTTPAdapter
        assert type(copy.get_adapter("https://own.x/")) is OwnAdapter
    assert exchanges(sqlite_url) == {}


def test_the_kill_switch(sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("RECORDER_OFF", "1")
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        session = requests.Session()
        adapter = session.get_adapter(server.url)
        assert recorder.mount(session).get_adapter(server.url) is adapter
        with recorder.conversation("nothing"):
            response = session.get(server.url)
        assert recorder.flush()
        assert recorder.health().ok
        assert recorder.recovered.events == 0
        assert recorder.exchange(response) is None
    assert "RECORDER_OFF" in caplog.text
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_the_id_of_what_came_before_and_after_the_recorder_was_closed(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server:
        with Recorder(sqlite_url) as recorder:
            session = recorder.mount(requests.Session())
            before = session.get(server.url)
        identity = recorder.exchange(before)
        after = session.get(server.url)
        assert recorder.exchange(after) is recorder.exchange(requests.get(server.url)) is None
    assert list(exchanges(sqlite_url)) == [identity]


def test_the_id_of_a_request_that_got_no_answer(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        with pytest.raises(requests.ConnectionError) as failed:
            session.get("http://127.0.0.1:9/")
        identity = recorder.exchange(failed.value.request)
    assert list(exchanges(sqlite_url)) == [identity]


@pytest.mark.parametrize("wrong", [None, "response", 3])
def test_what_is_no_response_has_no_id(sqlite_url: str, wrong: Any) -> None:
    with Recorder(sqlite_url) as recorder, pytest.raises(TypeError, match=r"response is not a requests\.Response but"):
        recorder.exchange(wrong)


def test_a_response_of_another_session_has_no_exchange(sqlite_url: str) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        response = requests.get(server.url)
        with pytest.raises(NotFound):
            recorder.exchange(response)
        recorder.mount(requests.Session())
        with pytest.raises(NotFound):
            recorder.exchange(response)


@pytest.mark.parametrize(
    "wrong",
    [
        {"durability": "maybe"},
        {"on_failure": "shrug"},
        {"drainer": "horse"},
        {"redact": "cookie:"},
        {"redact": 123},
        {"redact": [None]},
        {"close_timeout": "x"},
        {"close_timeout": -1},
        {"spool_wait": -1},
        {"spool_wait": float("nan")},
        {"store_url": 3},
        {"store_url": "sqlite://"},
        {"store_url": "mongodb://x/y"},
    ],
)
def test_wrong_arguments_are_told(wrong: dict[str, Any], sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError):
        Recorder(**{"store_url": sqlite_url, **wrong})


@pytest.mark.parametrize("tags", [{1: "x"}, {"x": 1}, ["x"]])
def test_tags_that_are_no_texts_are_told(sqlite_url: str, tags: Any) -> None:
    with Recorder(sqlite_url) as recorder, pytest.raises(ConfigurationError, match="tag"):
        recorder.conversation("desk", tags=tags)


def test_what_is_no_session_is_told(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        with pytest.raises(TypeError, match=r"session is not a requests\.Session but None"):
            recorder.mount(None)  # type: ignore[arg-type]
        with Player(sqlite_url) as player, pytest.raises(TypeError, match="session is not"):
            player.mount(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["plain.db", "50% odd?.db"])
def test_a_store_may_be_named_by_its_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with wire(lambda _: reply(b"x")) as server:
        with Recorder(path) as recorder:
            recorder.mount(requests.Session()).get(server.url)
        url = server.url
    assert path.exists()
    with Store(path) as store:
        assert len(list(store.exchanges())) == 1
    with Player(path) as player:
        assert player.mount(requests.Session()).get(url).content == b"x"


# Durability


@pytest.mark.parametrize("durability", ["delivered", "batched", "synced"])
@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_every_durability_records_everything(durability: str, drainer: str, store_url: str) -> None:
    script = Script(chunks=30, gap=0.001)
    with serve(script) as server, Recorder(store_url, durability=durability, drainer=drainer) as recorder:
        session = recorder.mount(requests.Session())
        for turn in range(3):
            assert ask(session, server.url, str(turn)).content == script.body(str(turn))
        assert recorder.flush()
        assert recorder.health().drained_events == sum(map(len, streams(store_url).values()))
    assert [e.transport_end for e in exchanges(store_url).values()] == ["response_completed"] * 3


def test_synced_syncs_the_request_and_the_end_and_chunks_soon_after(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recorder.recording.spool as spool

    synced: list[int] = []
    real = spool._fdatasync
    monkeypatch.setattr(spool, "_fdatasync", lambda fd: (synced.append(os.fstat(fd).st_size), real(fd))[1])
    with serve(Script(chunks=12, gap=0.03)) as server, Recorder(sqlite_url, durability="synced") as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content
        assert len(synced) >= 8  # the request, the end, and most of the chunks on their own: 30 ms apart
        assert synced == sorted(synced)


# Processes


FORKING = """
import multiprocessing, sys, requests
from recorder import Recorder
from tests.recorded import ask

def child(session, url):
    assert ask(session, url, "child").content
    with recorder.conversation("from the child"):
        assert ask(session, url, "child in a conversation").content

recorder = Recorder(sys.argv[1])
session = recorder.mount(requests.Session())
with recorder.conversation("from the child"):
    pieces = ask(session, sys.argv[2], "parent, open over the fork").iter_content(None)
first = next(pieces)
process = multiprocessing.get_context("fork").Process(target=child, args=(session, sys.argv[2]))
process.start()
process.join()
assert process.exitcode == 0
assert len(list(pieces)) > 3
assert ask(session, sys.argv[2], "parent again").content
recorder.close()
"""


def test_a_forked_child_records_for_itself(store_url: str) -> None:
    script = Script(chunks=8, gap=0.02)
    with serve(script) as server, python(FORKING, store_url, server.url) as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (0, "", "")
    bodies = {
        e.request.json["messages"][0]["content"]: (e.transport_end, e.body)
        for e in exchanges(store_url).values()
        if e.request
    }
    prompts = ["parent, open over the fork", "child", "child in a conversation", "parent again"]
    assert bodies == {prompt: ("response_completed", script.body(prompt)) for prompt in prompts}
    instances = {events[0].instance for events in streams(store_url).values()}
    assert len(instances) == 2


ORPHANED = """
import os, sys, time, requests
from recorder import Recorder
from tests.recorded import ask

recorder = Recorder(sys.argv[1])
session = recorder.mount(requests.Session())
pieces = ask(session, sys.argv[2], "of the parent").iter_content(None)
next(pieces)
if os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
time.sleep(60)
"""


def test_a_child_does_not_hold_the_lock_of_its_dead_parent(sqlite_url: str) -> None:
    with serve(Script(chunks=50, gap=0.05)) as server, python(ORPHANED, sqlite_url, server.url) as parent:
        assert parent.stdout is not None
        heir = int(parent.stdout.readline())
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            with Recorder(sqlite_url) as recorder:
                assert len(recorder.recovered.died) == 1
        finally:
            os.kill(heir, signal.SIGKILL)
    assert end(only(sqlite_url)).type == "process_died"


LEAVING = """
import sys, requests, threading
from recorder import Recorder
from tests.recorded import ask

recorder = Recorder(sys.argv[1], drainer=sys.argv[3])
session = recorder.mount(requests.Session())
assert ask(session, sys.argv[2], "whole").content
response = ask(session, sys.argv[2], "open")
pieces = response.iter_content(None)
next(pieces)
if sys.argv[4] == "raise":
    raise SystemExit(3)
"""


@pytest.mark.parametrize("drainer", ["thread", "process"])
@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_program_may_end_without_closing(how: str, drainer: str, store_url: str) -> None:
    script = Script(chunks=10, gap=0.02)
    with serve(script) as server, python(LEAVING, store_url, server.url, drainer, how) as child:
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (3 if how == "raise" else 0, "", "")
    assert sorted(e.transport_end or "" for e in exchanges(store_url).values()) == [
        "recorder_closed",
        "response_completed",
    ]
    with Recorder(store_url) as recorder:
        assert recorder.recovered.events == 0


def test_ctrl_c_in_the_middle_of_a_write_loses_no_place_in_the_chain(sqlite_url: str) -> None:
    program = """
import os, signal, sys, threading, time, requests
from recorder import Recorder
from tests.recorded import ask

recorder = Recorder(sys.argv[1])
session = recorder.mount(requests.Session())
interrupted = 0
stop = threading.Event()
def pester():
    while not stop.is_set():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.0037)
signal.signal(signal.SIGINT, signal.SIG_IGN)
threading.Thread(target=pester, daemon=True).start()
for turn in range(150):
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with ask(session, sys.argv[2], str(turn)) as response:
            for piece in response.iter_content(None):
                pass
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupted += 1
stop.set()
print(interrupted, recorder.flush(), recorder.health().store_error)
recorder.close()
"""
    with serve(Script(chunks=30, padding=10)) as server, python(program, sqlite_url, server.url) as child:
        out, err = child.communicate(timeout=100)
    assert child.returncode == 0, err
    interrupted, flushed, error = out.split()
    assert int(interrupted) > 20
    assert (flushed, error) == ("True", "None")
    assert not list(Path(sqlite_url.removeprefix("sqlite:///")).parent.rglob("*.conflicts"))
    streams(sqlite_url)  # every chain verifies


# Conversations


def _conversations(url: str) -> dict[str, set[str]]:
    """Return the prompts of every conversation, by name."""
    found: dict[str, set[str]] = {}
    for exchange in exchanges(url).values():
        assert exchange.request is not None
        prompt = exchange.request.json["messages"][0]["content"]
        found.setdefault(exchange.conversation_name or "", set()).add(prompt)
    return found


def test_conversations_in_thread_pools_and_tasks(sqlite_url: str) -> None:
    with serve(Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        desks = {name: recorder.conversation(name, tags={"bot": name}) for name in ("eur", "usd")}

        def work(name: str, number: int) -> None:
            with desks[name]:
                assert ask(session, server.url, f"{name} {number}").content

        async def task(name: str) -> None:
            with desks[name]:
                await asyncio.sleep(0.01)
                assert ask(session, server.url, f"{name} task").content

        async def both() -> None:
            await asyncio.gather(task("eur"), task("usd"))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, ["eur", "usd"] * 5, range(10)))
        asyncio.run(both())
        with desks["eur"], desks["usd"]:
            assert ask(session, server.url, "inner").content
        assert ask(session, server.url, "outside").content
        with recorder.conversation():
            assert ask(session, server.url, "unnamed").content
        assert recorder.conversation("eur", tags={"bot": "eur"}) is desks["eur"]
        for wrong in ("", "  ", 7):
            with pytest.raises(ConfigurationError):
                recorder.conversation(wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError):
            recorder.conversation("x", tags={"a": 1})  # type: ignore[dict-item]
    assert _conversations(sqlite_url) == {
        "eur": {f"eur {n}" for n in range(0, 10, 2)} | {"eur task"},
        "usd": {f"usd {n}" for n in range(1, 10, 2)} | {"usd task", "inner"},
        "": {"outside", "unnamed"},
    }
    openings = [e for e in streams(sqlite_url).values() if e and e[0].type in CONVERSATION_TYPES]
    assert [[event.type for event in events] for events in openings] == [["conversation_named", "tags_set"]] * 2
    with Store(sqlite_url) as store:
        assert store is not None


# Threads


def test_one_session_in_many_threads(sqlite_url: str) -> None:
    script = Script(chunks=15, gap=0.001)
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())

        def work(number: int) -> bytes:
            return ask(session, server.url, str(number)).content

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(work, range(64))) == [script.body(str(n)) for n in range(64)]
    assert {e.transport_end for e in exchanges(sqlite_url).values()} == {"response_completed"}
    assert len(exchanges(sqlite_url)) == 64


def test_the_recorder_may_be_closed_while_threads_go_on(sqlite_url: str) -> None:
    script = Script(chunks=40, gap=0.002)
    failures: list[BaseException] = []
    with serve(script) as server:
        recorder = Recorder(sqlite_url)
        session = recorder.mount(requests.Session())

        def work(number: int) -> None:
            try:
                for turn in range(4):
                    assert ask(session, server.url, f"{number}-{turn}").content == script.body(f"{number}-{turn}")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(server.visits()) > 10)
        recorder.close()
        for thread in threads:
            thread.join()
    assert failures == []
    ends = {e.transport_end for e in exchanges(sqlite_url).values()}
    assert ends == {"response_completed", "recorder_closed"}


def test_what_readers_see_while_a_recorder_runs(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with serve(Script(chunks=4)) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content
        recorder.flush()
        with Player(sqlite_url) as player, player.mount(requests.Session()) as offline:
            assert ask(offline, server.url, "x").content == Script(chunks=4).body("x")
    assert json.loads(json.dumps([record.getMessage() for record in caplog.records])) == []
