"""The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1), over nodes that are kept somewhere else.

Kept are the hashes of complete subtrees alone, which never change: node ``(level, number)`` is the hash over the
``2**level`` leaves from ``number * 2**level`` on, and level 0 is the leaf hashes. Whatever else a root or a proof
needs is made from at most two of them a level. So appending a leaf costs amortised one node, and a root or a proof
O(log n) reads.

Whoever verifies works out from the sizes alone which hashes a proof has to have, and where each of them stands; a
proof says nothing about its own shape. One with a hash too many or too few is refused. A single node has no
partner and is carried up as it is, never paired with itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

#: Root of the tree without leaves: SHA-256 of nothing.
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
#: Sizes beyond this are refused: what a store and every 64-bit verifier can count.
MAX_SIZE: Final = 2**63 - 1

#: Takes level and number, returns the hash of that complete subtree.
Node = Callable[[int, int], bytes]

_HASH_SIZE: Final = 32
_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 | entry)."""
    return _sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 | left | right)."""
    return _sha256(b"\1" + left + right).digest()


def appended(size: int, leaves: Iterable[bytes], node: Node) -> Iterator[tuple[int, int, bytes]]:
    """Yield the nodes that the tree gains with new leaves, as level, number and hash; each once, left before right.

    :param size: how many leaves the tree has.
    :param leaves: hashes of the new ones.
    :param node: reads the nodes that the tree has; asked at most once a level.
    """
    lefts: dict[int, bytes] = {}
    for leaf, start in enumerate(leaves, size):
        level, number, digest = 0, leaf, start
        yield level, number, digest
        while number & 1:
            left = lefts.pop(level) if level in lefts else node(level, number - 1)
            level, number, digest = level + 1, number >> 1, node_hash(left, digest)
            yield level, number, digest
        lefts[level] = digest


def root(size: int, node: Node) -> bytes:
    """Return the root of the tree of the first *size* leaves (RFC 9162 §2.1.1).

    :raises ValueError: *size* is no size of a tree.
    """
    _check(0, size)
    return _subtree(0, size, node) if size else EMPTY_ROOT


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that a leaf is in a tree: the hashes beside its way up, from below (RFC 9162 §2.1.3.1).

    :param index: number of the leaf.
    :raises ValueError: there is no such leaf.
    """
    if index < 0:
        raise ValueError(f"there is no leaf {index}")
    _check(index + 1, size)
    return [_subtree(start, end, node) for start, end in _beside_leaf(index, size)]


def consistency(old: int, new: int, node: Node) -> list[bytes]:
    """Return the proof that one tree is the beginning of another (RFC 9162 §2.1.4.1).

    It is empty where one of them is, or where they are the same.

    :param old: size of the smaller one.
    :param new: size of the larger one.
    :raises ValueError: *old* is larger, or these are no sizes of trees.
    """
    _check(old, new)
    if old in (0, new):
        return []
    shared, beside = _beside_old(old, new)
    return [_subtree(start, end, node) for start, end in ([shared] if shared[0] else []) + beside]


class Frontier:
    """The tree of leaves that come one after the other, as little of it as its root needs.

    :ivar size: how many there were.
    """

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[bytes] = []  # complete ones, from the largest

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Take the hash of the next leaf; return the nodes that the tree gains: level, number and hash."""
        gained = [(0, self.size, leaf)]
        level, number, digest = gained[0]
        while number & 1:
            level, number, digest = level + 1, number >> 1, node_hash(self._subtrees.pop(), digest)
            gained.append((level, number, digest))
        self._subtrees.append(digest)
        self.size += 1
        return gained

    def root(self) -> bytes:
        """Return the root of the leaves so far."""
        if not self._subtrees:
            return EMPTY_ROOT
        digest = self._subtrees[-1]
        for left in reversed(self._subtrees[:-1]):
            digest = node_hash(left, digest)
        return digest


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """Return whether *path* proves a leaf to be in the tree of that root (RFC 9162 §2.1.3.2).

    :param leaf: hash of the leaf.
    :param index: number of the leaf; *size*: size of the tree; *expected*: its root. All three must come from
        what is trusted, as a signed checkpoint, and not from whoever made the proof.
    """
    if not 0 <= index < size <= MAX_SIZE or not _are_hashes((leaf, expected, *path)):
        return False
    places = _beside_leaf(index, size)
    if len(places) != len(path):
        return False
    digest = leaf
    for (start, _), other in zip(places, path, strict=True):
        digest = node_hash(digest, other) if start > index else node_hash(other, digest)
    return digest == expected


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Return whether *path* proves the tree of *old_root* to be the beginning of that of *new_root* (§2.1.4.2).

    :param old: size of the smaller tree, *new*: of the larger one; as trusted as their roots.
    """
    if not 0 <= old <= new <= MAX_SIZE or not _are_hashes((old_root, new_root, *path)):
        return False
    if (old == 0 and old_root != EMPTY_ROOT) or (new == 0 and new_root != EMPTY_ROOT):
        return False
    if old in (0, new):
        return not path and (old == 0 or old_root == new_root)
    shared, beside = _beside_old(old, new)
    seeded = shared[0] == 0  # the old tree is itself a subtree of the new one, and is not told again
    if len(path) != len(beside) + (not seeded):
        return False
    before = after = old_root if seeded else path[0]
    for (start, _), other in zip(beside, path if seeded else path[1:], strict=True):
        if start < old:
            before, after = node_hash(other, before), node_hash(other, after)
        else:
            after = node_hash(after, other)
    return before == old_root and after == new_root


def _check(old: int, new: int) -> None:
    if not 0 <= old <= new <= MAX_SIZE:
        raise ValueError(f"these are no sizes of a tree and a larger one: {old}, {new}")


def _are_hashes(hashes: Iterable[bytes]) -> bool:
    return all(len(each) == _HASH_SIZE for each in hashes)


def _half(size: int) -> int:
    """Return where a tree of *size* leaves is parted: the largest power of two below it."""
    return 1 << (size - 1).bit_length() - 1


def _beside_leaf(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves beside the way from a leaf to the root, from below."""
    start, end = 0, size
    ranges = []
    while end - start > 1:
        middle = start + _half(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def _beside_old(old: int, new: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Return the last subtree that both trees share, and the ranges beside its way to the new root, from below."""
    start, end = 0, new
    ranges = []
    while end != old:
        middle = start + _half(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return (start, end), ranges[::-1]


def _subtree(start: int, end: int, node: Node) -> bytes:
    """Return the hash over the leaves from *start* to before *end*, which the tree's own parting made a range of."""
    size = end - start
    parts = []
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            parts.append(node(level, start >> level))
            start += 1 << level
    digest = parts.pop()
    while parts:
        digest = node_hash(parts.pop(), digest)
    return digest
