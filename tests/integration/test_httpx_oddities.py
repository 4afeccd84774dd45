"""httpx and httpx2 where something is odd: values that are refused, tasks, redirects, other people's transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
import requests

from recorder import Player, Recorder, RecordingEnded, RecordingError
from recorder.core.redaction import Redaction
from recorder.transports import guard
from recorder.transports.recording_connection import ConnectionState
from tests.clocks import DrivenClock
from tests.integration.test_httpx import MODULES, client, read, read_async
from tests.integration.test_replay import ask
from tests.loopback import Script, serve
from tests.recorded import exchanges, streams, types
from tests.wire import reply, wire

KEY = "KEYZQX9"


def stored(sqlite_url: str) -> bytes:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    return b"".join(each.read_bytes() for each in path.parent.rglob(f"{path.name}*") if each.is_file())


@MODULES
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}\x00x"},
        {"Authorization": f"Bearer {KEY}\\abc\n"},
        {"Authorization": f"Bearer {KEY}".encode() + b"\xe9\n"},
        {"X-Api-Key": f"{KEY}'\"\n"},
        {"Authorization": f"Bearer first\n{KEY}"},
        {"X-Api-Key": f"first\r\n{KEY}"},
    ],
)
def test_a_value_that_the_library_refuses_and_quotes_is_not_written(
    module: ModuleType, headers: dict[str, Any], sqlite_url: str
) -> None:
    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        with client(module, recorder) as session, pytest.raises(module.LocalProtocolError):
            session.get(server.url, headers=headers)
    assert KEY.encode() not in stored(sqlite_url)
    (events,) = streams(sqlite_url).values()
    assert events[-1].facts["error"]["raised"]["type"] == f"{module.__name__}.LocalProtocolError"


@MODULES
@pytest.mark.parametrize(
    "line", [f"Set-Cookie: sid={KEY}\0", f"X-Api-Key : {KEY}", f"Set-Cookie: sid={KEY}\x01; Path=/"]
)
def test_a_header_line_of_an_answer_that_is_refused_and_quoted_is_not_written(
    module: ModuleType, line: str, sqlite_url: str
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + line.encode() + b"\r\n\r\nok"
    with wire(lambda _: answer) as server, Recorder(sqlite_url) as recorder:
        with client(module, recorder) as session, suppress(module.RemoteProtocolError):  # not each is refused
            session.get(server.url)
    assert KEY.encode() not in stored(sqlite_url)


@MODULES
def test_a_redirect_that_is_not_followed_binds_nobody(module: ModuleType, sqlite_url: str) -> None:
    def answer(request: Any) -> Any:
        if request.url.path == "/old":
            return module.Response(303, headers={"location": "/job"})
        return module.Response(401 if request.url.path == "/closed" else 200)

    async def in_tasks(transport: Any) -> None:
        async with module.AsyncClient(transport=transport) as session:
            await session.get("http://bot.invalid/old")

            async def one(name: str) -> None:
                with recorder.conversation(name):
                    await session.get("http://bot.invalid/job")

            await asyncio.gather(*(one(f"u{number}") for number in range(3)))

    with Recorder(sqlite_url) as recorder:
        transport = recorder.httpx_transport(module.MockTransport(answer))
        with module.Client(transport=transport) as session:
            with recorder.conversation("alice"):
                session.get("http://bot.invalid/old")
            with recorder.conversation("bob"):
                session.get("http://bot.invalid/job")
            request = session.build_request("GET", "http://bot.invalid/closed")
            with recorder.conversation("first"):
                session.send(request)
            with recorder.conversation("second"):
                session.send(request)
        asyncio.run(in_tasks(transport))
    told = [(each.conversation_name, each.call) for each in exchanges(sqlite_url).values()]
    assert [name for name, _ in told] == ["alice", "bob", "first", "second", None, "u0", "u1", "u2"]
    assert len({call for _, call in told}) == len(told)


@MODULES
def test_a_fragment_does_not_part_a_call(module: ModuleType, sqlite_url: str) -> None:
    def answer(request: Any) -> Any:
        return module.Response(302, headers={"location": "/on"}) if request.url.path == "/go" else module.Response(200)

    with Recorder(sqlite_url) as recorder:
        transport = recorder.httpx_transport(module.MockTransport(answer))
        with module.Client(transport=transport, follow_redirects=True) as session:
            session.get("http://bot.invalid/go#frag")
    assert len({each.call for each in exchanges(sqlite_url).values()}) == 1


@MODULES
@pytest.mark.parametrize("location", ["http://[::1", "/\x7f", "/" + "x" * 70_000])
def test_an_answer_with_a_location_that_is_none_is_recorded(module: ModuleType, location: str, sqlite_url: str) -> None:
    def answer(request: Any) -> Any:
        return module.Response(302, headers={"location": location}, content=b"moved")

    with Recorder(sqlite_url, on_failure="raise") as recorder:
        transport = recorder.httpx_transport(module.MockTransport(answer))
        with module.Client(transport=transport) as session, suppress(module.RemoteProtocolError):
            session.get("http://bot.invalid/")
    (events,) = streams(sqlite_url).values()
    assert types(events)[-1] == "response_completed"


@MODULES
def test_a_request_that_the_program_broke_off_ends_the_recording(module: ModuleType, sqlite_url: str) -> None:
    async def impatient(url: str, transport: Any) -> None:
        async with module.AsyncClient(transport=transport) as session:
            await asyncio.wait_for(session.post(url, json=ask("a")), 0.2)

    url = "http://bot.invalid/chat/completions"
    with Recorder(sqlite_url) as recorder, pytest.raises(TimeoutError):
        asyncio.run(impatient(url, recorder.httpx_transport(silent(module))))
    with pytest.raises(RecordingEnded, match=r"broke off with .*CancelledError"), Player(sqlite_url) as player:
        asyncio.run(read_async(module, url, player.httpx_transport(module), ask("a")))


class _Silent:
    """A transport that never answers."""

    async def handle_async_request(self, request: Any) -> Any:
        await asyncio.sleep(60)

    async def aclose(self) -> None:
        pass


def silent(module: ModuleType) -> Any:
    """Return a transport of that module that never answers."""
    return type("Silent", (_Silent, module.AsyncBaseTransport), {})()


@MODULES
def test_who_must_record_gets_no_answer_and_keeps_no_connection(
    module: ModuleType, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = Redaction.head

    def failing(self: Redaction, head: bytes, seen: Any) -> bytes:
        if head.startswith(b"HTTP/"):
            raise IndexError
        return heads(self, head, seen)

    async def both(url: str, transport: Any) -> None:
        limits = module.Limits(max_connections=1)
        plain = module.AsyncHTTPTransport(limits=limits)
        async with module.AsyncClient(transport=recorder.httpx_transport(plain), timeout=5) as session:
            with monkeypatch.context() as patch:
                patch.setattr(guard, "_OURS", guard._OURS | {"tests"})
                patch.setattr(Redaction, "head", failing)
                with pytest.raises(RecordingError):
                    await session.post(url, json=ask("a"))
            assert (await session.post(url, json=ask("b"))).status_code == 200

    with serve(Script(chunks=2)) as server, Recorder(sqlite_url, on_failure="raise") as recorder:
        plain = module.HTTPTransport(limits=module.Limits(max_connections=1))
        with module.Client(transport=recorder.httpx_transport(plain), timeout=5) as session:
            with monkeypatch.context() as patch:
                patch.setattr(guard, "_OURS", guard._OURS | {"tests"})
                patch.setattr(Redaction, "head", failing)
                with pytest.raises(RecordingError):
                    session.post(server.url, json=ask("a"))
            assert session.post(server.url, json=ask("b")).status_code == 200
        asyncio.run(both(server.url, None))


@MODULES
def test_a_payload_in_a_buffer_that_is_used_again(module: ModuleType, sqlite_url: str) -> None:
    def payload() -> Iterator[bytearray]:
        buffer = bytearray(4)
        for letter in b"ABC":
            buffer[:] = bytes([letter]) * 4
            yield buffer

    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        with client(module, recorder) as session:
            session.post(server.url, content=payload())
    (told,) = exchanges(sqlite_url).values()
    assert told.request is not None
    assert told.request.payload == b"AAAABBBBCCCC"


class _Counted(bytes):
    """A piece that counts how often its size is asked for."""

    asked = 0

    def __len__(self) -> int:
        type(self).asked += 1
        return super().__len__()


def test_a_payload_of_many_small_pieces_takes_time_in_proportion() -> None:
    class Tap:
        reads_payloads = False
        must_record = False

        def request_body_sent(self, body: bytes) -> None:
            pass

        def give_up(self, reason: str) -> None:
            raise AssertionError(reason)

    from recorder.transports.httpx_streams import RecordedUpload

    pieces = [b"%d" % number for number in range(2000)]
    assert list(RecordedUpload(Tap(), pieces)) == pieces  # type: ignore[arg-type]
    state = ConnectionState()
    state.tap, state._streamed = Tap(), []  # type: ignore[assignment]
    for piece in pieces:
        state._tell_payload(_Counted(piece))
    assert _Counted.asked <= 4 * len(pieces)


@MODULES
def test_what_the_program_does_wrong_is_no_defect_of_ours(
    module: ModuleType, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def texts() -> Iterator[Any]:
        yield "a text"

    class Nothing(module.BaseTransport):  # type: ignore[misc, name-defined]
        def handle_request(self, request: Any) -> Any:
            return None

    with wire(lambda _: reply()) as server, Recorder(sqlite_url) as recorder:
        with client(module, recorder) as session, pytest.raises(TypeError):
            session.post(server.url, content=texts())
        with module.Client(transport=recorder.httpx_transport(Nothing())) as session:
            with pytest.raises((AssertionError, AttributeError)):
                session.get(server.url)
    assert "defect" not in caplog.text


@MODULES
def test_a_request_keeps_what_the_user_set_on_it(module: ModuleType, sqlite_url: str) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        request.read()
        seen.append(request)
        return module.Response(200)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    with Recorder(sqlite_url) as recorder:
        transport = recorder.httpx_transport(module.MockTransport(answer))
        with module.Client(transport=transport) as session:
            request = session.build_request("POST", "http://bot.invalid/", content=iter([b"a"]))
            request.mark = "of the user"
            session.send(request)
    assert seen == [request]
    assert seen[0].mark == "of the user"


def test_recording_twice_is_told(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with serve(Script(chunks=2)) as server, Recorder(sqlite_url) as first, Recorder(f"{sqlite_url}2") as second:
        transport = second.httpx_transport(first.httpx_transport(httpx2.HTTPTransport()))
        read(httpx2, server.url, transport, ask("a"))
    assert "is recorded by this one from now on" in caplog.text
    assert streams(sqlite_url) == {}
    assert len(exchanges(f"{sqlite_url}2")) == 1


def test_an_async_client_asks_the_clock_too(sqlite_url: str) -> None:
    with serve(Script(chunks=4, gap=0.05)) as server, Recorder(sqlite_url) as recorder, requests.Session() as session:
        recorder.mount(session).post(server.url, json=ask("a"))
    clock = DrivenClock()
    with Player(sqlite_url, pace=50.0, clock=clock) as player:  # no gap is longer than the client's five seconds
        before = clock.monotonic_ns()
        asyncio.run(read_async(httpx, server.url, player.httpx_transport(httpx), ask("a")))
        assert clock.monotonic_ns() - before >= 7_500_000_000
