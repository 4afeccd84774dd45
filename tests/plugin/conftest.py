"""The plugin, used by suites that are not ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loopback import Script, serve
from tests.plugin.suite import Suite


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """An empty suite; each answer of its server has one delta more than the one before."""
    for variable in ("CI", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(variable, raising=False)
    with serve(lambda number, _visit: Script(chunks=number + 1)) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        pytester.makeini("[pytest]\n")
        yield Suite(pytester, server)
