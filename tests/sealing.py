"""Stores that are sealed, and what must be true of them whatever has happened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

from recorder.clock import SystemClock
from recorder.core.heads import Leaf, encode_entry, log_id
from recorder.core.notes import open_checkpoint
from recorder.core.receipts import from_json
from recorder.ledger import keys
from recorder.ledger.outside import read_signed
from recorder.store import open_store
from tests.recorded import journals, streams

ORIGIN = "example.com/bot"


def founded(url: str) -> str:
    """Give a store a ledger, and make its key where there is none; return the store's URL."""
    if keys.load(ORIGIN) is None:
        keys.create(ORIGIN, SystemClock())
    with closing(open_store(url, write=True)) as store:
        store.ledger.found(ORIGIN)
    return url


def roots(entries: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the root of the tree of the first 1, 2, 3, … entries: RFC 9162, from complete subtrees on a stack."""
    stack: list[tuple[int, bytes]] = []
    for entry in entries:
        level, digest = 0, hashlib.sha256(b"\0" + entry).digest()
        while stack and stack[-1][0] == level:
            level, digest = level + 1, hashlib.sha256(b"\1" + stack.pop()[1] + digest).digest()
        stack.append((level, digest))
        made = stack[-1][1]
        for _, left in reversed(stack[:-1]):
            made = hashlib.sha256(b"\1" + left + made).digest()
        yield made


def check_sealed(url: str, *, whole: bool = True) -> list[Leaf]:
    """Check a store's ledger against its events and against all that was ever signed of it; return its leaves.

    :param whole: nothing is to be left unsealed, and nothing that is outside to be missing from the store.
    """
    with closing(open_store(url, write=False)) as store:
        size = store.ledger.size()
        leaves = list(store.ledger.leaves(0, size))
        made = list(roots(store.ledger.entries(0, size)))
        inside = list(store.ledger.checkpoints())
    assert [leaf.number for leaf in leaves] == list(range(size))
    outside = list(read_signed(ORIGIN, keys.known(ORIGIN)))
    for signed in outside:
        assert made[signed.checkpoint.size - 1] == signed.checkpoint.root, "a checkpoint that this ledger contradicts"
    for covered, note in inside:
        checkpoint = open_checkpoint(note, ORIGIN, keys.known(ORIGIN), keys.verifier())
        assert (checkpoint.size, checkpoint.root) == (covered, made[covered - 1])
    _check_leaves(leaves, url, whole=whole)
    if whole and leaves:
        assert outside[-1].checkpoint.size == size
        assert inside[-1] == (size, outside[-1].note)
    return leaves


def _check_leaves(leaves: list[Leaf], url: str, *, whole: bool) -> None:
    """Check that what was sealed of each stream is still there, and that each leaf names the one before it."""
    stored = {events[0].stream: events for events in (streams(url) | journals(url)).values()}
    last: dict[bytes, Leaf] = {}
    for leaf in leaves:
        stream, length, digest = leaf.head.stream, leaf.head.length, leaf.head.hash
        assert len(stored[stream]) >= length, "sealed events are lost"
        assert stored[stream][length - 1].hash == digest, "sealed events are not those that are there"
        known = last.get(stream)
        assert leaf.before == (0 if known is None else known.number + 1)
        assert known is None or known.head.length < length
        last[stream] = leaf
    if whole:
        assert {stream: len(events) for stream, events in stored.items()} == {
            stream: leaf.head.length for stream, leaf in last.items()
        }


def check_receipt(told: Mapping[str, Any], leaves: list[Leaf]) -> None:
    """Check a receipt that somebody was given, as JSON has it, against the ledger as it is now."""
    receipt = from_json(dict(told))
    receipt.check(keys.known(ORIGIN), keys.verifier())
    assert leaves[receipt.leaf.number] == receipt.leaf
    checkpoint = open_checkpoint(receipt.checkpoint, ORIGIN, keys.known(ORIGIN), keys.verifier())
    entries = (encode_entry(log_id(ORIGIN), leaf) for leaf in leaves[: checkpoint.size])
    *_, root = roots(entries)
    assert root == checkpoint.root, "the log of a receipt is not the beginning of this one"
