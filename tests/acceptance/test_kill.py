"""SIGKILL at random moments of concurrent streams: what the consumer saw is there, and what is there ends rightly."""

from __future__ import annotations

import random
import signal
from contextlib import closing, suppress
from pathlib import Path
from subprocess import TimeoutExpired

import pytest
import requests

from recorder import Player, Recorder, RecordingEnded
from recorder.api.cassette_reports import look
from recorder.core.events import Event
from recorder.core.exchange import fold
from tests.loopback import Script, serve
from tests.recorded import end, python, streams, types

STREAMS = 8
SCRIPT = Script(chunks=60, gap=0.004, padding=150)

# Every chunk it gets it appends to a file named after the exchange, with a write of its own.
CHILD = """
import os, sys, threading, requests
from pathlib import Path
from recorder import Recorder
from tests.recorded import ask

store, server, seen, streams, drainer = sys.argv[1:]
recorder = Recorder(store, drainer=drainer)
session = recorder.mount(requests.Session())

def consume(number):
    for turn in range(1000):
        response = ask(session, server, f"{os.getpid()}-{number}-{turn}")
        file = os.open(Path(seen) / recorder.exchange(response), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        for chunk in response.iter_content(None):
            os.write(file, chunk)
        os.close(file)

threads = [threading.Thread(target=consume, args=(n,), daemon=True) for n in range(int(streams))]
for thread in threads:
    thread.start()
print("started", flush=True)
threads[0].join()
"""


def _kill_once(url: str, server: str, folder: Path, chance: random.Random, drainer: str) -> dict[str, bytes]:
    """Run a recording program and kill it; return what it had seen of each exchange."""
    folder.mkdir()
    with python(CHILD, url, server, str(folder), str(STREAMS), drainer, stderr=None) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        with suppress(TimeoutExpired):
            child.wait(chance.uniform(0.0, 0.7))
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def _replay(url: str, name: str, events: list[Event], server: str) -> None:
    """What was recorded of a killed exchange comes again, and then the recording says that it ends."""
    exchange = fold(events)
    assert exchange is not None
    assert exchange.request is not None
    got = bytearray()
    with pytest.raises(RecordingEnded):
        with Player(url, exchanges=[name]) as player, player.mount(requests.Session()) as session:
            with session.post(server, data=exchange.request.payload, stream=True) as response:
                for byte in response.iter_content(1):
                    got += byte
    assert bytes(got) == exchange.body


def _check(url: str, server: str, runs: int, tmp_path: Path, drainer: str) -> None:
    chance = random.Random(20261122)
    seen: dict[str, bytes] = {}
    died: list[str] = []
    for run in range(runs):
        seen_now = _kill_once(url, server, tmp_path / f"seen{run}", chance, drainer)
        with Recorder(url) as recorder:  # finds, drains and closes what the dead process left
            died_now = recorder.recovered.died
            assert recorder.recovered.damaged == []
        with closing(Recorder(url)) as again:
            assert again.recovered.died == []
            assert again.recovered.events == 0
        seen.update(seen_now)
        died += died_now
    found = streams(url)  # every chain verifies
    assert seen
    assert died
    for name, taken in seen.items():
        exchange = fold(found[name])
        assert exchange is not None
        assert exchange.body.startswith(taken), f"{len(taken)} bytes were seen, {len(exchange.body)} are there"
    for name, events in found.items():
        ended = end(events)
        assert ended.type in {"response_completed", "process_died"}, types(events)
        assert (ended.type == "process_died") == (name in died)
        assert events[-1] is ended
    for name in died[:: max(len(died) // 12, 1)]:
        _replay(url, name, found[name], server)


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_nothing_that_was_seen_is_lost(store_url: str, drainer: str, tmp_path: Path) -> None:
    with serve(SCRIPT) as server:
        _check(store_url, server.url, 2, tmp_path, drainer)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_nothing_that_was_seen_is_lost_in_100_runs(store_url: str, drainer: str, tmp_path: Path) -> None:
    with serve(SCRIPT) as server:
        _check(store_url, server.url, 100, tmp_path, drainer)


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_nothing_that_was_seen_is_lost_from_a_cassette(drainer: str, tmp_path: Path) -> None:
    with serve(SCRIPT) as server:
        _check_cassette(tmp_path / "c" / "killed.jsonl", server.url, 1, tmp_path, drainer)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_nothing_that_was_seen_is_lost_from_a_cassette_in_100_runs(drainer: str, tmp_path: Path) -> None:
    with serve(SCRIPT) as server:
        _check_cassette(tmp_path / "c" / "killed.jsonl", server.url, 100, tmp_path, drainer)


def _check_cassette(file: Path, server: str, runs: int, tmp_path: Path, drainer: str) -> None:
    """The same; and what a file holds when its program has just been killed is what will be in it."""
    just_killed = file.with_name("just killed.jsonl")
    _kill_once(str(just_killed), server, tmp_path / "first", random.Random(20261129), drainer)
    drained = streams(str(just_killed)) if just_killed.exists() else {}
    _check(str(file), server, runs, tmp_path, drainer)
    with Recorder(just_killed) as recorder:
        assert recorder.recovered.damaged == []
    found = streams(str(just_killed))
    for name, events in drained.items():
        assert [event.hash for event in found[name][: len(events)]] == [event.hash for event in events]
    assert [look(one).problems for one in (file, just_killed)] == [[], []]
    assert {one.name for one in file.parent.iterdir()} == {file.name, just_killed.name}
