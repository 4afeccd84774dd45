"""A store's file that is moved away while a program records, with a new one in its place."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
import requests

import recorder.recording.spool as spool_module
from recorder import Recorder, Store
from recorder.recording.lanes import JOURNAL
from recorder.recording.process_drainer import ProcessDrainer
from recorder.recording.spool_file import lane_of, spool_files
from recorder.store import open_store
from tests.loopback import Script, serve
from tests.recorded import ask, exchanges, streams, until

Kind = Literal["thread", "process"]
_SCRIPT = Script(chunks=120, padding=1000)
_TOLD = "was replaced while this program recorded"


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "ROLL_SIZE", 16 * 1024)


def _read_until_files_are_gone(recorder: Recorder, pieces: Iterator[bytes], place: Path) -> bytes:
    """Read on until what the stream began with is only in the store; return what was read."""
    (first,) = [path for path in spool_files(place) if lane_of(path) != JOURNAL]
    got = b""
    while first.exists():
        got += next(pieces)
        assert recorder.flush()
    return got


def _replaced(path: Path, tmp_path: Path) -> Path:
    """Move a store away, and an empty one to its place; return where it is now."""
    open_store(f"sqlite:///{tmp_path}/new.db", write=True).close()
    _move(path, tmp_path / "away.db")
    _move(tmp_path / "new.db", path)
    return tmp_path / "away.db"


def _move(path: Path, to: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        if Path(f"{path}{suffix}").exists():
            Path(f"{path}{suffix}").rename(f"{to}{suffix}")


@pytest.mark.parametrize("kind", ["thread", "process"])
@pytest.mark.usefixtures("small_files")
def test_what_is_in_the_spool_waits_for_the_store_that_has_its_beginning(
    kind: Kind, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "store.db"
    url = f"sqlite:///{path}"
    with serve(_SCRIPT) as server, Recorder(url, drainer=kind) as recorder:
        pieces = ask(recorder.mount(requests.Session()), server.url, "x").iter_content(None)
        got = _read_until_files_are_gone(recorder, pieces, Path(f"{path}-spool"))
        away = _replaced(path, tmp_path)
        got += b"".join(pieces)
        until(lambda: _TOLD in (recorder.health().store_error or ""))
        health = recorder.health()
        assert (health.ok, health.lost_events) == (False, 0)
        assert health.pending_bytes > 0
        assert streams(url) == {}
        if kind == "process":  # what has come to the store is known to its successor as well
            mover = recorder._path and recorder._path._mover
            assert isinstance(mover, ProcessDrainer)
            first = mover.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            until(lambda: mover.pid not in (first, None) and _TOLD in (mover.error or ""))
            assert streams(url) == {}
        assert len([one for one in caplog.records if "events are kept in the spool" in one.message]) == 1
        _move(path, tmp_path / "new.db")
        _move(away, path)
        until(lambda: recorder.health().ok, 20)
        assert recorder.flush()
    ((_, exchange),) = exchanges(url).items()
    assert exchange.body == got == _SCRIPT.body("x")


@pytest.mark.usefixtures("small_files")
def test_where_it_stays_away_the_new_one_gets_nothing_that_begins_in_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "store.db"
    url = f"sqlite:///{path}"
    with serve(_SCRIPT) as server:
        with Recorder(url, close_timeout=0.5) as recorder:
            pieces = ask(recorder.mount(requests.Session()), server.url, "x").iter_content(None)
            _read_until_files_are_gone(recorder, pieces, Path(f"{path}-spool"))
            away = _replaced(path, tmp_path)
            b"".join(pieces)
        assert spool_files(Path(f"{path}-spool"))
        (stays,) = [one.message for one in caplog.records if "bytes stay in" in one.message]
        assert "replaced while" in stays
        with closing(Recorder(url)) as again:
            assert again.recovered.damaged
            assert ask(again.mount(requests.Session()), server.url, "y").content
    with Store(url) as new, Store(f"sqlite:///{away}") as old:
        assert [found["verdict"] for found in new.exchanges()] == ["complete"]  # of the second program
        assert [found["verdict"] for found in old.exchanges()] == ["unknown"]


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_while_the_spool_has_all_of_it_the_new_store_gets_all_of_it(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with serve(_SCRIPT) as server, Recorder(f"sqlite:///{path}", drainer=kind) as recorder:
        pieces = ask(recorder.mount(requests.Session()), server.url, "x").iter_content(None)
        got = b"".join(next(pieces) for _ in range(20))
        assert recorder.flush()
        _replaced(path, tmp_path)
        got += b"".join(pieces)
        until(lambda: recorder.flush() and recorder.health().ok)
    ((_, exchange),) = exchanges(f"sqlite:///{path}").items()
    assert exchange.body == got
