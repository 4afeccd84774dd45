"""The fidelity matrix: a program cannot tell whether it is recorded, nor that it is answered from the recording.

Every behaviour of the scripted server meets ways to consume, once bare, once with the recorder
mounted and once answered by a player with the server gone. What is compared, and what is not, is
said in tests/fidelity/matrix.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import requests

from recorder import Player, Recorder
from tests.fidelity.behaviours import BEHAVIOURS
from tests.fidelity.consumers import CONSUMERS
from tests.fidelity.matrix import REPLAY_IGNORES
from tests.fidelity.passes import Case, Seen, all_cases, bare, pass_differences, run_pass, sampled_cases
from tests.fidelity.server import Server

Way = Literal["recorded", "replayed"]
WAYS: tuple[Way, ...] = ("recorded", "replayed")


def _run_ways(cases: list[Case], folder: Path) -> dict[str, Seen]:
    """Run the cases bare, recorded, and replayed with the server gone."""
    store_url = f"sqlite:///{folder / 'matrix.db'}"
    with Server() as server:
        seen = {"bare": run_pass(cases, bare, server=server, keys="bare")}
        with Recorder(store_url) as recorder:
            seen["recorded"] = run_pass(cases, recorder.mount, server=server, keys="rec")
        server.close()
        with pytest.raises(requests.ConnectionError):
            requests.get(server.url(BEHAVIOURS["json"], "gone"), timeout=5)
        with Player(store_url) as player:
            seen["replayed"] = run_pass(cases, player.mount, server=server, keys="rec", live=False)
            assert not player.misses
    return seen


def _assert_same(seen: dict[str, Seen], way: Way) -> None:
    ignored = REPLAY_IGNORES if way == "replayed" else ()
    found = pass_differences(seen["bare"], seen[way], ignored)
    lines = [f"{behaviour} × {consumer}: {line}" for (behaviour, consumer), each in found.items() for line in each]
    assert not found, f"{len(found)} of {len(seen[way])} cases differ:\n" + "\n".join(lines[:60])


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return _run_ways(sampled_cases(), tmp_path_factory.mktemp("sampled"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return _run_ways(all_cases(), tmp_path_factory.mktemp("everything"))


def test_the_matrix_is_as_large_as_promised() -> None:
    assert len(BEHAVIOURS) >= 26
    assert len(CONSUMERS) >= 38
    behaviours, consumers = zip(*sampled_cases(), strict=True)
    assert {b.name for b in behaviours} == set(BEHAVIOURS)
    assert {c.name for c in consumers} == set(CONSUMERS)


@pytest.mark.parametrize("mount", WAYS)
def test_a_program_sees_no_difference(sampled: dict[str, Seen], mount: Way) -> None:
    _assert_same(sampled, mount)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mount", WAYS)
def test_no_way_to_consume_sees_a_difference(everything: dict[str, Seen], mount: Way) -> None:
    assert len(everything[mount]) == len(BEHAVIOURS) * len(CONSUMERS)
    _assert_same(everything, mount)
