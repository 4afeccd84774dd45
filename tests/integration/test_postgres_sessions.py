"""What stays in a server's session: nothing, since a pooler gives it to somebody else after each transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
import requests
from sqlalchemy import Connection, event
from sqlalchemy.pool import Pool

from recorder import Recorder
from recorder.errors import StoreUnreachable
from recorder.store import open_store
from recorder.store.postgres import PostgresStore
from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder
from tests.commands import run
from tests.loopback import Script, serve
from tests.recorded import ask
from tests.sealing import founded

_SET_HERE = "SELECT name, setting FROM pg_settings WHERE source = 'session' AND setting IS DISTINCT FROM reset_val"
_OURS = "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')"


@pytest.fixture
def left_behind() -> Iterator[list[tuple[str, str]]]:
    """What the sessions that were closed had set in themselves; a last entry says how many were looked at."""
    found: list[tuple[str, str]] = []
    looked_at = 0

    def look(connection: object, _: Any) -> None:
        nonlocal looked_at
        if isinstance(connection, psycopg.Connection) and not connection.closed:
            connection.rollback()
            connection.autocommit = True
            found.extend(connection.execute(_SET_HERE).fetchall())
            looked_at += 1

    event.listen(Pool, "close", look)
    yield found
    event.remove(Pool, "close", look)
    assert looked_at


def _settings(connection: Connection) -> tuple[Any, ...]:
    return tuple(connection.exec_driver_sql(_OURS).one())


def test_what_bounds_a_transaction_ends_with_it(postgres_url: str) -> None:
    with closing(open_store(postgres_url, write=True)) as store:
        assert isinstance(store, PostgresStore)
        one = ExchangeBuilder(1).request().completed()
        store.append([one.opened], one.events)
        assert store._writer is not None
        session = store._writer.connection.dbapi_connection
        assert isinstance(session, psycopg.Connection)
        before = session.execute(_OURS).fetchone()
        session.rollback()
        with store.writing(durable=True) as connection:
            assert connection.connection.dbapi_connection is session
            assert _settings(connection) == ("30s", "1min")
        assert session.execute(_OURS).fetchone() == before == ("0", "0")
        session.rollback()


def test_a_lock_that_is_held_is_waited_for_only_so_long(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.store.postgres_sessions.BOUNDS", "set_config('lock_timeout', '100ms', true)")
    with closing(open_store(postgres_url, write=True)) as store, psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        one = ExchangeBuilder(1).request().completed()
        with pytest.raises(StoreUnreachable, match="lock"):
            store.append([one.opened], one.events)
        other.rollback()
        store.append([one.opened], one.events)


def test_no_session_keeps_a_setting_of_ours(empty_postgres_url: str, left_behind: list[tuple[str, str]]) -> None:
    upgrade(empty_postgres_url)
    founded(empty_postgres_url)
    with serve(Script(chunks=3)) as server, Recorder(empty_postgres_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "x")
        assert response.content
        exchange = recorder.exchange(response)
        assert recorder.seal(response)
    erase = ["erase", str(exchange), "--ground", "a test", "--yes"]
    for command in (["verify"], ["list"], ["db", "check"], ["db", "rebuild"], erase):
        done = run(*command, "--store", empty_postgres_url)
        assert done.exit_code == 0, (command, done.output)
    assert run("db", "grant", "--writer", "recorder_w", "--store", empty_postgres_url).exit_code == 0
    assert left_behind == []
