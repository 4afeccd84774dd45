"""A recorder that nobody closes: it records while anybody can send, and then it ends by itself."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from recorder import Recorder
from recorder.locations import spool_directory
from recorder.store import open_store
from tests.loopback import Script, serve
from tests.recorded import ROOT, ask, exchanges, only, python, streams, types, until

WHOLE = ["request_sent", "response_started", "chunk_received", "response_completed"]


#: Threads that were there before the test: what another one has left behind is none of its own.
BEFORE: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def no_collection_by_chance() -> Iterator[None]:
    """The collector runs when a test says so, often, and looks at what the test has made."""
    gc.collect()
    BEFORE.clear()
    BEFORE.update(threading.enumerate())
    gc.freeze()
    gc.disable()
    yield
    gc.enable()


def threads() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name.startswith("recorder-") and each not in BEFORE}


def dropped() -> None:
    """Collect until all threads of recorders have ended: what urllib3 holds of a pool goes in a second pass."""

    def none_left() -> bool:
        gc.collect()
        return not threads()

    until(none_left, 60)  # ten recorders bring their views up to date, one after the other


def asked(session: requests.Session, url: str) -> None:
    """Ask and read the answer to its end."""
    assert ask(session, url, "x").content


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def recovered(url: str) -> str:
    """What another process finds of dead ones."""
    run = [sys.executable, "-m", "recorder", "recover", "--store", url]
    return subprocess.run(run, check=True, capture_output=True, text=True, cwd=ROOT).stdout


@pytest.mark.parametrize(
    ("durability", "drainer"),
    [("delivered", "thread"), ("batched", "thread"), ("synced", "thread"), ("batched", "process")],
)
def test_dropped_with_its_session_it_ends_and_everything_is_in_the_store(
    durability: str, drainer: str, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(store_url, durability=durability, drainer=drainer)
    session = recorder.mount(requests.Session())
    with serve(Script(chunks=5)) as server:
        asked(session, server.url)
        assert threads()
        session.close()
        del recorder, session
        dropped()
    assert types(only(store_url)) == WHOLE
    assert not spool_directory(store_url).exists()
    assert recovered(store_url).startswith("nothing to recover")
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "recorder: a Recorder was dropped without close(): what it recorded is brought to the store now"
    ]


def test_dropped_while_the_store_is_away_it_gives_its_spool_to_whoever_recovers(
    sqlite_url: str, tmp_path: Path
) -> None:
    recorder = Recorder(sqlite_url, close_timeout=0.2)
    session = recorder.mount(requests.Session())
    store, aside = tmp_path / "store.db", tmp_path / "aside.db"
    assert recorder.flush()
    store.rename(aside)
    store.mkdir()  # it is away, and cannot be made again
    with serve(Script(chunks=5)) as server:
        asked(session, server.url)
        session.close()
        del recorder, session
        dropped()
    store.rmdir()
    aside.rename(store)
    assert streams(sqlite_url) == {}
    assert recovered(sqlite_url).startswith("1 dead process found\n")
    assert types(only(sqlite_url)) == WHOLE
    assert not spool_directory(sqlite_url).exists()


def test_a_session_that_is_in_use_keeps_its_recorder(sqlite_url: str) -> None:
    session = Recorder(sqlite_url).mount(requests.Session())
    gc.collect()
    with serve(Script(chunks=5)) as server:
        for _ in range(3):
            asked(session, server.url)
            gc.collect()
        session.close()
    del session
    dropped()
    assert [types(events) for events in streams(sqlite_url).values()] == [WHOLE] * 3


def _response(response: requests.Response) -> Iterator[bytes]:
    return iter(response.iter_content(None))


def _generator(response: requests.Response) -> Iterator[bytes]:
    lines = response.iter_lines()
    next(lines)
    return lines


def _raw(response: requests.Response) -> Iterator[bytes]:
    raw: Any = response.raw
    return iter(raw.stream())


@pytest.mark.parametrize("taken", [_response, _generator, _raw])
def test_an_answer_that_is_being_read_is_recorded_to_its_end(
    taken: Callable[[requests.Response], Iterator[bytes]], sqlite_url: str
) -> None:
    recorder = Recorder(sqlite_url)
    session = recorder.mount(requests.Session())
    with serve(Script(chunks=20, gap=0.02)) as server:
        rest = taken(ask(session, server.url, "x"))
        del recorder, session
        gc.collect()
        for _ in rest:
            gc.collect()
        del rest
        dropped()
    assert types(only(sqlite_url)) == WHOLE


@pytest.mark.filterwarnings(  # what Python has for a socket that nobody closed
    "ignore::ResourceWarning", "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
def test_an_answer_that_is_dropped_together_with_its_recorder_has_an_end(sqlite_url: str) -> None:
    recorder = Recorder(sqlite_url)
    session = recorder.mount(requests.Session())
    with serve(Script(chunks=20, gap=0.05)) as server:
        response: Any = ask(session, server.url, "x")
        response.itself = response  # one cycle: the collector finds all of them at once
        del recorder, session, response
        dropped()
    assert types(only(sqlite_url))[-1] == "consumer_abandoned"


def test_one_that_never_recorded_ends_as_well(sqlite_url: str) -> None:
    Recorder(sqlite_url)
    dropped()
    assert recovered(sqlite_url).startswith("nothing to recover")
    assert not spool_directory(sqlite_url).exists()


def test_a_closed_one_is_dropped_without_a_word(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with Recorder(sqlite_url) as recorder:
        path = weakref.ref(recorder._path)
    del recorder
    gc.collect()
    assert not threads()
    assert path() is None  # what is to be done at exit would hold it
    assert caplog.records == []


def test_one_for_which_no_thread_is_left_is_closed_when_the_program_ends(sqlite_url: str) -> None:
    program = """
