"""A store whose content is put back to an older copy, in its place, while a program records."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import requests

import recorder.recording.spool as spool_module
from recorder import Recorder
from recorder.locations import spool_directory
from recorder.recording.lanes import JOURNAL
from recorder.recording.spool_file import lane_of, spool_files
from recorder.store import open_store
from tests.commands import run
from tests.loopback import Script, serve
from tests.recorded import ask, exchanges, until

_SCRIPT = Script(chunks=120, padding=1000)
_TABLES = "events, event_streams, batches, spools"


def _restored(url: str, tmp_path: Path) -> Callable[[], None]:
    """Keep what a store holds now; return what puts that back, as SQLite's ``.restore`` and ``pg_restore`` do."""
    if url.startswith("sqlite"):
        path, copy = Path(url.removeprefix("sqlite:///")), tmp_path / "yesterday.db"
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)

        def put_back() -> None:
            with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(path)) as target:
                source.backup(target)

        return put_back
    with psycopg.connect(url) as connection:
        counts = {name: _rows(connection, name) for name in _TABLES.split(", ")}
    assert counts["spools"] == []

    def put_back() -> None:
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")
            for name, rows in counts.items():
                kept = "" if name == "spools" else f"WHERE NOT {_KEYS[name]} = ANY(%s)"
                connection.execute(f"DELETE FROM {name} {kept}", [[row[0] for row in rows]] if kept else [])

    return put_back


_KEYS = {"events": "position", "event_streams": "stream", "batches": "id"}


def _rows(connection: psycopg.Connection, name: str) -> list[tuple[object, ...]]:
    return connection.execute(f"SELECT {_KEYS.get(name, 'spool')} FROM {name}").fetchall()


def _read(pieces: Iterator[bytes], recorder: Recorder, number: int) -> bytes:
    got = b"".join(next(pieces) for _ in range(number))
    assert recorder.flush()
    return got


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_the_older_copy_gets_all_that_the_spool_still_has(store_url: str, kind: str, tmp_path: Path) -> None:
    with serve(_SCRIPT) as server:
        with Recorder(store_url) as recorder:
            assert ask(recorder.mount(requests.Session()), server.url, "yesterday").content
        put_back = _restored(store_url, tmp_path)
        with Recorder(store_url, drainer=kind) as recorder:
            session = recorder.mount(requests.Session())
            assert ask(session, server.url, "before").content
            pieces = ask(session, server.url, "during").iter_content(None)
            got = _read(pieces, recorder, 30)
            put_back()
            got += b"".join(pieces)
            assert ask(session, server.url, "after").content
            until(recorder.flush, 20)
            assert recorder.health().ok
    bodies = sorted(exchange.body for exchange in exchanges(store_url).values())
    assert bodies == sorted(_SCRIPT.body(prompt) for prompt in ("yesterday", "before", "during", "after"))
    assert got == _SCRIPT.body("during")
    result = run("verify", "--store", store_url)
    assert result.exit_code == 0, result.output


def test_what_the_spool_no_longer_begins_with_waits(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "ROLL_SIZE", 16 * 1024)
    with serve(_SCRIPT) as server:
        put_back = _restored(sqlite_url, tmp_path)
        with Recorder(sqlite_url, close_timeout=1) as recorder:
            pieces = ask(recorder.mount(requests.Session()), server.url, "x").iter_content(None)
            (first,) = [path for path in spool_files(spool_directory(sqlite_url)) if lane_of(path) != JOURNAL]
            while first.exists():
                _read(pieces, recorder, 1)
            put_back()
            list(pieces)
            until(lambda: "replaced" in (recorder.health().store_error or ""))
            assert not recorder.health().ok
    with closing(open_store(sqlite_url, write=False)) as store:
        assert store.counts() == (0, 0)
    assert spool_files(spool_directory(sqlite_url))


@pytest.mark.parametrize("table", ["spools", "events", "event_streams", "batches"])
def test_a_table_that_somebody_has_locked_is_waited_for_only_so_long(
    postgres_url: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.store.postgres_sessions.BOUNDS", "set_config('lock_timeout', '100ms', true)")
    with serve(Script(chunks=3)) as server, Recorder(postgres_url, close_timeout=2) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "one").content
        assert recorder.flush()
        with psycopg.connect(postgres_url) as other:
            other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            assert ask(session, server.url, "two").content
            until(lambda: "lock" in (recorder.health().store_error or ""))
            assert not recorder.health().ok
        until(lambda: recorder.health().ok)
        assert recorder.flush()
    assert len(exchanges(postgres_url)) == 2
