"""The Merkle tree: the known vectors, the number of nodes it costs, and what hypothesis makes of it."""

from __future__ import annotations

import hashlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scitt_cose import merkle as oracle

from recorder.core.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    consistency,
    inclusion,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.core.trees import Tree

#: The leaves and roots that implementations of Certificate Transparency share as their test vectors.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
#: index, size, path.
INCLUSIONS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]
#: old, new, path.
CONSISTENCIES = [
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
TREE = Tree(ENTRIES)


@pytest.mark.parametrize("size", range(9))
def test_the_known_roots(size: int) -> None:
    assert root(size, TREE.node).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSIONS)
def test_the_known_inclusion_proofs(index: int, size: int, path: list[str]) -> None:
    found = inclusion(index, size, TREE.node)
    assert [each.hex() for each in found] == path
    assert verify_inclusion(leaf_hash(ENTRIES[index]), index, size, found, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCIES)
def test_the_known_consistency_proofs(old: int, new: int, path: list[str]) -> None:
    found = consistency(old, new, TREE.node)
    assert [each.hex() for each in found] == path
    assert verify_consistency(old, new, found, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]))


def test_the_hashes_are_of_apart_domains() -> None:
    assert leaf_hash(b"ab") == hashlib.sha256(b"\0ab").digest()
    assert node_hash(b"a" * 32, b"b" * 32) == hashlib.sha256(b"\1" + b"a" * 32 + b"b" * 32).digest()


def test_an_odd_node_is_not_paired_with_itself() -> None:
    """Where it is, as in CVE-2012-2459, a tree of three leaves has the root of one of four."""
    three, four = Tree([b"a", b"b", b"c"]), Tree([b"a", b"b", b"c", b"c"])
    assert root(3, three.node) != root(4, four.node)


def test_the_empty_tree() -> None:
    tree = Tree([b"a"])
    one = root(1, tree.node)
    assert root(0, tree.node) == EMPTY_ROOT == hashlib.sha256().digest()
    assert consistency(0, 1, tree.node) == consistency(0, 0, tree.node) == []
    assert verify_consistency(0, 1, [], EMPTY_ROOT, one)
    assert verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    assert not verify_consistency(0, 1, [], one, one)
    assert not verify_consistency(0, 0, [], EMPTY_ROOT, one)
    assert not verify_consistency(0, 0, [], one, one)
    assert not verify_consistency(0, 1, [one], EMPTY_ROOT, one)
    assert not verify_inclusion(leaf_hash(b"a"), 0, 0, [], EMPTY_ROOT)


@pytest.mark.parametrize("sizes", [(-1, 1), (2, 1), (1, MAX_SIZE + 1)])
def test_what_is_no_size_has_no_proof(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no sizes"):
        consistency(*sizes, TREE.node)
    assert not verify_consistency(*sizes, [], EMPTY_ROOT, EMPTY_ROOT)


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (0, MAX_SIZE + 1)])
def test_a_leaf_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no"):
        inclusion(index, size, TREE.node)
    assert not verify_inclusion(leaf_hash(b""), index, size, [], leaf_hash(b""))


def test_a_hash_of_another_size_is_refused() -> None:
    """Or the border between the two halves of a node could be moved."""
    left, right = leaf_hash(ENTRIES[0]), leaf_hash(ENTRIES[1])
    whole = node_hash(left, right)
    assert verify_inclusion(left, 0, 2, [right], whole)
    assert not verify_inclusion(left + right[:1], 0, 2, [right[1:]], whole)
    assert not verify_consistency(1, 2, [right[1:]], left + right[:1], whole)


def test_a_leaf_costs_two_nodes_at_most_and_a_proof_the_height_of_the_tree() -> None:
    tree = Tree()
    made = [tree.add([b"%d" % each]) for each in range(4096)]
    assert sum(made) == 2 * 4096 - 1
    assert tree.reads == 4095  # each inner node once, when it is made
    tree.reads = 0
    assert tree.add([b"x"] * 4096) == 2 * 4096  # a tree as large as the one that is there, and the node above both
    assert tree.reads == 1
    for size in (1, 4095, 4096, 4097, 8191):
        for prove in (lambda size=size: inclusion(size // 2, size, tree.node), lambda size=size: root(size, tree.node)):
            tree.reads = 0
            prove()
            assert tree.reads <= 2 * math.log2(size + 1)


@settings(deadline=None)
@given(batches=st.lists(st.lists(st.binary(max_size=40), max_size=9), max_size=9), data=st.data())
def test_as_an_independent_implementation(batches: list[list[bytes]], data: st.DataObject) -> None:
    tree = Tree()
    for batch in batches:
        tree.add(batch)
    entries = [entry.hex() for entry in tree.entries]
    new = data.draw(st.integers(0, len(entries)))
    old = data.draw(st.integers(0, new))
    roots = [root(size, tree.node).hex() for size in (old, new)]
    assert roots == [oracle.merkle_root(entries[:size]) for size in (old, new)]
    path = [each.hex() for each in consistency(old, new, tree.node)]
    assert path == oracle.consistency_proof(entries, old, new)
    if new:
        index = data.draw(st.integers(0, new - 1))
        found = [each.hex() for each in inclusion(index, new, tree.node)]
        assert found == oracle.inclusion_proof(entries[:new], index)
