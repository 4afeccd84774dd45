"""What every EventStore owes, on real engines."""

from __future__ import annotations

import pytest

from recorder.core.events import StreamOpened
from recorder.errors import StoreError, StoreUnreachable, VersionConflict
from recorder.store import open_store
from recorder.store.base import EventStore
from recorder.store.sql import SqlStore
from tests.building import identity
from tests.contract.stored import OTHER, exchange, unchecked, unplaced

SPOOL = b"s" * 16


def test_it_is_an_event_store(store: SqlStore) -> None:
    protocol: EventStore = store
    assert protocol.counts() == (0, 0)
    assert protocol.name.startswith(("sqlite:///", "postgresql://"))


def test_an_instance_other_than_the_opening_is_kept_across_stores(store: SqlStore, store_url: str) -> None:
    built = exchange(1, 0, ended=False)
    store.append([built.opened], built.events)
    built.event("process_died", instance=OTHER).event("gap_recorded")
    with_nothing_in_memory = open_store(store_url, write=True)
    with_nothing_in_memory.append([], built.events[2:])
    with_nothing_in_memory.close()
    assert [event.instance for event in store.events(built.opened.stream)] == [b"i" * 16] * 2 + [OTHER, b"i" * 16]
    with store.reading() as connection:
        told = connection.exec_driver_sql("SELECT count(*) FROM events WHERE instance IS NOT NULL").scalar()
    assert told == 1


def test_the_instances_of_very_many_streams_are_not_kept_in_memory(store: SqlStore) -> None:
    openings = [StreamOpened(identity(number), b"i" * 16, b"s" * 32) for number in range(20_001)]
    store.append(openings, [])
    built = exchange(1)
    store.append([], built.events)
    assert {event.instance for event in store.events(identity(1))} == {b"i" * 16}
    assert store.counts() == (6, 20_001)


def test_a_conflicting_opening(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened], [])
    with pytest.raises(VersionConflict, match="opened"):
        store.append([StreamOpened(built.opened.stream, OTHER, b"t" * 32)], built.events)
    # What was refused is not believed afterwards.
    store.append([], [event._replace(instance=OTHER) for event in built.events])
    assert {event.instance for event in store.events(built.opened.stream)} == {OTHER}


@pytest.mark.parametrize("table", ["events", "event_streams"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET stream = stream", "DELETE FROM {}"])
def test_events_cannot_be_changed_by_accident(store: SqlStore, table: str, statement: str) -> None:
    built = exchange(1)
    store.append([built.opened], built.events)
    with pytest.raises(StoreError, match="append-only"):
        unchecked(store, statement.format(table))
    assert store.counts() == (6, 1)


def test_events_cannot_be_replaced_or_truncated(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened], built.events)
    if store.name.startswith("postgresql"):
        statements = ["TRUNCATE events", "TRUNCATE event_streams"]
    else:
        statements = [f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}" for table in ("events", "event_streams")]
    for statement in statements:
        with pytest.raises(StoreError, match="append-only"):
            unchecked(store, statement)
    assert unplaced(list(store.events(built.opened.stream))) == built.events


def test_a_reader_cannot_write(store: SqlStore, store_url: str) -> None:
    built = exchange(1)
    store.append([built.opened], built.events)
    reader = open_store(store_url, write=False)
    try:
        assert reader.counts() == (6, 1)
        with pytest.raises(StoreError, match="reading only"):
            reader.append([], built.events)
        with pytest.raises(StoreError, match="reading only"):
            reader.forget_spool(SPOOL)
        with pytest.raises(StoreUnreachable, match="writ"), reader.reading() as connection:
            connection.exec_driver_sql("INSERT INTO event_types (code, name) VALUES (99, 'x')")
    finally:
        reader.close()
