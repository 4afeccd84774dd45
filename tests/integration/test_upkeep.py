"""Status, backup and check of stores on both engines."""

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from recorder.errors import ConfigurationError, StaleSchema, StoreUnreachable
from recorder.projections.runner import project, rebuild_all
from recorder.store import open_store, revisions, schema, upkeep
from recorder.store.base import SpoolMark
from recorder.store.projected import SqlProjected
from tests.building import ExchangeBuilder


def fill(url: str, exchanges: int = 3) -> None:
    store = open_store(url, write=True)
    for number in range(1, exchanges + 1):
        built = ExchangeBuilder(number).request().response().chunks(*[b"x" * 300] * 10).completed()
        store.append([built.opened], built.events, SpoolMark(bytes([number]) * 16, 32, 100 * number))
    store.close()


def execute(url: str, statement: str) -> None:
    store = open_store(url, write=True)
    try:
        with store.writing() as connection:
            connection.exec_driver_sql(statement)
    finally:
        store.close()


def findings(url: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in upkeep.check(url).lines:
        if not line.ok:
            found.setdefault(line.what, []).append(line.detail)
    return found


def test_status(store_url: str) -> None:
    fill(store_url)
    found = upkeep.status(store_url)
    assert (found.events, found.streams) == (39, 3)
    assert found.revision == revisions.HEAD
    assert found.pending == ()
    assert found.size > 30_000
    assert found.spools == (
        ("01010101-0101-0101-0101-010101010101", 100),
        ("02020202-0202-0202-0202-020202020202", 200),
        ("03030303-0303-0303-0303-030303030303", 300),
    )
    if found.name.startswith("sqlite"):
        assert found.engine == f"SQLite {sqlite3.sqlite_version}"
        assert found.log_size == 0
    else:
        assert found.engine.startswith("PostgreSQL 1")
        assert found.log_size is None


def test_status_of_a_database_without_schema(empty_postgres_url: str) -> None:
    found = upkeep.status(empty_postgres_url)
    assert found.revision is None
    assert found.pending == ("0001", "0002", "0003", "0004", "0005")
    assert found.events is found.streams is None
    assert found.spools == ()


def test_status_of_nothing(absent_url: str) -> None:
    for look in (upkeep.status, upkeep.check):
        with pytest.raises(StoreUnreachable, match="does not exist"):
            look(absent_url)


def test_a_sound_store(store_url: str) -> None:
    fill(store_url)
    found = upkeep.check(store_url)
    assert found.ok, found
    assert {"schema", "append-only", "openings", "spools"} <= {line.what for line in found.lines}
    assert ("library" in {line.what for line in found.lines}) == store_url.startswith("sqlite")


def test_the_check_tells_of_the_bug_in_the_library(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(sqlite_url)
    for version, told in (((3, 51, 2), True), ((3, 51, 3), False)):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        [line] = [line for line in upkeep.check(sqlite_url).lines if line.what == "library"]
        assert ("WAL-reset" in line.detail) is told


def test_lost_openings_and_triggers_are_found(store_url: str) -> None:
    fill(store_url)
    store = open_store(store_url, write=True)
    with store.writing() as connection:
        on = " ON event_streams" if store_url.startswith("postgresql") else ""
        connection.exec_driver_sql(f"DROP TRIGGER event_streams_no_delete{on}")
        connection.exec_driver_sql("DELETE FROM event_streams")
    store.close()
    found = findings(store_url)
    assert found["append-only"] == ["triggers are missing or switched off: event_streams_no_delete"]
    assert found["openings"] == ["3 event streams have lost their opening: restore a backup"]
    assert set(found) == {"append-only", "openings"}


def test_a_trigger_that_is_switched_off(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER events_no_update")
    assert findings(postgres_url) == {"append-only": ["triggers are missing or switched off: events_no_update"]}


def test_batches_of_another_server(postgres_url: str) -> None:
    fill(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("UPDATE batches SET xid = (xid::text::bigint + 10000000000)::text::xid8")
    assert findings(postgres_url) == {"feed": ["3 batches come from another server: run `recorder db upgrade`"]}
    schema.upgrade(postgres_url)
    assert findings(postgres_url) == {}


def test_a_file_that_others_may_read(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    (tmp_path / "store.db").chmod(0o644)
    assert any(
        detail.startswith("store.db has mode 0644: run chmod 600 ") for detail in findings(sqlite_url)["permissions"]
    )


def test_damage_is_found(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url, 100)
    path = tmp_path / "store.db"
    data = bytearray(path.read_bytes())
    for page in range(20, 30):
        data[page * 8192 : page * 8192 + 100] = b"\xff" * 100
    path.write_bytes(data)
    assert findings(sqlite_url)["integrity"]
    path.write_bytes(bytes(data[:8192]) + b"\xff" * (len(data) - 8192))
    [detail, *_] = findings(sqlite_url)["integrity"]
    assert "damaged" in detail
    assert "db check" not in detail  # that is what found it


def test_a_schema_that_is_not_ours(store_url: str) -> None:
    fill(store_url)
    store = open_store(store_url, write=True)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    [detail] = findings(store_url)["schema"]
    assert "upgrade recorder" in detail


def test_names_of_types_that_were_changed(store_url: str) -> None:
    fill(store_url)
    assert findings(store_url) == {}
    execute(store_url, "UPDATE event_types SET name = 'chunk_lost' WHERE code = 5")
    execute(store_url, "DELETE FROM event_types WHERE code = 17")
    execute(store_url, "INSERT INTO event_types (code, name) VALUES (99, 'x')")
    [detail] = findings(store_url)["type-names"]
    assert "(5 is chunk_received, 17 is imported, 99 is no type)" in detail


def test_a_checkpoint_beyond_the_last_event(store_url: str) -> None:
    fill(store_url)
    store = open_store(store_url, write=True)
    project(store, SqlProjected(store))
    assert findings(store_url) == {}
    execute(
        store_url,
        "UPDATE projection_checkpoints SET xid = xid + 9 * CASE xid WHEN 0 THEN 0 ELSE 1 END, "
        "position = position + 5000",
    )
    [detail] = findings(store_url)["checkpoints"]
    assert "stands where no event is" in detail
    rebuild_all(store, SqlProjected(store))
    store.close()
    assert findings(store_url) == {}


def test_bookkeeping_of_spools_that_no_recorder_writes(store_url: str) -> None:
    fill(store_url)
    execute(store_url, "UPDATE spools SET drained = -1")
    assert findings(store_url)["spools"][0].startswith("3 rows of spools hold what no recorder writes (01010101-")


def test_an_id_of_a_spool_of_another_size(sqlite_url: str) -> None:
    fill(sqlite_url, 1)
    execute(sqlite_url, "UPDATE spools SET spool = x'0102'")
    [detail] = findings(sqlite_url)["spools"]
    assert detail == "1 row of spools holds what no recorder writes (0102): delete what it names"


@pytest.mark.parametrize("forgotten", ["DROP TABLE alembic_version", "DELETE FROM alembic_version"])
def test_tables_without_a_revision_are_no_empty_database(store_url: str, forgotten: str) -> None:
    fill(store_url)
    execute(store_url, forgotten)
    says = "has tables of these names but no schema revision: restore a backup, or give another database"
    with pytest.raises(StaleSchema, match=says):
        schema.upgrade(store_url)
    with pytest.raises(StaleSchema, match=says):
        open_store(store_url, write=False)
    with pytest.raises(StaleSchema, match=says):
        upkeep.status(store_url)
    [line] = upkeep.check(store_url).lines
    assert (line.ok, says in line.detail, "db upgrade" in line.detail) == (False, True, False)


def test_a_backup_while_others_write(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url, 50)
    stop = threading.Event()

    def write() -> None:
        store = open_store(sqlite_url, write=True)
        built = ExchangeBuilder(1000)
        store.append([built.opened], [])
        while not stop.is_set():
            start = len(built.events)
            built.chunks(*[b"x" * 300] * 50)
            store.append([], built.events[start:])
        store.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copies = [tmp_path / f"copy{number}.db" for number in range(3)]
        sizes = [upkeep.backup(sqlite_url, copy) for copy in copies]
    finally:
        stop.set()
        writer.join()
    for copy, size in zip(copies, sizes, strict=True):
        assert copy.stat().st_size == size
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert upkeep.check(f"sqlite:///{copy}").ok
        store = open_store(f"sqlite:///{copy}", write=True)
        for opened, events in store.walk():
            assert opened is not None
            versions = [event.version for event in events]
            assert versions == list(range(1, len(versions) + 1))
            assert len(versions) == 13 or len(versions) % 50 == 0  # whole appends
        store.close()
    assert not list(tmp_path.glob("*.partial"))


def test_what_cannot_be_backed_up(absent_url: str, postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="pg_dump"):
        upkeep.backup(postgres_url, tmp_path / "copy.db")
    with pytest.raises(StoreUnreachable, match="does not exist"):
        upkeep.backup(absent_url, tmp_path / "copy.db")
    fill(absent_url)
    (tmp_path / "there").touch()
    with pytest.raises(ConfigurationError, match="exists already"):
        upkeep.backup(absent_url, tmp_path / "there")
    with pytest.raises(StoreUnreachable, match="cannot be written"):
        upkeep.backup(absent_url, tmp_path / "no" / "copy.db")


def test_a_backup_has_no_side_files(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    copy = tmp_path / "backups" / "copy.db"
    copy.parent.mkdir()
    upkeep.backup(sqlite_url, copy)
    assert list(copy.parent.iterdir()) == [copy]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
