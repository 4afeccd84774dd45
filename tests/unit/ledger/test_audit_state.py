"""An audit that was interrupted goes on from its file, and for nothing but the state of the store that it is of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.errors import ConfigurationError
from recorder.ledger.audit import Asked, audit
from recorder.ledger.report import Report
from recorder.recording.recovery import Spooled
from recorder.store import open_store
from tests.building import ExchangeBuilder
from tests.commands import fill

NOW = 1_790_000_000_000_000_000


class Stopped(Exception):
    """Somebody pressed Ctrl-C."""


def stop_after(ranges: int) -> Callable[[int, int], None]:
    def advance(done: int, of: int) -> None:
        if done == ranges:
            raise Stopped

    return advance


def exchanges() -> list[ExchangeBuilder]:
    made = [ExchangeBuilder(n).request({"m": n}).response().chunks(b"data: a\n\n").completed() for n in range(1, 30)]
    for number in (2, 20):
        made[number].events[2] = made[number].events[2]._replace(body=b"data: b\n\n")
    return made


def run(url: str, state: Path | None, advance: Callable[[int, int], None] = lambda done, of: None) -> Report:
    with closing(open_store(url, write=False)) as store:
        return audit(url, store, Spooled, Asked(now_ns=NOW, resume=state, advance=advance))


def test_it_goes_on_and_finds_the_same(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url, *exchanges())
    state, whole = tmp_path / "state.json", run(sqlite_url, None)
    assert len(whole.findings) == 2
    for ranges in (1, 3):  # interrupted twice
        with pytest.raises(Stopped):
            run(sqlite_url, state, stop_after(ranges))
        assert state.exists()
    advanced: list[int] = []
    resumed = run(sqlite_url, state, lambda done, of: advanced.append(done))
    earlier, *open_points = resumed.not_proved
    assert earlier.startswith("that 3 of ")
    assert "an earlier run has read them" in earlier
    assert replace(resumed, not_proved=tuple(open_points)) == whole
    assert not state.exists()


def test_another_state_of_the_store_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url, *exchanges())
    state = tmp_path / "state.json"
    with pytest.raises(Stopped):
        run(sqlite_url, state, stop_after(1))
    fill(sqlite_url, ExchangeBuilder(40).request({}))
    with pytest.raises(ConfigurationError, match="before it changed"):
        run(sqlite_url, state)


def test_a_damaged_state_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url, *exchanges())
    state = tmp_path / "state.json"
    with pytest.raises(Stopped):
        run(sqlite_url, state, stop_after(1))
    state.write_text(state.read_text().replace('"findings"', '"finding"'))
    with pytest.raises(ConfigurationError, match="is damaged"):
        run(sqlite_url, state)
