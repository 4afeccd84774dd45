"""Faults: what the stock libraries make of them is what they make of a real server that fails like that."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests

from recorder import NotFound, Player, Recorder
from recorder.faults import (
    Fault,
    corrupt_gzip,
    cut,
    done_missing,
    done_twice,
    error_in_stream,
    every_cut,
    late,
    malformed,
    rechunk,
    several,
    status,
    unreachable,
)
from tests.clocks import DrivenClock
from tests.fidelity.behaviours import BEHAVIOURS
from tests.fidelity.server import Server
from tests.integration.faults.libraries import (
    CHUNKS,
    FRAMES,
    LIBRARIES,
    SCRIPT,
    Library,
    Seen,
    bare,
    played,
    told,
    with_requests,
)
from tests.integration.test_replay import ask
from tests.loopback import Script, serve

WIRE = b"%x\r\n%b\r\n" % (len(FRAMES[3]), FRAMES[3])
IN_A_FRAME = len(b"".join(FRAMES[:3])) + len(WIRE) // 2 - WIRE.index(b"\n") - 1  # where the server cuts it


@LIBRARIES
@pytest.mark.parametrize(
    ("fault", "script"),
    [
        (cut(after_bytes=IN_A_FRAME), Script(chunks=CHUNKS, cut_after=3)),
        (cut(after_chunks=3, how="reset"), Script(chunks=CHUNKS, reset_after=3)),
        (cut(after_events=3, how="reset"), Script(chunks=CHUNKS, reset_after=3)),
        (done_missing(), Script(chunks=CHUNKS, done=False)),
    ],
    ids=["cut", "reset", "reset-by-events", "done"],
)
def test_a_program_sees_what_a_real_server_would_have_shown(
    library: Library, fault: Fault, script: Script, recorded: tuple[str, str]
) -> None:
    assert played(library, recorded, fault) == bare(library, script)


@LIBRARIES
@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        ("no_last_frame", cut(after_events=10)),
        ("bad_chunk_size", malformed(4)),
        ("stall", cut(after_chunks=4, how="timeout")),
        ("reset", cut(after_chunks=4, how="reset")),
    ],
)
def test_the_scripted_servers_failures(library: Library, behaviour: str, fault: Fault, sqlite_url: str) -> None:
    """The stream that these servers break is the whole one of another behaviour."""

    def run(server: Server, name: str, key: str, player: Player | None) -> Seen:
        return library(server.url(BEHAVIOURS[name], key), player)

    with Server() as server:
        with Recorder(sqlite_url) as recorder, requests.Session() as session:
            url = server.url(BEHAVIOURS["event_per_frame"], "key")
            recorder.mount(session).post(url, json=ask("a"))
        patience = 0.4 if behaviour == "stall" else 5
        broken = server.url(BEHAVIOURS[behaviour], "other")
        live = _impatient(library, broken, patience)
        server.close()
    with Player(sqlite_url, fault=fault) as player:
        seen = run(server, "event_per_frame", "key", player)
    assert seen[0] == live[0]
    assert seen[1].partition("(")[0].replace("read timeout=5", "") == live[1].partition("(")[0]


def _impatient(library: Library, url: str, patience: float) -> Seen:
    if patience >= 5:
        return library(url, None)
    # The same consumption with a shorter timeout: what is compared is the class of what is raised.
    items: list[bytes] = []
    try:
        if library is with_requests:
            with requests.Session() as session:
                session.trust_env = False
                with session.post(url, json=ask("a"), stream=True, timeout=patience) as answer:
                    items.extend(answer.iter_content(None))
        else:
            module = httpx if library.__closure__[0].cell_contents is httpx else httpx2
            with (
                module.Client(timeout=patience, trust_env=False) as client,
                client.stream("POST", url, json=ask("a")) as r,
            ):
                items.extend(r.iter_raw())
    except (requests.RequestException, httpx.HTTPError, httpx2.HTTPError) as error:
        return items, told(error, url)
    return items, ""


@LIBRARIES
def test_another_status(library: Library, recorded: tuple[str, str]) -> None:
    for code in (429, 500, 503):
        live = bare(library, Script(status=code, error='{"n":1}'))
        assert played(library, recorded, status(code, body={"n": 1}))[1][:20] == live[1][:20]
    store, url = recorded
    with Player(store, fault=status(429, retry_after=2)) as player, requests.Session() as session:
        answer = player.mount(session).post(url, json=ask("a"))
        assert (answer.status_code, answer.reason, answer.headers["retry-after"]) == (429, "Too Many Requests", "2")
        assert answer.json()["error"]["code"] == 429


@LIBRARIES
def test_nobody_listens(library: Library, recorded: tuple[str, str]) -> None:
    live = library(recorded[1], None)
    assert played(library, recorded, unreachable()) == live
    assert played(library, recorded, unreachable("timeout"))[1].startswith("ConnectTimeout: ")


def chain(error: BaseException | None) -> list[tuple[type, str, str]]:
    """Return what was raised, and everything that it came from."""
    found = []
    while error is not None:
        found.append((type(error), str(error), repr(error.args)))
        error = error.__cause__ or error.__context__
    return found


@pytest.mark.parametrize(
    ("library", "is_async"), [(httpx, False), (httpx, True), (httpx2, False), (httpx2, True), (aiohttp, True)]
)
def test_nobody_listens_down_to_what_the_system_says(library: Any, is_async: bool, recorded: tuple[str, str]) -> None:
    store, url = recorded

    def ask_it(player: Player | None) -> None:
        transport = player.httpx_transport(library) if player else None
        with library.Client(transport=transport, trust_env=False) as client:
            client.post(url, json=ask("a"))

    async def ask_async(player: Player | None) -> None:
        if library is aiohttp:
            async with aiohttp.ClientSession(connector=player.aiohttp_connector() if player else None) as session:
                await session.post(url, json=ask("a"))
        else:
            transport = player.httpx_transport(library) if player else None
            async with library.AsyncClient(transport=transport, trust_env=False) as client:
                await client.post(url, json=ask("a"))

    def raised(player: Player | None) -> list[tuple[type, str, str]]:
        with pytest.raises(Exception, match=r"refused|failed") as found:
            asyncio.run(ask_async(player)) if is_async else ask_it(player)
        return chain(found.value)

    with Player(store, fault=unreachable()) as player:
        assert raised(player) == raised(None)


@LIBRARIES
def test_the_same_bytes_at_other_boundaries(library: Library, recorded: tuple[str, str]) -> None:
    whole = SCRIPT.body("a")
    assert played(library, recorded, rechunk("bytes"))[0] == [whole[at : at + 1] for at in range(len(whole))]
    assert played(library, recorded, rechunk("whole"))[0] == [whole]
    assert played(library, recorded, rechunk("events"))[0] == FRAMES
    random = [played(library, recorded, rechunk("random", seed=seed))[0] for seed in (1, 1, 2)]
    assert random[0] == random[1] != random[2]
    assert b"".join(random[2]) == whole
    crlf = played(library, recorded, rechunk("crlf"))[0]
    assert b"".join(crlf) == whole.replace(b"\n", b"\r\n")
    assert all(piece.endswith(b"\r") for piece in crlf[:-1])


@LIBRARIES
def test_an_error_inside_the_stream(library: Library, recorded: tuple[str, str]) -> None:
    items, error = played(library, recorded, error_in_stream(2, {"message": "überlastet"}))
    assert error == ""
    assert items[:2] == FRAMES[:2]
    assert json.loads(items[2].removeprefix(b"data: ")) == {"error": {"message": "überlastet"}}
    assert len(items) == 3
    assert played(library, recorded, done_twice())[0] == [*FRAMES, FRAMES[-1]]
    assert played(library, recorded, several(done_missing(), rechunk("whole")))[0] == [b"".join(FRAMES[:-1])]


def test_corrupt_gzip(sqlite_url: str) -> None:
    with Server() as server:
        url = server.url(BEHAVIOURS["gzip_content_length"], "key")
        with Recorder(sqlite_url) as recorder, requests.Session() as session:
            assert recorder.mount(session).post(url, json=ask("a")).content
    with Player(sqlite_url, fault=corrupt_gzip(30)) as player, requests.Session() as session:
        with pytest.raises(requests.exceptions.ContentDecodingError):
            player.mount(session).post(url, json=ask("a"))


def test_what_comes_late_is_waited_for_at_a_pace(recorded: tuple[str, str]) -> None:
    clock = DrivenClock()
    began = time.monotonic()
    with Player(recorded[0], fault=late(30), pace=1.0, clock=clock) as player, requests.Session() as session:
        before = clock.monotonic_ns()
        player.mount(session).post(recorded[1], json=ask("a"))
    assert clock.monotonic_ns() - before >= 30_000_000_000
    assert time.monotonic() - began < 20


def test_a_fault_of_one_conversation_leaves_the_others_alone(sqlite_url: str) -> None:
    with serve(SCRIPT) as server, Recorder(sqlite_url) as recorder, requests.Session() as session:
        recorder.mount(session)
        with recorder.conversation("one"):
            session.post(server.url, json=ask("a"))
        session.post(server.url, json=ask("b"))
    with Player(sqlite_url, fault={"one": cut(after_chunks=1)}) as player, requests.Session() as session:
        player.mount(session)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            session.post(server.url, json=ask("a"))
        assert session.post(server.url, json=ask("b")).ok
    with pytest.raises(NotFound):
        Player(sqlite_url, fault={"none": cut(after_chunks=1)})


def test_every_cut_loses_something(recorded: tuple[str, str]) -> None:
    store, _ = recorded
    for by, count in (("chunks", len(FRAMES)), ("events", len(FRAMES)), ("bytes", len(SCRIPT.body("a")))):
        assert len(every_cut(store, "desk", by=by)) == count
    names = {str(fault) for fault in every_cut(store, "desk", by="bytes", most=9, seed=3)}
    assert names == {str(fault) for fault in every_cut(store, "desk", by="bytes", most=9, seed=3)}
    assert len(names) == 9
    for fault in every_cut(store, "desk", how="reset"):
        items, error = played(with_requests, recorded, fault)
        assert items == FRAMES[: len(items)]
        assert len(items) < len(FRAMES)
        assert "reset" in error


def test_the_end_of_a_chunked_body_is_a_place_to_cut(recorded: tuple[str, str]) -> None:
    items, error = played(with_requests, recorded, cut(after_chunks=len(FRAMES)))
    assert items == FRAMES
    assert error.startswith("ChunkedEncodingError")
    assert played(with_requests, recorded, rechunk("events")) == (FRAMES, "")  # as it was is no error


def test_a_shorter_answer_stays_whole_where_every_place_of_a_longer_one_is_cut(sqlite_url: str) -> None:
    short = Script(chunks=1)
    with serve(short) as first, serve(SCRIPT) as second:
        with Recorder(sqlite_url) as recorder, requests.Session() as session:
            for server in (first, second):
                recorder.mount(session).post(server.url, json=ask("a"))
        fault = every_cut(sqlite_url)[-1]
        with Player(sqlite_url, fault=fault) as player:
            assert with_requests(first.url, player)[0] == short.frames("a")
            assert with_requests(second.url, player)[0] == FRAMES[:-1]


def test_a_text_is_a_fault_too(recorded: tuple[str, str]) -> None:
    for fault in ("status:503", {"desk": "status:503"}):
        with Player(recorded[0], fault=fault) as player, requests.Session() as session:
            assert player.mount(session).post(recorded[1], json=ask("a")).status_code == 503
