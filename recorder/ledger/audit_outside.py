"""What is kept outside of a store, and the keys that an auditor got from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from recorder.core.heads import log_id
from recorder.core.key_spelling import fingerprints_in
from recorder.core.notes import NoteKey, open_checkpoint, parse_key
from recorder.errors import ConfigurationError, CorruptRecording
from recorder.ledger.anchors import Anchor
from recorder.ledger.anchors.base import checkpoint_of
from recorder.ledger.audit_ledger import Claim
from recorder.ledger.keys import fingerprint, verifier
from recorder.ledger.outside import read_signed
from recorder.ledger.tally import Tally
from recorder.locations import signed_checkpoints

if TYPE_CHECKING:
    from recorder.ledger.audit import Asked


@dataclass
class Outside:
    """The checkpoints of a log that are kept outside of its store.

    :ivar path: the file of this machine; None where the store has no ledger.
    :ivar anchors: places that the auditor names.
    :ivar read: how many checkpoints there were.
    """

    path: Path | None
    origin: str | None
    anchors: Sequence[Anchor]
    tally: Tally
    read: int = 0
    present: bool = False
    _held: list[tuple[str, bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, origin: str | None, asked: Asked, tally: Tally) -> Outside:
        """Return what is outside; places that are named are read at once: before the store, which only grows.

        :raises AnchorFailed: one cannot be reached.
        """
        path = asked.outside
        if path is None and origin is not None:
            path = signed_checkpoints(log_id(origin))
        made = cls(path, origin, asked.anchors, tally)
        made.present = path is not None and path.exists()
        made._held = [(anchor.name, note) for anchor in asked.anchors for note in anchor.held()]
        return made

    def claims(self, keys: Sequence[NoteKey]) -> Iterator[Claim]:
        """Yield what was signed of this log.

        :param keys: that may have signed; none: signatures are not checked.
        """
        if self.origin is None:
            return
        yield from self._own(self.origin, keys)
        for name, note in self._held:
            try:
                checkpoint = checkpoint_of(note)
            except CorruptRecording:
                continue  # what is no checkpoint is none of this log
            if checkpoint.origin != self.origin:
                continue
            try:
                if keys:
                    open_checkpoint(note, self.origin, keys, verifier())
            except CorruptRecording as error:
                told = f"{name} holds a checkpoint of {checkpoint.size:,} leaves that is not the log's: {error}"
                self.tally.find(b"", None, name, "unsigned", told)
                continue
            self.read += 1
            yield Claim(checkpoint, name, note.decode(errors="replace"))

    def _own(self, origin: str, keys: Sequence[NoteKey]) -> Iterator[Claim]:
        if not self.present or self.path is None or not keys:
            return
        try:
            for signed in read_signed(origin, keys, self.path):
                self.read += 1
                yield Claim(signed.checkpoint, str(self.path), signed.note)
        except CorruptRecording as error:
            self.tally.find(b"", None, "note", "signature", f"what was signed, outside of the store: {error}")


def trusted_keys(
    texts: Sequence[str], known: Sequence[NoteKey], origin: str | None, tally: Tally
) -> tuple[NoteKey, ...]:
    """Return the keys that an auditor names.

    :param texts: vkeys, or fingerprints with or without blanks.
    :param known: among which a fingerprint is looked for.
    :param origin: of the ledger; None where there is none.
    :raises ConfigurationError: one is neither.
    """
    found = []
    for text in _each(texts):
        key = _key(text, known)
        if key is None:
            told = "no public key that is known here has that fingerprint: give the whole key (--key NAME+…)"
            tally.find(b"", None, text.strip()[:80], "key", told)
        elif key.name != origin:
            named = f"the ledger has the name {origin}" if origin is not None else "the store has no ledger"
            tally.find(b"", None, key.name[:80], "key", f"{named}: nothing in it is signed by the key of {key.name}")
        else:
            found.append(key)
    return tuple(found)


def check_keys(texts: Sequence[str]) -> None:
    """Refuse what is neither a fingerprint nor a key.

    :raises ConfigurationError: one is neither.
    """
    for text in _each(texts):
        _key(text, ())


def _each(texts: Sequence[str]) -> Iterator[str]:
    """Yield what is given, each fingerprint by itself: after a rotation ``recorder keys show`` prints several."""
    for text in texts:
        yield from fingerprints_in(text) or [text]


def _key(text: str, known: Sequence[NoteKey]) -> NoteKey | None:
    digits = next(iter(fingerprints_in(text)), None)
    if digits is None:
        if "+" in text:
            return parse_key(text.strip())
        raise ConfigurationError(
            f"{' '.join(text.split())[:200]!r} is no fingerprint of a key: that has 64 hexadecimal digits, as "
            "`recorder keys show` prints it where the store is sealed; ask whoever records for it, by another way than "
            "the store, and put it in quotation marks, since it has blanks"
        )
    return next((one for one in known if "".join(fingerprint(one).split()) == digits), None)
