"""A suite of a thousand recorded tests, against the same suite with vcrpy in a fixture.

Every test asks for one streamed answer and has a cassette of its own: of ten chunks, where most is pytest's own time,
and of 200, as many as an answer of some length has. Both suites are recorded from one server, and then run offline
in turn, each in a process of its own.

    python -m bench.suite [tests]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import figure, interleaved, median, scratch, server

TESTS = 1000
MODULES = 20
ROUNDS = 3

OURS = """
import pytest

@pytest.mark.parametrize("number", range({each}))
def test_asks(recorded_session, number):
    body = {{"model": "m", "messages": [{{"role": "user", "content": f"{module} {{number}}"}}]}}
    with recorded_session.post({url!r}, json=body, stream=True) as response:
        assert sum(map(len, response.iter_content(None))) == {size}
"""

THEIRS = """
import os, pytest, requests, vcr

@pytest.fixture
def cassette(request):
    path = f"cassettes/{module}/{{request.node.name}}.yaml"
    with vcr.use_cassette(path, record_mode=os.environ["VCR_MODE"], match_on=("method", "uri", "body")):
        yield

@pytest.mark.parametrize("number", range({each}))
def test_asks(cassette, number):
    body = {{"model": "m", "messages": [{{"role": "user", "content": f"{module} {{number}}"}}]}}
    with requests.Session() as session, session.post({url!r}, json=body, stream=True) as response:
        assert sum(map(len, response.iter_content(None))) == {size}
"""


def run(folder: Path, mode: str) -> float:
    """Run the suite of a folder; return the seconds that it took."""
    without = [f"-pno:{plugin}" for plugin in ("cacheprovider", "xdist", "cassetter", "recording")]
    command = [sys.executable, "-m", "pytest", "-q", *without, f"--recorder-mode={mode}"]
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    environment["VCR_MODE"] = mode
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"the suite in {folder.name} failed:\n{done.stdout[-2000:]}")
    return time.perf_counter() - began


def write(folder: Path, text: str, count: int, **asked: object) -> None:
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for module in range(MODULES):
        told = text.format(each=count // MODULES, module=module, **asked)
        (folder / f"test_{module}.py").write_text(told)


def compare(directory: Path, base: str, count: int, chunks: int, each: int) -> tuple[float, float]:
    """Return the seconds of the suite with ours and with theirs."""
    ours, theirs = directory / f"ours-{chunks}", directory / f"theirs-{chunks}"
    url = f"{base}/{chunks}/0/{each}"
    write(ours, OURS, count, url=url, size=chunks * each)
    write(theirs, THEIRS, count, url=url, size=chunks * each)
    run(ours, "once")
    run(theirs, "once")
    with_us, with_them = interleaved(ROUNDS, lambda: run(ours, "none"), lambda: run(theirs, "none"))
    return median(with_us), median(with_them)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TESTS
    for chunks, each in ((10, 700), (200, 300)):
        with scratch() as directory, server() as base:
            us, them = compare(directory, base, count, chunks, each)
        figure(
            f"a suite of {count:,} recorded tests, answers of {chunks} chunks, against vcrpy",
            f"{us / them:.2f} of its time ({us:.1f} against {them:.1f} s)",
            "<= 0.50",
            us / them <= 0.5,
        )


if __name__ == "__main__":
    main()
