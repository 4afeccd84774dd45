"""Bundles of much: the memory that they take to make and to verify, their size, and flips all over them."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import pytest

from recorder import Store
from recorder.ledger.standalone.container import Container, Damaged
from tests.bundles import bundle_of
from tests.commands import run
from tests.sealed import Desk, Key, Stream, url_of

WORDS = ["The", " pair", " is", " under", " resistance", " and", " the", " model", " would", " hold", ".", " €"]
MAKING = """
import sys
from pathlib import Path
from recorder import Store
from recorder.ledger.standalone.verify import verify_bundle

out = Path(sys.argv[2])
with Store(sys.argv[1]) as store:
    store.bundle(out, since_ns=0)
assert verify_bundle(out)["findings"] == []
"""
# A process is told to have needed what the one that it was forked from had: a small one has to be between.
MEASURING = """
import resource, subprocess, sys

subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_of(*arguments: str) -> int:
    """Run a Python program; return the bytes of memory that it needed at most."""
    command = [sys.executable, "-c", MEASURING, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


def large(url: str, exchanges: int, words: int, *, key: Key | None = None) -> tuple[Desk, list[Stream]]:
    """Fill a store; the words of each answer are drawn, so that they do not deflate to nothing."""
    desk = Desk(url, key)
    drawn = random.Random(exchanges)
    made = [desk.exchange(f"prompt {number}", drawn.choices(WORDS, k=words)) for number in range(exchanges)]
    desk.seal() if key is not None else desk.save()
    assert run("--store", url, "db", "rebuild").exit_code == 0  # as a recorder leaves it: with its rows
    return desk, made


@pytest.mark.thorough  # it makes and seals 33,000 chunks
def test_memory_does_not_grow_with_the_number_of_exchanges(tmp_path: Path) -> None:
    peaks = []
    for exchanges in (10, 100):
        url = url_of(tmp_path, f"{exchanges}.db")
        large(url, exchanges, 300)
        peaks.append(peak_of("-c", MAKING, url, str(tmp_path / f"{exchanges}.zip")))
    assert peaks[1] - peaks[0] < 10 << 20, peaks


def test_a_bundle_of_one_order_is_small(tmp_path: Path) -> None:
    """At most 0.6 times the raw bytes and 100 KB, the transcripts among it (issue 5)."""
    url = url_of(tmp_path)
    desk, made = large(url, 1, 3000)
    link = desk.link("order", "1", made[0])
    desk.save()
    raw = sum(len(event.body or b"") for event in made[0].events)
    assert link.events
    with Store(url) as store:
        size = store.bundle(tmp_path / "e.zip", order="1").size
    assert size <= 0.6 * raw + 100_000, (size, raw)


def flips(path: Path, count: int) -> list[int]:
    """Flip a bit at many places, one at a time; return where nobody noticed."""
    data, drawn = bytearray(path.read_bytes()), random.Random(5)
    missed = []
    for _ in range(count):
        at = drawn.randrange(len(data))
        data[at] ^= 1 << drawn.randrange(8)
        flipped = bytes(data)
        try:
            Container(io.BytesIO(flipped))
            missed.append(at)
        except Damaged:
            pass
        data[at] = path_byte(path, at)
    return missed


def path_byte(path: Path, at: int) -> int:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(1)[0]


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.soak)])
def test_flips_all_over_a_large_bundle_are_found(tmp_path: Path, count: int) -> None:
    desk, made = large(url_of(tmp_path), 40, 500, key=Key())
    path = bundle_of(desk, tmp_path / "large.zip", made)
    assert path.stat().st_size > 500_000
    assert flips(path, count) == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_million_events_are_verified_in_flat_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.sealed.STEP", 10_000)  # ns: all of it is sealed within a minute
    desk, made = large(url_of(tmp_path), 1000, 1000, key=Key())
    path = bundle_of(desk, tmp_path / "large.zip", made)
    assert peak_of("-m", "recorder", "verify", "--bundle", str(path), "--json") < 150 << 20
