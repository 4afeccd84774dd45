"""An authority for the whole session, and anchors of every kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tsa import Authority, Served, serving


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tsa(authority: Authority) -> Iterator[Served]:
    with serving(authority) as served:
        yield served
