"""httpx and httpx2: recorded through a transport, replayed by one, and either from what another library recorded.

What a program sees is compared in the fidelity matrix; here is what the recording says, and what SDKs make of it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import httpx
import httpx2
import openai
import pytest
import requests

from recorder import ConfigurationError, NoMatchingExchange, NotFound, Player, Recorder, RecordingError, Store
from recorder.core.redaction import Redaction
from recorder.transports import guard
from tests.clocks import DrivenClock
from tests.integration.test_replay import ask
from tests.loopback import Script, serve
from tests.recorded import exchanges, streams, types

MODULES = pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
LIVE = Script(chunks=6, usage=True)


def client(module: ModuleType, recorder: Recorder, **options: Any) -> Any:
    return module.Client(transport=recorder.httpx_transport(module.HTTPTransport()), trust_env=False, **options)


def read(module: ModuleType, url: str, transport: Any, payload: dict[str, Any]) -> list[bytes]:
    with module.Client(transport=transport) as session, session.stream("POST", url, json=payload) as response:
        return list(response.iter_raw())


async def read_async(module: ModuleType, url: str, transport: Any, payload: dict[str, Any]) -> list[bytes]:
    async with (
        module.AsyncClient(transport=transport) as session,
        session.stream("POST", url, json=payload) as response,
    ):
        return [piece async for piece in response.aiter_raw()]


@MODULES
def test_what_is_recorded_is_what_the_library_showed(module: ModuleType, sqlite_url: str) -> None:
    with serve(LIVE) as server, Recorder(sqlite_url) as recorder:
        with recorder.conversation("desk"), client(module, recorder) as session:
            with session.stream("POST", server.url, json=ask("a"), headers={"Authorization": "Bearer x-y"}) as answer:
                pieces = list(answer.iter_raw())
        identity = recorder.exchange(answer)
        assert recorder.exchange(answer.request) == identity
    with Store(sqlite_url) as store:
        (found,) = store.exchanges(conversation="desk")
        assert (found["id"], found["verdict"], found["status"]) == (identity, "complete", 200)
    (told,) = exchanges(sqlite_url).values()
    assert told.body == b"".join(pieces) == LIVE.body("a")
    events = streams(sqlite_url)[str(identity)]
    assert [event.body for event in events if event.type == "chunk_received"] == pieces
    sent = events[0]
    assert sent.body is not None
    assert sent.body.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"x-y" not in b"".join(event.body or b"" for event in events)
    assert sent.facts["client"] == f"{module.__name__}/{module.__version__}"
    assert "as the library shows them" in sent.facts["fallback"]


@MODULES
def test_one_recording_of_requests_answers_every_library(module: ModuleType, sqlite_url: str) -> None:
    payload = ask("a")
    with serve(LIVE) as server:
        bare = read(module, server.url, module.HTTPTransport(), payload)
        with Recorder(sqlite_url) as recorder, requests.Session() as session:
            for _ in range(3):
                recorder.mount(session).post(server.url, json=payload).close()
    with Player(sqlite_url) as player:
        assert read(module, server.url, player.httpx_transport(module), payload) == bare
        assert asyncio.run(read_async(module, server.url, player.httpx_transport(module.Client), payload)) == bare
        assert player.mount(requests.Session()).post(server.url, json=payload).content == b"".join(bare)
        assert not player.unplayed


@MODULES
def test_a_recording_of_httpx_answers_requests_and_the_other_one(module: ModuleType, sqlite_url: str) -> None:
    payload = ask("a")
    other = httpx2 if module is httpx else httpx
    with serve(LIVE) as server:
        with requests.post(server.url, json=payload, stream=True) as response:
            bare = list(response.iter_content(None))
        with Recorder(sqlite_url) as recorder:
            for _ in range(2):
                read(module, server.url, recorder.httpx_transport(module.HTTPTransport()), payload)
    with Player(sqlite_url) as player:
        with player.mount(requests.Session()).post(server.url, json=payload, stream=True) as response:
            assert list(response.iter_content(None)) == bare
        assert read(other, server.url, player.httpx_transport(other), payload) == bare


def completion(make: Any, url: str) -> list[dict[str, Any]]:
    base = url.removesuffix("/chat/completions")
    with make as http, openai.OpenAI(base_url=base, api_key="none", http_client=http, max_retries=0) as sdk:
        stream = sdk.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "Buy or hold?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        return [event.to_dict() for event in stream]


def test_the_openai_sdk_sees_the_same_events_from_the_recording(sqlite_url: str) -> None:
    with serve(Script(chunks=9, split_utf8=True, comments=True)) as server, Recorder(sqlite_url) as recorder:
        live = completion(client(httpx2, recorder), server.url)
        assert len(live) == 9 + 2
    with Player(sqlite_url) as player:
        assert completion(httpx2.Client(transport=player.httpx_transport(httpx2)), server.url) == live


@pytest.mark.parametrize("script", [Script(chunks=6, cut_after=3), Script(chunks=6, reset_after=3)])
def test_the_openai_sdk_fails_as_it_did(script: Script, sqlite_url: str) -> None:
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        with pytest.raises(Exception, match=r".") as live:
            completion(client(httpx2, recorder), server.url)
    with Player(sqlite_url) as player, pytest.raises(type(live.value)) as replayed:
        completion(httpx2.Client(transport=player.httpx_transport(httpx2)), server.url)
    assert str(replayed.value) == str(live.value)
    (events,) = streams(sqlite_url).values()
    assert events[-1].type == ("response_truncated" if script.cut_after else "response_failed")


def test_an_async_client_records_its_streams_side_by_side(sqlite_url: str) -> None:
    async def many(url: str, transport: Any) -> list[bytes]:
        async with httpx2.AsyncClient(transport=transport, timeout=30) as session:

            async def one(number: int) -> bytes:
                async with session.stream("POST", url, json=ask(f"n{number}")) as response:
                    return b"".join([piece async for piece in response.aiter_bytes()])

            return list(await asyncio.gather(*map(one, range(12))))

    with serve(Script(chunks=5, gap=0.002)) as server, Recorder(sqlite_url) as recorder:
        live = asyncio.run(many(server.url, recorder.httpx_transport(httpx2.AsyncHTTPTransport())))
    assert sorted(told.body for told in exchanges(sqlite_url).values()) == sorted(live)
    with Player(sqlite_url) as player:
        assert asyncio.run(many(server.url, player.httpx_transport(httpx2))) == live


@MODULES
def test_who_leaves_early_is_told_apart_from_who_forgets(module: ModuleType, sqlite_url: str) -> None:
    with serve(Script(chunks=200, gap=0.001)) as server, Recorder(sqlite_url) as recorder:
        with client(module, recorder) as session:
            with session.stream("POST", server.url, json=ask("a")) as response:
                next(response.iter_raw())
            dropped = session.send(session.build_request("POST", server.url, json=ask("b")), stream=True)
            del dropped, response
            gc.collect()
    ends = [types(events)[-1] for events in streams(sqlite_url).values()]
    assert ends == ["consumer_closed", "consumer_abandoned"]


@MODULES
def test_a_streamed_payload_is_recorded_while_it_is_sent(module: ModuleType, sqlite_url: str) -> None:
    def payload() -> Iterator[bytes]:
        yield b'{"messages":[{"role":"user",'
        yield b'"content":"a"}]}'

    async def payload_async() -> AsyncIterator[bytes]:
        for piece in payload():
            yield piece

    async def send_async(url: str, transport: Any) -> int:
        async with module.AsyncClient(transport=transport) as session:
            return int((await session.post(url, content=payload_async())).status_code)

    with serve(LIVE) as server, Recorder(sqlite_url) as recorder:
        with client(module, recorder) as session:
            assert session.post(server.url, content=payload()).status_code == 200
        transport = recorder.httpx_transport(module.AsyncHTTPTransport())
        assert asyncio.run(send_async(server.url, transport)) == 200
    for events in streams(sqlite_url).values():
        assert types(events)[:2] == ["request_sent", "request_body_sent"]
        assert events[1].body == b"".join(payload())
    with Player(sqlite_url) as player:
        with module.Client(transport=player.httpx_transport(module)) as session:
            assert session.post(server.url, content=payload()).status_code == 200
        assert asyncio.run(send_async(server.url, player.httpx_transport(module))) == 200


@MODULES
def test_redirects_and_auth_rounds_belong_to_one_call(module: ModuleType, sqlite_url: str) -> None:
    def answer(request: Any) -> Any:
        if request.url.path == "/moved":
            return module.Response(307, headers={"location": "/here"})
        if "authorization" not in request.headers:
            return module.Response(401, headers={"www-authenticate": 'Digest realm="desk", nonce="n", qop="auth"'})
        return module.Response(200, json={"n": 1})

    with Recorder(sqlite_url) as recorder:
        transport = recorder.httpx_transport(module.MockTransport(answer))
        with module.Client(transport=transport, follow_redirects=True, auth=module.DigestAuth("u", "p")) as session:
            assert session.post("http://bot.invalid/moved", json={}).json() == {"n": 1}
            assert session.post("http://bot.invalid/here", json={}).json() == {"n": 1}
    calls = [events[0].facts["call"] for events in streams(sqlite_url).values()]
    assert [calls.index(call) for call in calls] == [0, 0, 0, 0, 4]  # the credentials of the first serve the second
    assert b'{"n":1}' in {told.body for told in exchanges(sqlite_url).values()}


@MODULES
def test_a_miss_reaches_nobody_and_cannot_be_swallowed(module: ModuleType, sqlite_url: str) -> None:
    with serve(LIVE) as server:
        with Recorder(sqlite_url) as recorder:
            read(module, server.url, recorder.httpx_transport(module.HTTPTransport()), ask("a"))
        asked = server.connections
        player = Player(sqlite_url)
        with pytest.raises(NoMatchingExchange, match="was never recorded"), player:
            with suppress(NoMatchingExchange):
                read(module, server.url, player.httpx_transport(module), ask("b"))
        assert server.connections == asked
        assert len(player.misses) == 1


@MODULES
def test_a_refused_connection_is_recorded_and_recurs(module: ModuleType, sqlite_url: str) -> None:
    with serve(LIVE) as server:
        gone = server.url
    with Recorder(sqlite_url) as recorder, pytest.raises(module.ConnectError) as live:
        read(module, gone, recorder.httpx_transport(module.HTTPTransport()), ask("a"))
    (events,) = streams(sqlite_url).values()
    facts = events[-1].facts
    assert (events[-1].type, facts["kind"], facts["phase"]) == ("request_failed", "refused", "connect")
    with Player(sqlite_url) as player, pytest.raises(module.ConnectError) as replayed:
        read(module, gone, player.httpx_transport(module), ask("a"))
    assert str(replayed.value) == str(live.value)


def test_the_pace_of_the_recording(sqlite_url: str) -> None:
    with serve(Script(chunks=4, gap=0.05)) as server, Recorder(sqlite_url) as recorder:
        read(httpx2, server.url, recorder.httpx_transport(httpx2.HTTPTransport()), ask("a"))
    clock = DrivenClock()
    with Player(sqlite_url, pace=1.0, clock=clock) as player:
        before = clock.monotonic_ns()
        read(httpx2, server.url, player.httpx_transport(httpx2), ask("a"))
        assert clock.monotonic_ns() - before >= 150_000_000


def test_a_switched_off_recorder_gives_the_transport_back(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_OFF", "1")
    plain = httpx2.HTTPTransport()
    with Recorder(sqlite_url) as recorder:
        assert recorder.httpx_transport(plain) is plain
    plain.close()


def test_a_client_used_after_the_recorder_goes_on_unrecorded(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with serve(LIVE) as server:
        recorder = Recorder(sqlite_url)
        transport = recorder.httpx_transport(httpx2.HTTPTransport())
        recorder.close()
        assert read(httpx2, server.url, transport, ask("a"))
    assert "unrecorded" in caplog.text
    assert streams(sqlite_url) == {}


def test_a_transport_is_recorded_once(sqlite_url: str) -> None:
    with serve(LIVE) as server, Recorder(sqlite_url) as recorder:
        twice = recorder.httpx_transport(recorder.httpx_transport(httpx2.HTTPTransport()))
        read(httpx2, server.url, twice, ask("a"))
    assert len(exchanges(sqlite_url)) == 1


@pytest.mark.parametrize("given", [None, requests.Session, object(), httpx2.Client])
def test_what_is_no_transport_is_refused(given: Any, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder, pytest.raises(ConfigurationError, match="httpx"):
        recorder.httpx_transport(given)


def test_which_module_has_to_be_said_where_both_are_imported(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        recorder.flush()
    with Player(sqlite_url) as player:
        with pytest.raises(ConfigurationError, match="both httpx and httpx2 are imported"):
            player.httpx_transport()
        with pytest.raises(ConfigurationError, match="neither of httpx nor of httpx2"):
            player.httpx_transport(requests)


def test_a_response_of_another_client_was_not_recorded(sqlite_url: str) -> None:
    with serve(LIVE) as server, Recorder(sqlite_url) as recorder:
        recorder.httpx_transport(httpx2.HTTPTransport()).close()
        with httpx2.Client(trust_env=False) as session, pytest.raises(NotFound):
            recorder.exchange(session.post(server.url, json=ask("a")))


def test_a_defect_of_ours_stops_only_who_must_not_act_unrecorded(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise IndexError

    with serve(LIVE) as server:
        with Recorder(sqlite_url, on_failure="raise") as recorder, monkeypatch.context() as patch:
            patch.setattr(guard, "_OURS", guard._OURS | {"tests"})
            patch.setattr(Redaction, "head", broken)
            with pytest.raises(RecordingError, match="a defect of recorder"):
                read(httpx2, server.url, recorder.httpx_transport(httpx2.HTTPTransport()), ask("a"))
        assert server.visits() == []
        with Recorder(sqlite_url) as recorder, monkeypatch.context() as patch:
            patch.setattr(guard, "_OURS", guard._OURS | {"tests"})
            patch.setattr(Redaction, "head", broken)
            pieces = read(httpx2, server.url, recorder.httpx_transport(httpx2.HTTPTransport()), ask("a"))
    assert b"".join(pieces) == LIVE.body("a")
