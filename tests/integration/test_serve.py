"""The replay server: the recorded wire, to any client."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
import requests
from urllib3.exceptions import HTTPError

from recorder import ConfigurationError, Match, NoMatchingExchange, Player, Recorder, Store
from recorder.core.tape import Tape, render
from recorder.faults import cut, from_text, late
from recorder.serving.server import in_thread
from tests.fidelity.behaviours import BEHAVIOURS, Behaviour
from tests.fidelity.server import Server
from tests.integration.test_replay import ask, record
from tests.loopback import Script, serve
from tests.raw_client import Wire, asked, request
from tests.served import PATH, record_prompts, tapes, wire_of


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with "a" asked twice, then "b" once; the server is gone."""
    return record_prompts(tmp_path_factory.mktemp("serve"))


@pytest.fixture
def player(recorded: str) -> Iterator[Player]:
    """A player whose misses are the test's own business."""
    player = Player(recorded)
    yield player
    player.close()


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with an answer of each scripted server, asked at the path that :func:`path_of` tells."""
    url = f"sqlite:///{tmp_path_factory.mktemp('scripted') / 'store.db'}"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("home")))
        with Server() as server, Recorder(url) as recorder, requests.Session() as session:
            session.trust_env = False
            recorder.mount(session)
            for name in ENDS:
                _record(session, BEHAVIOURS[name], server.url(BEHAVIOURS[name], "key"))
    return url


def _record(session: requests.Session, behaviour: Behaviour, url: str) -> None:
    try:
        answer = session.request(
            behaviour.method, url, json=ask("a"), stream=True, timeout=behaviour.read_timeout, allow_redirects=False
        )
        with answer:
            while answer.raw.read1(1 << 16):
                pass
    except (requests.RequestException, HTTPError):
        pass


def path_of(name: str) -> str:
    return f"/c/{name}/key"


def tape_of(store_url: str, name: str) -> Tape:
    """Return the tape of a scripted server's answer."""
    with Store(store_url) as store:
        (found,) = [row["id"] for row in store.exchanges() if row["url"].endswith(path_of(name))]
        return render(store.events(found))


ENDS = {
    "event_per_frame": "open",
    "one_segment": "open",
    "frame_cut_in_its_edges": "open",
    "byte_by_byte": "open",
    "extensions_and_trailers": "open",
    "odd_chunk_sizes": "open",
    "frame_over_segments": "open",
    "head_over_segments": "open",
    "no_frames": "open",
    "content_length": "open",
    "content_length_zero": "open",
    "close_delimited": "closed",
    "http_1_0": "closed",
    "surplus_after_body": "open",
    "announces_close": "closed",
    "gzip_flushed": "open",
    "gzip_close_delimited": "closed",
    "bad_gzip": "open",
    "large_content_length": "open",
    "truncated_in_frame": "closed",
    "truncated_in_frame_size": "closed",
    "no_last_frame": "closed",
    "reset": "reset",
    "reset_in_frame": "reset",
    "short_content_length": "closed",
    "bad_chunk_size": "closed",
    "stall": "open",
    "stall_in_frame": "open",
    "stall_before_any_byte": "open",
    "refused": "reset",
    "garbage_status_line": "closed",
    "closes_before_any_byte": "closed",
    "resets_before_any_byte": "reset",
    "closes_in_head": "closed",
    "continue_100": "open",
    "early_hints_103": "open",
    "no_content_204": "open",
    "not_modified_304": "open",
    "head": "open",
    "json": "open",
    "error_429": "open",
    "header_quirks": "open",
    "redirect_307": "open",
    "set_cookie": "open",
}


@pytest.mark.parametrize("name", ENDS)
def test_the_bytes_of_the_wire_and_its_end(name: str, scripted: str) -> None:
    tape = wire_of(tape_of(scripted, name))
    with Player(scripted) as player, player.serve() as url, Wire(url) as wire:
        wire.ask(path_of(name), ask("a"), method=BEHAVIOURS[name].method)
        came = wire.until(lambda data: data == tape and ENDS[name] == "open")
        if ENDS[name] == "open":
            wire.socket.settimeout(0.03)
            came.end = wire.until_the_end().end
    assert came.data == tape
    assert came.end == ENDS[name]


