"""The replay server: what is recorded, and a player of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recorder import Player
from tests.served import record_prompts


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with "a" asked twice, then "b" once; the server is gone."""
    return record_prompts(tmp_path_factory.mktemp("serve"))


@pytest.fixture
def player(recorded: str) -> Iterator[Player]:
    """A player whose misses are the test's own business."""
    player = Player(recorded)
    yield player
    player.close()
