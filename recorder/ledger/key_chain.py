"""Which keys of a ledger count: those that somebody vouches for, and what these say of others.

Whoever can write a database can put a key into its journals, and the next recorder that starts seals what it finds
there. So a key does not count because a journal names it: it takes the place of another one where both have signed
that, see :mod:`recorder.core.signed_facts`. From keys that count the way goes to their successors, and back.

A key that was rotated away counts for what was sealed before that, and no longer: whoever steals it later can sign, but
not put what he signs before what the ledger holds already. What says that it was rotated may itself be sealed late: so
it counts no longer, either, from the first checkpoint on that a key which followed it has signed. A key of a ledger
whose place this one has taken counts for what was sealed up to what says so.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from recorder.core.act_order import LeafOf
from recorder.core.events import Event
from recorder.core.notes import Checkpoint, NoteKey, open_checkpoint, parse_key, parse_note
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


class Fork(NamedTuple):
    """That a key was followed by more than one.

    :ivar after: those that follow it, the first to be sealed first.
    :ivar told_by: journal and version that tell of the last of them.
    """

    before: NoteKey
    after: tuple[NoteKey, ...]
    told_by: tuple[bytes, int]


@dataclass(frozen=True)
class KeyChain:
    """The keys of a ledger that count, and from where on one of them does not any more.

    :ivar keys: those that count, each before the one that follows it.
    :ivar later: of keys that were rotated away, the one that took its place.
    :ivar retired: of these, and of *former*, the number of the leaf that seals what ends them: what is sealed after
        it, the key did not sign while it was in force.
    :ivar forks: keys that were followed by more than one. What the holder of a key signed last counts for nothing: of
        two that follow it, the one that somebody vouches for counts, else the one that was sealed first.
    :ivar former: keys of ledgers whose place this one has taken: they vouch for what was done then.
    """

    keys: tuple[NoteKey, ...] = ()
    later: Mapping[NoteKey, NoteKey] = field(default_factory=dict)
    retired: Mapping[NoteKey, int] = field(default_factory=dict)
    forks: tuple[Fork, ...] = ()
    former: tuple[NoteKey, ...] = ()

    def followers(self, key: NoteKey) -> list[NoteKey]:
        """Return the keys that came after one, in order."""
        found: list[NoteKey] = []
        while (after := self.later.get(key)) is not None and after not in found:
            found.append(after)
            key = after
        return found

    def ended(self, key: NoteKey) -> str:
        """Return in words what a key that is not in force any more had come to, as a sentence's end."""
        if key in self.former:
            return "is a key of a ledger whose place this one had taken by then"
        return "had been rotated away by then"

    def in_force(self, key: NoteKey, leaf: int | None) -> bool:
        """Whether a key was in force when something was sealed that it signed.

        :param leaf: the number of the first leaf that seals it; None: it is not sealed, so it comes after all that is.
        """
        last = self.retired.get(key)
        return last is None or (leaf is not None and leaf <= last)

    def signer(self, kind: str, facts: Mapping[str, Any]) -> NoteKey | None:
        """Return the key that signed facts, whether it was in force or not; None: it is none that counts.

        :param kind: type of the event.
        """
        return signer_of(kind, facts, (*self.keys, *self.former), verifier())

    def vouches_for(self, kind: str, facts: Mapping[str, Any], place: tuple[bytes, int], leaf_of: LeafOf) -> bool:
        """Whether a key that was in force signed facts; where no key is known, whether they say that one did.

        :param kind: type of the event; *place*: its journal and its version there.
        """
        if not self.keys:
            return isinstance(facts.get(SIGNATURE), str)
        signer = self.signer(kind, facts)
        if signer is None or signer not in self.retired:
            return signer is not None
        return self.in_force(signer, leaf_of(*place))

    def counts(self, event: Event, leaf_of: LeafOf) -> bool:
        """Whether a key that was in force signed the facts of an event; any event counts where no key is known."""
        return not self.keys or self.vouches_for(event.type, event.facts, (event.stream, event.version), leaf_of)


def chain_of(start: Iterable[NoteKey], rotations: Iterable[Event], leaf_of: LeafOf) -> KeyChain:
    """Return the keys that count.

    :param start: those that somebody vouches for.
    :param rotations: events ``key_rotated``, whoever wrote them.
    :param leaf_of: where in the ledger one of them stands.
    """
    steps = _Steps(rotations, leaf_of)
    found = dict.fromkeys(start)
    waiting = list(found)
    while waiting:  # what a key says of the one before it goes before what that says of others
        before = [one for one in steps.before(waiting.pop()) if one not in found]
        found.update(dict.fromkeys(before))
        waiting += before
    waiting = list(found)
    while waiting:
        after = steps.after(waiting.pop())
        if after and not any(one in found for one in after):
            found[after[0]] = None
            waiting.append(after[0])
    followed = {key: after for key in found if (after := steps.after(key))}
    later = {key: next(one for one in after if one in found) for key, after in followed.items()}
    leaves = {key: steps.leaf(key, after) for key, after in later.items()}
    retired = {key: leaf for key, leaf in leaves.items() if leaf is not None}
    forks = [Fork(key, tuple(some), steps.place(key, some[-1])) for key, some in followed.items() if len(some) > 1]
    return KeyChain(tuple(_oldest_first(found, later)), later, retired, tuple(forks))