def items_of(session: requests.Session, method: str, url: str, patience: float) -> tuple[list[bytes], str]:
    items: list[bytes] = []
    try:
        with session.request(method, url, json=ask("a"), stream=True, timeout=patience) as answer:
            items.extend(answer.iter_content(None))
    except requests.RequestException as error:
        return items, type(error).__name__
    return items, ""


FAULTS = [
    *("cut:after-bytes=130", "cut:after-chunks=3,how=reset", "malformed:4", "status:429,retry-after=2"),
    *("status:503,body={}", "rechunk:bytes", "rechunk:random,seed=4", "rechunk:whole", "unreachable"),
    *("rechunk:whole+cut:after-bytes=20", "corrupt-gzip:30"),
]
PLAIN = ("event_per_frame", "frame_over_segments", "extensions_and_trailers")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *((name, fault) for name in PLAIN for fault in FAULTS[:-1]),
        *(("gzip_flushed", fault) for fault in FAULTS),
        *(("event_per_frame", fault) for fault in ("cut:after-chunks=2,how=timeout", "unreachable:timeout")),
        *(
            ("event_per_frame", fault)
            for fault in ("error-in-stream:3", "done-missing", "done-twice", "rechunk:events")
        ),
    ],
)
def test_a_fault_is_what_it_is_in_the_process(name: str, fault: str, scripted: str) -> None:
    """The names of what is raised before there is a connection differ: the server was reached."""
    method, patience = BEHAVIOURS[name].method, 1.0 if "timeout" in fault else 20.0
    with Store(scripted) as store:
        (asked_at,) = [row["url"] for row in store.exchanges() if row["url"].endswith(path_of(name))]
    with requests.Session() as session:
        session.trust_env = False
        with Player(scripted) as player, player.serve() as url:
            session.headers["x-recorder-fault"] = fault
            served = items_of(session, method, url + path_of(name), patience)
        with Player(scripted, fault=from_text(fault)) as player:
            inside = items_of(player.mount(session), method, asked_at, patience)
    connect = {"ConnectTimeout": "ReadTimeout"}
    assert served == (inside[0], connect.get(inside[1], inside[1]))


def test_one_recording_answers_every_client(recorded: str) -> None:
    (tape, *_) = tapes(recorded)
    frames = Script(chunks=6).frames("a")
    with Player(recorded) as player, player.serve() as url, requests.Session() as session:
        answer = session.post(url + PATH, json=ask("a"), headers={"Authorization": "Bearer dummy"}, stream=True)
        assert list(answer.iter_content(None)) == frames
    with Player(recorded) as player, player.serve() as url, httpx.Client() as client:
        with client.stream("POST", url + PATH, json=ask("a")) as streamed:
            assert b"".join(streamed.iter_raw()) == b"".join(frames)
    with Player(recorded) as player, player.serve() as url:
        assert asked(url, PATH, ask("a")).data == wire_of(tape)


def test_the_sdk_of_openai_streams_by_its_base_url_and_does_not_retry_a_miss(player: Player) -> None:
    with player.serve() as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="dummy", max_retries=3) as client:
            stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}], stream=True)
            text = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
            assert text == Script(chunks=6).text("a", 0)
            with pytest.raises(openai.NotFoundError, match="was never recorded; the nearest recording is") as raised:
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": "z"}], stream=True)
        assert len(player.misses) == 1
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["differences"] == ['body.messages[0].content: "a" != "z"']


@pytest.mark.parametrize("name", ["frame_over_segments", "frame_cut_in_its_edges", "byte_by_byte", "close_delimited"])
def test_reads_stay_apart(name: str, scripted: str) -> None:
    """A frame that came in two reads does so again, also at once: the kernel tells when one has been taken."""
    tape = tape_of(scripted, name)
    with Player(scripted) as player, player.serve() as url, Wire(url) as wire:
        wire.ask(path_of(name), ask("a"))
        came = wire.until(lambda data: len(data) == len(wire_of(tape)))
    assert came.reads == [read.data for read in tape.reads]
    assert len(came.reads) > 8


