"""Merkle trees in memory, grown leaf by leaf as a store grows them."""

from __future__ import annotations

from collections.abc import Iterable

from recorder.core.merkle import appended, leaf_hash


class Tree:
    """The nodes of a tree.

    :ivar nodes: by level and number.
    :ivar reads: how many nodes were asked for.
    """

    def __init__(self, entries: Iterable[bytes] = ()) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.entries: list[bytes] = []
        self.reads = 0
        self.add(entries)

    def add(self, entries: Iterable[bytes]) -> int:
        """Append leaves; return how many nodes that made."""
        before = len(self.nodes)
        entries = list(entries)
        new = list(appended(len(self.entries), map(leaf_hash, entries), self.node))
        self.nodes.update(((level, number), digest) for level, number, digest in new)
        self.entries += entries
        assert len(self.nodes) - before == len(new), "a node was made twice"
        return len(new)

    def node(self, level: int, number: int) -> bytes:
        self.reads += 1
        return self.nodes[level, number]
