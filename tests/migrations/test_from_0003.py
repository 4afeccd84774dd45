"""A store of schema 0003 with recordings in it: opened, upgraded, and nothing of it changed."""

from __future__ import annotations

from contextlib import closing

import pytest
from alembic import command

from recorder.core.events import TYPE_NAMES
from recorder.errors import StaleSchema, StoreError
from recorder.ledger.verify import verify
from recorder.projections.audit import audit_rows
from recorder.projections.runner import NAME, project
from recorder.store import open_store, revisions, schema, sqlite_file
from recorder.store.base import FeedCursor
from recorder.store.checks import triggers
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from recorder.store.urls import parse_url
from tests.building import ExchangeBuilder, identity
from tests.contract.sealed import NOW, ORIGIN, check_whole, head
from tests.contract.stored import exchange, unchecked, unplaced
from tests.migrations.test_migrations import engine_of


@pytest.fixture(params=["sqlite", "postgresql"])
def old_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a store as the migrations up to 0003 have made it, with exchanges and rows."""
    url: str = request.getfixturevalue("absent_url" if request.param == "sqlite" else "empty_postgres_url")
    target = parse_url(url)
    if target.path is not None:
        sqlite_file._create(target.path, target.name)
        sqlite_file._lay_out(target.path, True)
    with engine_of(url).connect() as connection, connection.begin():
        command.upgrade(revisions.alembic_config(connection), "0003")
    with monkeypatch.context() as then:
        then.setattr(revisions, "HEAD", "0003")
        with closing(open_store(url, write=True)) as store:
            for built in _built():
                store.append([built.opened], built.events)
            many = [exchange(number, 1) for number in range(20, 1500)]
            store.append([built.opened for built in many], [event for built in many for event in built.events])
            _project_as_then(store)
    return url


def _built() -> list[ExchangeBuilder]:
    answered = ExchangeBuilder(1).request({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).completed()
    named = ExchangeBuilder(3).event("conversation_named", {"name": "desk"})
    return [answered, exchange(2, ended=False), named, exchange(4).event("gap_recorded", {"events": 1})]


def _project_as_then(store: SqlStore) -> None:
    """With the columns that the rows of today have besides, for as long as it takes."""
    later = ("goes_on_from", "kept_as", "last_item")
    with store.writing() as connection:
        kind = "uuid" if connection.dialect.name == "postgresql" else "BLOB"
        for column in later:
            connection.exec_driver_sql(f"ALTER TABLE exchange_rows ADD COLUMN {column} {kind}")
    assert project(store, SqlProjected(store))
    with store.writing() as connection:
        for column in later:
            connection.exec_driver_sql(f"ALTER TABLE exchange_rows DROP COLUMN {column}")


def test_readers_refuse_it_with_what_to_do(old_url: str) -> None:
    with pytest.raises(StaleSchema, match=r"has schema 0003, not 0005: run `recorder db upgrade --store"):
        open_store(old_url, write=False)
    assert schema.state(parse_url(old_url)) == ("0003", ("0004", "0005"))


def test_everything_is_there_after_an_upgrade(old_url: str) -> None:
    assert schema.upgrade(old_url) == ("0004", "0005")
    with closing(open_store(old_url, write=True)) as store:
        for built in _built():
            assert unplaced(list(store.events(built.opened.stream))) == built.events
        report = verify(store.walk())
        assert (report.findings, report.exchanges) == ((), 3 + 1480)
        projected = SqlProjected(store)
        assert projected.checkpoint(NAME) == FeedCursor()  # 0005 has columns that were not filled
        project(store, projected)
        assert projected.counts() == (1483, 1)
        audit = audit_rows(store)
        assert (audit.found, audit.pending) == (0, 0)
        with store.reading() as connection:
            assert triggers(connection).ok
            names = {int(code): name for code, name in connection.exec_driver_sql("SELECT * FROM event_types")}
            shown = connection.exec_driver_sql("SELECT DISTINCT type FROM event_log ORDER BY type").scalars().all()
        assert names == TYPE_NAMES
        assert "conversation_named" in shown


def test_a_writer_opens_it_and_seals_what_is_there(old_url: str) -> None:
    if old_url.startswith("postgresql"):
        schema.upgrade(old_url)  # on a server that is never done by opening
    with closing(open_store(old_url, write=True)) as store:
        assert (store.ledger.origin(), store.ledger.size()) == (None, 0)
        assert len(store.ledger.unsealed(5000)) == 1484
        store.ledger.found(ORIGIN)
        store.ledger.append(store.ledger.unsealed(200), NOW)
        store.ledger.append([head(9)], NOW)
        assert len(check_whole(store)) == 201
        journal = ExchangeBuilder(2000, instance=identity(2000)).event("instance_started", {})
        store.append([journal.opened], journal.events)
        with store.reading() as connection:
            shown = connection.exec_driver_sql("SELECT type FROM event_log ORDER BY position DESC LIMIT 1").scalar()
        assert shown == "instance_started"


def test_events_of_before_are_still_append_only(old_url: str) -> None:
    schema.upgrade(old_url)
    with closing(open_store(old_url, write=True)) as store:
        for table in ("events", "event_streams"):
            for statement in (f"UPDATE {table} SET stream = stream", f"DELETE FROM {table}"):
                with pytest.raises(StoreError, match="append-only"):
                    unchecked(store, statement)
        with pytest.raises(StoreError, match="append-only"):
            unchecked(store, "UPDATE events SET meta = NULL, body = NULL")
