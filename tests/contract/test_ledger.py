"""What the ledger of a store owes, on real engines: leaves, and a tree that is the one of RFC 9162."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from recorder.core.heads import ENDED, Head, Leaf
from recorder.core.merkle import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from recorder.errors import ConfigurationError, CorruptRecording, NotFound, StoreError, VersionConflict
from recorder.store import open_store
from recorder.store.base import EventStore, Ledger
from recorder.store.ledgered import SqlLedger
from recorder.store.sql import SqlStore
from tests.building import identity
from tests.contract.naive_tree import path, proof, tree_hash
from tests.contract.sealed import NOW, ORIGIN, check_whole, entries, head
from tests.contract.stored import unchecked


@pytest.fixture
def ledger(store: SqlStore) -> SqlLedger:
    store.ledger.found(ORIGIN)
    return store.ledger


def test_every_store_has_one(store: SqlStore) -> None:
    of_store: EventStore = store
    protocol: Ledger = of_store.ledger
    assert (protocol.origin(), protocol.size(), protocol.root(0)) == (None, 0, EMPTY_ROOT)
    assert list(protocol.leaves(0, 9)) == list(protocol.checkpoints()) == list(protocol.anchors()) == []
    assert (protocol.last_checkpoint(), protocol.last_leaf(identity(1))) == (None, None)


def test_it_has_its_name_for_good(ledger: SqlLedger) -> None:
    ledger.found(ORIGIN)
    assert ledger.origin() == ORIGIN
    with pytest.raises(ConfigurationError, match=r"has the name desk\.example/ledger, which stays"):
        ledger.found("desk.example/other")
    assert ledger.origin() == ORIGIN


def test_without_a_name_nothing_is_sealed(store: SqlStore) -> None:
    with pytest.raises(ConfigurationError, match="has no ledger yet: run `recorder keys init`"):
        store.ledger.append([head(1)], NOW)
    assert store.ledger.size() == 0


def test_a_leaf_is_what_was_sealed(ledger: SqlLedger, store: SqlStore) -> None:
    assert ledger.append([head(1, 3), head(2, 7, ENDED)], NOW) == [
        Leaf(0, head(1, 3), NOW, 0),
        Leaf(1, head(2, 7, ENDED), NOW, 0),
    ]
    [third] = ledger.append([head(1, 4, ENDED)], NOW + 5)
    assert third == Leaf(2, head(1, 4, ENDED), NOW + 5, before=1)
    assert (ledger.leaf(2), ledger.last_leaf(identity(1))) == (third, third)
    assert [leaf.number for leaf in ledger.leaves_of(identity(1))] == [0, 2]
    assert [leaf.number for leaf in ledger.leaves(1, 3)] == [1, 2]
    with pytest.raises(NotFound, match="has no leaf 3"):
        ledger.leaf(3)
    assert len(check_whole(store)) == 3


def test_what_is_sealed_already_is_passed_over(ledger: SqlLedger, store: SqlStore) -> None:
    ledger.append([head(1, 5)], NOW)
    assert ledger.append([head(1, 5), head(1, 4)], NOW + 1) == []
    made = ledger.append([head(1, 5), head(2, 1), head(2, 1), head(1, 6), head(1, 6), head(2, 3)], NOW + 2)
    assert [(leaf.number, leaf.head, leaf.before) for leaf in made] == [
        (1, head(2, 1), 0),
        (2, head(1, 6), 1),
        (3, head(2, 3), 2),
    ]
    assert ledger.append([], NOW) == []
    check_whole(store)


def test_proofs_are_those_of_the_tree_as_it_is_defined(ledger: SqlLedger, store: SqlStore) -> None:
    chance, made, most = random.Random(5), list[Leaf](), 40
    lengths = dict.fromkeys(range(9), 0)
    while len(made) < most:
        heads = []
        for _ in range(min(chance.choice((1, 1, 2, 5, 11)), most - len(made))):
            stream = chance.randrange(9)
            lengths[stream] += chance.randint(1, 3)
            heads.append(head(stream, lengths[stream]))
        made += ledger.append(heads, NOW + len(made))
    told = entries(made)
    for size in range(1, most + 1):
        assert ledger.root(size) == tree_hash(told[:size])
        for number in range(0, size, 3):
            found = ledger.inclusion(number, size)
            assert found == path(number, told[:size])
            assert verify_inclusion(leaf_hash(told[number]), number, size, found, ledger.root(size))
        for old in range(1, size, 4):
            found = ledger.consistency(old, size)
            assert found == proof(old, told[:size])
            assert verify_consistency(old, size, found, ledger.root(old), ledger.root(size))
    assert check_whole(store) == made


def test_a_thousand_heads_are_one_transaction_of_few_statements(ledger: SqlLedger, store: SqlStore) -> None:
    ledger.append([head(number) for number in range(0, 1000, 2)], NOW)
    statements: list[str] = []
    with store.writing() as connection:
        engine = connection.engine

    def count(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    made = ledger.append([head(number, 2) for number in range(1000)], NOW + 1)
    event.remove(engine, "before_cursor_execute", count)
    assert len(made) == 1000
    assert sum(leaf.before > 0 for leaf in made) == 500
    assert len(statements) <= 10
    assert sum(statement.startswith("INSERT") for statement in statements) == 2
    check_whole(store)


def test_a_proof_is_one_look(ledger: SqlLedger, store: SqlStore) -> None:
    ledger.append([head(number) for number in range(1000)], NOW)
    with store.reading() as connection:
        engine = connection.engine
    statements: list[str] = []

    def count(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    assert len(ledger.inclusion(333, 999)) == 10
    assert len(ledger.consistency(333, 999)) > 5
    event.remove(engine, "before_cursor_execute", count)
    assert len(statements) == 2
    if store.name.startswith("sqlite"):
        asked = "SELECT hash FROM ledger_nodes WHERE level = 1 AND number = 2 OR level = 3 AND number = 4"
        with store.reading() as connection:
            steps = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}")]
        assert not any(step.startswith("SCAN") for step in steps), steps


def test_a_leaf_survives_a_loss_of_power(sqlite_url: str) -> None:
    """As the store was opened, the log would not be synced."""
    with closing(open_store(sqlite_url, write=True)) as store:

        def synchronous(*, durable: bool) -> int:
            with store.writing(durable=durable) as connection:
                return int(connection.exec_driver_sql("PRAGMA synchronous").scalar() or 0)

        assert [synchronous(durable=durable) for durable in (False, True, False)] == [1, 2, 1]


def test_a_server_that_need_not_sync_does_for_a_leaf(postgres_url: str) -> None:
    with closing(open_store(postgres_url, write=True)) as store:
        unchecked(store, "SET synchronous_commit = off")

        def synchronous(*, durable: bool) -> str:
            with store.writing(durable=durable) as connection:
                return str(connection.exec_driver_sql("SHOW synchronous_commit").scalar())

        assert [synchronous(durable=durable) for durable in (False, True, False)] == ["off", "on", "off"]


def test_what_was_opened_later_sees_the_same(ledger: SqlLedger, store_url: str) -> None:
    made = ledger.append([head(number) for number in range(5)], NOW)
    with closing(open_store(store_url, write=False)) as other:
        assert (other.ledger.origin(), check_whole(other)) == (ORIGIN, made)
        with pytest.raises(StoreError, match="reading only"):
            other.ledger.append([head(9)], NOW)


@pytest.mark.parametrize("damage", [b"x" * 122, b"", b"recorder/head/v1\0" + bytes(105)])
def test_an_entry_that_was_changed_is_no_leaf(ledger: SqlLedger, store: SqlStore, damage: bytes) -> None:
    ledger.append([head(1), head(2), head(3)], NOW)
    value = f"x'{damage.hex()}'" if store.name.startswith("sqlite") else f"'\\x{damage.hex()}'::bytea"
    _open_to_changes(store, "ledger_leaves")
    unchecked(store, f"UPDATE ledger_leaves SET entry = {value} WHERE number = 1")
    assert ledger.leaf(0).head == head(1)
    with pytest.raises(CorruptRecording, match="entry 1 of the ledger"):
        ledger.leaf(1)


def test_a_node_that_is_missing_is_damage(ledger: SqlLedger, store: SqlStore) -> None:
    ledger.append([head(number) for number in range(6)], NOW)
    _open_to_changes(store, "ledger_nodes", "delete")
    unchecked(store, "DELETE FROM ledger_nodes WHERE level = 1 AND number = 2")
    assert ledger.root(4) != ledger.root(5)
    with pytest.raises(CorruptRecording, match="node 2 of level 1 is missing from the ledger"):
        ledger.root(6)
    with pytest.raises(CorruptRecording):
        ledger.append([head(7), head(8)], NOW)
    assert ledger.size() == 6


def test_a_tail_that_was_cut_off_is_not_written_over(ledger: SqlLedger, store: SqlStore) -> None:
    ledger.append([head(number) for number in range(6)], NOW)
    _open_to_changes(store, "ledger_leaves", "delete")
    unchecked(store, "DELETE FROM ledger_leaves WHERE number = 5")
    with pytest.raises(VersionConflict):
        ledger.append([head(9)], NOW)
    assert ledger.size() == 5


def test_a_head_that_cannot_be_is_refused(ledger: SqlLedger) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ledger.append([head(1), Head(identity(2), 3, b"short")], NOW)
    assert ledger.size() == 0


def test_entries_come_as_they_are(ledger: SqlLedger, store: SqlStore, tmp_path: Path) -> None:
    ledger.append([head(number % 7, number) for number in range(1, 30)], NOW)
    told = list(ledger.entries(0, 29))
    with closing(open_store(f"sqlite:///{tmp_path}/other.db", write=True)) as other:
        other.ledger.found(ORIGIN)
        other.ledger.take(0, told[:10])
        other.ledger.take(5, told[5:20])
        with pytest.raises(VersionConflict, match="ends before leaf 21"):
            other.ledger.take(21, told[21:])
        other.ledger.take(20, told[20:])
        assert check_whole(other) == check_whole(store)


def _open_to_changes(store: SqlStore, table: str, verb: str = "update") -> None:
    on = f" ON {table}" if store.name.startswith("postgresql") else ""
    unchecked(store, f"DROP TRIGGER {table}_no_{verb}{on}")
