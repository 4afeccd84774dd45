"""What every EventStore owes, on real engines."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from recorder.core import upcasting
from recorder.core.chain import ChainVerifier
from recorder.core.events import Event, StreamOpened
from recorder.errors import CorruptRecording, StoreError, StoreUnreachable, UnknownEventType, VersionConflict
from recorder.store import open_store
from recorder.store.base import EventStore, FeedCursor, SpoolMark
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, identity

SPOOL = b"s" * 16
OTHER = b"o" * 16


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    opened = open_store(store_url, write=True)
    yield opened
    opened.close()


def exchange(number: int, chunks: int = 3, *, ended: bool = True, instance: bytes = b"i" * 16) -> ExchangeBuilder:
    builder = ExchangeBuilder(number, instance=instance).event("request_sent", {"method": "POST", "é": "ü"}, b"POST /")
    builder.event("response_started", {"status": 200}, b"HTTP/1.1 200 OK", flags=2)
    for index in range(chunks):
        builder.event("chunk_received", None, bytes([index]) * 300, flags=7)
    return builder.event("response_completed") if ended else builder


def unplaced(events: list[Event]) -> list[Event]:
    return [event._replace(position=None) for event in events]


def unchecked(store: SqlStore, *statements: str) -> None:
    """Do what nobody should: change a store behind its back."""
    with store.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


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


def test_heads(store: SqlStore) -> None:
    made = [exchange(number, number % 5) for number in range(1, 1200)]
    store.append([built.opened for built in made], [event for built in made for event in built.events])
    asked = [built.opened.stream for built in made] + [OTHER]
    assert {stream: event.hash for stream, event in store.heads(asked).items()} == {
        built.opened.stream: built.events[-1].hash for built in made
    }
    assert store.heads([]) == {}
    head = store.head(made[3].opened.stream)
    assert head is not None
    assert head.hash == made[3].events[-1].hash
    assert store.head(OTHER) is None


def test_unfinished_streams(store: SqlStore) -> None:
    done, running, empty = exchange(1), exchange(2, ended=False), ExchangeBuilder(3)
    late_gap = exchange(4).event("gap_recorded")
    gap = exchange(5, ended=False).event("gap_recorded")
    foreign = exchange(6, ended=False, instance=OTHER)
    conversation = ExchangeBuilder(7).event("conversation_named", {"name": "desk"})
    made = [done, running, empty, late_gap, gap, foreign, conversation]
    store.append([built.opened for built in made], [event for built in made for event in built.events])
    expected = [
        (built.opened, built.events[-1].version if built.events else None) for built in (running, empty, gap, foreign)
    ]
    found = [(opened, last.version if last else None) for opened, last in store.unfinished()]
    assert found == expected
    assert [opened for opened, _ in store.unfinished(OTHER)] == [foreign.opened]
    assert store.streams_of(OTHER) == [foreign.opened]
    assert len(store.streams_of(b"i" * 16)) == 6


def test_the_walk_brings_every_stream_once_and_in_order(store: SqlStore) -> None:
    made = [exchange(number, number * 3) for number in (2, 5, 3)]
    empty = ExchangeBuilder(9)
    first = ExchangeBuilder(1)
    orphan = exchange(4)
    interleaved = [event for row in zip(*(built.events[:6] for built in made), strict=True) for event in row]
    rest = [event for built in made for event in built.events[6:]]
    store.append([built.opened for built in [*made, empty, first]], interleaved + rest + orphan.events)
    found = []
    for opened, events in store.walk():
        listed = list(events)
        found.append((opened, unplaced(listed)))
        if opened is not None:
            verifier = ChainVerifier(opened)
            for event in listed:
                verifier.feed(event)
    by_number = {built.opened.stream: built for built in made}
    stripped = [event._replace(instance=b"i" * 16) for event in orphan.events]
    assert found == [
        (first.opened, []),
        (made[0].opened, by_number[identity(2)].events),
        (made[2].opened, by_number[identity(3)].events),
        (None, stripped),
        (made[1].opened, by_number[identity(5)].events),
        (empty.opened, []),
    ]


def test_the_walk_may_be_left_and_streams_skipped(store: SqlStore) -> None:
    made = [exchange(number) for number in range(1, 5)]
    store.append([built.opened for built in made], [event for built in made for event in built.events])
    assert [opened for opened, _ in store.walk()] == [built.opened for built in made]
    for opened, events in store.walk():
        assert next(events).version == 1
        assert opened == made[0].opened
        break
    store.append([], exchange(1).event("gap_recorded").events[-1:])
    assert store.counts() == (25, 4)


def test_the_walk_sees_one_moment(store: SqlStore) -> None:
    first, later = exchange(1), exchange(2)
    store.append([first.opened], first.events)
    walk = store.walk()
    opened, events = next(walk)
    store.append([later.opened], later.events)
    assert opened == first.opened
    assert len(list(events)) == len(first.events)
    assert list(walk) == []


def test_the_feed_brings_everything_in_pieces(store: SqlStore) -> None:
    made = [exchange(number, number) for number in range(1, 8)]
    cursor, seen = FeedCursor(), []
    assert store.feed(cursor, 10) == ([], cursor)
    for built in made:
        store.append([built.opened], [])
        store.append([], built.events)
    while True:
        events, following = store.feed(cursor, 4)
        if not events:
            assert following == cursor
            break
        assert len(events) <= 4
        seen += events
        cursor = following
    assert unplaced(seen) == [event for built in made for event in built.events]
    store.append([], exchange(1, 1).event("gap_recorded").events[-1:])
    events, _ = store.feed(cursor, 4)
    assert [event.type for event in events] == ["gap_recorded"]


def test_what_is_appended_after_the_end_of_the_feed_follows_it(store: SqlStore) -> None:
    assert store.feed_end() == FeedCursor()
    for number in (1, 2):
        built = exchange(number, number)
        before = store.feed_end()
        store.append([built.opened], built.events)
        events, after = store.feed(before, 100)
        assert unplaced(events) == built.events
        assert store.feed_end() == after
        assert store.feed(after, 100) == ([], after)


def of_newer_type(store: SqlStore, built: ExchangeBuilder) -> None:
    """Add an event as a newer recorder would write it."""
    columns = "stream, version, type, wall_ns, mono_ns, instance, flags, meta, body, hash"
    values = "stream, 3, 999, wall_ns, mono_ns, instance, flags, meta, body, hash"
    if store.name.startswith("postgresql"):
        columns, values = f"{columns}, batch", f"{values}, batch"
    which = f"version = 2 AND {store.id_out.format('stream')} = "
    which += (
        f"decode('{built.opened.stream.hex()}', 'hex')" if "batch" in columns else f"x'{built.opened.stream.hex()}'"
    )
    unchecked(store, f"INSERT INTO events ({columns}) SELECT {values} FROM events WHERE {which}")


def test_an_unknown_type_is_named_with_its_position(store: SqlStore) -> None:
    built = exchange(1)
    store.append([built.opened], built.events[:2])
    with store.reading() as connection:
        position = connection.exec_driver_sql("SELECT max(position) FROM events").scalar()
    assert position is not None
    of_newer_type(store, built)
    with pytest.raises(UnknownEventType, match="999") as caught:
        list(store.events(built.opened.stream))
    assert caught.value.position == position + 1
    [(_, events)] = [(opened, list(events)) for opened, events in store.walk()]
    assert [event.type for event in events] == ["request_sent", "response_started", "code 999"]


def test_an_unknown_type_hides_nothing_else(store: SqlStore) -> None:
    strange, usual = exchange(1), exchange(2)
    store.append([strange.opened, usual.opened], [*strange.events[:2], *usual.events[:2]])
    of_newer_type(store, strange)
    types = ["request_sent", "response_started", "code 999"]
    assert [event.type for event in store.found_events(strange.opened.stream)] == types
    assert sorted(event.type for event in store.feed(FeedCursor(), 10)[0]) == sorted([*types, *types[:2]])
    head = store.head(strange.opened.stream)
    assert head is not None
    assert (head.type, head.version) == ("code 999", 3)
    # Nobody here knows whether that was the end: it is left to the recorder that does.
    assert [opened for opened, _ in store.unfinished()] == [usual.opened]


def test_a_newer_format_is_refused(store: SqlStore) -> None:
    built = exchange(1)
    store.append([StreamOpened(built.opened.stream, b"i" * 16, b"s" * 32, 2)], built.events)
    with pytest.raises(CorruptRecording, match="format 2 is newer"):
        list(store.events(built.opened.stream))


def test_an_older_format_is_upcast_but_not_for_audits(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the present code wrote format 2 and the store were older."""
    built = exchange(1, 1)
    store.append([built.opened], built.events)
    monkeypatch.setattr("recorder.store.sql.FORMAT_VERSION", 2)
    monkeypatch.setitem(
        upcasting.UPCASTERS, (1, "chunk_received"), lambda event: event._replace(meta='{"converted":true}')
    )
    monkeypatch.setitem(upcasting.upcast.__kwdefaults__, "newest", 2)
    assert [event.meta for event in store.events(built.opened.stream) if event.type == "chunk_received"] == [
        '{"converted":true}'
    ]
    stored = [event for _, events in store.walk() for event in events]
    assert unplaced(stored) == built.events


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


def test_the_log_for_people(store: SqlStore) -> None:
    built = exchange(1, 1)
    store.append([built.opened], [*built.events, exchange(2).events[0]._replace(instance=OTHER)])
    with store.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT stream, version, type, at, instance, size, hash FROM event_log ORDER BY position"
        ).all()
    first = rows[0]
    assert str(first[0]) == "01900000-0001-7000-8000-000000000000"
    assert [row[2] for row in rows[:4]] == ["request_sent", "response_started", "chunk_received", "response_completed"]
    assert first[3].endswith("Z")
    assert first[3].startswith("2026-09-2")
    assert len(first[3]) == len("2026-09-21T14:13:21.000000000Z")
    assert str(first[4]) == "69696969-6969-6969-6969-696969696969"
    assert rows[2][5] == 300
    assert first[6] == built.events[0].hash.hex()
    assert str(rows[-1][4]) == "6f6f6f6f-6f6f-6f6f-6f6f-6f6f6f6f6f6f"


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
