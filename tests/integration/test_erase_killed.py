"""Dying in the middle of an erasure: nothing is unexplained, and the same command completes it."""

from __future__ import annotations

import random
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from recorder.clock import id_bytes
from recorder.store import open_store
from recorder.store.erased import erased_streams
from tests.commands import run
from tests.erasing import SAID, check_proofs, erase, recorded, told_erasures
from tests.recorded import python
from tests.searching_bytes import found_in

#: Erases, and kills itself where the named function is called for the nth time.
DIES = """
import importlib, os, sys
from recorder.cli.application import application

url, module, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
module = importlib.import_module(module)
original = getattr(module, name)

def dying(*arguments, **named):
    global count
    count -= 1
    if count == 0:
        os.kill(os.getpid(), 9)
    return original(*arguments, **named)

setattr(module, name, dying)
application(["erase", "annakarenina", "--ground", "request of the person, art. 17", "--yes", "--store", url])
"""
#: Where it dies: before anything is told; told and not done; in the transaction, at its beginning and its end; done and
#: not removed for good.
POINTS = {
    "untold": ("recorder.api.erasing", "write_down", 1),
    "unsealed": ("recorder.api.erasing", "seal_first", 1),
    "told": ("recorder.api.erasing", "erase_streams", 1),
    "in the transaction": ("recorder.projections.erasing", "store_rows", 1),
    "before the commit": ("recorder.projections.erasing", "store_calls", 1),
    "done and not said": ("recorder.api.erasing", "write_down", 2),
    "not removed": ("recorder.api.erasing", "remove_for_good", 1),
}


def killed(url: str, point: str) -> None:
    process = python(DIES, url, *map(str, POINTS[point]))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, errors


def erased(url: str) -> int:
    with closing(open_store(url, write=False)) as store:
        return len(erased_streams(store))


@pytest.mark.parametrize("point", POINTS)
def test_what_was_begun_is_completed(store_url: str, point: str) -> None:
    made = recorded(store_url)
    killed(store_url, point)
    check_proofs(store_url)
    done = point in ("not removed", "done and not said")
    assert erased(store_url) == (4 if done else 0)
    if done:
        erase(store_url, made.hers[0])  # it has no name any more
    else:
        erase(store_url, "annakarenina")
    check_proofs(store_url)
    assert erased(store_url) == 4
    told = [facts for facts in told_erasures(store_url) if "vouched_by" not in facts]
    assert len(told) == 4  # what was told is not told again, but by who vouches for it


@pytest.mark.parametrize("point", ["told", "not removed"])
def test_finish_completes_it_without_a_name(sqlite_url: str, tmp_path: Path, own_home: Path, point: str) -> None:
    recorded(sqlite_url)
    killed(sqlite_url, point)
    result = run("erase", "--finish", "--yes", "--store", sqlite_url)
    assert result.exit_code == 0, result.stderr
    check_proofs(sqlite_url)
    assert erased(sqlite_url) == 4
    assert found_in([tmp_path, own_home], SAID) == []


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.soak)])
def test_killed_at_any_moment(kills: int, store_url: str) -> None:
    made = recorded(store_url)
    arguments = ["erase", "annakarenina", "--ground", "because", "--yes", "--store", store_url]
    program = "import sys; from recorder.cli.application import application; application(sys.argv[1:])"
    for number in range(kills):
        process = python(program, *arguments)
        time.sleep(random.Random(number).uniform(0.4, 1.6))  # seeded, though the machine is not
        process.kill()
        process.communicate()
        check_proofs(store_url)
        assert erased(store_url) in (0, 4)
    run("erase", made.hers[0], "--ground", "because", "--yes", "--store", store_url)
    check_proofs(store_url)
    with closing(open_store(store_url, write=False)) as store:
        assert id_bytes(made.hers[0]) in erased_streams(store)
