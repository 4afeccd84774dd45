"""What every EventStore owes, on real engines."""

from __future__ import annotations

import os

import pytest

from recorder.core.events import StreamOpened
from recorder.errors import StoreError, StoreUnreachable, UnknownEventType, VersionConflict
from recorder.store import open_store
from recorder.store.base import EventStore, SpoolMark
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, identity
from tests.contract.stored import OTHER, exchange, unchecked, unplaced

SPOOL = b"s" * 16


def test_it_is_an_event_store(store: SqlStore) -> None:
    protocol: EventStore = store
    assert protocol.counts() == (0, 0)
    assert protocol.name.startswith(("sqlite:///", "postgresql://"))


def test_events_come_back_bit_for_bit(store: SqlStore) -> None:
    built = ExchangeBuilder(1)
    built.event("request_sent", {"a": 1}, b"").event("chunk_received", None, bytes(range(256)), flags=15)
    built.event("response_completed", {}, None, instance=OTHER).event("gap_recorded", None, None)
    store.append([built.opened], built.events)
    assert unplaced(list(store.events(built.opened.stream))) == built.events
    assert store.opening(built.opened.stream) == built.opened
    assert store.opening(identity(2)) is None
    assert list(store.events(identity(2))) == []


def test_an_absent_body_is_not_an_empty_one(store: SqlStore) -> None:
    built = ExchangeBuilder(1).event("chunk_received", None, b"").event("chunk_received", None, None)
    store.append([built.opened], built.events)
    assert [event.body for event in store.events(built.opened.stream)] == [b"", None]


def test_the_largest_numbers_fit(store: SqlStore) -> None:
    built = ExchangeBuilder(1)
    built.wall_ns = built.mono_ns = 2**63 - 10**9
    built.event("chunk_received", None, os.urandom(3_000_000), flags=32767)
    store.append([built.opened], built.events)
    assert unplaced(list(store.events(built.opened.stream))) == built.events


def test_events_after_a_version(store: SqlStore) -> None:
    built = exchange(1, 5)
    store.append([built.opened], built.events)
    assert [event.version for event in store.events(built.opened.stream, after=6)] == [7, 8]


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


def test_repeating_an_append_is_no_error(store: SqlStore) -> None:
    first, second = exchange(1), exchange(2)
    store.append([first.opened], first.events[:4])
    store.append([first.opened, second.opened], first.events + second.events)
    store.append([first.opened, second.opened], first.events + second.events)
    assert unplaced(list(store.events(first.opened.stream))) == first.events
    assert unplaced(list(store.events(second.opened.stream))) == second.events


def test_an_event_given_twice_is_stored_once(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened, built.opened], built.events + built.events)
    assert store.counts() == (6, 1)


def test_a_conflicting_event_commits_nothing(store: SqlStore) -> None:
    built, other = exchange(1), exchange(2)
    store.append([built.opened], built.events)
    forged = built.events[2]._replace(hash=b"x" * 32, version=3)
    with pytest.raises(VersionConflict, match="version 3"):
        store.append([other.opened], [*other.events, forged], SpoolMark(SPOOL, 0, 10))
    assert store.counts() == (6, 1)
    assert store.drained(SPOOL) == 0
    assert unplaced(list(store.events(built.opened.stream))) == built.events


def test_two_different_events_for_one_place_in_one_append(store: SqlStore) -> None:
    built = exchange(1)
    with pytest.raises(VersionConflict):
        store.append([built.opened], [*built.events, built.events[-1]._replace(hash=b"x" * 32)])
    assert store.counts() == (0, 0)


def test_a_conflicting_opening(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened], [])
    with pytest.raises(VersionConflict, match="opened"):
        store.append([StreamOpened(built.opened.stream, OTHER, b"t" * 32)], built.events)
    # What was refused is not believed afterwards.
    store.append([], [event._replace(instance=OTHER) for event in built.events])
    assert {event.instance for event in store.events(built.opened.stream)} == {OTHER}


