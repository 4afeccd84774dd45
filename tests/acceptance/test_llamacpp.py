"""The real server: a chat with llama.cpp is recorded; with the server gone, the same bytes and text come back.

``RECORDER_LLAMACPP`` names the script that runs it (``SCRIPT PORT``, in the foreground); by default it is
looked for beside the checkout. A default that is not there, or cannot start (it installs what it needs), is
told and skipped; a script that was named has to work.
"""

from __future__ import annotations

import base64
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import requests

from recorder.store.schema import upgrade
from tests.commands import json_lines, run

NAMED = os.environ.get("RECORDER_LLAMACPP")
SCRIPT = Path(NAMED or Path(__file__).parents[3] / "shared/servers/llamacpp.sh")
PATIENCE = 240.0


def unavailable(reason: str, *, named: bool = bool(NAMED)) -> NoReturn:
    """Fail where somebody asked for the server, else skip."""
    if named:
        pytest.fail(f"RECORDER_LLAMACPP is set, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a running server, and what stops it."""
    if not SCRIPT.is_file():
        unavailable(f"there is no llama.cpp server: {SCRIPT} is not there")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "server.log"
    # One start at a time, whoever tests here: the first one installs, and two would install into each other.
    with SCRIPT.open("rb") as turn, log.open("wb") as out:
        fcntl.flock(turn, fcntl.LOCK_EX)
        # A group of its own: the script is a shell, and what it starts has to go with it.
        started = subprocess.Popen(["bash", str(SCRIPT), str(port)], stdout=out, stderr=out, start_new_session=True)
        try:
            _await(started, port, log)
        except BaseException:
            _stop(started)
            raise
    try:
        yield f"http://127.0.0.1:{port}/v1/chat/completions", lambda: _stop(started)
    finally:
        _stop(started)


def _stop(started: subprocess.Popen[bytes]) -> None:
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGTERM)
    started.wait(30)


def _await(started: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if started.poll() is not None:
            unavailable(f"the llama.cpp server does not start: {log.read_text(errors='replace')[-300:]}")
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=2).ok:
                return
        except requests.exceptions.RequestException:
            pass
        time.sleep(0.1)
    pytest.fail(f"the llama.cpp server does not answer within {PATIENCE:g} s")


@pytest.mark.timeout(300)
def test_a_chat_with_the_real_server_comes_back_without_it(
    server: tuple[str, Callable[[], None]], store_url: str
) -> None:
    address, stop = server
    upgrade(store_url)
    env = {"AI_API_URL": address, "AI_ACCESS_TOKEN": "none-is-needed", "AI_MODEL_NAME": "tiny", "NO_PROXY": "*"}
    said = []
    for prompt in ("Buy or hold?", "And the stop?"):
        done = run("chat", prompt, "--conversation", "desk", "--store", store_url, env=env)
        assert done.exit_code == 0, done.stderr
        assert done.stdout.strip()
        said.append(done.stdout)
    stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(address, timeout=5)

    shown = json_lines(run("show", "desk", "--json", "--store", store_url), "show")
    assert [one["verdict"] for one in shown] == ["complete", "complete"]
    for one, text in zip(shown, said, strict=True):
        answer = "".join(part["text"] for part in one["messages"][-1]["parts"] if part["type"] == "text")
        assert answer.removesuffix("\n") == text.removesuffix("\n")
        assert one["usage"]["completion_tokens"] > 0
    assert shown[1]["parent"] == shown[0]["id"]

    replayed = run("replay", "desk", "--store", store_url)
    assert replayed.exit_code == 0, replayed.stderr
    assert replayed.stderr.count("same bytes") == 2
    recorded = b""
    for one in shown:
        events = json_lines(run("events", one["id"], "--json", "--store", store_url), "events")
        recorded += b"".join(base64.b64decode(event["data"]) for event in events if event["type"] == "chunk_received")
    assert replayed.stdout_bytes == recorded
    assert run("verify", "--store", store_url).exit_code == 0


@pytest.mark.parametrize("script", ["echo no such wheel >&2; exit 1\n", None])
def test_a_server_that_was_asked_for_and_does_not_start_is_no_skip(script: str | None, tmp_path: Path) -> None:
    named = tmp_path / "server.sh"
    if script is not None:
        named.write_text(script)
    test = f"{__file__}::test_a_chat_with_the_real_server_comes_back_without_it[sqlite]"
    env = {**os.environ, "RECORDER_LLAMACPP": str(named), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=Path(__file__).parents[2], timeout=120)
    assert done.returncode == 1, done.stdout
    assert "1 error" in done.stdout
    assert ("is not there" if script is None else "no such wheel") in done.stdout


def test_a_server_that_nobody_asked_for_is_skipped() -> None:
    with pytest.raises(pytest.skip.Exception, match="it is not there"):
        unavailable("it is not there", named=False)
