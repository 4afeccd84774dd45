"""The fidelity matrix for httpx and httpx2, sync and async: recorded and replayed, a program sees no difference."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder import Player, Recorder
from tests.fidelity.httpx_matrix import MODES, MODULES, REPLAY_IGNORES, WAYS, cases, run
from tests.fidelity.passes import Seen, pass_differences
from tests.fidelity.server import Server

STEP = 43  # of the sample: prime to the number of ways, so that every way appears


def assert_same(bare: Seen, other: Seen, ignored: tuple[str, ...] = ()) -> None:
    found = pass_differences(bare, other, ignored)
    lines = [f"{behaviour} × {way}: {line}" for (behaviour, way), each in found.items() for line in each]
    assert not found, f"{len(found)} of {len(other)} cases differ:\n" + "\n".join(lines[:60])


def _compare(name: str, mode: str, step: int, folder: Path) -> None:
    module, chosen, url = MODULES[name], cases(step), f"sqlite:///{folder / 'matrix.db'}"
    with Server() as server:
        bare = run(module, mode, chosen, lambda transport: transport, server, "bare")
        with Recorder(url) as recorder:
            recorded = run(module, mode, chosen, recorder.httpx_transport, server, "rec")
        assert_same(bare, recorded)
        server.close()
        with Player(url) as player:
            replayed = run(module, mode, chosen, lambda _: player.httpx_transport(module), server, "rec", live=False)
            assert not player.misses
        assert_same(bare, replayed, REPLAY_IGNORES)


def test_the_matrix_is_as_large_as_promised() -> None:
    assert len({behaviour.name for behaviour, _ in cases()}) >= 26
    assert {way.name for _, way in cases(STEP)} == set(WAYS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODULES)
def test_a_program_sees_no_difference(name: str, mode: str, tmp_path: Path) -> None:
    _compare(name, mode, STEP, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODULES)
def test_no_way_to_consume_sees_a_difference(name: str, mode: str, tmp_path: Path) -> None:
    _compare(name, mode, 1, tmp_path)
