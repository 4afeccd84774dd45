"""What the replay server sends is the recorded wire: its bytes, its reads, its end; faults are those of the process."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import requests
from urllib3.exceptions import HTTPError

from recorder import Player, Recorder, RecordingEnded, Store
from recorder.core.tape import Tape, render
from recorder.faults import cut, from_text, late
from recorder.serving.server import in_thread
from tests.fidelity.behaviours import BEHAVIOURS, Behaviour
from tests.fidelity.server import Server
from tests.integration.test_replay import ask
from tests.raw_client import Wire
from tests.served import PATH, tapes, wire_of


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


@pytest.mark.parametrize("name", ["frame_over_segments", "frame_cut_in_its_edges", "byte_by_byte", "close_delimited"])
def test_reads_stay_apart(name: str, scripted: str) -> None:
    """A frame that came in two reads does so again, also at once: the kernel tells when one has been taken."""
    tape = tape_of(scripted, name)
    with Player(scripted) as player, player.serve() as url, Wire(url) as wire:
        wire.ask(path_of(name), ask("a"))
        came = wire.until(lambda data: len(data) == len(wire_of(tape)))
    assert came.reads == [read.data for read in tape.reads]
    assert len(came.reads) > 8


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
    with pytest.raises(RecordingEnded, match="the client reads on"), Player(sqlite_url) as player:
        server = player.server()
        with in_thread(server) as url:
            with Wire(url) as wire:
                wire.ask(path, ask("a"))
                wire.until(lambda data: b"data:" in data)
            assert server.tally.ended == 0
            assert player.ended == ()
            assert not server.report.failed
            with Wire(url) as wire:
                wire.ask(path, ask("a"))
                came = wire.until_the_end()
        assert came.end == "reset"
        assert came.data == wire_of(tapes(sqlite_url)[1])
        assert server.tally.ended == 1
        assert server.report.failed
        assert len(player.ended) == 1
