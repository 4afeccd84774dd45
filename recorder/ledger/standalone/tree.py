"""The tree of the ledger (RFC 9162): roots from leaves, inclusion and consistency.

Nothing that is said beside a proof is believed: which hashes a path must have, and on which side, follows from
numbers and sizes that a signature covers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The whole subtrees that a tree of some size consists of, the largest first; leaves are added at its right.

    :param size: leaves of the tree so far; each of its binary ones is a whole subtree.
    :param hashes: the hashes of these, the largest first.
    :raises ValueError: there are more or fewer hashes than subtrees.
    """

    def __init__(self, size: int, hashes: Sequence[bytes]) -> None:
        if len(hashes) != bin(size).count("1"):
            raise ValueError("these are not the subtrees of a tree of that size")
        self.size = size
        self._hashes: list[bytes] = list(hashes)

    def append(self, hashed: bytes) -> None:
        """Add a leaf by its hash."""
        full = self.size
        while full & 1:
            hashed = node_hash(self._hashes.pop(), hashed)
            full >>= 1
        self._hashes.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        if not self._hashes:
            return hashlib.sha256(b"").digest()
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root


def includes(number: int, size: int, hashed: bytes, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether *path* proves that the leaf *number* of a tree has this hash (RFC 9162, 2.1.3.2)."""
    if not 0 <= number < size:
        return False
    at, last = number, size - 1
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            hashed = node_hash(sibling, hashed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and hashed == root


def extends(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether *path* proves that the tree of *new* leaves goes on from that of *old* (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    hashes = list(path)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root
