"""What only a server can do: commit late, go away, come back."""

from __future__ import annotations

import gc
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from recorder import Recorder
from recorder.core.events import Event
from recorder.errors import RecorderError, StaleSchema, StoreUnreachable
from recorder.store import open_store
from recorder.store.base import FeedCursor, SpoolMark
from recorder.store.postgres import PostgresStore, _insert, _raw
from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder
from tests.postgres_server import PostgresServer


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    opened = open_store(postgres_url, write=True)
    assert isinstance(opened, PostgresStore)
    yield opened
    opened.close()


def everything(store: PostgresStore, cursor: FeedCursor, limit: int = 50) -> tuple[list[Event], FeedCursor]:
    seen: list[Event] = []
    while True:
        events, cursor = store.feed(cursor, limit)
        if not events:
            return seen, cursor
        seen += events


def test_a_transaction_that_commits_late_is_not_passed_by(store: PostgresStore, postgres_url: str) -> None:
    late, early = ExchangeBuilder(1).request().completed(), ExchangeBuilder(2).request().completed()
    other = open_store(postgres_url, write=True)
    begun, go = threading.Event(), threading.Event()

    def slow() -> None:
        with other.writing() as connection:
            connection.exec_driver_sql("INSERT INTO batches (events) VALUES (0)")
            begun.set()
            go.wait()

    thread = threading.Thread(target=slow)
    thread.start()
    begun.wait()
    store.append([early.opened], early.events)
    # Committed, but an older transaction is still running: it may yet bring events that go before.
    seen, cursor = everything(store, FeedCursor())
    assert seen == []
    go.set()
    thread.join()
    other.append([late.opened], late.events)
    seen, cursor = everything(store, cursor)
    assert [event.hash for event in seen] == [event.hash for event in early.events + late.events]
    assert everything(store, cursor) == ([], cursor)
    other.close()


def test_a_tailing_reader_misses_nothing_of_eight_uneven_writers(store: PostgresStore, postgres_url: str) -> None:
    writers, appends = 8, 25
    failures: list[BaseException] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        mine = open_store(postgres_url, write=True)
        try:
            built = ExchangeBuilder(number)
            mine.append([built.opened], [])
            for _ in range(appends):
                start = len(built.events)
                built.chunks(*[b"x"] * chance.choice([1, 1, 3, 30]))
                # Positions are drawn now and committed after a while: what a naive reader misses.
                with mine.writing() as connection, _raw(connection).cursor() as cursor:
                    _insert(cursor, [], built.events[start:], [], {})
                    cursor.execute("SELECT pg_sleep(%s)", (chance.choice([0, 0, 0.002, 0.02]),))
        except BaseException as error:
            failures.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, writers + 1)]
    for thread in threads:
        thread.start()
    seen, cursor = [], FeedCursor()
    while any(thread.is_alive() for thread in threads):
        events, cursor = store.feed(cursor, 40)
        seen += events
    for thread in threads:
        thread.join()
    rest, _ = everything(store, cursor)
    assert failures == []
    seen += rest
    assert len(seen) == store.counts()[0] == len({event.position for event in seen})
    for number in range(1, writers + 1):
        stream = ExchangeBuilder(number).opened.stream
        versions = [event.version for event in seen if event.stream == stream]
        assert versions == list(range(1, len(versions) + 1))


def test_the_race_is_real(store: PostgresStore, postgres_url: str) -> None:
    """Were the feed ordered by position alone, the event that commits late would be missed."""
    built = ExchangeBuilder(1).chunks(b"a", b"b")
    insert = (
        "INSERT INTO events (batch, wall_ns, mono_ns, version, type, flags, stream, hash) "
        "VALUES (%s, 1, 1, %s, 5, 0, %s, '\\x00')"
    )
    with (
        psycopg.connect(postgres_url) as slow,
        psycopg.connect(postgres_url) as quick,
        psycopg.connect(postgres_url, autocommit=True) as reader,
    ):
        for connection, version in ((slow, 1), (quick, 2)):
            batch = connection.execute("INSERT INTO batches (events) VALUES (1) RETURNING id").fetchone()
            assert batch is not None
            connection.execute(insert, (batch[0], version, built.opened.stream.hex()))
        quick.commit()
        sql = "SELECT position FROM events WHERE position > %s ORDER BY position"
        naive = [row[0] for row in reader.execute(sql, (0,))]
        seen, cursor = everything(store, FeedCursor())
        assert (len(naive), len(seen)) == (1, 0)
        slow.commit()
        assert reader.execute(sql, (naive[-1],)).fetchall() == []  # it lies behind, and is never seen
        assert [event.version for event in everything(store, cursor)[0]] == [1, 2]


def test_a_batch_larger_than_the_limit_comes_in_pieces(store: PostgresStore) -> None:
    built = ExchangeBuilder(1).chunks(*[b"x"] * 250)
    store.append([built.opened], built.events[:200])
    store.append([], built.events[200:])
    seen, _ = everything(store, FeedCursor(), limit=30)
    assert [event.version for event in seen] == list(range(1, 251))


