"""Faults: a whole answer, which they are put on."""

from __future__ import annotations

import pytest
import requests

from recorder import Recorder
from tests.integration.faults.libraries import SCRIPT
from tests.integration.test_replay import ask
from tests.loopback import serve


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A store with one whole answer, and the URL that it came from, where nobody listens any more."""
    url = f"sqlite:///{tmp_path_factory.mktemp('faults') / 'store.db'}"
    with serve(SCRIPT) as server, Recorder(url) as recorder, requests.Session() as session:
        with recorder.conversation("desk"):
            assert recorder.mount(session).post(server.url, json=ask("a")).ok
        return url, server.url
