"""What is kept beside the leaves: signed notes and what came from outside; and what is not sealed yet."""

from __future__ import annotations

import pytest

from recorder.core.heads import ENDED, OPEN, Head
from recorder.errors import StoreError, VersionConflict
from recorder.store.base import Anchored
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, identity
from tests.contract.sealed import NOW, ORIGIN, head
from tests.contract.stored import OTHER, exchange, unchecked

RECORDS = ("ledger", "ledger_leaves", "ledger_nodes", "checkpoints", "anchors", "erased_payloads")


def test_checkpoints_are_kept_as_they_are(store: SqlStore) -> None:
    notes = {size: f"{ORIGIN}\n{size}\nr€€t\n\n— {ORIGIN} sig\n" for size in (4, 1, 9)}
    for size, note in notes.items():
        store.ledger.add_checkpoint(size, note, NOW)
    store.ledger.add_checkpoint(4, notes[4], NOW + 7)
    assert list(store.ledger.checkpoints()) == sorted(notes.items())
    assert store.ledger.last_checkpoint() == (9, notes[9])
    with pytest.raises(VersionConflict, match="has another checkpoint of size 4"):
        store.ledger.add_checkpoint(4, notes[1], NOW)
    assert list(store.ledger.checkpoints()) == sorted(notes.items())


def test_anchors_come_in_the_order_in_which_they_were_got(store: SqlStore) -> None:
    first = Anchored(identity(9), 4, "file:/somewhere", NOW, b"\0\xff")
    second = Anchored(identity(2), 2, "rfc3161:tsa.example", NOW + 1, b"")
    store.ledger.add_anchor(second)
    store.ledger.add_anchor(first)
    store.ledger.add_anchor(first)
    assert list(store.ledger.anchors()) == [first, second]
    with pytest.raises(VersionConflict, match="another anchor with the id"):
        store.ledger.add_anchor(first._replace(size=5))
    assert list(store.ledger.anchors()) == [first, second]


@pytest.fixture
def filled(store: SqlStore) -> SqlStore:
    """A store with a row in each of the tables that nothing may be changed in."""
    store.ledger.found(ORIGIN)
    store.ledger.append([head(1)], NOW)
    store.ledger.add_checkpoint(1, "note", NOW)
    store.ledger.add_anchor(Anchored(identity(1), 1, "a", NOW, b"e"))
    blob = "x'00'" if store.name.startswith("sqlite") else "'\\x00'::bytea"
    unchecked(store, f"INSERT INTO erased_payloads VALUES ({store.id_literal(identity(1))}, 1, 2, {blob})")
    return store


@pytest.mark.parametrize("table", RECORDS)
def test_nothing_is_changed_by_accident(filled: SqlStore, table: str) -> None:
    def rows() -> list[tuple[object, ...]]:
        with filled.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]

    before = rows()
    assert len(before) == 1
    column = "level" if table == "ledger_nodes" else "size" if table in RECORDS[3:] else "number"
    statements = [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"]
    if filled.name.startswith("sqlite"):
        statements.append(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
        statements.append(f"REPLACE INTO {table} SELECT * FROM {table}")
    else:
        statements.append(f"TRUNCATE {table}")
        key = {"ledger_nodes": "level, number", "erased_payloads": "stream, version", "checkpoints": "size"}
        conflict = key.get(table, "id" if table == "anchors" else "number")
        copied = f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({conflict}) DO UPDATE SET {column} = 1"
        statements.append(copied)
    for statement in statements:
        with pytest.raises(StoreError, match="append-only"):
            unchecked(filled, statement)
    assert rows() == before


def test_a_second_ledger_cannot_be(filled: SqlStore) -> None:
    blob = "x'00'" if filled.name.startswith("sqlite") else "'\\x00'::bytea"
    with pytest.raises(StoreError):
        unchecked(filled, f"INSERT INTO ledger VALUES (2, 'other', {blob})")
    assert filled.ledger.origin() == ORIGIN


def test_what_is_not_sealed_yet(store: SqlStore) -> None:
    store.ledger.found(ORIGIN)
    ended, runs = exchange(1), exchange(2, ended=False)
    late, gap = exchange(3).event("gap_recorded"), exchange(4, ended=False).event("gap_recorded")
    named = ExchangeBuilder(5).event("conversation_named", {"name": "desk"})
    foreign, empty = exchange(6, instance=OTHER), ExchangeBuilder(7)
    linked = ExchangeBuilder(8).event("linked", {"kind": "order", "id": "1", "exchange": "x"})
    made = [ended, runs, late, gap, named, foreign, linked]
    for built in [*made, empty]:
        store.append([built.opened], built.events)
    states = dict(zip(made, [ENDED, OPEN, ENDED, OPEN, OPEN, ENDED, OPEN], strict=True))
    heads = [Head(one.opened.stream, len(one.events), one.events[-1].hash, states[one]) for one in made]
    assert store.ledger.unsealed(100) == heads
    assert store.ledger.unsealed(3) == heads[:3]
    assert store.ledger.unsealed_of(OTHER) == [heads[5]]
    store.ledger.append(heads[1:], NOW)
    assert store.ledger.unsealed(100) == heads[:1]
    runs.completed()
    store.append([], runs.events[-1:])
    grown = Head(runs.opened.stream, len(runs.events), runs.events[-1].hash, ENDED)
    assert store.ledger.unsealed(100) == store.ledger.unsealed_of(runs.opened.instance) == [heads[0], grown]
    store.ledger.append([heads[0], grown], NOW)
    assert store.ledger.unsealed(100) == []


def test_very_many_streams_are_not_sealed_yet(store: SqlStore) -> None:
    made = [exchange(number, 0) for number in range(1, 1203)]
    store.append([one.opened for one in made], [event for one in made for event in one.events])
    assert [one.stream for one in store.ledger.unsealed(5000)] == [one.opened.stream for one in made]


def test_an_event_whose_hash_is_none_cannot_be_sealed(store: SqlStore) -> None:
    for number in (1, 2):
        built = exchange(number)
        store.append([built.opened], built.events)
    on = " ON events" if store.name.startswith("postgresql") else ""
    blob = "x'00'" if not on else "'\\x00'::bytea"
    where = f"WHERE stream = {store.id_literal(identity(1))} AND version = 6"
    unchecked(store, f"DROP TRIGGER events_no_update{on}", f"UPDATE events SET hash = {blob} {where}")
    assert [one.stream for one in store.ledger.unsealed(10)] == [identity(2)]
