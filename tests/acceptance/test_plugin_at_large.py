"""A suite of 200 recorded tests: in four processes, and where there is no network at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import keeper, suite  # noqa: F401
from tests.plugin.suite import Suite

TESTS = """
import asyncio

import httpx


def body(prompt):
    return {"messages": [{"role": "user", "content": prompt}], "stream": True}


@pytest.mark.parametrize("number", range(100))
def test_requests(recorded_session, number):
    for turn in range(2):
        assert f"[{number}-{turn} 0]" in ask(recorded_session, f"{number}-{turn}")


@pytest.mark.parametrize("number", range(60))
def test_httpx(recorded_client, number):
    assert f"[{number} 0]" in recorded_client.post(URL, json=body(str(number))).text


@pytest.mark.parametrize("number", range(40))
def test_async(recorded_async_client, number):
    async def main():
        return await asyncio.gather(*(recorded_async_client.post(URL, json=body(f"{number}")) for _ in range(4)))

    assert len({answer.text for answer in asyncio.run(main())}) == 4
"""


def run(suite: Suite, *before: str, mode: str = "none") -> str:  # noqa: F811
    command = [*before, sys.executable, "-m", "pytest", "-q", "-n", "4", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--recorder-mode={mode}"], cwd=suite.path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.soak
def test_two_hundred_tests_in_four_processes_and_without_any_network(suite: Suite) -> None:  # noqa: F811
    suite.configure("recorder_httpx = httpx")
    suite.write(TESTS)
    assert "200 passed" in run(suite, mode="once")
    assert suite.calls == 100 * 2 + 60 + 40 * 4
    assert len(list(Path(suite.path).rglob("*.jsonl"))) == 200
    suite.server.close()
    assert "200 passed" in run(suite)
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], check=False).returncode != 0:
        pytest.skip("this machine gives no process a network of its own: the last part was not run")
    assert "200 passed" in run(suite, unshare, "-rn")
