"""Every tree of 1 to 300 leaves: all proofs verify here and elsewhere, and nothing else does.

A size and a root go together: what is checked against is the true root of the size that is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scitt_cose import merkle as oracle

from recorder.core.merkle import consistency, inclusion, leaf_hash, root, verify_consistency, verify_inclusion
from tests.unit.core.trees import Tree

LARGEST = 300
SIZES = [range(first, first + 20) for first in range(1, LARGEST + 1, 20)]
EVERYTHING_UP_TO = 24  # sizes of which every wrong index and size is tried, and not only those near by
TREE = Tree(b"entry %d" % number for number in range(LARGEST))
LEAVES = [leaf_hash(entry) for entry in TREE.entries]
HEX = [entry.hex() for entry in TREE.entries]
ROOTS = [root(size, TREE.node) for size in range(LARGEST + 1)]
OTHER = b"\xff" * 32


def near(number: int, largest: int) -> set[int]:
    """Numbers that a wrong implementation could take for *number*, within 0 and *largest*."""
    if largest <= EVERYTHING_UP_TO:
        return set(range(largest + 1)) - {number}
    found = {number - 1, number + 1, number ^ 1, number ^ 2, number >> 1, number * 2, largest - number, 0, largest}
    return {each for each in found if 0 <= each <= largest and each != number}


def spoilt(path: list[bytes]) -> Iterator[list[bytes]]:
    """Proofs that differ from *path* in one place."""
    for place, digest in enumerate(path):
        changed = bytes([digest[0] ^ 1]) + digest[1:]
        yield [*path[:place], changed, *path[place + 1 :]]
        yield [*path[:place], *path[place + 1 :]]
        yield [*path[:place], OTHER, *path[place:]]
        if place and path[place - 1] != digest:
            yield [*path[: place - 1], digest, path[place - 1], *path[place + 1 :]]
    yield [*path, OTHER]
    yield [*path, *path[-1:]] if path else [OTHER, OTHER]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_inclusion_proof(sizes: range) -> None:
    for size in sizes:
        _check_inclusion(size)


def _check_inclusion(size: int) -> None:
    assert ROOTS[size].hex() == oracle.merkle_root(HEX[:size])
    accepted = []
    for index in range(size):
        path = inclusion(index, size, TREE.node)
        assert verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])
        assert oracle.verify_inclusion(HEX[index], index, size, [each.hex() for each in path], ROOTS[size].hex())
        claims = [(LEAVES[index], other, size, path) for other in near(index, size)]
        claims += [(LEAVES[index], index, other, path) for other in near(size, LARGEST) if other]
        claims += [(LEAVES[other], index, size, path) for other in near(index, size - 1)]
        if index % max(1, size // EVERYTHING_UP_TO) == 0:
            claims += [(LEAVES[index], index, size, wrong) for wrong in spoilt(path)]
        accepted += [claim for claim in claims if verify_inclusion(*claim, ROOTS[claim[2]])]
    assert accepted == [], size


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_consistency_proof(sizes: range) -> None:
    for size in sizes:
        _check_consistency(size)


def _check_consistency(new: int) -> None:
    accepted = []
    for old in range(new + 1):
        path = consistency(old, new, TREE.node)
        assert verify_consistency(old, new, path, ROOTS[old], ROOTS[new])
        told = [each.hex() for each in path]
        assert oracle.verify_consistency(ROOTS[old].hex(), ROOTS[new].hex(), old, new, told)
        claims = [(other, new, path, ROOTS[other], ROOTS[new]) for other in near(old, new) if other not in (0, new)]
        claims += [
            (old, other, path, ROOTS[old], ROOTS[other]) for other in near(new, LARGEST) if old not in (0, other)
        ]
        claims += [(old, new, path, OTHER, ROOTS[new])]
        claims += [(old, new, path, ROOTS[old], OTHER)] if old else []  # no leaves are the beginning of any tree
        claims += [(new, old, path, ROOTS[new], ROOTS[old])] if old != new else []
        if old % max(1, new // EVERYTHING_UP_TO) == 0:
            claims += [(old, new, wrong, ROOTS[old], ROOTS[new]) for wrong in spoilt(path)]
        accepted += [claim for claim in claims if verify_consistency(*claim)]
    assert accepted == [], new


def test_a_tree_that_is_another_history_is_not_consistent() -> None:
    """Every leaf of the old tree that is changed, in the new one, makes all proofs fail."""
    for changed in range(0, 64, 5):
        other = Tree(entry + b"!" * (number == changed) for number, entry in enumerate(TREE.entries[:100]))
        for old in range(changed + 1, 100, 7):
            path = consistency(old, 100, other.node)
            assert not verify_consistency(old, 100, path, ROOTS[old], root(100, other.node))
