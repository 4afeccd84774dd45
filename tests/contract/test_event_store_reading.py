"""What every event store owes its readers: heads, walks, the feed, and what a newer recorder wrote."""

from __future__ import annotations

import pytest

from recorder.core import upcasting
from recorder.core.chain import ChainVerifier
from recorder.core.events import StreamOpened
from recorder.errors import CorruptRecording, UnknownEventType
from recorder.store.base import FeedCursor
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, identity
from tests.contract.stored import OTHER, exchange, unchecked, unplaced


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
    among = list(store.found_among([strange.opened.stream, b"?" * 16, usual.opened.stream]))
    assert [event.type for event in among if event.stream == strange.opened.stream] == types
    assert [event.type for event in among if event.stream == usual.opened.stream] == types[:2]
    assert len({among[at].stream for at in range(2)}) == 1  # one stream after another
    head = store.head(strange.opened.stream)
    assert head is not None
    assert (head.type, head.version) == ("code 999", 3)
    # Nobody here knows whether that was the end: it is left to the recorder that does.
    assert [opened for opened, _ in store.unfinished()] == [usual.opened]


def test_a_newer_format_is_refused(store: SqlStore) -> None:
    built = exchange(1)
    store.append([StreamOpened(built.opened.stream, b"i" * 16, b"s" * 32, 3)], built.events)
    with pytest.raises(CorruptRecording, match="format 3 is newer"):
        list(store.events(built.opened.stream))


def test_an_older_format_is_upcast_but_not_for_audits(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the present code wrote another format and the store were older."""
    built = exchange(1, 1)
    store.append([built.opened], built.events)
    monkeypatch.setattr("recorder.store.rows._READ", (None, 2))
    monkeypatch.setitem(
        upcasting.UPCASTERS, (1, "chunk_received"), lambda event: event._replace(meta='{"converted":true}')
    )
    monkeypatch.setitem(upcasting.upcast.__kwdefaults__, "newest", 2)
    assert [event.meta for event in store.events(built.opened.stream) if event.type == "chunk_received"] == [
        '{"converted":true}'
    ]
    stored = [event for _, events in store.walk() for event in events]
    assert unplaced(stored) == built.events


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
