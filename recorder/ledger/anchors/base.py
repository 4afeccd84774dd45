"""What an anchor owes: it leaves a trace of a signed checkpoint elsewhere, and can tell later what that proves.

A ledger beside its data shows everything to who trusts the holder of its key. Against the holder himself it takes
something that he cannot change: a checkpoint that lies somewhere else. An anchor is one such place. None of them
disturbs recording or sealing: what cannot be anchored is told, and tried again (:mod:`recorder.ledger.anchoring`).

Contract suite: tests/unit/ledger/anchors/test_contract.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from recorder.core.notes import Checkpoint, parse_checkpoint, parse_note

#: The most that an anchor may answer, in bytes: a time stamp with its certificates has a few thousand.
LARGEST_EVIDENCE: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class StampedTime:
    """When somebody else saw a checkpoint, by his own clock.

    :ivar at_ns: what he wrote, UTC nanoseconds.
    :ivar not_before_ns: that time less its accuracy.
    :ivar not_after_ns: that time, its accuracy, and a second where he wrote whole seconds.
    :ivar by: who he is, as his certificate says.
    """

    at_ns: int
    not_before_ns: int
    not_after_ns: int
    by: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What the evidence of an anchor says of a checkpoint, in plain words.

    :ivar state: ``confirmed``: the trace is there, and of this checkpoint; ``contradicted``: there is another one, or
        none where one should be; ``not checked``: it could not be looked at from here.
    :ivar told: what was found, one sentence.
    :ivar proves: what follows from it.
    :ivar not_proved: what does not.
    :ivar time: when it was seen there, where that is proved.
    """

    state: Literal["confirmed", "contradicted", "not checked"]
    told: str
    proves: str
    not_proved: str
    time: StampedTime | None = None


class Anchor(Protocol):
    """A place outside."""

    @property
    def name(self) -> str:
        """What it is called in the store and on the terminal: its text without what may be secret in it."""
        ...

    @property
    def every_s(self) -> float:
        """Seconds from one checkpoint that is anchored here to the next: what comes in between is part of that."""
        ...

    def leave(self, note: bytes) -> bytes:
        """Leave a trace of a checkpoint; leaving it again is fine.

        :param note: the signed note, with its signatures.
        :returns: the evidence: at most :data:`LARGEST_EVIDENCE` bytes, to be kept with the checkpoint.
        :raises AnchorFailed: it cannot be reached, or did not do what it should.
        """
        ...

    def give_up(self) -> None:
        """End what :meth:`leave` waits for in another thread, where that would go on without this process."""
        ...

    def check(self, note: bytes, evidence: bytes) -> Checked:
        """Say what evidence proves of a checkpoint; looks at what is outside where it can."""
        ...

    def held(self) -> Iterator[bytes]:
        """Yield the notes that are kept outside, the oldest first; nothing where an anchor keeps none.

        They are what a store that was rolled back or rewritten no longer agrees with.

        :raises AnchorFailed: it cannot be reached.
        """
        ...


def checkpoint_of(note: bytes) -> Checkpoint:
    """Return what a note says of its log; no signature is verified.

    :raises CorruptRecording: it is no checkpoint.
    """
    return parse_checkpoint(parse_note(note).text)


def digest_of(note: bytes) -> str:
    """Return what identifies a note, its signatures included: its SHA-256 in hexadecimal."""
    return hashlib.sha256(note).hexdigest()
