"""What is asked of a durability is kept; processes, conversations and threads may do as they like."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from recorder import ConfigurationError, Player, Recorder, Store
from recorder.core.events import CONVERSATION_TYPES
from tests.journals import only_journal
from tests.loopback import Script, serve
from tests.recorded import ask, end, exchanges, only, python, streams, until

# Durability


@pytest.mark.parametrize("durability", ["delivered", "batched", "synced"])
@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_every_durability_records_everything(durability: str, drainer: str, store_url: str) -> None:
    script = Script(chunks=30, gap=0.001)
    with serve(script) as server, Recorder(store_url, durability=durability, drainer=drainer) as recorder:
        session = recorder.mount(requests.Session())
        for turn in range(3):
            assert ask(session, server.url, str(turn)).content == script.body(str(turn))
        assert recorder.flush()
        told = only_journal(store_url)
        assert len(told) == 2 + 2 * 3  # its beginning, and the beginning and the end of each exchange
        assert recorder.health().drained_events == sum(map(len, streams(store_url).values())) + len(told)
    assert [e.transport_end for e in exchanges(store_url).values()] == ["response_completed"] * 3


def test_synced_syncs_the_request_and_the_end_and_chunks_soon_after(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recorder.recording.spool as spool

    synced: list[int] = []
    real = spool.fdatasync
    monkeypatch.setattr(spool, "fdatasync", lambda fd: (synced.append(os.fstat(fd).st_size), real(fd))[1])
    with serve(Script(chunks=12, gap=0.03)) as server, Recorder(sqlite_url, durability="synced") as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content
        assert len(synced) >= 8  # the request, the end, and most of the chunks on their own: 30 ms apart
        assert synced == sorted(synced)


# Processes


FORKING = """
import multiprocessing, sys, requests
from recorder import Recorder
from tests.recorded import ask

def child(session, url):
    assert ask(session, url, "child").content
    with recorder.conversation("from the child"):
        assert ask(session, url, "child in a conversation").content

recorder = Recorder(sys.argv[1])
session = recorder.mount(requests.Session())
with recorder.conversation("from the child"):
    pieces = ask(session, sys.argv[2], "parent, open over the fork").iter_content(None)
first = next(pieces)
process = multiprocessing.get_context("fork").Process(target=child, args=(session, sys.argv[2]))
process.start()
process.join()
assert process.exitcode == 0
assert len(list(pieces)) > 3
assert ask(session, sys.argv[2], "parent again").content
recorder.close()
"""


def test_a_forked_child_records_for_itself(store_url: str) -> None:
    script = Script(chunks=8, gap=0.02)
    with serve(script) as server, python(FORKING, store_url, server.url) as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (0, "", "")
    bodies = {
        e.request.json["messages"][0]["content"]: (e.transport_end, e.body)
        for e in exchanges(store_url).values()
        if e.request
    }
    prompts = ["parent, open over the fork", "child", "child in a conversation", "parent again"]
    assert bodies == {prompt: ("response_completed", script.body(prompt)) for prompt in prompts}
    instances = {events[0].instance for events in streams(store_url).values()}
    assert len(instances) == 2


ORPHANED = """
import os, sys, time, requests
from recorder import Recorder
from tests.recorded import ask

recorder = Recorder(sys.argv[1])
session = recorder.mount(requests.Session())
pieces = ask(session, sys.argv[2], "of the parent").iter_content(None)
next(pieces)
if os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
time.sleep(60)
"""


def test_a_child_does_not_hold_the_lock_of_its_dead_parent(sqlite_url: str) -> None:
    with serve(Script(chunks=50, gap=0.05)) as server, python(ORPHANED, sqlite_url, server.url) as parent:
        assert parent.stdout is not None
        heir = int(parent.stdout.readline())
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            with Recorder(sqlite_url) as recorder:
                assert len(recorder.recovered.died) == 1
        finally:
            os.kill(heir, signal.SIGKILL)
    assert end(only(sqlite_url)).type == "process_died"


LEAVING = """
import sys, requests, threading
from recorder import Recorder
from tests.recorded import ask

recorder = Recorder(sys.argv[1], drainer=sys.argv[3])
session = recorder.mount(requests.Session())
assert ask(session, sys.argv[2], "whole").content
response = ask(session, sys.argv[2], "open")
pieces = response.iter_content(None)
next(pieces)
if sys.argv[4] == "raise":
    raise SystemExit(3)
"""


@pytest.mark.parametrize("drainer", ["thread", "process"])
@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_program_may_end_without_closing(how: str, drainer: str, store_url: str) -> None:
    script = Script(chunks=10, gap=0.02)
    with serve(script) as server, python(LEAVING, store_url, server.url, drainer, how) as child:
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (3 if how == "raise" else 0, "", "")
    assert sorted(e.transport_end or "" for e in exchanges(store_url).values()) == [
        "recorder_closed",
        "response_completed",
    ]
    with Recorder(store_url) as recorder:
        assert recorder.recovered.events == 0


def test_ctrl_c_in_the_middle_of_a_write_loses_no_place_in_the_chain(sqlite_url: str) -> None:
    program = """
