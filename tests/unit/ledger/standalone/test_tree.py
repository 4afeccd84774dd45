"""The verifier's tree against the one that makes roots and proofs: two programs, one meaning."""

from __future__ import annotations

import hashlib

import pytest

from recorder.core import merkle
from recorder.ledger.standalone.tree import Frontier, extends, includes, leaf_hash, node_hash

SIZE = 70
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(SIZE)]
NODES = {(level, number): digest for level, number, digest in merkle.appended(0, LEAVES, lambda *_: b"")}


def node(level: int, number: int) -> bytes:
    return NODES[level, number]


def left_of(size: int) -> list[bytes]:
    hashes, at = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(node(level, at >> level))
            at += 1 << level
    return hashes


def test_hashes_are_those_of_the_ledger() -> None:
    assert leaf_hash(b"x") == merkle.leaf_hash(b"x")
    assert node_hash(b"x", b"y") == merkle.node_hash(b"x", b"y")
    assert Frontier(0, []).root() == hashlib.sha256(b"").digest() == merkle.root(0, node)


@pytest.mark.parametrize("start", range(0, SIZE, 7))
def test_roots_from_any_left_edge_are_those_of_the_ledger(start: int) -> None:
    frontier = Frontier(start, left_of(start))
    for size in range(start, SIZE):
        assert frontier.root() == merkle.root(size, node)
        frontier.append(LEAVES[size])


def test_a_left_edge_of_another_size_is_refused() -> None:
    for size, hashes in ((3, left_of(4)), (0, left_of(1)), (4, left_of(3))):
        with pytest.raises(ValueError, match="not the subtrees"):
            Frontier(size, hashes)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 64, 65, SIZE])
def test_inclusion_is_proved_for_its_leaf_alone(size: int) -> None:
    root = merkle.root(size, node)
    for number in range(size):
        path = merkle.inclusion(number, size, node)
        assert includes(number, size, LEAVES[number], path, root)
        assert not includes(number, size, LEAVES[(number + 1) % SIZE], path, root)
        assert not includes(number, size, LEAVES[number], [*path, root], root)
        assert not includes(number, size, LEAVES[number], path, bytes(32))
        assert not (path and includes(number, size, LEAVES[number], path[:-1], root))
        assert [other for other in range(size + 2) if includes(other, size, LEAVES[number], path, root)] == [number]
    assert not includes(-1, size, LEAVES[0], [], root)


@pytest.mark.parametrize("old", [1, 2, 3, 6, 7, 8, 33, 64, 69])
def test_consistency_is_proved_for_these_trees_alone(old: int) -> None:
    before = merkle.root(old, node)
    for new in range(old, SIZE + 1):
        path = merkle.consistency(old, new, node)
        after = merkle.root(new, node)
        assert extends(old, new, before, after, path)
        assert not extends(old, new, bytes(32), after, path)
        assert not extends(old, new, before, bytes(32), path)
        assert not extends(old, new, before, after, [*path, after])
        assert not (path and extends(old, new, before, after, path[:-1]))
        assert not extends(new, old, after, before, path) or old == new
    assert not extends(0, old, merkle.root(0, node), before, [])