import gc, sys, threading, requests
from recorder import Recorder
from tests.recorded import ask

session = Recorder(sys.argv[1]).mount(requests.Session())
ask(session, sys.argv[2], "x").content
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
del session
gc.collect()
print("on")
"""
    with serve(Script(chunks=5)) as server, python(program, sqlite_url, server.url) as process:
        out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "on\n")
    assert "is not closed yet: can't start new thread" in error
    assert types(only(sqlite_url)) == WHOLE
    assert not spool_directory(sqlite_url).exists()


def test_a_program_that_ends_at_once_waits_for_what_it_dropped(sqlite_url: str) -> None:
    program = """
import gc, sys, requests
from recorder import Recorder
from tests.recorded import ask

session = Recorder(sys.argv[1]).mount(requests.Session())
ask(session, sys.argv[2], "x").content
del session
gc.collect()
"""
    with serve(Script(chunks=5)) as server, python(program, sqlite_url, server.url) as process:
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert types(only(sqlite_url)) == WHOLE
    assert not spool_directory(sqlite_url).exists()


def test_a_forked_child_that_drops_its_copy_leaves_the_parents_alone(sqlite_url: str) -> None:
    program = """
import gc, os, sys, threading, time, requests
from recorder import Recorder
from tests.recorded import ask, until

session = Recorder(sys.argv[1]).mount(requests.Session())
ask(session, sys.argv[2], "parent").content
child = os.fork()
if child == 0:
    ask(session, sys.argv[2], "child").content
    del session
    gc.collect()
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("recorder-")])
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
ask(session, sys.argv[2], "parent").content
"""
    with serve(Script(chunks=5)) as server, python(program, sqlite_url, server.url) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert [types(events) for events in streams(sqlite_url).values()] == [WHOLE] * 3
    assert not spool_directory(sqlite_url).exists()


def test_many_that_come_and_go_leave_nothing_behind(sqlite_url: str) -> None:
    with closing(open_store(sqlite_url, write=True)):
        pass
    Recorder(sqlite_url).close()  # what is imported and opened once
    before = open_files()
    with serve(Script(chunks=2)) as server:
        for _ in range(10):
            with requests.Session() as session:
                asked(Recorder(sqlite_url).mount(session), server.url)
            del session
        dropped()
    gc.collect()
    assert len(exchanges(sqlite_url)) == 10
    assert open_files() <= before
