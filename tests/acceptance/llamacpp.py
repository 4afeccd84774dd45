"""A real third-party server on loopback: llama.cpp's, run by a script.

``RECORDER_LLAMACPP`` names the script that runs it (``SCRIPT PORT``, in the foreground); by default it is
looked for beside the checkout. A default that is not there, or cannot start (it installs what it needs), is
told and skipped; a script that was named has to work.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import requests

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
