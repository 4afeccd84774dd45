"""The plugin, used by suites that are not ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loopback import Script, serve
from tests.plugin.suite import Keeper, Suite


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """Keeps modules for longer than pytester, which forgets once more when its fixture ends."""
    keeper = Keeper()
    yield keeper
    keeper.restore()


@pytest.fixture
def suite(keeper: Keeper, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """An empty suite; each answer of its server has one delta more than the one before."""
    for variable in ("CI", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(variable, raising=False)
    with serve(lambda number, _visit: Script(chunks=number + 1)) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        pytester.makeini("[pytest]\n")
        yield Suite(pytester, server, keeper)
