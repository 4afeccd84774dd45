"""A run that is killed while it records: what it had is in the cassette."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests

from recorder import Recorder
from tests.loopback import LoopbackServer, Script, Visit, serve
from tests.plugin.suite import Suite, held

TEST = """
def test_it(recorded_session):
    ask(recorded_session, "whole")
    body = {"messages": [{"role": "user", "content": "partial"}], "stream": True}
    with recorded_session.post(URL, json=body, stream=True) as response:
        for line in response.iter_lines():
            print(line, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills by SIGKILL")
def test_a_killed_run_leaves_finished_exchanges_and_the_partial_one(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(number: int, visit: Visit) -> Script:
        return Script(chunks=3) if visit.prompt == "whole" else Script(chunks=5, stall_after=2)

    suite.write(TEST)
    path = suite.path / "cassettes/test_bot/test_it.jsonl"
    with serve(script) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        arguments = ["-s", "-p", "no:cacheprovider", "--recorder-mode=once"]
        with subprocess.Popen(
            [sys.executable, "-m", "pytest", *arguments], cwd=suite.path, stdout=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout is not None
            seen = 0
            while seen < 2:
                line = running.stdout.readline()
                assert line, "the run ended by itself"
                seen += "[partial " in line
            deadline = time.monotonic() + 30
            while not (path.exists() and b"response_completed" in path.read_bytes()) and time.monotonic() < deadline:
                time.sleep(0.01)  # the drainer takes its step; of the partial one the next recorder finds the rest
            os.kill(running.pid, signal.SIGKILL)
    assert held(path)[0] == ("whole", 3)
    calls = len(server.visits())
    # What is there may not be all.
    suite.tells(["*test_it.jsonl is being recorded, or its program was killed: *recover --store *"], errors=1)
    assert len(server.visits()) == calls
    assert suite.run(mode="new_episodes").ret != 0  # brings in what was left, and plays it: nobody read on
    assert held(path) == [("whole", 3), ("partial", 2)]
    assert suite.cassettes() == ["cassettes/test_bot/test_it.jsonl"]


CASSETTE = "cassettes/test_bot/test_it.jsonl"
NEW = "cassettes/test_bot/test_it~new.jsonl"
KILLED = "cassettes/test_bot/test_it~killed.jsonl"
#: Kills its own process, by SIGKILL, in the middle of an answer, where the environment says so.
KILLS_ITSELF = """
import signal


def test_it(recorded_session):
    ask(recorded_session, "whole")
    body = {"messages": [{"role": "user", "content": "partial"}], "stream": True}
    seen = 0
    with recorded_session.post(URL, json=body, stream=True) as response:
        for line in response.iter_lines():
            seen += b"[partial " in line
            if seen == 2 and "KILLED" in os.environ:
                os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def server(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """Answers with more deltas each time, and stalls in what a test is killed in."""

    def script(number: int, visit: Visit) -> Script:
        stalls = visit.prompt == "partial" and "KILLED" in os.environ
        return Script(chunks=number + 3, stall_after=2 if stalls else None)

    suite.write(KILLS_ITSELF)
    with serve(script) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        yield server


def record_before(suite: Suite, server: LoopbackServer) -> None:
    """Have a whole cassette, of what a test asks for."""
    with Recorder(suite.path / CASSETTE) as making, requests.Session() as session:
        making.mount(session)
        for prompt in ("whole", "partial"):
            body = {"messages": [{"role": "user", "content": prompt}], "stream": True}
            session.post(server.url, json=body).raise_for_status()


def kill_a_run(suite: Suite, mode: str) -> None:
    """Run the test, which is killed in its second answer."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KILLED", "1")
        assert suite.run(mode=mode, apart=True).ret == -signal.SIGKILL


@pytest.mark.skipif(os.name != "posix", reason="kills by SIGKILL")
@pytest.mark.parametrize("mode", ["all", "rewrite"])
def test_what_was_killed_beside_a_cassette_is_mixed_into_no_other_run(
    suite: Suite, server: LoopbackServer, mode: str
) -> None:
    (suite.path / "cassettes/test_bot").mkdir(parents=True)
    record_before(suite, server)
    before = held(suite.path / CASSETTE)
    kill_a_run(suite, mode)
    # Whoever plays has the cassette as it was, and is told what lies beside it.
    told = f"{NEW}: what a run had recorded that was killed, {CASSETTE} stays as it was: *recover --store {NEW}*"
    suite.tells([told], passed=1)
    assert held(suite.path / CASSETTE) == before == [("whole", 3), ("partial", 4)]
    # Whoever records has its own answers alone, and what was killed for itself.
    suite.tells([f"{KILLED}: what a run had recorded that was killed: 2 exchanges: look*"], mode=mode, passed=1)
    assert held(suite.path / CASSETTE) == [("whole", 7), ("partial", 8)]
    assert held(suite.path / KILLED) == [("whole", 5), ("partial", 2)]
    assert suite.cassettes() == [CASSETTE, KILLED]
    suite.tells([f"{KILLED}: no test that was collected has it: a run that failed or was killed *"], passed=1)
    # What was killed once more does not take the place of the first.
    kill_a_run(suite, mode)
    suite.run(mode=mode).assert_outcomes(passed=1)
    assert held(suite.path / KILLED) == [("whole", 5), ("partial", 2)]
    assert held(suite.path / KILLED.replace("~killed", "~killed2")) == [("whole", 9), ("partial", 2)]
    assert held(suite.path / CASSETTE) == [("whole", 11), ("partial", 12)]


@pytest.mark.skipif(os.name != "posix", reason="kills by SIGKILL")
@pytest.mark.parametrize("mode", ["all", "rewrite"])
def test_a_first_recording_that_was_killed_is_renewed_as_any_other(
    suite: Suite, server: LoopbackServer, mode: str
) -> None:
    kill_a_run(suite, mode)
    calls = len(server.visits())
    for plays in ("none", "once", "verify"):
        suite.tells(["*test_it.jsonl is being recorded, or its program was killed: *"], mode=plays, errors=1)
    assert len(server.visits()) == calls
    suite.tells([f"{CASSETTE}: a run that was killed had recorded it in part: finished first"], mode=mode, passed=1)
    assert held(suite.path / CASSETTE) == [("whole", 5), ("partial", 6)]
    assert suite.cassettes() == [CASSETTE]


@pytest.mark.skipif(os.name != "posix", reason="kills by SIGKILL")
@pytest.mark.parametrize("mode", ["once", "none", "verify"])
def test_what_is_only_in_a_spool_is_no_cassette_that_is_missing(
    suite: Suite, server: LoopbackServer, mode: str
) -> None:
    kill_a_run(suite, "once")
    (suite.path / CASSETTE).unlink(missing_ok=True)  # as where it was killed before the drainer had made it
    calls = len(server.visits())
    suite.tells(
        ["*test_it.jsonl is being recorded, or its program was killed: *recover --store *"], mode=mode, errors=1
    )
    assert len(server.visits()) == calls


@pytest.mark.skipif(os.name != "posix", reason="kills by SIGKILL")
def test_new_episodes_goes_on_with_what_was_killed(suite: Suite, server: LoopbackServer) -> None:
    kill_a_run(suite, "new_episodes")
    told = f"{CASSETTE}: a run that was killed had recorded it in part: finished first"
    suite.tells(["*RecordingEnded*", told], mode="new_episodes", failed=1)
    assert held(suite.path / CASSETTE) == [("whole", 3), ("partial", 2)]


def test_what_another_run_is_recording_is_not_taken_from_it(suite: Suite, server: LoopbackServer) -> None:
    (suite.path / "cassettes/test_bot").mkdir(parents=True)
    record_before(suite, server)
    with Recorder(suite.path / NEW) as other, requests.Session() as session:
        body = json.dumps({"messages": [{"role": "user", "content": "other"}], "stream": True})
        other.mount(session).post(server.url, data=body).raise_for_status()
        told = f"*{CASSETTE} is being recorded by another run, in test_it~new.jsonl: wait until that has ended"
        suite.tells([told], mode="rewrite", errors=1)
    assert held(suite.path / NEW) == [("other", 5)]
    assert held(suite.path / CASSETTE) == [("whole", 3), ("partial", 4)]
