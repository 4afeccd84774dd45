"""The real server: a chat with llama.cpp is recorded; with the server gone, the same bytes and text come back."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from recorder.store.schema import upgrade
from tests.acceptance.llamacpp import server as server
from tests.acceptance.llamacpp import unavailable
from tests.commands import json_lines, run


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
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=Path(__file__).parents[2], timeout=120)
    assert done.returncode == 1, done.stdout
    assert "1 error" in done.stdout
    assert ("is not there" if script is None else "no such wheel") in done.stdout


def test_a_server_that_nobody_asked_for_is_skipped() -> None:
    with pytest.raises(pytest.skip.Exception, match="it is not there"):
        unavailable("it is not there", named=False)
