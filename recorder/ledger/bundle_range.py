"""Which part of the ledger belongs into a bundle, and how a bundle has it.

All leaves from the first one of what is in the bundle to a checkpoint that covers the last one: so it is seen what
else was sealed in between, and no leaf can be left out. What lies left of the range is there as the few subtrees that
it consists of; what comes later, as proofs that the ledger only grew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from recorder.clock import id_text
from recorder.core.heads import Leaf, encode_entry, log_id
from recorder.core.notes import LogProof
from recorder.errors import ConfigurationError
from recorder.store.base import Anchored, Ledger

_PIECE: Final = 500  # leaves


@dataclass(frozen=True)
class Range:
    """Leaves of a ledger with the checkpoints that cover them.

    :ivar start: number of the first leaf; ``end``: number after the last, for which there is a checkpoint.
    :ivar notes: the checkpoints, by size: that of the end, the last one, and those that anchors are of.
    :ivar anchors: what was got from outside for them.
    """

    origin: str
    start: int
    end: int
    notes: Mapping[int, str]
    anchors: tuple[Anchored, ...]


def covered(ledger: Ledger) -> int:
    """Return how many leaves the newest checkpoint covers; 0: there is none."""
    last = ledger.last_checkpoint()
    return 0 if last is None else last[0]


def leaves_of(ledger: Ledger, stream: bytes, limit: int, kind: str) -> list[Leaf]:
    """Return the leaves of an event stream with numbers below *limit*.

    :param kind: what it is, for people.
    :raises ConfigurationError: there is none: it is not sealed yet.
    """
    found = [leaf for leaf in ledger.leaves_of(stream) if leaf.number < limit]
    if not found:
        told = f"the {kind} {id_text(stream)} is not sealed yet"
        raise ConfigurationError(f"{told}: look with `recorder verify` whose it is, then run `recorder seal`")
    return found


def range_of(ledger: Ledger, origin: str, needed: Iterable[int], before: Iterable[int] = ()) -> Range:
    """Return the range that has the leaves of some numbers.

    :param needed: numbers of leaves that a checkpoint covers.
    :param before: numbers that may lie left of the range, but not behind it.
    """
    numbers = list(needed)
    start, least = min(numbers), max((*numbers, *before)) + 1
    last = ledger.last_checkpoint()
    assert last is not None  # it covers what is needed
    end, note = next(((size, note) for size, note in ledger.checkpoints() if size >= least), last)
    anchors = tuple(_anchors(ledger, start, end))
    wanted = {one.size for one in anchors}
    notes = {size: text for size, text in ledger.checkpoints() if size in wanted} if wanted else {}
    kept = tuple(one for one in anchors if one.size in notes)
    return Range(origin, start, end, dict(sorted({**notes, end: note, last[0]: last[1]}.items())), kept)


def _anchors(ledger: Ledger, start: int, end: int) -> Iterator[Anchored]:
    """Yield those within the range, and the first behind it of each thing outside that gave any."""
    behind: dict[str, Anchored] = {}
    for one in ledger.anchors():
        if start < one.size < end:
            yield one
        elif one.size >= end:
            known = behind.get(one.anchor)
            if known is None or one.size < known.size:
                behind[one.anchor] = one
    yield from behind.values()


def entries(ledger: Ledger, within: Range) -> Iterator[bytes]:
    """Yield the entries of all leaves of the range, in order, some at a time."""
    log = log_id(within.origin)
    piece: list[bytes] = []
    for leaf in ledger.leaves(within.start, within.end):
        piece.append(encode_entry(log, leaf))
        if len(piece) == _PIECE:
            yield b"".join(piece)
            piece.clear()
    yield b"".join(piece)


def left_of_range(ledger: Ledger, within: Range) -> bytes:
    """Return the hashes of the whole subtrees left of the range, the largest first."""
    hashes, at = [], 0
    for level in reversed(range(within.start.bit_length())):
        if within.start >> level & 1:
            hashes.append(ledger.node(level, at >> level))
            at += 1 << level
    return b"".join(hashes)


def consistency_proofs(ledger: Ledger, within: Range) -> Iterator[tuple[int, bytes]]:
    """Yield, of each checkpoint behind the range, its size and the proof that its tree goes on from the range's end."""
    for size in within.notes:
        if size > within.end:
            yield size, b"".join(ledger.consistency(within.end, size))


def proof_text(ledger: Ledger, within: Range, leaf: Leaf) -> str:
    """Return the proof that a leaf is in the ledger, by the checkpoint of the range's end."""
    outside = not within.start <= leaf.number < within.end
    extra = encode_entry(log_id(within.origin), leaf) if outside else None
    path = tuple(ledger.inclusion(leaf.number, within.end))
    return LogProof(leaf.number, path, within.notes[within.end], extra).text


def first_leaf_proof(ledger: Ledger, within: Range) -> str:
    """Return the proof of the first leaf of all, which tells when the ledger began; empty where the range has it."""
    first = next(iter(ledger.leaves(0, 1))) if within.start else None
    return "" if first is None else proof_text(ledger, within, first)
