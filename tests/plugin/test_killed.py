"""A run that is killed while it records: what it had is in the cassette."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.loopback import Script, Visit, serve
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
