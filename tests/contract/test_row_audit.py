"""The audit of the projections' rows, on both engines: every difference from the events is found and named."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recorder.clock import id_text
from recorder.core.chain import Finding
from recorder.errors import StoreError
from recorder.projections.audit import audit_rows
from recorder.projections.runner import NAME, project, rebuild_all
from recorder.store import open_store
from recorder.store.base import FeedCursor
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, identity
from tests.commands import answered


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    opened = open_store(store_url, write=True)
    yield opened
    opened.close()


def opening(number: int) -> ExchangeBuilder:
    return ExchangeBuilder(number).event("conversation_named", {"name": "desk"}).event("tags_set", {"tags": {"a": "b"}})


def fill(store: SqlStore, *built: ExchangeBuilder) -> None:
    for one in built:
        store.append([one.opened], one.events)


@pytest.fixture
def filled(store: SqlStore) -> SqlStore:
    """Three exchanges and two openings in between, projected."""
    told = id_text(identity(2))
    fill(store, answered(1, ("user", "a")), opening(2), answered(3, ("user", "b"), conversation=told, name="desk"))
    fill(store, opening(4), answered(5, ("user", "nul \0 and a lone \ud800")))
    assert project(store, SqlProjected(store))
    return store


def execute(store: SqlStore, sql: str) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql(sql)


def key(store: SqlStore, number: int) -> str:
    digits = identity(number).hex()
    return f"'{digits}'::uuid" if store.name.startswith("postgresql") else f"x'{digits}'"


def only(store: SqlStore) -> Finding:
    audit = audit_rows(store)
    assert audit.found == 1, audit.findings
    return audit.findings[0]


def everything(store: SqlStore) -> tuple[Any, ...]:
    projected = SqlProjected(store)
    return list(projected.exchanges()), list(projected.openings()), projected.checkpoint(NAME)


def test_rows_as_they_were_folded_have_no_findings(filled: SqlStore) -> None:
    audit = audit_rows(filled)
    assert (audit.rows, audit.pending, audit.found, audit.findings) == (5 + 6, 0, 0, [])  # with the messages


def test_nothing_at_all_has_no_findings(store: SqlStore) -> None:
    assert (audit_rows(store).rows, audit_rows(store).found) == (0, 0)


@pytest.mark.parametrize(
    ("table", "number", "field", "value"),
    [
        ("exchange_rows", 3, "verdict", "'truncated'"),
        ("exchange_rows", 3, "opening", "NULL"),
        ("exchange_rows", 3, "call", "NULL"),
        ("exchange_rows", 3, "goes_on_from", "id"),
        ("exchange_rows", 3, "kept_as", "id"),
        ("exchange_rows", 3, "last_item", "id"),
        ("exchange_rows", 1, "attempt", "2"),
        ("exchange_rows", 1, "started_ns", "started_ns + 1"),
        ("exchange_rows", 1, "method", "'GET'"),
        ("exchange_rows", 1, "url", "url || '?'"),
        ("exchange_rows", 1, "status", "500"),
        ("exchange_rows", 5, "model", "'m-2'"),
        ("exchange_rows", 5, "chunks", "chunks - 1"),
        ("exchange_rows", 5, "bytes", "1"),
        ("exchange_rows", 5, "duration_ns", "NULL"),
        ("exchange_rows", 5, "first_chunk_ns", "0"),
        ("exchange_rows", 5, "dialect", "'opaque'"),
        ("exchange_rows", 5, "finish", "'length'"),
        ("exchange_rows", 5, "tools", "'x'"),
        ("exchange_rows", 5, "input_tokens", "1"),
        ("exchange_rows", 5, "output_tokens", "1"),
        ("exchange_rows", 5, "total_tokens", "1"),
        ("exchange_rows", 5, "cached_tokens", "1"),
        ("exchange_rows", 5, "cache_written_tokens", "1"),
        ("exchange_rows", 5, "reasoning_tokens", "1"),
        ("exchange_rows", 5, "match_key", "NULL"),
        ("exchange_rows", 5, "match_places", "'[]'"),
        ("exchange_rows", 5, "last_version", "1"),
        ("exchange_rows", 5, "summary", "'{}'"),
        ("openings", 2, "name", "'other'"),
        ("openings", 4, "tags", "'{}'"),
        ("openings", 4, "first_ns", "0"),
        ("openings", 4, "last_ns", "0"),
    ],
)
def test_a_changed_field_is_found_and_named(filled: SqlStore, table: str, number: int, field: str, value: str) -> None:
    before = everything(filled)
    execute(filled, f"UPDATE {table} SET {field} = {value} WHERE id = {key(filled, number)}")
    changed = everything(filled)
    finding = only(filled)
    assert (finding.exchange, finding.field, finding.kind) == (id_text(identity(number)), field, "projection")
    assert finding.detail == f"in {table}, {field} is not what the events say"
    assert everything(filled) == changed != before  # an audit changes nothing
    assert rebuild_all(filled, SqlProjected(filled)) == (3, 2)
    assert everything(filled)[:2] == before[:2]
    assert audit_rows(filled).found == 0


def test_several_fields_of_a_row_are_one_finding(filled: SqlStore) -> None:
    execute(filled, f"UPDATE exchange_rows SET verdict = 'x', status = 1 WHERE id = {key(filled, 1)}")
    finding = only(filled)
    assert finding.field == "status, verdict"
    assert finding.detail == "in exchange_rows, status and verdict are not what the events say"


@pytest.mark.parametrize(
    ("table", "number"), [("exchange_rows", 1), ("exchange_rows", 5), ("openings", 2), ("openings", 4)]
)
def test_a_missing_row_is_found(filled: SqlStore, table: str, number: int) -> None:
    execute(filled, f"DELETE FROM {table} WHERE id = {key(filled, number)}")
    finding = only(filled)
    assert (finding.exchange, finding.field) == (id_text(identity(number)), "row")
    assert finding.detail == f"its row in {table} is missing"


@pytest.mark.parametrize(
    ("table", "number"), [("exchange_rows", 0), ("exchange_rows", 4), ("openings", 3), ("openings", 9)]
)
def test_a_row_that_no_event_stands_behind_is_found(filled: SqlStore, table: str, number: int) -> None:
    like = 1 if table == "exchange_rows" else 2
    columns = {
        "exchange_rows": "attempt, started_ns, method, url, verdict, chunks, bytes, dialect, last_version, summary"
    }
    others = columns.get(table, "tags, first_ns, last_ns")
    copied = f"SELECT {key(filled, number)}, {others} FROM {table} WHERE id = {key(filled, like)}"
    execute(filled, f"INSERT INTO {table} (id, {others}) {copied}")
    finding = only(filled)
    assert (finding.exchange, finding.field) == (id_text(identity(number)), "row")
    assert finding.detail == f"its row in {table} stands for no event"
    rebuild_all(filled, SqlProjected(filled))
    assert audit_rows(filled).found == 0


def test_an_id_of_another_size_is_found(sqlite_url: str) -> None:
    with closing(open_store(sqlite_url, write=True)) as store:
        execute(store, "INSERT INTO openings (id, tags, first_ns, last_ns) VALUES (x'01', '{}', 1, 1)")
        assert (only(store).exchange, only(store).field) == ("01", "row")


def test_findings_beyond_the_first_are_counted(store: SqlStore) -> None:
    fill(store, *(ExchangeBuilder(number).request({}).completed() for number in range(1, 31)))
    project(store, SqlProjected(store))
    execute(store, "UPDATE exchange_rows SET method = 'x'")
    audit = audit_rows(store)
    assert (audit.found, len(audit.findings)) == (30, 20)


def test_what_is_not_projected_yet_is_no_finding(filled: SqlStore) -> None:
    """A stream that goes on after the checkpoint is folded by whoever reads; its row is not believed."""
    more, new = answered(6, ("user", "c")), answered(7, ("user", "d"))
    filled.append([more.opened], more.events[:2])
    project(filled, SqlProjected(filled))
    filled.append([new.opened], [*more.events[2:], *new.events])
    audit = audit_rows(filled)
    assert (audit.rows, audit.pending, audit.found) == (5 + 6, 2, 0)
    execute(filled, f"DELETE FROM exchange_rows WHERE id = {key(filled, 1)}")
    assert only(filled).exchange == id_text(identity(1))
    project(filled, SqlProjected(filled))
    assert (audit_rows(filled).pending, only(filled).exchange) == (0, id_text(identity(1)))


def test_without_a_checkpoint_nothing_is_believed(filled: SqlStore) -> None:
    execute(filled, "DELETE FROM projection_checkpoints")
    execute(filled, "UPDATE exchange_rows SET method = 'x'")
    assert (audit_rows(filled).pending, audit_rows(filled).found) == (5, 0)


def test_an_event_of_an_unknown_type_is_folded_as_such(filled: SqlStore) -> None:
    table = " ON events" if filled.name.startswith("postgresql") else ""
    execute(filled, f"DROP TRIGGER events_no_update{table}")
    execute(filled, f"UPDATE events SET type = 99 WHERE version = 2 AND stream = {key(filled, 1)}")
    execute(filled, f"UPDATE exchange_rows SET method = 'x' WHERE id = {key(filled, 5)}")
    first, second = audit_rows(filled).findings
    assert (first.exchange, first.field) == (id_text(identity(1)), "status, verdict, summary")
    assert (second.exchange, second.field) == (id_text(identity(5)), "method")
    rebuild_all(filled, SqlProjected(filled))
    assert audit_rows(filled).findings == []


def test_a_reader_audits_but_does_not_rebuild(filled: SqlStore, store_url: str) -> None:
    before = everything(filled)
    with closing(open_store(store_url, write=False)) as reader:
        assert audit_rows(reader).rows == 5 + 6
        with pytest.raises(StoreError, match="reading only"):
            rebuild_all(reader, SqlProjected(reader))
    assert everything(filled) == before


def test_one_exchange_at_a_time_is_in_memory(sqlite_url: str) -> None:
    with closing(open_store(sqlite_url, write=True)) as store:
        for number in range(1, 41):
            built = ExchangeBuilder(number).request({}).response().chunks(*[b"x" * 65536] * 8).completed()
            store.append([built.opened], built.events)
        project(store, SqlProjected(store))
        audit_rows(store)  # what is imported and compiled once
        tracemalloc.start()
        try:
            assert audit_rows(store).rows == 40
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20  # of 20 MiB in the store


def check_rebuilds(store_url: str, store: SqlStore, exchanges: int, at_once: int, rebuilds: int) -> None:
    """Whoever has folded before the drop stores nothing; nobody waits for the other for ever."""
    fill(store, *(answered(number, ("user", str(number)), text="Hold") for number in range(1, exchanges + 1)))
    projected = SqlProjected(store)
    project(store, projected)
    expected = everything(store)[0]
    stop, failures = threading.Event(), []

    def others() -> None:
        with closing(open_store(store_url, write=True)) as own:
            while not stop.is_set():
                try:
                    project(own, SqlProjected(own), at_once=at_once)
                except StoreError as error:
                    failures.append(error)

    threads = [threading.Thread(target=others) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(rebuilds):
            assert rebuild_all(store, projected) == (exchanges, 0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert everything(store)[0] == expected
    assert audit_rows(store).found == 0


def test_a_rebuild_while_another_process_projects(store_url: str, store: SqlStore) -> None:
    check_rebuilds(store_url, store, exchanges=12, at_once=5, rebuilds=6)


@pytest.mark.soak
def test_many_rebuilds_while_another_process_projects(store_url: str, store: SqlStore) -> None:
    check_rebuilds(store_url, store, exchanges=40, at_once=16, rebuilds=100)


def test_what_was_folded_before_a_rebuild_is_not_stored_after_it(filled: SqlStore) -> None:
    projected = SqlProjected(filled)
    before = projected.checkpoint(NAME)
    (wrong, *_) = projected.exchanges()
    rebuild_all(filled, projected)
    projected.drop_all()
    assert not projected.commit(NAME, before, FeedCursor(before.xid, before.position + 1), exchanges=[wrong])
    assert everything(filled) == ([], [], FeedCursor())


def test_a_rebuild_waits_for_a_commit_that_is_under_way(postgres_url: str) -> None:
    """Else each could hold rows that the other waits for, and Postgres would end one of the two."""
    with closing(open_store(postgres_url, write=True)) as store, closing(open_store(postgres_url, write=True)) as other:
        fill(store, answered(1, ("user", "a")), answered(2, ("user", "b")))
        projected = SqlProjected(store)
        project(store, projected)
        dropping = threading.Thread(target=SqlProjected(other).drop_all)
        with store.writing() as connection:
            connection.exec_driver_sql("UPDATE projection_checkpoints SET position = position")
            connection.exec_driver_sql(f"UPDATE exchange_rows SET method = 'x' WHERE id = {key(store, 2)}")
            dropping.start()
            dropping.join(0.5)
            assert dropping.is_alive()
            connection.exec_driver_sql(f"UPDATE exchange_rows SET method = 'x' WHERE id = {key(store, 1)}")
        dropping.join()
        assert everything(store) == ([], [], FeedCursor())


def test_the_store_on_disk_is_not_touched_by_an_audit(sqlite_url: str, tmp_path: Path) -> None:
    with closing(open_store(sqlite_url, write=True)) as store:
        fill(store, answered(1, ("user", "a")))
        project(store, SqlProjected(store))
    before = (tmp_path / "store.db").read_bytes()
    with closing(open_store(sqlite_url, write=False)) as reader:
        assert audit_rows(reader).rows == 1 + 2
    assert (tmp_path / "store.db").read_bytes() == before
