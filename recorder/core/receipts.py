"""Receipts: that an exchange, up to an event, is in a log that somebody signed for.

A receipt holds all that is needed to check it with the log's key: the entry, its way to the root, the signed
checkpoint. Its **tag** is short enough for the client order id of a broker: whoever keeps that keeps, without knowing,
a commitment to what the model had said before the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recorder.core import merkle
from recorder.core.heads import Leaf, decode_entry, encode_entry, log_id
from recorder.core.link_words import tag_of
from recorder.core.notes import LogProof, NoteKey, Verify, open_checkpoint
from recorder.errors import CorruptRecording


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a head of an event stream is in a log.

    :ivar origin: the log's name.
    :ivar leaf: what was sealed, and when.
    :ivar path: the hashes beside its way to the root, from below.
    :ivar checkpoint: the signed note of a tree that has it.
    """

    origin: str
    leaf: Leaf
    path: tuple[bytes, ...]
    checkpoint: str

    @property
    def entry(self) -> bytes:
        """What the log's tree has as a leaf (docs/format.md, "Ledger")."""
        return encode_entry(log_id(self.origin), self.leaf)

    @property
    def tag(self) -> str:
        """The first 100 bits of the leaf's hash in base32 (RFC 4648), 20 lower-case letters and digits."""
        return tag_of(merkle.leaf_hash(self.entry))

    @property
    def proof(self) -> str:
        """The proof as the text of a ``*.tlog-proof`` file; what is extra in it is the entry."""
        return LogProof(self.leaf.number, self.path, self.checkpoint, self.entry).text

    def check(self, keys: tuple[NoteKey, ...], verify: Verify) -> None:
        """Check it.

        :param keys: of the log, from somewhere else than the receipt.
        :raises CorruptRecording: it does not verify.
        """
        checkpoint = open_checkpoint(self.checkpoint, self.origin, keys, verify)
        hashed, number = merkle.leaf_hash(self.entry), self.leaf.number
        if not merkle.verify_inclusion(hashed, number, checkpoint.size, self.path, checkpoint.root):
            raise CorruptRecording(f"entry {number} is not in the tree that {self.origin} signed")

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it; :func:`from_json` is the way back."""
        return {
            "origin": self.origin,
            "entry": self.entry.hex(),
            "number": self.leaf.number,
            "path": [digest.hex() for digest in self.path],
            "checkpoint": self.checkpoint,
        }


def from_json(facts: dict[str, Any]) -> Receipt:
    """Return the receipt that :meth:`Receipt.as_json` made these facts of; nothing of it is verified."""
    leaf = decode_entry(log_id(facts["origin"]), facts["number"], bytes.fromhex(facts["entry"]))
    return Receipt(facts["origin"], leaf, tuple(map(bytes.fromhex, facts["path"])), facts["checkpoint"])
