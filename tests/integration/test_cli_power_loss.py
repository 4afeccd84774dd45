"""A machine that lost its power: spool files whose first page never reached the disk, and what recovery makes of it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from recorder.locations import spool_directory
from recorder.recording.lanes import JOURNAL
from recorder.recording.spool_file import lane_of, spool_files
from recorder.store.schema import upgrade
from tests.commands import json_lines, process, run, told
from tests.loopback import Script, serve

_CHUNKS = 4


def _die(url: str) -> list[Path]:
    """Kill a program in the middle of an answer of which the store has all that came; return its spool files."""
    upgrade(url)
    with serve(Script(chunks=9, stall_after=_CHUNKS)) as server:
        env = {"AI_API_URL": server.url, "AI_ACCESS_TOKEN": "", "NO_PROXY": "*", "RECORDER_STORE": url}
        started = process("chat", "x", env=env)
        expected = "".join(Script(chunks=_CHUNKS).deltas("x")).encode()
        assert started.stdout is not None
        got = b""
        while len(got) < len(expected):
            got += started.stdout.read1(len(expected) - len(got))
        while True:
            rows = json_lines(run("list", "--json", "--store", url), "list")
            if [row["chunks"] for row in rows if not row.get("spooled")] == [_CHUNKS]:
                break
        os.kill(started.pid, signal.SIGKILL)
        started.communicate(timeout=30)
    files = spool_files(spool_directory(url))
    assert {lane_of(path) == JOURNAL for path in files} == {True, False}
    return files


@pytest.mark.parametrize("left", [b"", b"\0" * 20, bytes(4096)], ids=["empty", "short", "zeros"])
def test_what_a_file_without_anything_in_it_was_part_of_is_closed(store_url: str, left: bytes) -> None:
    files = _die(store_url)
    for path in files:
        path.write_bytes(left)
    shown = run("verify", "--store", store_url).stdout
    assert "1 exchange without an end" in shown
    assert "`recorder recover`, run where their spool is, closes them" in shown
    done = run("recover", "--store", store_url)
    line = told(done, 1)
    assert all(f"{path}.damaged" in line for path in files)
    assert "1 exchange closed as process_died" in done.stdout
    (row,) = json_lines(run("list", "--json", "--store", store_url), "list")
    events = json_lines(run("events", row["id"], "--json", "--store", store_url), "events")
    assert [event["type"] for event in events[-3:]] == ["chunk_received", "gap_recorded", "process_died"]
    assert "the spool is damaged" in json.dumps(events[-2])
    verified = run("verify", "--store", store_url)
    assert verified.exit_code == 0, verified.output
    assert "without an end" not in verified.stdout
    assert "2 gaps" in verified.stdout


@pytest.mark.parametrize("size", [64, 100, 600])
def test_a_file_that_is_shorter_than_what_the_store_has_of_it_was_longer(sqlite_url: str, size: int) -> None:
    files = _die(sqlite_url)
    for path in files:
        os.truncate(path, size)
    done = run("recover", "--store", sqlite_url)
    line = told(done, 1)
    assert all(f"{path}.damaged" in line for path in files)
    verified = run("verify", "--store", sqlite_url)
    assert (verified.exit_code, "2 gaps" in verified.stdout) == (0, True)


def test_what_stands_behind_a_lost_page_is_not_believed_to_follow_on_it(sqlite_url: str) -> None:
    """The first page of a file that is allocated ahead: zeros in its place, and zeros up to its end."""
    for path in _die(sqlite_url):
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
    assert "1 exchange closed as process_died" in run("recover", "--store", sqlite_url).stdout
    verified = run("verify", "--store", sqlite_url)
    assert (verified.exit_code, "2 gaps" in verified.stdout) == (0, True)


def test_a_file_that_nothing_tells_the_owner_of_is_told(sqlite_url: str) -> None:
    """As recorders named them that did not put themselves into the name."""
    for path in _die(sqlite_url):
        path.unlink()
        path.with_name("-".join(path.stem.split("-")[:2]) + ".spool").write_bytes(b"")
    done = run("recover", "--store", sqlite_url)
    told(done, 1)
    assert done.stdout.count("nothing tells whose spool this was") == 2
    verified = run("verify", "--store", sqlite_url)
    assert "if anything in it tells whose it was" in verified.stdout
