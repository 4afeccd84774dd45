"""Heads for ledgers, and what is true of a ledger whatever was done to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from recorder.core.heads import OPEN, Head, Leaf, encode_entry, log_id
from recorder.core.merkle import leaf_hash
from recorder.store.sql import SqlStore
from tests.building import identity
from tests.contract.naive_tree import tree_hash

ORIGIN = "desk.example/ledger"
NOW = 1_790_000_000_000_000_000


def head(number: int, length: int = 1, state: int = OPEN) -> Head:
    """Return the head of stream *number* with *length* events."""
    return Head(identity(number), length, hashlib.sha256(f"{number} {length}".encode()).digest(), state)


def entries(leaves: Iterable[Leaf]) -> list[bytes]:
    """Return what the tree commits to."""
    return [encode_entry(log_id(ORIGIN), leaf) for leaf in leaves]


def check_whole(store: SqlStore) -> list[Leaf]:
    """Return all leaves of a store's ledger, of which everything holds that must hold after any appends."""
    ledger = store.ledger
    size = ledger.size()
    leaves = list(ledger.leaves(0, size))
    assert [leaf.number for leaf in leaves] == list(range(size))
    last: dict[bytes, Leaf] = {}
    for leaf in leaves:
        known = last.get(leaf.head.stream)
        assert leaf.before == (0 if known is None else known.number + 1)
        assert known is None or leaf.head.length > known.head.length
        last[leaf.head.stream] = leaf
    told = entries(leaves)
    assert list(ledger.entries(0, size)) == told
    assert ledger.root(size) == tree_hash(told)
    assert nodes_of(store) == expected_nodes(told)
    return leaves


def nodes_of(store: SqlStore) -> dict[tuple[int, int], bytes]:
    """Return every node that is stored."""
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT level, number, hash FROM ledger_nodes").all()
    return {(level, number): bytes(digest) for level, number, digest in rows}


def expected_nodes(told: list[bytes]) -> dict[tuple[int, int], bytes]:
    """Return the hashes of all complete subtrees, and of nothing else."""
    nodes, row, level = {}, [leaf_hash(entry) for entry in told], 0
    while row:
        nodes |= {(level, number): digest for number, digest in enumerate(row)}
        row = [hashlib.sha256(b"\1" + row[at] + row[at + 1]).digest() for at in range(0, len(row) - 1, 2)]
        level += 1
    return nodes
