"""What the tests of the replay server share: something that is recorded, and its wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder import Store
from recorder.core.tape import Tape, render
from tests.integration.test_replay import ask, record
from tests.loopback import Script

PATH = "/v1/chat/completions"


def record_prompts(folder: Path) -> str:
    """Record "a" twice, then "b" once; return the store's URL. The server is gone."""
    url = f"sqlite:///{folder / 'store.db'}"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(folder))
        record(url, Script(chunks=6), ask("a"), ask("a"), ask("b"))
    return url


def tapes(store_url: str) -> list[Tape]:
    """Return the tapes of a store, in the order in which they were recorded."""
    with Store(store_url) as store:
        ids = [row["id"] for row in store.exchanges()]
        return [render(store.events(each)) for each in reversed(ids)]


def wire_of(tape: Tape) -> bytes:
    return b"".join(read.data for read in tape.reads)
