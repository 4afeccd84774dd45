"""The fidelity matrix for aiohttp: recorded and replayed, a program sees no difference."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from recorder import Player, Recorder
from tests.acceptance.test_fidelity_httpx import assert_same
from tests.fidelity.aiohttp_matrix import REPLAY_IGNORES, WAYS, cases, run
from tests.fidelity.server import Server

STEP = 11  # of the sample: prime to the number of ways, so that every way appears


def _compare(step: int, folder: Path) -> None:
    chosen, url = cases(step), f"sqlite:///{folder / 'matrix.db'}"
    with Server() as server:
        bare = run(chosen, aiohttp.TCPConnector, server, "bare")
        with Recorder(url) as recorder:
            recorded = run(chosen, lambda: recorder.aiohttp_connector(aiohttp.TCPConnector()), server, "rec")
        assert_same(bare, recorded)
        server.close()
        with Player(url) as player:
            replayed = run(chosen, player.aiohttp_connector, server, "rec", live=False)
            assert not player.misses
        assert_same(bare, replayed, REPLAY_IGNORES)


def test_the_matrix_is_as_large_as_promised() -> None:
    assert len({behaviour.name for behaviour, _ in cases()}) >= 26
    assert {way.name for _, way in cases(STEP)} == set(WAYS)


def test_a_program_sees_no_difference(tmp_path: Path) -> None:
    _compare(STEP, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_way_to_consume_sees_a_difference(tmp_path: Path) -> None:
    _compare(1, tmp_path)
