"""A store that hangs: no call fails, none returns, and whoever looks is told all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import requests

from recorder import Recorder, RecordingError
from recorder.recording import process_drainer, store_outage
from recorder.store.locks import StoreLock
from recorder.store.schema import upgrade
from tests.loopback import Script, serve
from tests.postgres_server import PostgresServer
from tests.recorded import ask, exchanges, python, until

_Freeze = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, _Freeze]:
    """A store, and what has it answer nobody for a while."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("own_postgres")
        url = server.create_database()
        upgrade(url)
        return url, lambda: _frozen(server)
    path = tmp_path / "store.db"
    return f"sqlite:///{path}", lambda: StoreLock(path.with_name("store.db.lock"))


@contextmanager
def _frozen(server: PostgresServer) -> Iterator[None]:
    """Stop the server with all its backends; the kernel goes on answering for them, so no connection breaks."""
    assert server._process is not None
    lines = subprocess.check_output(["ps", "-eo", "pid=,ppid="], text=True).splitlines()
    parents = {int(pid): int(parent) for pid, parent in map(str.split, lines)}
    family = [server._process.pid]
    for pid in family:  # which grows
        family += [child for child, parent in parents.items() if parent == pid]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_a_store_that_hangs_is_told_and_who_must_not_act_unrecorded_is_stopped(
    store: tuple[str, _Freeze], drainer: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, freeze = store
    monkeypatch.setattr(store_outage, "OVERDUE", 1.0)
    monkeypatch.setattr(process_drainer, "_MODULE", "tests.acceptance.impatient_drainer")
    with serve(Script(chunks=5)) as server, Recorder(url, drainer=drainer, on_failure="raise") as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "first").content
        assert recorder.flush()
        with freeze():
            assert ask(session, server.url, "unnoticed").content
            until(lambda: recorder.health().store_error is not None)
            assert not recorder.health().ok
            assert "the store has not answered for" in str(recorder.health().store_error)
            sent = len(server.visits())
            with pytest.raises(RecordingError, match="cannot be recorded: the store has not answered"):
                ask(session, server.url, "refused")
            assert len(server.visits()) == sent
            until(lambda: str(recorder.health().store_error).endswith("for 3 s"))
            assert recorder.health().pending_bytes > 0
        until(lambda: recorder.health().store_error is None)
        assert ask(session, server.url, "again").content
        assert recorder.flush()
        assert recorder.health().ok
    told = [record.getMessage() for record in caplog.records if "the store" in record.getMessage()]
    assert ["fails" in one for one in told] == [True, False], told
    assert "answers again" in told[1]
    said = [e.request.json["messages"][0]["content"] for e in exchanges(url).values() if e.request is not None]
    assert sorted(said) == ["again", "first", "unnoticed"]


FORKING = """
import os, sys, time, requests
from recorder import Recorder
from tests.recorded import ask

store, server = sys.argv[1:]
recorder = Recorder(store, close_timeout=30)
session = recorder.mount(requests.Session())
assert ask(session, server, "before").content
assert recorder.flush()
print("ready", flush=True)
sys.stdin.readline()  # the store hangs now
assert ask(session, server, "of the parent").content
time.sleep(0.3)  # its drainer waits for the store
children, started = [], time.monotonic()
for _ in range(8):
    child = os.fork()
    if child == 0:
        session.close()
        try:
            assert ask(recorder.mount(requests.Session()), server, "of a child").content
            recorder.close()
        finally:
            os._exit(0)
    children.append(child)
print(time.monotonic() - started, flush=True)
for child in children:
    os.waitpid(child, 0)
recorder.close()
"""


def test_a_pool_starts_while_the_store_hangs(store: tuple[str, _Freeze]) -> None:
    url, freeze = store
    with serve(Script(chunks=5)) as server, python(FORKING, url, server.url, stdin=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        assert program.stdout.readline() == "ready\n"
        with freeze():
            program.stdin.write("go\n")
            program.stdin.flush()
            took = float(program.stdout.readline())
            time.sleep(0.5)  # the children record into a store that hangs
        assert program.wait(60) == 0
    assert took < 2.0  # eight forks; one alone took that long
    with Recorder(url):  # what the children could not bring there
        pass
    said = [e.request.json["messages"][0]["content"] for e in exchanges(url).values() if e.request is not None]
    assert sorted(said) == ["before", *["of a child"] * 8, "of the parent"]
