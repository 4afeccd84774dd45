"""What the outside says of a store: the evidence that the store keeps, and the checkpoints that anchors keep.

The second is what counts against whoever holds the store and its key: a checkpoint elsewhere with which the ledger no
longer agrees shows that it was put back to an older state, cut, or made anew.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from recorder.clock import id_text
from recorder.core.json_text import rfc3339
from recorder.core.notes import NoteKey, open_checkpoint
from recorder.errors import CorruptRecording
from recorder.ledger.anchors import Anchor, Checked, check_evidence
from recorder.ledger.anchors.base import checkpoint_of
from recorder.store.base import Anchored, Ledger

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Looked:
    """A trace that a store says was left outside, and what it proves."""

    anchored: Anchored
    checked: Checked

    def as_json(self) -> dict[str, Any]:
        """Return what ``anchor --json`` prints (docs/schema/anchor.schema.json)."""
        one, checked = self.anchored, self.checked
        shown = {
            "id": id_text(one.id),
            "anchor": one.anchor,
            "size": one.size,
            "made_at": rfc3339(one.made_ns),
            "evidence": base64.b64encode(one.evidence).decode(),
            "evidence_sha256": hashlib.sha256(one.evidence).hexdigest(),
            "state": checked.state.replace(" ", "_"),
            "told": checked.told,
            "proves": checked.proves,
            "not_proved": checked.not_proved,
        }
        if checked.time is not None:
            shown["by"] = checked.time.by
            shown["not_before"] = rfc3339(checked.time.not_before_ns)
            shown["not_after"] = rfc3339(checked.time.not_after_ns)
        return shown


def look(ledger: Ledger, known: Sequence[Anchor] = (), roots: Sequence[Certificate] = ()) -> Iterator[Looked]:
    """Yield every trace of a store with what it proves, in the order in which they were left.

    :param known: anchors that whoever asks has named himself; others of files and commands are not looked at.
    :param roots: certificates that he trusts, for time stamps.
    """
    notes = dict(ledger.checkpoints())
    for one in ledger.anchors():
        note = notes.get(one.size)
        if note is None:
            told = f"{one.anchor} is said to have a checkpoint of {one.size:,} leaves, which is not in the store"
            yield Looked(one, Checked("contradicted", told, "that it was removed from the store", "anything more"))
        else:
            yield Looked(one, check_evidence(one.anchor, note.encode(), one.evidence, known, roots))


def anchored_sizes(ledger: Ledger) -> dict[str, int]:
    """Return the size of the largest checkpoint that was left at each anchor, by its name."""
    found: dict[str, int] = {}
    for one in ledger.anchors():
        found[one.anchor] = max(one.size, found.get(one.anchor, 0))
    return found


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A checkpoint outside with which a ledger does not agree.

    :ivar anchor: where it is.
    :ivar size: its leaves.
    :ivar kind: ``rolled_back``: the ledger has fewer; ``rewritten``: its first ones are others; ``unsigned``: none of
        the log's keys signed it, so that it says nothing of the log.
    :ivar told: one sentence.
    """

    anchor: str
    size: int
    kind: Literal["rolled_back", "rewritten", "unsigned"]
    told: str


def disagreements(ledger: Ledger, anchor: Anchor, keys: Sequence[NoteKey] = ()) -> Iterator[Disagreement]:
    """Yield the checkpoints that an anchor holds of this ledger and that it does not agree with.

    :param keys: public keys of the log; none: signatures are not checked.
    :raises AnchorFailed: the anchor cannot be reached.
    """
    origin, size = ledger.origin(), ledger.size()
    for note in anchor.held():
        try:
            checkpoint = checkpoint_of(note)
        except CorruptRecording:
            continue  # what is no checkpoint is none of this log
        if checkpoint.origin != origin:
            continue
        where = f"{anchor.name} holds a checkpoint of {checkpoint.size:,} leaves"
        try:
            if keys:
                open_checkpoint(note, origin, keys)
        except CorruptRecording as error:
            yield Disagreement(anchor.name, checkpoint.size, "unsigned", f"{where} that is not the log's: {error}")
            continue
        if checkpoint.size > size:
            told = f"{where}, but the store's ledger has {size:,}: it was put back to an older state, or cut"
            yield Disagreement(anchor.name, checkpoint.size, "rolled_back", told)
        elif ledger.root(checkpoint.size) != checkpoint.root:
            told = f"{where} whose root is another one than the store's: the ledger was made anew, or changed"
            yield Disagreement(anchor.name, checkpoint.size, "rewritten", told)
