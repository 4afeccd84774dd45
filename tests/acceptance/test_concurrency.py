"""Eight processes of eight threads record into one store: nothing is lost, nothing interleaved, nobody waits."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from recorder.locations import spool_directory
from tests.loopback import Script, serve
from tests.recorded import exchanges, python

PROCESSES, THREADS = 8, 8
PROGRAM = "from tests.acceptance.concurrent_recorder import main; main()"


def _record(url: str, script: Script, turns: int, folder: Path) -> None:
    with serve(script) as server:
        numbers = (str(PROCESSES), str(THREADS), str(turns))
        with python(PROGRAM, url, server.url, str(folder), *numbers) as program:
            out, err = program.communicate(timeout=1500)
    assert (program.returncode, out, err) == (0, "", "")  # a warning in the log would be here too
    files = [*folder.glob("p*.json")]
    assert len(files) == PROCESSES
    digests: dict[str, str] = {}
    for file in files:
        told = json.loads(file.read_text())
        assert (told["failures"], told["ok"], told["error"]) == ([], True, None)
        digests |= told["digests"]
    assert len(digests) == PROCESSES * THREADS * turns
    recorded = {}
    for exchange in exchanges(url).values():
        assert exchange.transport_end == "response_completed"
        assert exchange.request is not None
        recorded[exchange.request.json["messages"][0]["content"]] = sha256(exchange.body).hexdigest()
    assert recorded == digests
    assert recorded == {prompt: sha256(script.body(prompt)).hexdigest() for prompt in recorded}
    assert not spool_directory(url).exists()


def test_eight_processes_of_eight_threads(store_url: str, tmp_path: Path) -> None:
    _record(store_url, Script(chunks=12, gap=0.001), turns=1, folder=tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_eight_processes_of_eight_threads_for_long(store_url: str, tmp_path: Path) -> None:
    _record(store_url, Script(chunks=100, gap=0.002), turns=25, folder=tmp_path)