def retired_by(chain: KeyChain, notes: Iterable[tuple[int, str]]) -> KeyChain:
    """Return keys with the ends that checkpoints tell of: of a key that was rotated away the first one by a later key.

    :param notes: size and signed note of the ledger's checkpoints, the smallest first.
    """
    retired, waiting = dict(chain.retired), {key: chain.followers(key) for key in chain.later}
    if not waiting:
        return chain
    marks = {key: _line_begins(key) for key in chain.later.values()}
    for size, note in notes:
        for by in [key for key, mark in marks.items() if mark in note]:
            if not _has_signed(by, note, size):
                continue
            for key in [one for one, after in waiting.items() if by in after]:
                retired[key] = min(size - 1, retired.get(key, size - 1))
                del waiting[key]
        if not waiting:
            break
    return replace(chain, retired=retired)


def _line_begins(key: NoteKey) -> str:
    """Return with what each signature line of a key begins: base64 has three bytes of the key's id apart."""
    return f"— {key.name} {base64.b64encode(key.key_id[:3]).decode()}"


def _has_signed(key: NoteKey, note: str, size: int) -> bool:
    try:
        return open_checkpoint(note, key.name, [key], verifier()).size == size
    except CorruptRecording:
        return False


def _oldest_first(found: Iterable[NoteKey], later: Mapping[NoteKey, NoteKey]) -> Iterable[NoteKey]:
    ordered: dict[NoteKey, None] = {}
    for key in sorted(found, key=lambda one: one in later.values()):  # those that follow none begin
        at: NoteKey | None = key
        while at is not None and at not in ordered:
            ordered[at] = None
            at = later.get(at)
    return ordered


class _Steps:
    """Rotations that both keys signed, each pair once: where it is first sealed."""

    def __init__(self, rotations: Iterable[Event], leaf_of: LeafOf) -> None:
        self._told: dict[tuple[NoteKey, NoteKey], list[Event]] = {}
        for event in rotations:
            pair = _pair(event.facts)
            if pair is not None and pair[0] != pair[1]:
                self._told.setdefault(pair, []).append(event)
        self._leaf_of = leaf_of
        self._signed: dict[tuple[NoteKey, NoteKey], tuple[float, int, bytes, int] | None] = {}

    def _order(self, pair: tuple[NoteKey, NoteKey]) -> tuple[float, int, bytes, int] | None:
        if pair not in self._signed:
            signed = [one for one in self._told[pair] if _is_signed(one.facts, pair)]
            self._signed[pair] = min(map(self._place_of, signed), default=None)
        return self._signed[pair]

    def _place_of(self, event: Event) -> tuple[float, int, bytes, int]:
        leaf = self._leaf_of(event.stream, event.version)
        return math.inf if leaf is None else leaf, event.position or 0, event.stream, event.version

    def before(self, key: NoteKey) -> list[NoteKey]:
        return [pair[0] for pair in self._told if pair[1] == key and self._order(pair) is not None]

    def after(self, key: NoteKey) -> list[NoteKey]:
        """Return the keys that follow one, the first to be sealed first."""
        orders = {pair[1]: self._order(pair) for pair in self._told if pair[0] == key}
        return sorted((one for one, order in orders.items() if order is not None), key=lambda one: orders[one] or ())

    def leaf(self, before: NoteKey, after: NoteKey) -> int | None:
        order = self._order((before, after))
        return None if order is None or order[0] == math.inf else int(order[0])

    def place(self, before: NoteKey, after: NoteKey) -> tuple[bytes, int]:
        order = self._order((before, after))
        return (b"", 0) if order is None else order[2:]


def successor(rotations: Iterable[Event], key: NoteKey) -> NoteKey | None:
    """Return a key that takes the place of one, as both have signed; None: it was not rotated away."""
    pairs = ((pair, event) for event in rotations if (pair := _pair(event.facts)) is not None)
    return next((pair[1] for pair, one in pairs if pair[0] == key != pair[1] and _is_signed(one.facts, pair)), None)


def short_name(key: NoteKey) -> str:
    """Return by what a key is called in what people read: its log and its id."""
    return f"{key.name}+{key.key_id.hex()}"


def _pair(facts: Mapping[str, Any]) -> tuple[NoteKey, NoteKey] | None:
    try:
        before, after = (parse_key(str(facts.get(name))) for name in ("from", "to"))
    except ConfigurationError:
        return None
    return (before, after) if before.name == after.name else None


def _is_signed(facts: Mapping[str, Any], pair: tuple[NoteKey, NoteKey]) -> bool:
    names = zip(pair, (SIGNATURE, ACCEPTED), strict=True)
    return all(signer_of(ROTATED, facts, [key], verifier(), name) is not None for key, name in names)


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


def signer_named(note: str, keys: Sequence[NoteKey]) -> NoteKey | None:
    """Return the last of some keys that a signature line of a note says to be of; None: none, or it is no note.

    :param keys: each before the one that follows it.
    """
    try:
        named = {(line.name, line.key_id) for line in parse_note(note).signatures}
    except CorruptRecording:
        return None
    return next((key for key in reversed(keys) if (key.name, key.key_id) in named), None)


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
