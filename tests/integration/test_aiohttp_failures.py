"""aiohttp: failures, timeouts and faults are replayed as they were; what fails in the recorder itself."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from recorder import Player, Recorder, RecordingEnded, RecordingError, VirtualClock
from recorder.core.redaction import Redaction
from recorder.faults import cut, late, rechunk, stall, status, unreachable
from recorder.recording.tap import ExchangeTap
from recorder.transports import guard
from tests.integration.test_replay import ask
from tests.loopback import Script, serve
from tests.recorded import end, exchanges, only
from tests.wire import Got, wire
from tests.with_aiohttp import acting, asking, recording


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(chunks=6, cut_after=3), "response_truncated"),
        (Script(chunks=6, reset_after=3), "response_failed"),
        (Script(chunks=6, stall_after=3), "response_failed"),
        (Script(chunks=6, stall_after=0), "response_failed"),
    ],
    ids=["cut", "reset", "stall", "stall at once"],
)
def test_failures_recur(script: Script, kind: str, sqlite_url: str) -> None:
    settings = {"timeout": aiohttp.ClientTimeout(total=None, sock_read=0.3)}
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        bare = acting(aiohttp.TCPConnector, asking(url), **settings)
        live = acting(recording(recorder), asking(url), **settings)
    assert live[1] == bare[1] != ""
    assert end(only(sqlite_url)).type == kind
    began = time.monotonic()
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, asking(url), **settings) == live
    assert time.monotonic() - began < 20


def test_nobody_listens_and_nobody_is_known(sqlite_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/v1", "http://nobody.invalid/v1"):
        with Recorder(sqlite_url) as recorder:
            live = acting(recording(recorder), asking(url))
        assert live[1].startswith(("ClientConnectorError: ", "ClientConnectorDNSError: "))
        with Player(sqlite_url) as player:
            assert acting(player.aiohttp_connector, asking(url))[1].partition(" [")[0] == live[1].partition(" [")[0]
    assert {exchange.transport_end for exchange in exchanges(sqlite_url).values()} == {"request_failed"}


def test_faults_are_what_a_real_server_would_have_shown(sqlite_url: str) -> None:
    script = Script(chunks=6)
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        acting(recording(recorder), asking(url))

    def played(fault: Any, **settings: Any) -> tuple[list[bytes], str]:
        with Player(sqlite_url, fault=fault) as player:
            return acting(player.aiohttp_connector, asking(url), **settings)

    with serve(Script(chunks=6, reset_after=3)) as server:
        assert played(cut(after_chunks=3, how="reset"))[1] == acting(aiohttp.TCPConnector, asking(server.url))[1]
    whole = script.body("a")
    assert played(rechunk("bytes"))[0] == [whole[at : at + 1] for at in range(len(whole))]
    assert played(unreachable())[1].startswith("ClientConnectorError: Cannot connect to host 127.0.0.1")
    patient = {"timeout": aiohttp.ClientTimeout(total=None, sock_read=30)}
    timed_out = "SocketTimeoutError: Timeout on reading data from socket"
    assert played(cut(after_events=2, how="timeout"), **patient) == (script.frames("a")[:2], timed_out)
    with pytest.raises(RecordingEnded, match="no timeout for a read"):
        played(cut(after_events=2, how="timeout"))

    async def code(session: aiohttp.ClientSession) -> int:
        async with session.post(url, json=ask("a")) as answer:
            return answer.status

    with Player(sqlite_url, fault=status(429)) as player:
        assert acting(player.aiohttp_connector, code) == 429


def test_all_timeouts_of_the_client_run_on_a_virtual_clock_of_the_loop(sqlite_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        acting(recording(recorder), asking(url))
    for fault, timeout, told, passed in (
        (late(3600), {"total": None, "sock_read": 100}, "SocketTimeoutError: ", 100),
        (stall(3600, after_chunks=1), {"total": None, "sock_read": 100}, "SocketTimeoutError: ", 100),
        (stall(3600, after_chunks=1), {"total": 200}, "TimeoutError: ", 200),
        (stall(100, after_chunks=1), {"total": 200}, "", 100),
    ):
        clock = VirtualClock()
        with Player(sqlite_url, clock=clock, fault=fault) as player:

            async def run(player: Player = player, timeout: Any = timeout) -> tuple[list[bytes], str]:
                chosen = aiohttp.ClientTimeout(**timeout)
                async with aiohttp.ClientSession(connector=player.aiohttp_connector(), timeout=chosen) as session:
                    return await asking(url)(session)

            with asyncio.Runner(loop_factory=clock.event_loop) as runner:
                assert runner.run(run())[1].startswith(told)
        assert passed <= clock.monotonic() < passed + 2


def test_a_read_that_takes_too_long_by_a_virtual_clock_in_any_loop(sqlite_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        acting(recording(recorder), asking(url))
    settings = {"timeout": aiohttp.ClientTimeout(total=None, sock_read=100)}
    for fault, told in ((late(3600), "SocketTimeoutError: "), (late(99), ""), (unreachable("timeout"), "Connection")):
        clock = VirtualClock()
        if told == "Connection":
            settings = {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=100)}
        with Player(sqlite_url, clock=clock, fault=fault) as player:
            assert acting(player.aiohttp_connector, asking(url), **settings)[1].startswith(told)
        assert 99 <= clock.monotonic() < 101


def taking(url: str, most: int, *, pause: float = 0.0) -> Any:
    """Return what takes so many pieces of an answer, one after the other, and closes; errors are swallowed."""

    async def act(session: aiohttp.ClientSession) -> list[bytes]:
        pieces: list[bytes] = []
        with suppress(aiohttp.ClientError):
            async with session.post(url, json=ask("a")) as answer:
                while len(pieces) < most:
                    await asyncio.sleep(pause)
                    piece = await answer.content.readany()
                    if not piece:
                        break
                    pieces.append(piece)
        return pieces

    return act


@pytest.mark.parametrize("framing", ["chunked", "until the end"])
def test_reading_on_is_told_also_where_the_program_swallows_it(framing: str, sqlite_url: str) -> None:
    def send(request: Got) -> None:
        head = b"Transfer-Encoding: chunked\r\n\r\n" if framing == "chunked" else b"Connection: close\r\n\r\n"
        request.connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        for number in range(50):
            request.connection.sendall(b"2\r\n%02d\r\n" % number if framing == "chunked" else b"%02d" % number)
            time.sleep(0.01)

    with wire(send) as server, Recorder(sqlite_url) as recorder:
        url = server.url
        taken = acting(recording(recorder), taking(url, 2))
    assert end(only(sqlite_url)).type == "consumer_closed"
    (recorded,) = exchanges(sqlite_url).values()
    with Player(sqlite_url) as player:  # a program that stops there too is fine, also a slow one: it gets all of it
        again = acting(player.aiohttp_connector, taking(url, 1, pause=0.05))
        assert b"".join(again)[: len(b"".join(taken))] == b"".join(taken)[: len(b"".join(again))]
    assert player.ended == ()
    assert recorded.body == b"".join(taken)
    with pytest.raises(RecordingEnded, match=r"ends here \(consumer closed\)"), Player(sqlite_url) as player:
        again = acting(player.aiohttp_connector, taking(url, 50))
    assert b"".join(again) == b"".join(taken)
    assert len(player.ended) == 1
    with pytest.raises(aiohttp.ClientPayloadError, match="RecordingEnded"), Player(sqlite_url) as player:

        async def whole(session: aiohttp.ClientSession) -> bytes:
            async with session.post(url, json=ask("a")) as answer:
                return await answer.read()

        acting(player.aiohttp_connector, whole)  # what was raised because of it is not hidden by it


def test_a_program_that_breaks_off_before_the_answer(sqlite_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Recorder(sqlite_url) as recorder:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"

        async def broken_off(session: aiohttp.ClientSession) -> None:
            task = asyncio.ensure_future(session.post(url, json=ask("a")))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        acting(recording(recorder), broken_off)
    assert end(only(sqlite_url)).type == "request_failed"
    with pytest.raises(RecordingEnded), Player(sqlite_url) as player:
        acting(player.aiohttp_connector, asking(url))


def test_a_defect_of_ours_stops_only_who_must_not_act_unrecorded(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise IndexError

    script = Script(chunks=3)
    with serve(script) as server, monkeypatch.context() as patch:
        patch.setattr(guard, "_OURS", guard._OURS | {"tests"})
        patch.setattr(Redaction, "head", broken)
        with Recorder(sqlite_url, on_failure="raise") as recorder:
            with pytest.raises(RecordingError, match="a defect of recorder"):
                acting(recording(recorder), asking(server.url))
        assert server.visits() == []
        with Recorder(sqlite_url) as recorder:
            assert acting(recording(recorder), asking(server.url)) == (script.frames("a"), "")


def test_what_cannot_be_recorded_of_an_answer_does_not_reach_who_must_not_act_on_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError

    with serve(Script(chunks=3)) as server, monkeypatch.context() as patch:
        patch.setattr(guard, "_OURS", guard._OURS | {"tests"})
        patch.setattr(ExchangeTap, "response_started", broken)
        with Recorder(sqlite_url, on_failure="raise") as recorder, pytest.raises(RecordingError):
            acting(recording(recorder), asking(server.url))


def test_nobody_listens_to_a_payload_that_is_not_known(sqlite_url: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"never read"

    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    with Recorder(sqlite_url) as recorder:
        live = acting(recording(recorder), asking(url, json=None, data=pieces()))
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, asking(url, json=None, data=pieces())) == live
    assert live[1].startswith("ClientConnectorError: ")


def test_a_connection_that_takes_too_long_and_one_that_is_not_waited_for(sqlite_url: str) -> None:
    settings = {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=0.1)}
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # a listener whose queue is full lets nobody in
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"

        async def impatient(session: aiohttp.ClientSession) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await session.post(url, json=ask("impatient"))

        with Recorder(sqlite_url) as recorder:
            live = acting(recording(recorder), asking(url), **settings)
            acting(recording(recorder), impatient)
        for each in waiting:
            each.close()
    assert live[1].startswith("ConnectionTimeoutError: Connection timeout to host ")
    with Player(sqlite_url) as player:
        assert acting(player.aiohttp_connector, asking(url), **settings) == live
        with pytest.raises(RecordingEnded, match="broke off with"):
            acting(player.aiohttp_connector, asking(url, "impatient"))
