"""aiohttp: recorded as its wire was, replayed below its own protocol."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
import requests

from recorder import CassetteExhausted, ConfigurationError, NoMatchingExchange, Player, Recorder, RecordingEnded
from tests.integration.test_replay import ask
from tests.loopback import Script, serve
from tests.recorded import end, in_order, linked, only, streams, traces, types
from tests.wire import Got, certificate, chunked, proxy, reply, server_tls, wire
from tests.with_aiohttp import acting, asking, recording


def test_what_is_recorded_is_the_wire_and_comes_back_as_it_was(store_url: str) -> None:
    script = Script(chunks=12, gap=0.002, split_utf8=True, comments=True)
    with serve(script) as server:
        bare = acting(aiohttp.TCPConnector, asking(server.url))
        with Recorder(store_url) as recorder:
            assert acting(recording(recorder), asking(server.url)) == bare == (script.frames("a"), "")
            sent = server.visits(2)[1]
    events = only(store_url)
    assert types(events) == ["request_sent", "response_started", "chunk_received", "response_completed"]
    head = (events[0].body or b"")[: events[0].facts["head"]]
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert f"user-agent: {sent.headers['user-agent']}".encode() in head.lower().replace(b"python/", b"Python/")
    assert events[0].facts["client"] == f"aiohttp/{aiohttp.__version__}"
    assert "fallback" not in events[0].facts
    assert b"".join(e.body or b"" for e in events if e.type == "chunk_received") == script.body("a")
    with Player(store_url) as player:
        assert acting(player.aiohttp_connector, asking(server.url)) == bare
        assert not player.unplayed


def test_one_recording_answers_all_libraries_whichever_made_it(sqlite_url: str) -> None:
    script = Script(chunks=5)
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        acting(recording(recorder), asking(url, "by aiohttp"))
        recorder.mount(requests.Session()).post(url, json=ask("by requests"))
        with httpx2.Client(transport=recorder.httpx_transport(httpx2.HTTPTransport())) as client:
            client.post(url, json=ask("by httpx2"))
    for prompt in ("by aiohttp", "by requests", "by httpx2"):
        with Player(sqlite_url) as player:
            assert acting(player.aiohttp_connector, asking(url, prompt)) == (script.frames(prompt), "")
        with Player(sqlite_url) as player, player.mount(requests.Session()) as session:
            pieces = session.post(url, json=ask(prompt), stream=True).iter_content(None)
            assert list(pieces) == script.frames(prompt)
        with Player(sqlite_url) as player, httpx2.Client(transport=player.httpx_transport(httpx2)) as client:
            assert client.post(url, json=ask(prompt)).content == script.body(prompt)


def test_connections_are_reused_as_they_are_without_a_recorder(sqlite_url: str) -> None:
    async def twice(session: aiohttp.ClientSession, url: str) -> None:
        for prompt in ("a", "b"):
            async with session.post(url, json=ask(prompt)) as answer:
                await answer.read()

    with serve(Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        acting(recording(recorder), lambda session: twice(session, server.url))
        assert server.connections == 1
    first, second = [events[0].facts for _, events in sorted(streams(sqlite_url).items())]
    assert (first["connection"], first["reused"]) == (second["connection"], False)
    assert second["reused"] is True
    assert first["call"] != second["call"]


def test_an_early_close_reaches_the_server_and_is_recorded(sqlite_url: str) -> None:
    async def one_piece(session: aiohttp.ClientSession, url: str) -> bytes:
        async with session.post(url, json=ask("a")) as answer:
            return await answer.content.readany()

    with serve(Script(chunks=500, gap=0.01)) as server, Recorder(sqlite_url) as recorder:
        acting(recording(recorder), lambda session: one_piece(session, server.url))
        (visit,) = server.visits(1)
        assert visit.gone_after is not None
        assert visit.gone_after < 400
    assert end(only(sqlite_url)).type == "consumer_closed"
    with pytest.raises(RecordingEnded), Player(sqlite_url) as player:
        _, error = acting(player.aiohttp_connector, asking(server.url))
        assert "RecordingEnded" in error


def test_a_payload_that_is_only_known_while_it_is_sent(sqlite_url: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"messages": [{"role": "user", '
        await asyncio.sleep(0)
        yield b'"content": "a"}]}'

    async def send(session: aiohttp.ClientSession, url: str, data: Any) -> bytes:
        async with session.post(url, data=data() if callable(data) else data) as answer:
            return await answer.read()

    form = {"side": "buy", "lots": "1"}
    large = b"x" * 1_000_000
    with serve(Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        live = [acting(recording(recorder), lambda s, d=d: send(s, url, d)) for d in (pieces, form, large)]
    folded = in_order(sqlite_url)
    assert folded[0].request.payload == b'{"messages": [{"role": "user", "content": "a"}]}'
    assert folded[2].request.payload == large
    with Player(sqlite_url) as player:
        for sent, answer in zip((pieces, form, large), live, strict=True):
            assert acting(player.aiohttp_connector, lambda s, d=sent: send(s, url, d)) == answer
        assert not player.unplayed


def test_a_prompt_that_was_never_recorded_is_refused(sqlite_url: str) -> None:
    with serve(Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        acting(recording(recorder), asking(server.url))
    with pytest.raises(NoMatchingExchange, match='"a" != "b"'), Player(sqlite_url) as player:
        acting(player.aiohttp_connector, asking(server.url, "b"))

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"another": "prompt"}'

    with pytest.raises(NoMatchingExchange, match="was never recorded"), Player(sqlite_url) as player:
        acting(player.aiohttp_connector, asking(server.url, json=None, data=pieces()))
    with pytest.raises(CassetteExhausted), Player(sqlite_url) as player:
        for _ in range(2):
            acting(player.aiohttp_connector, asking(server.url))


def test_identical_requests_at_once_are_each_served_once(sqlite_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url) as recorder:
        url = server.url

        async def many(session: aiohttp.ClientSession) -> Any:
            return await asyncio.gather(*(asking(url)(session) for _ in range(16)))

        live = acting(recording(recorder), many)
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, many) == live
        assert not player.unplayed


def test_redirects_are_exchanges_of_one_call(sqlite_url: str) -> None:
    def answer(request: Got) -> bytes:
        if request.target == "/old":
            return reply(b"moved", "Location: /new", status="307 Temporary Redirect")
        return chunked(b"here", b" it is")

    async def get(session: aiohttp.ClientSession, url: str) -> tuple[str, int]:
        async with session.get(f"{url}/old") as got:
            return await got.text(), len(got.history)

    with wire(answer) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        assert acting(recording(recorder), lambda session: get(session, url)) == ("here it is", 1)
    assert linked(sqlite_url) == [(1, 307, "response_completed"), (2, 200, "response_completed")]
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, lambda session: get(session, url)) == ("here it is", 1)


def test_tls_and_a_proxy_are_above_what_is_recorded(sqlite_url: str, tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    trusted = ssl.create_default_context(cafile=str(pem))
    with wire(lambda _: chunked(b"over", b" TLS"), server_tls(pem)) as server, wire(proxy) as through:
        with Recorder(sqlite_url) as recorder:
            url, via = f"{server.url}/v1", through.url
            live = acting(recording(recorder, ssl=trusted), asking(url, "plain"))
            proxied = acting(recording(recorder, ssl=trusted), asking(url, "proxied", proxy=via))
            refused = acting(recording(recorder), asking(url, "untrusted"))
    assert live == proxied == ([b"over", b" TLS"], "")
    assert refused[1].startswith("ClientConnectorCertificateError: ")
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, asking(url, "plain")) == live
        assert acting(player.aiohttp_connector, asking(url, "proxied", proxy=via)) == live
        assert acting(player.aiohttp_connector, asking(url, "untrusted"))[1][:60] == refused[1][:60]


def test_no_secret_is_written(sqlite_url: str) -> None:
    token = "made-up-token-of-nobody-77ab"
    headers = {"Authorization": f"Bearer {token}"}
    with serve(Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        acting(recording(recorder), asking(f"{server.url}?api_key={token}", headers=headers))
    stored = b"".join(p.read_bytes() for p in Path(sqlite_url[10:]).parent.rglob("*") if p.is_file())
    assert not any(trace in stored for trace in traces(token))
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, asking(f"{server.url}?api_key=dummy"))[1] == ""


def test_conversations_and_a_recorder_that_is_closed_or_off(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(Script(chunks=2)) as server:
        with Recorder(sqlite_url) as recorder:

            async def act(session: aiohttp.ClientSession) -> None:
                with recorder.conversation("desk"):
                    await asking(server.url)(session)
                recorder.close()
                assert (await asking(server.url, "unrecorded")(session))[1] == ""

            acting(recording(recorder), act)
        assert "goes on, unrecorded" in caplog.text
        assert [exchange.conversation_name for exchange in in_order(sqlite_url)] == ["desk"]
        monkeypatch.setenv("RECORDER_OFF", "1")
        with Recorder(sqlite_url) as off:
            acting(recording(off), asking(server.url))
            plain: Any = object()
            assert off.aiohttp_connector(plain) is plain


def test_what_is_no_connector_is_refused(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder, pytest.raises(ConfigurationError, match="is no connector"):
        recorder.aiohttp_connector(aiohttp.TCPConnector)


def test_backpressure_is_kept(sqlite_url: str) -> None:
    """A consumer that takes its time gets everything, live and replayed."""

    async def slowly(session: aiohttp.ClientSession, url: str) -> int:
        size = 0
        async with session.post(url, json=ask("a")) as answer:
            async for piece in answer.content.iter_chunked(100_000):
                size += len(piece)
                await asyncio.sleep(0.001)
        return size

    with serve(Script(chunks=60, padding=50_000)) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        live = acting(recording(recorder), lambda session: slowly(session, url))
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, lambda session: slowly(session, url)) == live > 3_000_000


def test_a_connector_is_recorded_by_one_recorder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (f"sqlite:///{tmp_path / name}.db" for name in ("first", "second"))
    with serve(Script(chunks=2)) as server, Recorder(first) as one, Recorder(second) as two:

        def twice() -> aiohttp.BaseConnector:
            plain = aiohttp.TCPConnector(limit=7, limit_per_host=3, force_close=True)
            again: aiohttp.BaseConnector = two.aiohttp_connector(one.aiohttp_connector(plain))
            assert (again.limit, again.limit_per_host, again.force_close) == (7, 3, True)
            return again

        acting(twice, asking(server.url))
        assert "is recorded by this one from now on" in caplog.text
    assert streams(first) == {}
    assert end(only(second)).type == "response_completed"


def test_a_large_upload_waits_for_the_server(sqlite_url: str) -> None:
    large = b"0123456789abcdef" * 400_000

    async def send(session: aiohttp.ClientSession, url: str) -> bytes:
        async with session.post(url, data=io.BytesIO(large)) as answer:
            return await answer.read()

    with wire(lambda request: reply(b"%d" % len(request.body))) as server, Recorder(sqlite_url) as recorder:
        url = f"{server.url}/v1"
        live = acting(recording(recorder), lambda session: send(session, url))
    assert live == b"%d" % len(large)
    (exchange,) = in_order(sqlite_url)
    assert exchange.request.payload == large
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, lambda session: send(session, url)) == live