def test_what_httpx_recorded_is_answered_to_others(sqlite_url: str) -> None:
    frames = Script(chunks=6).frames("a")
    with serve(Script(chunks=6)) as origin, Recorder(sqlite_url) as recorder:
        transport = recorder.httpx_transport(httpx.HTTPTransport())
        with httpx.Client(transport=transport) as client:
            for _ in range(2):
                assert client.post(origin.url, json=ask("a")).content == b"".join(frames)
    with Player(sqlite_url) as player, player.serve() as url, requests.Session() as session:
        assert session.post(url + PATH, json=ask("a")).content == b"".join(frames)
    with Player(sqlite_url) as player, player.serve() as url, Wire(url) as wire:
        for tape in tapes(sqlite_url):
            wire.ask(PATH, ask("a"))
            assert wire.answer().data == wire_of(tape)


def test_reads_come_apart_at_the_recorded_pace(scripted: str) -> None:
    tape = tape_of(scripted, "event_per_frame")
    with Player(scripted, fault=_Apart(0.02), pace=1.0) as player, player.serve() as url, Wire(url) as wire:
        wire.ask(path_of("event_per_frame"), ask("a"))
        began, times = time.monotonic(), []
        for read in tape.reads:
            assert wire.socket.recv(1 << 16) == read.data
            times.append(time.monotonic() - began)
    assert all(at >= 0.02 * (number + 1) - 0.005 for number, at in enumerate(times))


class _Apart:
    """The recording, with so many seconds between any two events."""

    def __init__(self, seconds: float) -> None:
        self._ns = round(seconds * 1e9)

    def apply(self, events: Any) -> list[Any]:
        return [event._replace(mono_ns=number * self._ns) for number, event in enumerate(events)]


def test_a_connection_is_used_again_also_for_what_was_sent_ahead(recorded: str) -> None:
    with Player(recorded) as player, player.serve() as url, Wire(url) as wire:
        wire.send(request(PATH, ask("a")) + request(PATH, ask("b")) + request("/_recorder/health", method="GET"))
        came = wire.until(lambda data: data.endswith(b'{"ok": true}\n'))
        first, _, third = tapes(recorded)
        assert came.data.startswith(wire_of(first) + wire_of(third))


def test_fifty_at_once_are_each_served_once(store_url: str) -> None:
    record(store_url, Script(chunks=3), *[ask("same")] * 50)
    with Player(store_url) as player, player.serve() as url, ThreadPoolExecutor(50) as pool:
        came = list(pool.map(lambda _: asked(url, PATH, ask("same")), range(50)))
        assert {each.data for each in came} == {wire_of(tapes(store_url)[0])}
        assert player.unplayed == ()


