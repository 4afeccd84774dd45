"""What a recorder signs is left outside while it records, and an outside that fails disturbs nobody."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import ConfigurationError, Recorder
from recorder.store import open_store
from recorder.store.base import Anchored
from tests.commands import run
from tests.loopback import Script, serve
from tests.recorded import ask, journals, lives, python, until


def anchored(url: str) -> tuple[list[Anchored], str]:
    """Return what was kept of anchors, and the newest checkpoint."""
    with closing(open_store(url, write=False)) as store:
        last = store.ledger.last_checkpoint()
        assert last is not None
        return list(store.ledger.anchors()), last[1]


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_checkpoints_are_left_outside_and_told_in_the_journal(drainer: str, sealed_url: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.notes"
    with (
        serve(Script(chunks=3)) as server,
        Recorder(sealed_url, drainer=drainer, anchors=[f"file:{outside}#every=1"]) as recorder,
    ):
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content
        until(lambda: outside.exists() and bool(recorder.health().anchors[0].size))
        assert ask(session, server.url, "y").content
    found, last = anchored(sealed_url)
    assert outside.read_text().rstrip("\n").endswith(last.rstrip("\n"))
    assert {one.anchor for one in found} == {f"file:{outside}"}
    told = [event.facts for events in journals(sealed_url).values() for event in events if event.type == "anchored"]
    assert told
    assert told[0]["anchor"] == f"file:{outside}"
    assert run("anchor", "--list", "--anchor", f"file:{outside}", "--store", sealed_url).exit_code == 0


def test_the_environment_names_anchors_too(sealed_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_ANCHORS", f"directory:{tmp_path}")
    with serve(Script(chunks=3)) as server, Recorder(sealed_url) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "x").content
    found, _ = anchored(sealed_url)
    assert [one.anchor for one in found] == [f"directory:{tmp_path}"] * len(found) != []


def test_an_anchor_that_cannot_be_reached_disturbs_nobody_and_is_told(sealed_url: str, tmp_path: Path) -> None:
    away = f"file:{tmp_path}/share/outside.notes"
    with serve(Script(chunks=3)) as server, Recorder(sealed_url, anchors=[away]) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "x")
        assert response.content
        assert recorder.seal(response) is not None
        until(lambda: bool(recorder.health().anchors[0].failures))
        (health,) = recorder.health().anchors
        assert health.error
        assert health.waiting_since_ns is not None
        assert recorder.health().ok
    assert anchored(sealed_url)[0] == []


HANGS = """
import sys, time, requests
from pathlib import Path
from recorder import Recorder
from tests.recorded import ask, until

store, server, command, timeout, closing = sys.argv[1:]
recorder = Recorder(store, anchors=[f"command:{sys.executable} {command}"], close_timeout=float(timeout))
session = recorder.mount(requests.Session())
response = ask(session, server, "x")
assert response.content
recorder.seal(response)
until(lambda: Path(command + ".pid").exists())
began = time.monotonic()
if closing == "closed":
    recorder.close()
    print(time.monotonic() - began)
"""
COMMAND = """
import os, sys, time
from pathlib import Path
note = sys.stdin.read()
if Path(__file__ + ".open").exists():
    print("seen")
else:
    Path(__file__ + ".new").write_text(str(os.getpid()))
    os.rename(__file__ + ".new", __file__ + ".pid")
    time.sleep(600)
"""


@pytest.mark.parametrize("closing", ["closed", "at exit"])
def test_an_anchor_that_hangs_holds_up_no_end_and_the_next_recorder_reaches_it(
    closing: str, sealed_url: str, tmp_path: Path
) -> None:
    command = tmp_path / "command.py"
    command.write_text(COMMAND)
    began = time.monotonic()
    with serve(Script(chunks=3)) as server:
        with python(HANGS, sealed_url, server.url, str(command), "1", closing) as child:
            out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert time.monotonic() - began < 20  # what it waits for takes ten minutes, and is killed after 30 seconds else
    if closing == "closed":
        assert float(out) < 3
    (line,) = err.splitlines()
    assert "the last checkpoint is not anchored at command:" in line
    assert "the next recorder on this store does it" in line
    pid = int(Path(f"{command}.pid").read_text())
    until(lambda: not lives(pid))
    Path(f"{command}.open").touch()
    with Recorder(sealed_url, anchors=[f"command:{sys.executable} {command}"]):
        until(lambda: bool(anchored(sealed_url)[0]))


def test_what_is_no_anchor_is_refused_before_anything_is_recorded(sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match="anchor"):
        Recorder(sqlite_url, anchors=["ftp:somewhere"])
