"""What processes without the key have written is sealed by a recorder that has it, as long as that is in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import pytest
import requests

from recorder import Recorder
from recorder.clock import SystemClock
from recorder.ledger import keys, left_by_others
from recorder.ledger.key_chain import ROTATED, rotated
from recorder.recording.short_journal import write_once
from recorder.store import open_store
from tests.erasing import verified
from tests.loopback import Script, serve
from tests.recorded import ask, until
from tests.sealed import Key
from tests.sealing import ORIGIN, check_sealed

HELD = ("accessed", {"action": "export", "by": "a", "of": "everything", "result": "as json"})


def left(url: str, facts: Sequence[tuple[str, Mapping[str, Any]]] = (HELD,), instance: bytes | None = None) -> bytes:
    """Write the journal of a process that has no key; return its id."""
    with closing(open_store(url, write=True)) as store:
        return write_once(store, SystemClock(), facts, {"action": "test"}, instance)


def is_sealed(url: str, stream: bytes) -> bool:
    with closing(open_store(url, write=False)) as store:
        return store.ledger.last_leaf(stream) is not None


def test_what_comes_while_a_recorder_runs(sealed_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_by_others, "_EVERY_NS", 100_000_000)
    before = left(sealed_url)
    with serve(Script(chunks=2)) as server, Recorder(sealed_url) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "x").content
        until(lambda: is_sealed(sealed_url, before))
        for _ in range(3):
            meanwhile = left(sealed_url)
            until(lambda: is_sealed(sealed_url, meanwhile))  # noqa: B023 - it is waited for in this round
    check_sealed(sealed_url)
    assert verified(sealed_url)["findings"] == []


def test_what_is_late_already_waits_for_somebody_who_seals_it(sealed_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_by_others, "_EVERY_NS", 100_000_000)
    opened_ms = SystemClock().wall_ns() // 1_000_000 - 61_000
    late = left(sealed_url, instance=opened_ms.to_bytes(6) + bytes([0x70, 1, 0x80, *bytes(7)]))
    now = left(sealed_url)
    with serve(Script(chunks=2)) as server, Recorder(sealed_url) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "x").content
        until(lambda: is_sealed(sealed_url, now))
    assert not is_sealed(sealed_url, late)


def test_a_rotation_that_comes_so_is_no_cause_to_sign_with_the_old_key(
    sealed_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_by_others, "_EVERY_NS", 100_000_000)
    old, new = keys.load(ORIGIN), Key(ORIGIN, seed=7)
    assert old is not None
    with serve(Script(chunks=2)) as server, Recorder(sealed_url) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "x").content
        left(sealed_url, [(ROTATED, rotated(old, keys.SigningKey(new.public, new.sign)))])
        until(lambda: "was rotated" in (recorder.health().sealing.error or ""))
