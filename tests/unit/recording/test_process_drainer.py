"""A drainer process: it drains, it is started again, it ends with its owner, and it tells nobody the password."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import pytest
import requests

import recorder.recording.process_drainer as process_drainer
from recorder import Recorder
from recorder.clock import SystemClock
from recorder.errors import StoreUnreachable
from recorder.ledger.sealer import Sealing
from recorder.recording.process_drainer import ProcessDrainer
from recorder.store import open_store
from recorder.store.schema import upgrade
from tests.loopback import Script, serve
from tests.recorded import ask, exchanges, lives, ps, python, until


def _drainer(recorder: Recorder) -> ProcessDrainer:
    assert recorder._path is not None
    mover = recorder._path._mover
    assert isinstance(mover, ProcessDrainer)
    return mover


def _command_line(pid: int) -> str:
    file = Path(f"/proc/{pid}/cmdline")
    return file.read_text() if file.exists() else ps(pid, "args")


def test_a_drainer_that_dies_is_started_again_and_nothing_is_lost(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(chunks=60, gap=0.01)
    with serve(script) as server, Recorder(sqlite_url, drainer="process") as recorder:
        session = recorder.mount(requests.Session())
        drainer = _drainer(recorder)
        assert drainer.pid is None
        pieces = ask(session, server.url, "x").iter_content(None)
        got = next(pieces)
        until(lambda: drainer.events > 0)
        first = drainer.pid
        assert first is not None
        assert sqlite_url not in _command_line(first)
        os.kill(first, signal.SIGKILL)
        until(lambda: drainer.pid not in (first, None))
        got += b"".join(pieces)
        assert recorder.flush()
        assert recorder.health().ok
        assert got == script.body("x")
        second = drainer.pid
        assert second is not None
    until(lambda: not lives(second))
    ((_, exchange),) = exchanges(sqlite_url).items()
    assert exchange.body == got
    assert "the drainer process ended" in caplog.text


OWNER = """
import os, sys, time, requests
from recorder import Recorder
from tests.recorded import ask, until

recorder = Recorder(sys.argv[1], drainer="process")
session = recorder.mount(requests.Session())
ask(session, sys.argv[2], "x").content
until(lambda: recorder._path._mover.pid is not None)
if sys.argv[3] == "heir" and os.fork() == 0:  # has the drainer's input open as well
    time.sleep(60)
print(recorder._path._mover.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("heir", ["heir", "none"])
def test_it_ends_when_its_owner_dies(heir: str, sqlite_url: str) -> None:
    with (
        serve(Script(chunks=3)) as server,
        python(OWNER, sqlite_url, server.url, heir, start_new_session=True) as owner,
    ):
        assert owner.stdout is not None
        drainer = int(owner.stdout.readline())
        assert lives(drainer)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        until(lambda: not lives(drainer))
        if heir == "heir":
            os.killpg(owner.pid, signal.SIGKILL)
    with Recorder(sqlite_url) as recorder:
        assert recorder.recovered.died == []
    assert [e.transport_end for e in exchanges(sqlite_url).values()] == ["response_completed"]


def test_it_ends_without_orders() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "recorder.recording.drainer_process"], input=b"", capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, b"", b"")


def test_one_that_cannot_be_started_is_an_error_that_health_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    drainer = ProcessDrainer({}, SystemClock())
    drainer.wake()
    until(lambda: drainer.error is not None)
    assert "cannot be started: No such file" in str(drainer.error)
    assert not drainer.drain()
    assert drainer.inherited() is None
    drainer.retire()
    assert not drainer.stop(5, lambda _: True)


def test_one_that_fails_at_once_is_started_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_drainer, "_MODULE", "recorder.no_such_module")
    drainer = ProcessDrainer({"a": "b"}, SystemClock())
    drainer.wake()
    until(lambda: drainer.error is not None)
    assert drainer.error == "the drainer process ended with code 1"
    started = time.monotonic()
    assert not drainer.stop(5, lambda _: True)
    assert time.monotonic() - started < 5


def test_one_that_does_not_end_in_time_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "deaf.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process_drainer, "_MODULE", "deaf")
    drainer = ProcessDrainer({}, SystemClock())
    drainer.wake()
    until(lambda: drainer.pid is not None)
    pid = drainer.pid
    assert pid is not None
    assert not drainer.stop(0.2, lambda _: True)
    until(lambda: not lives(pid))


def test_without_a_thread_it_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    import threading

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    drainer = ProcessDrainer({}, SystemClock())
    drainer.start_failed("nobody answers")
    assert (drainer.error, drainer.idle) == ("nobody answers", True)
    assert "can't start new thread" in caplog.text
    drainer.retire()
    drainer.wake()
    assert not drainer.stop(0, lambda _: False)
    assert drainer.stop(0, lambda _: True)


def test_a_store_that_does_not_close_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn:
        def close(self) -> None:
            raise StoreUnreachable("not now")

    caplog.set_level("INFO", "recorder")
    ProcessDrainer({}, SystemClock()).adopt(Stubborn())  # type: ignore[arg-type]
    assert "not now" in caplog.text


def test_what_is_set_aside_is_counted_over_several_processes() -> None:
    drainer = ProcessDrainer({}, SystemClock())
    told = {"error": None, "drained": {}, "damage": "x", "damaged_lanes": [1], "sealing": asdict(Sealing(size=7))}
    drainer._heard(told | {"events": 5, "conflicts": 2})
    assert (drainer.events, drainer.conflicts, drainer.damage) == (5, 2, "x")
    drainer._moved_before, drainer._refused_before = drainer.events, drainer.conflicts
    drainer._heard(told | {"events": 1, "conflicts": 1, "damage": None, "damaged_lanes": []})
    assert (drainer.events, drainer.conflicts, drainer.damage) == (6, 3, None)
    assert drainer.sealing == Sealing(size=7)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_nothing_stays_in_the_store_of_spools_that_are_gone(kind: Literal["thread", "process"], store_url: str) -> None:
    upgrade(store_url)
    for _ in range(2):
        with serve(Script(chunks=3)) as server, Recorder(store_url, drainer=kind) as recorder:
            assert ask(recorder.mount(requests.Session()), server.url, "x").content
    with closing(open_store(store_url, write=False)) as store:
        assert [int(row[0]) for row in store._rows("SELECT count(*) FROM spools")] == [0]
    assert len(exchanges(store_url)) == 2