def test_the_nth_request_gets_the_nth_answer_and_no_more(sqlite_url: str) -> None:
    with serve(Script(status=500, error="{}"), Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        with requests.Session() as session:
            for _ in range(2):
                recorder.mount(session).post(server.url, json=ask("a"))
    player = Player(sqlite_url)
    with player.serve() as url:
        assert [asked(url, PATH, ask("a")).status for _ in range(3)] == [500, 200, 404]
        refused = asked(url, PATH, ask("a"))
        assert refused.error["code"] == "cassette_exhausted"
        assert "was recorded 2 times" in refused.error["message"]
    with pytest.raises(NoMatchingExchange), player:
        pass


def test_rules_of_matching_hold_over_the_network(recorded: str) -> None:
    rules = Match(ignore=["/messages/*/content"], headers=["Content-Type"], allow_repeats=True)
    plain, json_ = "Content-Type: text/plain", "Content-Type: application/json"
    player = Player(recorded, match=rules)
    with player.serve() as url:
        fault = "X-Recorder-Fault: status:429"
        assert [asked(url, PATH, ask("any"), json_, *more).status for more in ((), (), (fault,), ())] == [
            200,
            200,
            429,
            200,
        ]
        assert asked(url, PATH, ask("any"), plain).status == 404
    assert len(player.misses) == 1
    player.close()


def test_a_miss_says_what_is_nearest_and_is_not_retried(player: Player) -> None:
    with player.serve() as url:
        came = asked(url, PATH, ask("c"))
    assert came.status == 404
    assert b"\r\nx-should-retry: false\r\n" in came.data.lower()
    assert came.error["type"] == "no_matching_exchange"
    assert came.error["nearest"]
    assert came.error["differences"] == ['body.messages[0].content: "a" != "c"']
    assert str(player.misses[0]) == came.error["message"]


def test_what_the_server_tells_of_itself_and_how_it_begins_again(player: Player) -> None:
    with player.serve() as url:
        for prompt in ("a", "x"):
            asked(url, PATH, ask(prompt))
        status = json.loads(asked(url, "/_recorder/status", method="GET").body)
        assert (status["asked"], status["answered"], status["recorded"]) == (2, 1, 3)
        assert [miss["request"].split("/", 3)[3] for miss in status["misses"]] == ["v1/chat/completions"]
        assert len(status["unplayed"]) == 2
        assert asked(url, "/_recorder/reset").status == 403
        assert asked(url, "/_recorder/reset", method="GET").status == 405
        assert asked(url, "/_recorder/reset", None, "X-Recorder: 1").status == 200
        status = json.loads(asked(url, "/_recorder/status?now", method="GET").body)
        assert (len(status["misses"]), len(status["unplayed"])) == (0, 3)
        assert [asked(url, PATH, ask("a")).status for _ in range(3)] == [200, 200, 404]
        assert asked(url, "/_recorder/nonsense", method="GET").status == 404
        head = asked(url, "/_recorder/health", method="HEAD")
        assert (head.status, head.body) == (200, b"")
    assert len(player.misses) == 2  # a reset takes no miss back


def test_several_origins(sqlite_url: str) -> None:
    with serve(Script(chunks=1)) as one, serve(Script(chunks=2)) as two, Recorder(sqlite_url) as recorder:
        with requests.Session() as session:
            recorder.mount(session)
            for url in (one.url, two.url, one.url):
                session.post(url, json=ask("a"))
            session.post(two.url, json=ask("only two"))
    first, second, third, fourth = map(wire_of, tapes(sqlite_url))
    player = Player(sqlite_url)
    origins = [urlsplit(each.url).netloc for each in (one, two)]
    with player.serve() as url:
        refused = asked(url, PATH, ask("a"))
        assert refused.status == 404
        assert all(f"http://{origin}" in refused.error["message"] for origin in origins)
        assert asked(url, PATH, ask("only two")).data == fourth
        assert asked(url, f"/http/{origins[1]}{PATH}", ask("a")).data == second
        assert asked(url, PATH, ask("a")).data == first  # of the other one nothing is left
        assert asked(url, f"http://{origins[0]}{PATH}", ask("a")).data == third
        assert asked(url, f"/http/{origins[1]}{PATH}", ask("a")).error["code"] == "cassette_exhausted"
        assert asked(url, f"/http/elsewhere.example{PATH}", ask("a")).error["code"] == "no_matching_exchange"
    with Player(sqlite_url) as player, player.serve(origin=f"http://{origins[1]}/") as url:
        assert asked(url, PATH, ask("a")).data == second
    with Player(sqlite_url) as player, pytest.raises(ConfigurationError, match="nothing was recorded of the origin"):
        player.serve(origin="https://elsewhere.example")


def test_a_request_through_a_proxy_is_found_by_its_absolute_url(recorded: str, player: Player) -> None:
    (asked_at,) = {row["url"] for row in Store(recorded).exchanges()}
    with player.serve() as url, requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": url}
        assert session.post(asked_at, json=ask("b")).text.endswith("[DONE]\n\n")
        assert session.post("http://elsewhere.example/v1", json=ask("b")).status_code == 404
        assert len(player.misses) == 1


@pytest.mark.parametrize("pace", [0, 1])
def test_a_client_that_leaves_is_told_of_and_disturbs_nobody(
    pace: float, scripted: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Player(scripted, fault=_Apart(0.01), pace=pace) as player:
        server = player.server()
        with in_thread(server) as url, Wire(url) as other:
            other.ask(path_of("event_per_frame"), ask("a"))
            with Wire(url) as leaving:
                leaving.ask(path_of("frame_over_segments"), ask("a"))
                leaving.until(lambda data: b"data:" in data)
            assert other.answer().data == wire_of(tape_of(scripted, "event_per_frame"))
            deadline = time.monotonic() + 10
            while not server.tally.left and time.monotonic() < deadline:
                time.sleep(0.005)
        assert server.tally.left == 1
        assert "the client left after" in caplog.text


def test_a_client_that_has_only_finished_sending_gets_its_answer(recorded: str) -> None:
    with Player(recorded, fault=late(0.05), pace=1.0) as player, player.serve() as url, Wire(url) as wire:
        wire.ask(PATH, ask("a"))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.until_the_end().data == wire_of(tapes(recorded)[0])


def test_a_slow_client_gets_everything_before_a_reset(scripted: str) -> None:
    path, tape = path_of("large_content_length"), tape_of(scripted, "large_content_length")
    with Player(scripted, fault=cut(after_bytes=290_000, how="reset")) as player, player.serve() as url:
        with Wire(url, receive_buffer=4096) as wire:
            wire.ask(path, ask("a"))
            time.sleep(0.1)  # what it does not take fills both sockets
            came = wire.until_the_end()
    head = wire_of(tape).index(b"\r\n\r\n") + 4
    assert came.data == wire_of(tape)[: head + 290_000]
    assert came.end == "reset"


def test_where_the_recording_ends_a_client_that_closes_is_fine_and_one_that_reads_on_is_reset(sqlite_url: str) -> None:
    path = path_of("event_per_frame")
    with Server() as origin, Recorder(sqlite_url) as recorder, requests.Session() as session:
        session.trust_env = False
        for _ in range(2):
            with recorder.mount(session).post(f"http://{origin.host}{path}", json=ask("a"), stream=True) as answer:
                next(answer.iter_content(None))
    with Player(sqlite_url) as player:
        server = player.server()
        with in_thread(server) as url:
            with Wire(url) as wire:
                wire.ask(path, ask("a"))
                wire.until(lambda data: b"data:" in data)
            assert server.tally.ended == 0
            with Wire(url) as wire:
                wire.ask(path, ask("a"))
                came = wire.until_the_end()
        assert came.end == "reset"
        assert came.data == wire_of(tapes(sqlite_url)[1])
        assert server.tally.ended == 1


def test_a_changed_recording_is_not_played(sqlite_url: str) -> None:
    import sqlite3

    record(sqlite_url, Script(chunks=2), ask("a"))
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        database.execute("DROP TRIGGER IF EXISTS events_are_never_updated")
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE events SET body = X'00' WHERE type = 5")
    player = Player(sqlite_url)
    with player.serve() as url:
        came = asked(url, PATH, ask("a"))
    player.close()
    assert (came.status, came.error["code"]) == (404, "corrupt_recording")
    assert "is not what was written" in came.error["message"]


def test_a_port_that_is_taken_is_told(player: Player) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} cannot be listened at"), player.serve(port=port):
            pass


def test_it_can_be_awaited_in_a_loop_of_ones_own(recorded: str) -> None:
    async def run() -> bytes:
        with Player(recorded) as player:
            server = player.server(host="localhost")
            url = await server.start()
            async with httpx.AsyncClient() as client:
                answer = await client.post(url + PATH, json=ask("a"))
            await server.close()
            await server.close()
            return answer.content

    assert asyncio.run(run()) == b"".join(Script(chunks=6).frames("a"))


def test_what_the_system_refuses_is_told_once(recorded: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with Player(recorded) as player:
            server = player.server()
            loop = asyncio.get_running_loop()
            for _ in range(3):
                refused = OSError(errno.EMFILE, "Too many open files")
                server.loop_failed(loop, {"message": "accept() failed.", "exception": refused})
            server.loop_failed(loop, {"message": "a defect"})

    asyncio.run(run())
    assert [each.getMessage() for each in caplog.records] == ["accept() failed: Too many open files", "a defect"]


def test_nothing_is_left_behind(recorded: str) -> None:
    before = threading.active_count()
    with Player(recorded) as player:
        with player.serve() as url:
            idle = Wire(url)
            idle.ask(PATH, ask("a"))
            idle.answer()
        assert idle.until_the_end().end in ("closed", "reset")
        idle.close()
    assert threading.active_count() <= before


def test_a_redirect_to_elsewhere_is_told(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with serve(Script(status=307, error="", headers=(("Location", "https://gateway.example/v1"),))) as server:
        with Recorder(sqlite_url) as recorder, requests.Session() as session:
            recorder.mount(session).post(server.url, json=ask("a"), allow_redirects=False)
    with Player(sqlite_url) as player, player.serve() as url:
        assert asked(url, PATH, ask("a")).status == 307
    assert "redirects to https://gateway.example: the client will ask there, not here" in caplog.text
