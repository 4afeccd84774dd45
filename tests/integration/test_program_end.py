"""The program ends, and daemon threads of it go on for a while: nothing that they see is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.core.events import Event
from recorder.locations import spool_directory
from tests.loopback import Script, serve
from tests.recorded import ROOT, python, streams, types

# What is registered before the recorder is called after it at exit.
_PROGRAM = """
import atexit, os, sys, threading, requests
from recorder import Recorder
from tests.recorded import ask, until

store, url, seen, drainer, on_failure = sys.argv[1:]
seen = os.open(seen, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
count, asked, ending = [0], threading.Event(), threading.Event()

def read(response):
    for chunk in response.iter_content(None):
        os.write(seen, b"x")
        count[0] += 1
"""
_READS = (
    _PROGRAM
    + """
def read_on():
    before = count[0]
    until(lambda: count[0] > before + 30)

atexit.register(read_on)
recorder = Recorder(store, drainer=drainer, on_failure=on_failure, durability=os.environ["DURABILITY"])
session = recorder.mount(requests.Session())
for name in "ab":
    threading.Thread(target=lambda: [read(ask(session, url, "x")) for _ in range(50)], daemon=True).start()
until(lambda: count[0] > 20)
"""
)
_ASKS = (
    _PROGRAM
    + """
def ask_on():
    ending.set()
    until(lambda: not thread.is_alive())

atexit.register(ask_on)
recorder = Recorder(store, drainer=drainer, on_failure=on_failure)
session = recorder.mount(requests.Session())

def waiting():
    read(ask(session, url, "x"))
    asked.set()
    ending.wait()
    with recorder.conversation("late"):
        read(ask(session, url, "x"))
        recorder.link(kind="order", id="1", exchange=ask(session, url, "x"))

thread = threading.Thread(target=waiting, daemon=True)
thread.start()
asked.wait()
until(recorder.flush)
"""
)


def _run(program: str, *arguments: str, durability: str = "delivered") -> str:
    with python(program, *arguments, env={"DURABILITY": durability}) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return error


def _recorder(*arguments: str) -> str:
    run = [sys.executable, "-m", "recorder", *arguments]
    return subprocess.run(run, check=False, capture_output=True, text=True, cwd=ROOT).stdout


def _chunks(found: dict[str, list[Event]]) -> int:
    return sum(event.type == "chunk_received" for events in found.values() for event in events)


@pytest.mark.parametrize(
    ("drainer", "on_failure", "durability"),
    [("thread", "spool", "delivered"), ("process", "raise", "delivered"), ("thread", "raise", "synced")],
)
def test_what_daemon_threads_read_while_the_program_ends_is_recorded(
    drainer: str, on_failure: str, durability: str, sqlite_url: str, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    with serve(Script(chunks=200, gap=0.005)) as server:
        error = _run(_READS, sqlite_url, server.url, str(seen), drainer, on_failure, durability=durability)
    assert "the program ends while a thread of it is recorded" in error
    before = json.loads(_recorder("verify", "--json", "--store", sqlite_url))
    assert before["findings"] == []
    assert "2 exchanges closed as process_died" in _recorder("recover", "--store", sqlite_url)
    found = streams(sqlite_url)
    assert _chunks(found) >= seen.stat().st_size > 50
    ends = [types(events)[-1] for events in found.values()]
    assert ends.count("process_died") == 2
    assert set(ends) <= {"process_died", "response_completed"}
    assert json.loads(_recorder("verify", "--json", "--store", sqlite_url))["findings"] == []
    assert not spool_directory(sqlite_url).exists()


@pytest.mark.parametrize("on_failure", ["spool", "raise"])
@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_what_is_sent_after_the_recorder_was_closed_with_the_program_is_recorded(
    drainer: str, on_failure: str, sqlite_url: str, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    with serve(Script(chunks=4)) as server:
        error = _run(_ASKS, sqlite_url, server.url, str(seen), drainer, on_failure)
    assert "a request is sent after the end of the program" in error
    assert "process_died" in _recorder("recover", "--store", sqlite_url)
    found = streams(sqlite_url)
    assert sorted(types(events)[0] for events in found.values()) == [
        "conversation_named",
        "linked",
        "request_sent",
        "request_sent",
        "request_sent",
    ]
    assert _chunks(found) >= seen.stat().st_size > 8
    assert json.loads(_recorder("verify", "--json", "--store", sqlite_url))["findings"] == []
    assert not spool_directory(sqlite_url).exists()


def test_without_another_thread_what_nobody_reads_on_is_ended(sqlite_url: str) -> None:
    program = """
import sys, requests
from recorder import Recorder
from tests.recorded import ask

session = Recorder(sys.argv[1]).mount(requests.Session())
response = ask(session, sys.argv[2], "x")
chunks = response.iter_content(None)
next(chunks)
"""
    with serve(Script(chunks=50, gap=0.01)) as server:
        _run(program, sqlite_url, server.url)
    (events,) = streams(sqlite_url).values()
    assert types(events)[-1] == "recorder_closed"
    assert not spool_directory(sqlite_url).exists()


def test_a_daemon_thread_that_is_not_recorded_leaves_nothing_behind(sqlite_url: str, tmp_path: Path) -> None:
    program = _PROGRAM + (
        "threading.Thread(target=ending.wait, daemon=True).start()\n"
        "read(ask(Recorder(store).mount(requests.Session()), url, 'x'))\n"
    )
    with serve(Script(chunks=4)) as server:
        error = _run(program, sqlite_url, server.url, str(tmp_path / "seen"), "thread", "spool")
    assert error == ""
    (events,) = streams(sqlite_url).values()
    assert types(events)[-1] == "response_completed"
    assert not spool_directory(sqlite_url).exists()
