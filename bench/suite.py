"""A suite of a thousand recorded tests, against the same suite with pytest-recording, which is vcrpy's plugin.

Every test asks for one streamed answer of ten chunks and has a cassette of its own. Both suites are recorded from one
server, and then run offline in turn, each in a process of its own.

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
        assert sum(map(len, response.iter_content(None))) == 7000
"""

THEIRS = """
import pytest, requests

@pytest.mark.vcr
@pytest.mark.parametrize("number", range({each}))
def test_asks(number):
    body = {{"model": "m", "messages": [{{"role": "user", "content": f"{module} {{number}}"}}]}}
    with requests.Session() as session, session.post({url!r}, json=body, stream=True) as response:
        assert sum(map(len, response.iter_content(None))) == 7000
"""


def run(folder: Path, *options: str) -> float:
    """Run the suite of a folder; return the seconds that it took."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cassetter", *options]
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"the suite in {folder.name} failed:\n{done.stdout[-2000:]}")
    return time.perf_counter() - began


def write(folder: Path, text: str, url: str, count: int) -> None:
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    for module in range(MODULES):
        told = text.format(each=count // MODULES, module=module, url=url)
        (folder / f"test_{module}.py").write_text(told)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TESTS
    with scratch() as directory:
        ours, theirs = directory / "ours", directory / "theirs"
        with server() as base:
            url = f"{base}/10/0/700"
            write(ours, OURS, url, count)
            write(theirs, THEIRS, url, count)
            run(ours, "--recorder-mode=once")
            run(theirs, "--record-mode=once")
        with_us, with_them = interleaved(
            ROUNDS, lambda: run(ours), lambda: run(theirs, "--record-mode=none", "--block-network")
        )
    share = median(with_us) / median(with_them)
    figure(
        f"a suite of {count:,} recorded tests against pytest-recording",
        f"{share:.2f} of its time ({median(with_us):.1f} against {median(with_them):.1f} s)",
        "<= 0.50",
        share <= 0.5,
    )


if __name__ == "__main__":
    main()
