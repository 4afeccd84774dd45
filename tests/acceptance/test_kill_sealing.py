"""SIGKILL at random moments of a process that seals before it acts: nothing that was signed is contradicted or lost."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest
import requests

from recorder import Recorder
from tests.commands import run
from tests.loopback import Script, serve
from tests.recorded import ask, python
from tests.sealing import check_receipt, check_sealed, founded

SCRIPT = Script(chunks=24, gap=0.004, padding=100)
THREADS = 4

# Every receipt that it is given it appends to a file, with a write of its own.
CHILD = """
import json, os, sys, threading, requests
from recorder import Recorder
from tests.recorded import ask

store, server, given, threads, drainer = sys.argv[1:]
recorder = Recorder(store, drainer=drainer)
session = recorder.mount(requests.Session())
file = os.open(given, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

def consume(number):
    for turn in range(1000):
        response = ask(session, server, f"{os.getpid()}-{number}-{turn}")
        for count, chunk in enumerate(response.iter_content(None)):
            if count % 8 == number:
                os.write(file, json.dumps(recorder.seal(response).as_json()).encode() + b"\\n")
        recorder.link(kind="order", id=f"{number}-{turn}", exchange=response)

response = ask(session, server, "first")
response.content
os.write(file, json.dumps(recorder.seal(response).as_json()).encode() + b"\\n")  # whoever seals is there from now on
running = [threading.Thread(target=consume, args=(n,), daemon=True) for n in range(int(threads))]
for thread in running:
    thread.start()
print("started", flush=True)
running[0].join()
"""


def opened(url: str) -> None:
    with Recorder(url) as recorder:
        assert recorder.recovered.damaged == []
        assert recorder.health().sealing.error is None


def recovered(url: str) -> None:
    assert run("recover", "--store", url).exit_code == 0


def sealed(url: str) -> None:
    assert run("seal", "--store", url).exit_code == 0


#: Ways to go on after a process died, and whether nothing is left unsealed then.
WAYS: tuple[tuple[Callable[[str], None], bool], ...] = ((opened, True), (sealed, False), (recovered, True))


def kill_once(url: str, server: str, given: Path, chance: random.Random, drainer: str) -> list[dict[str, Any]]:
    """Run the program and kill it; return the receipts that it was given."""
    with python(CHILD, url, server, str(given), str(THREADS), drainer, stderr=None) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        with suppress(TimeoutExpired):
            child.wait(chance.uniform(0.0, 0.9))
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    return [json.loads(line) for line in given.read_text().splitlines()] if given.exists() else []


def check(url: str, runs: int, tmp_path: Path, drainer: str) -> None:
    founded(url)
    chance = random.Random(f"{url.partition(':')[0]} {drainer}")
    receipts: list[dict[str, Any]] = []
    with serve(SCRIPT) as server:
        for number in range(runs):
            receipts += kill_once(url, server.url, tmp_path / f"given{number}", chance, drainer)
            complete, whole = WAYS[number % len(WAYS)]
            complete(url)
            leaves = check_sealed(url, whole=whole)
            for told in receipts[-5:]:
                check_receipt(told, leaves)
    opened(url)
    leaves = check_sealed(url)
    assert receipts
    for told in receipts:
        check_receipt(told, leaves)


@pytest.mark.parametrize(("drainer", "runs"), [("thread", 2), ("process", 1)])
def test_what_was_signed_stays_true(store_url: str, drainer: str, runs: int, tmp_path: Path) -> None:
    check(store_url, runs, tmp_path, drainer)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_what_was_signed_stays_true_in_100_runs(store_url: str, drainer: str, tmp_path: Path) -> None:
    check(store_url, 100, tmp_path, drainer)


def test_a_drainer_process_that_is_killed_while_it_seals_is_asked_again(store_url: str) -> None:
    founded(store_url)
    chance, receipts = random.Random(5), []
    with serve(Script(chunks=3)) as server, Recorder(store_url, drainer="process", close_timeout=60) as recorder:
        session = recorder.mount(requests.Session())
        mover: Any = recorder._path._mover  # type: ignore[union-attr]  # nothing else tells its process
        done = threading.Event()

        def kill() -> None:
            for _ in range(3):
                done.wait(chance.uniform(0.3, 0.8))
                if mover.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(mover.pid, signal.SIGKILL)

        killing = threading.Thread(target=kill)
        killing.start()
        deadline = time.monotonic() + 60
        while killing.is_alive() or len(receipts) < 3:
            assert time.monotonic() < deadline
            response = ask(session, server.url, "x")
            assert response.content
            receipt = recorder.seal(response)
            assert receipt is not None
            receipts.append(receipt.as_json())
        done.set()
        killing.join()
    leaves = check_sealed(store_url)
    for told in receipts:
        check_receipt(told, leaves)