def test_two_drainers_of_one_spool_cannot_both_win(store: PostgresStore, postgres_url: str) -> None:
    other = open_store(postgres_url, write=True)
    stores, won, lost = [store, other], [], []

    def drain(index: int) -> None:
        built = ExchangeBuilder(index + 1).request()
        for start in range(20):
            try:
                stores[index].append([], built.events, SpoolMark(b"s" * 16, start, start + 1))
                won.append(start)
                built.chunks(b"x")
            except RecorderError:
                lost.append(start)

    threads = [threading.Thread(target=drain, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(won) == len(set(won)) == store.drained(b"s" * 16)
    assert len(won) + len(lost) == 40


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_outage_is_reported_and_survived(own_postgres: PostgresServer, how: str) -> None:
    url = own_postgres.create_database()
    upgrade(url)
    store = open_store(url, write=True)
    built = ExchangeBuilder(1).request().chunks(*[b"x"] * 20)
    store.append([built.opened], built.events[:5])
    assert store.counts() == (5, 1)
    walk = store.walk()
    _, events = next(walk)
    next(events)
    getattr(own_postgres, how)()
    for attempt in (
        lambda: store.append([], built.events[5:]),
        lambda: store.append([], built.events[5:]),
        store.counts,
        lambda: store.feed(FeedCursor(), 5),
        lambda: store.drained(b"s" * 16),
        lambda: open_store(url, write=True),
    ):
        with pytest.raises(StoreUnreachable) as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("postgresql://recorder@127.0.0.1:")
    walk.close()
    own_postgres.start()
    store.append([], built.events[5:])
    store.append([built.opened], built.events)
    assert [event.hash for event in store.events(built.opened.stream)] == [event.hash for event in built.events]
    store.close()


def test_a_reader_in_the_middle_of_a_stream_when_the_server_dies(own_postgres: PostgresServer) -> None:
    url = own_postgres.create_database()
    upgrade(url)
    store = open_store(url, write=True)
    built = ExchangeBuilder(1).chunks(*[b"x" * 1000] * 6000)
    store.append([built.opened], built.events)
    events = store.events(built.opened.stream)
    walked = store.walk()
    _, in_walk = next(walked)
    assert next(events).version == next(in_walk).version == 1
    own_postgres.kill()
    for reading in (events, in_walk):
        with pytest.raises(StoreUnreachable):
            list(reading)
    walked.close()
    own_postgres.start()
    assert len(list(store.events(built.opened.stream))) == 6000
    store.close()


def test_what_is_read_in_a_walk_is_closed_with_it_whoever_holds_it(store: PostgresStore) -> None:
    built = ExchangeBuilder(1).chunks(*[b"x"] * 3000)
    store.append([built.opened], built.events)
    walked = store.walk()
    _, events = next(walked)
    next(events)
    walked.close()
    assert [each for each in gc.get_objects() if isinstance(each, psycopg.ServerCursor) and not each.closed] == []
    with pytest.raises(RecorderError):
        list(events)


def test_a_session_that_was_cut_is_replaced(store: PostgresStore, postgres_url: str) -> None:
    built = ExchangeBuilder(1).request().chunks(b"x", b"y")
    store.append([built.opened], built.events[:1])
    assert store.counts() == (1, 1)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recorder'")
    with pytest.raises(StoreUnreachable):
        store.append([], built.events[1:])
    store.append([], built.events[1:])
    assert store.counts() == (3, 1)


def test_what_is_wrong_with_the_address_is_said(postgres_url: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(StoreUnreachable, match=r"cannot be reached \(connection"):
            open_store(f"postgresql://nobody@127.0.0.1:{port}/x", write=False)
    with pytest.raises(StoreUnreachable, match="does not exist"):
        open_store(postgres_url + "_gone", write=True)
    with pytest.raises(StoreUnreachable):
        upgrade(postgres_url.replace("recorder@", "stranger@"))


def test_a_user_who_may_not_write(store: PostgresStore, postgres_url: str) -> None:
    """On a cluster privileges, not triggers, keep events as they are."""
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS reader_only")
        owner.execute("CREATE ROLE reader_only LOGIN")
        owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_only")
        limited = open_store(postgres_url.replace("recorder@", "reader_only@"), write=True)
        built = ExchangeBuilder(1).request()
        with pytest.raises(StoreUnreachable, match="lacks a privilege"):
            limited.append([built.opened], built.events)
        assert limited.counts() == (0, 0)
        limited.close()
        owner.execute("DROP OWNED BY reader_only")
        owner.execute("DROP ROLE reader_only")


def test_a_database_without_the_schema_is_refused_before_anything_is_spooled(
    empty_postgres_url: str, own_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StaleSchema, match="recorder db upgrade"):
        Recorder(empty_postgres_url)
    assert caplog.records == []  # nothing was recorded, so nothing is kept in a spool
    assert list(own_home.glob("recorder/spool/*")) == []