import os, signal, sys, threading, time, requests
from recorder import Recorder
from tests.recorded import ask

recorder = Recorder(sys.argv[1])
session = recorder.mount(requests.Session())
interrupted = 0
stop = threading.Event()
def pester():
    while not stop.is_set():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.0037)
signal.signal(signal.SIGINT, signal.SIG_IGN)
threading.Thread(target=pester, daemon=True).start()
for turn in range(150):
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with ask(session, sys.argv[2], str(turn)) as response:
            for piece in response.iter_content(None):
                pass
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupted += 1
stop.set()
print(interrupted, recorder.flush(), recorder.health().store_error)
recorder.close()
"""
    with serve(Script(chunks=30, padding=10)) as server, python(program, sqlite_url, server.url) as child:
        out, err = child.communicate(timeout=100)
    assert child.returncode == 0, err
    interrupted, flushed, error = out.split()
    assert int(interrupted) > 20
    assert (flushed, error) == ("True", "None")
    assert not list(Path(sqlite_url.removeprefix("sqlite:///")).parent.rglob("*.conflicts"))
    streams(sqlite_url)  # every chain verifies


# Conversations


def _conversations(url: str) -> dict[str, set[str]]:
    """Return the prompts of every conversation, by name."""
    found: dict[str, set[str]] = {}
    for exchange in exchanges(url).values():
        assert exchange.request is not None
        prompt = exchange.request.json["messages"][0]["content"]
        found.setdefault(exchange.conversation_name or "", set()).add(prompt)
    return found


def test_conversations_in_thread_pools_and_tasks(sqlite_url: str) -> None:
    with serve(Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        desks = {name: recorder.conversation(name, tags={"bot": name}) for name in ("eur", "usd")}

        def work(name: str, number: int) -> None:
            with desks[name]:
                assert ask(session, server.url, f"{name} {number}").content

        async def task(name: str) -> None:
            with desks[name]:
                await asyncio.sleep(0.01)
                assert ask(session, server.url, f"{name} task").content

        async def both() -> None:
            await asyncio.gather(task("eur"), task("usd"))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, ["eur", "usd"] * 5, range(10)))
        asyncio.run(both())
        with desks["eur"], desks["usd"]:
            assert ask(session, server.url, "inner").content
        assert ask(session, server.url, "outside").content
        with recorder.conversation():
            assert ask(session, server.url, "unnamed").content
        assert recorder.conversation("eur", tags={"bot": "eur"}) is desks["eur"]
        for wrong in ("", "  ", 7):
            with pytest.raises(ConfigurationError):
                recorder.conversation(wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError):
            recorder.conversation("x", tags={"a": 1})  # type: ignore[dict-item]
    assert _conversations(sqlite_url) == {
        "eur": {f"eur {n}" for n in range(0, 10, 2)} | {"eur task"},
        "usd": {f"usd {n}" for n in range(1, 10, 2)} | {"usd task", "inner"},
        "": {"outside", "unnamed"},
    }
    openings = [e for e in streams(sqlite_url).values() if e and e[0].type in CONVERSATION_TYPES]
    assert [[event.type for event in events] for events in openings] == [["conversation_named", "tags_set"]] * 2
    with Store(sqlite_url) as store:
        assert store is not None


# Threads


def test_one_session_in_many_threads(sqlite_url: str) -> None:
    script = Script(chunks=15, gap=0.001)
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())

        def work(number: int) -> bytes:
            return ask(session, server.url, str(number)).content

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(work, range(64))) == [script.body(str(n)) for n in range(64)]
    assert {e.transport_end for e in exchanges(sqlite_url).values()} == {"response_completed"}
    assert len(exchanges(sqlite_url)) == 64


def test_the_recorder_may_be_closed_while_threads_go_on(sqlite_url: str) -> None:
    script = Script(chunks=40, gap=0.002)
    failures: list[BaseException] = []
    with serve(script) as server:
        recorder = Recorder(sqlite_url)
        session = recorder.mount(requests.Session())

        def work(number: int) -> None:
            try:
                for turn in range(4):
                    assert ask(session, server.url, f"{number}-{turn}").content == script.body(f"{number}-{turn}")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(server.visits()) > 10)
        recorder.close()
        for thread in threads:
            thread.join()
    assert failures == []
    ends = {e.transport_end for e in exchanges(sqlite_url).values()}
    assert ends == {"response_completed", "recorder_closed"}


def test_what_readers_see_while_a_recorder_runs(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with serve(Script(chunks=4)) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content
        recorder.flush()
        with Player(sqlite_url) as player, player.mount(requests.Session()) as offline:
            assert ask(offline, server.url, "x").content == Script(chunks=4).body("x")
    assert json.loads(json.dumps([record.getMessage() for record in caplog.records])) == []