def test_a_type_without_a_code_is_refused(store: SqlStore) -> None:
    built = exchange(1).event("teleported")
    with pytest.raises(UnknownEventType, match="teleported"):
        store.append([built.opened], built.events)
    assert store.counts() == (0, 0)


def test_a_spool_advances_with_its_events(store: SqlStore) -> None:
    built = exchange(1)
    assert store.drained(SPOOL) == 0
    store.append([built.opened], built.events[:2], SpoolMark(SPOOL, 32, 100))
    assert store.drained(SPOOL) == 100
    store.append([], built.events[2:], SpoolMark(SPOOL, 100, 250))
    assert store.drained(SPOOL) == 250
    assert store.drained(OTHER) == 0
    store.forget_spool(SPOOL)
    assert store.drained(SPOOL) == 0
    store.forget_spool(SPOOL)


def test_a_spool_batch_must_follow_on(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened], built.events[:2], SpoolMark(SPOOL, 32, 100))
    for start in (32, 99, 101):
        with pytest.raises(VersionConflict, match=f"byte {start}"):
            store.append([], built.events[2:], SpoolMark(SPOOL, start, 250))
    assert store.counts() == (2, 1)
    assert store.drained(SPOOL) == 100


def test_of_several_spools_each_must_follow_on(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened], built.events[:1], SpoolMark(SPOOL, 32, 100), SpoolMark(OTHER, 32, 50))
    with pytest.raises(VersionConflict, match="byte 49"):
        store.append([], built.events[1:], SpoolMark(SPOOL, 100, 150), SpoolMark(OTHER, 49, 80))
    assert (store.drained(SPOOL), store.drained(OTHER)) == (100, 50)
    store.append([], built.events[1:], SpoolMark(SPOOL, 100, 150), SpoolMark(OTHER, 50, 80))
    assert (store.drained(SPOOL), store.drained(OTHER)) == (150, 80)


def test_many_streams_are_opened_at_once(store: SqlStore) -> None:
    made = [exchange(number) for number in range(1, 150)]
    store.append([built.opened for built in made], [event for built in made for event in built.events])
    assert list(store.openings()) == [built.opened for built in made]


def test_a_batch_whose_acknowledgement_was_lost_may_be_repeated(store: SqlStore) -> None:
    built = exchange(1)
    for _ in range(2):
        store.append([built.opened], built.events, SpoolMark(SPOOL, 32, 100))
    assert store.drained(SPOOL) == 100
    assert store.counts() == (6, 1)


def test_a_batch_that_is_stored_already_still_moves_the_spool(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened], built.events)
    store.append([built.opened], built.events, SpoolMark(SPOOL, 32, 100))
    assert store.drained(SPOOL) == 100


def test_openings_come_in_the_order_of_their_ids(store: SqlStore) -> None:
    made = [exchange(number) for number in (3, 1, 2)]
    for built in made:
        store.append([built.opened], built.events)
    assert [opening.stream for opening in store.openings()] == [identity(1), identity(2), identity(3)]


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


def test_closing_twice_is_fine(store: SqlStore) -> None:
    store.append([exchange(1).opened], [])
    store.close()
    store.close()


def test_a_store_that_was_let_go_has_everything_and_can_be_used_again(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened], built.events)
    store.let_go()
    assert store.counts() == (6, 1)
    store.let_go()
    store.append([], built.event("gap_recorded").events[-1:])
    assert store.counts() == (7, 1)
    store.let_go()


def test_a_forked_child_uses_connections_of_its_own(store: SqlStore) -> None:
    built, by_child = exchange(1), exchange(2)
    store.append([built.opened], built.events)
    assert store.counts() == (6, 1)
    child = os.fork()
    if child == 0:
        try:
            store.append([by_child.opened], by_child.events)
            fine = store.counts() == (12, 2)
            store.close()
        except BaseException:
            fine = False
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert unplaced(list(store.events(by_child.opened.stream))) == by_child.events
    store.append([], exchange(1).event("gap_recorded").events[-1:])
    assert store.counts() == (13, 2)
