"""Which keys of a ledger count: those that somebody vouches for, and what these say of others.

Whoever can write a database can put a key into its journals, and the next recorder that starts seals what it finds
there. So a key does not count because a journal names it: it takes the place of another one where both have signed
that, see :mod:`recorder.core.signed_facts`. From keys that count the way goes to their successors, and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recorder.core.notes import Checkpoint, NoteKey, Verify, open_checkpoint, parse_key, parse_note
from recorder.core.signed_facts import ACCEPTED, SIGNATURE, signature_of, signed_facts, signer_of
from recorder.errors import ConfigurationError, CorruptRecording
from recorder.ledger.keys import SigningKey, verifier

CREATED = "key_created"
ROTATED = "key_rotated"


def rotated(before: SigningKey, after: SigningKey) -> dict[str, Any]:
    """Return the facts of ``key_rotated``, signed by both keys."""
    facts = {"from": before.public.text, "to": after.public.text}
    accepted = signature_of(ROTATED, facts, after.public, after.sign)
    return {**signed_facts(ROTATED, facts, before.public, before.sign), ACCEPTED: accepted}


def counting(start: Iterable[NoteKey], rotations: Sequence[Mapping[str, Any]], verify: Verify) -> tuple[NoteKey, ...]:
    """Return the keys that count.

    :param start: those that somebody vouches for.
    :param rotations: facts of ``key_rotated``, whoever wrote them.
    """
    found, left = dict.fromkeys(start), list(rotations)
    grown = bool(found)
    while grown:
        grown, later = False, []
        for facts in left:
            pair = _pair(facts)
            near = [key for key in pair if key in found]
            if not near:
                later.append(facts)
            elif len(near) == 1 and _signed(facts, pair, verify):
                found.update(dict.fromkeys(pair))
                grown = True
        left = later
    return tuple(found)


def _pair(facts: Mapping[str, Any]) -> tuple[NoteKey, ...]:
    try:
        before, after = (parse_key(str(facts.get(name))) for name in ("from", "to"))
    except ConfigurationError:
        return ()
    return (before, after) if before.name == after.name else ()


def _signed(facts: Mapping[str, Any], pair: tuple[NoteKey, ...], verify: Verify) -> bool:
    names = zip(pair, (SIGNATURE, ACCEPTED), strict=True)
    return all(signer_of(ROTATED, facts, [key], verify, name) is not None for key, name in names)


def foreign_signer(note: str, keys: Sequence[NoteKey]) -> str | None:
    """Return the key of a note that no signature line says to be of one of some keys; None: one does, or it is none."""
    try:
        lines = parse_note(note).signatures
    except CorruptRecording:
        return None
    ours = {(key.name, key.key_id) for key in keys}
    if not lines or any((line.name, line.key_id) in ours for line in lines):
        return None
    return f"{lines[0].name}+{lines[0].key_id.hex()}"


def foreign_told(size: int, signer: str) -> str:
    """Return what is said of a checkpoint in the store that nobody here signed."""
    return (
        f"the store's checkpoint of {size:,} entries is signed by {signer}, a key that nobody here made: somebody else "
        "wrote the database, unless that key was made on another machine of yours; run `recorder verify`, compare "
        "with a backup, see docs/howto-auditor.md"
    )


def open_own(size: int, note: str, origin: str, keys: Sequence[NoteKey]) -> Checkpoint:
    """Return the checkpoint of a note in the store that one of some keys signed.

    :raises CorruptRecording: it is another one, or somebody else signed it.
    """
    try:
        return open_checkpoint(note, origin, keys, verifier())
    except CorruptRecording as error:
        signer = foreign_signer(note, keys)
        if signer is None:
            raise
        raise CorruptRecording(foreign_told(size, signer)) from error
