"""The audit of the ledger: the tree made anew from its entries, and compared with all that was ever said of it.

Every root that was signed is compared with the root of the leaves up to there, so any two of them are consistent;
that needs no proof between them. What is compared: the nodes that are stored, the checkpoints in the store, those that
this machine keeps outside of it, and those of places that the auditor names. Sizes are those of the notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from recorder.core.heads import Leaf, decode_entry, log_id
from recorder.core.merkle import Frontier, leaf_hash
from recorder.core.notes import Checkpoint, NoteKey, Verify, open_checkpoint, parse_checkpoint, parse_note
from recorder.core.seal_times import SealedLeaf, SealTimes
from recorder.errors import CorruptRecording
from recorder.ledger.key_chain import KeyChain, foreign_signer, short_name, signer_named
from recorder.ledger.tally import Tally
from recorder.store.ledger_rows import LeafRow, LedgerRows

_SHOWN = 3  # nodes of a level that are told one by one


@dataclass(frozen=True)
class Claim:
    """A checkpoint that is somewhere, or something that is none.

    :ivar place: where it is, for people.
    :ivar note: with its signatures.
    :ivar inside: it is in the store.
    """

    checkpoint: Checkpoint
    place: str
    note: str
    inside: bool = False


@dataclass
class LedgerAudit:
    """Reads a ledger once.

    :param origin: its name; None where it has none.
    :param chain: the public keys that its signatures are checked with; none: they are not checked.
    :param trusted: those of them that the auditor got by another way.
    :param seals: checks the times of the leaves.
    :param told_by: journals of which is kept up to which event each leaf seals them.
    :ivar size: of the ledger.
    :ivar signed: size of the largest checkpoint that is what was signed.
    :ivar vouched: the same for a signature by a trusted key.
    :ivar last: the last leaf.
    :ivar keys: those of the chain.
    :ivar foreign: checkpoints in the store that no key of *keys* signed: size, and whose they say to be.
    """

    tally: Tally
    origin: str | None
    chain: KeyChain
    trusted: Sequence[NoteKey]
    verify: Verify
    seals: SealTimes
    told_by: frozenset[bytes] = frozenset()
    size: int = 0
    signed: int = 0
    vouched: int = 0
    checkpoints: int = 0
    last: Leaf | None = None
    foreign: list[tuple[int, str]] = field(default_factory=list)
    _by: dict[NoteKey, tuple[int, int]] = field(default_factory=dict)  # sizes of the first and last that a key signed
    _roots: dict[int, bytes] = field(default_factory=dict)
    _further: dict[tuple[str, bool], list[int]] = field(default_factory=dict)  # sizes that the ledger has not, by place
    _sealed: dict[bytes, list[tuple[int, int]]] = field(default_factory=dict)  # of journals: number of leaf, length

    @property
    def keys(self) -> Sequence[NoteKey]:
        """The keys that signatures are checked with, each before the one that follows it."""
        return self.chain.keys

    @property
    def retired(self) -> Mapping[NoteKey, int]:
        """Of keys that were rotated away, the last leaf that seals what they may have signed.

        That is the one that seals the rotation, or the last that the first checkpoint by a key that followed covers,
        where that is less: what tells of the rotation may be sealed late.
        """
        found = dict(self.chain.retired)
        for key in self.chain.later:
            signed = [self._by[one][0] - 1 for one in self.chain.followers(key) if one in self._by]
            if signed:
                found[key] = min(*signed, found.get(key, signed[0]))
        return found

    def is_sealed(self, journal: bytes, version: int) -> bool:
        """Whether a signed checkpoint covers an event of one of the journals that are kept."""
        return self.leaf_of(journal, version) is not None

    def leaf_of(self, journal: bytes, version: int) -> int | None:
        """Return the number of the first leaf that covers it, where a signed checkpoint does."""
        leaves = (number for number, length in self._sealed.get(journal, ()) if length >= version)
        return next((number for number in leaves if number < self.signed), None)

    def take(self, rows: LedgerRows, outside: Iterable[Claim]) -> None:
        """Read everything, and compare.

        :param outside: checkpoints of this log that are elsewhere, in any order.
        """
        named = rows.named()
        if named is not None and named[1] != log_id(named[0]):
            self._find("the id beside the ledger's name is not of that name", "log_id", "leaf")
        elsewhere = sorted(outside, key=lambda one: one.checkpoint.size)
        wanted = {one.checkpoint.size for one in elsewhere}
        nodes = {level: _Nodes(level, rows.nodes(level), self.tally) for level in rows.levels()}
        inside = self._inside(rows.checkpoints())
        claim = next(inside, None)
        frontier = Frontier()
        log = b"" if self.origin is None else log_id(self.origin)
        for row in rows.leaves():
            claim = self._reached(frontier, wanted, claim, inside)
            self._leaf(row, frontier.size, log)
            for level, number, digest in frontier.append(leaf_hash(row.entry)):
                nodes.setdefault(level, _Nodes(level, iter(()), self.tally)).take(number, digest)
        self.size = frontier.size
        claim = self._reached(frontier, wanted, claim, inside)
        for each in nodes.values():
            each.end()
        while claim is not None:
            self._beyond(claim)
            claim = next(inside, None)
        for one in elsewhere:
            self._compare(one, self._roots.get(one.checkpoint.size))
        for place, is_inside in self._further:
            self._find_further(place, is_inside)
        if self.foreign:
            self._find_foreign()
        self._find_retired()

    def _reached(
        self, frontier: Frontier, wanted: set[int], claim: Claim | None, inside: Iterator[Claim]
    ) -> Claim | None:
        """Compare the checkpoints of the leaves so far; return the next one."""
        size = frontier.size
        if size in wanted:
            self._roots[size] = frontier.root()
        while claim is not None and claim.checkpoint.size <= size:
            self._compare(claim, frontier.root() if claim.checkpoint.size == size else None)
            claim = next(inside, None)
        return claim

    def _leaf(self, row: LeafRow, number: int, log: bytes) -> None:
        if row.number != number:
            self._find(f"leaf {number:,} is not at its place: leaf {row.number:,} is", "number", "leaf")
        try:
            leaf = decode_entry(log, number, row.entry)
        except CorruptRecording as error:
            self._find(f"{error}", "entry", "leaf")
            return
        if (row.stream, row.length, row.state) != (leaf.head.stream, leaf.head.length, leaf.head.state):
            self._find(f"the columns of leaf {number:,} are not what its entry says", "stream", "leaf")
        self.last = leaf
        if leaf.head.stream in self.told_by:
            self._sealed.setdefault(leaf.head.stream, []).append((number, leaf.head.length))
        for untimely in self.seals.take(SealedLeaf(number, leaf.head.stream, leaf.head.length, leaf.sealed_ns)):
            self.tally.find(*untimely)
            self.tally.untimely = True

    def _find(self, detail: str, place: str, kind: str) -> None:
        self.tally.find(b"", None, place, kind, detail)

    def _inside(self, notes: Iterator[tuple[int, str]]) -> Iterator[Claim]:
        """Yield the checkpoints in the store whose signatures are good, the smallest first."""
        for size, note in notes:
            self.checkpoints += 1
            checkpoint = self._opened(note, f"the checkpoint of {size:,} leaves")
            if checkpoint is None:
                continue
            if checkpoint.size != size:
                told = f"the note at {size:,} leaves is of {checkpoint.size:,}: it was put into another place"
                self._find(told, "size", "signature")
                continue
            yield Claim(checkpoint, "the store", note, inside=True)

    def _opened(self, note: str, name: str) -> Checkpoint | None:
        signer = None
        try:
            checkpoint = parse_checkpoint(parse_note(note).text)
            signer = foreign_signer(note, self.keys) if self.keys and checkpoint.origin == self.origin else None
            if self.keys and self.origin is not None and signer is None:
                open_checkpoint(note, self.origin, self.keys, self.verify)
        except CorruptRecording as error:
            self._find(f"{name} is not what was signed: {error}", "note", "signature")
            return None
        if signer is None:
            return checkpoint
        self.foreign.append((checkpoint.size, signer))
        return None

    def _find_foreign(self) -> None:
        """Tell of all of them at once: whoever does it once does it again."""
        size, signer = max(self.foreign)
        them = "a checkpoint" if len(self.foreign) == 1 else f"{len(self.foreign):,} checkpoints"
        told = f"{them} of up to {size:,} leaves, by {signer}: a key that does not count here"
        self._find(f"somebody else signed {told}, and nothing that only it covers is sealed", "checkpoint", "key")

    def _find_retired(self) -> None:
        """Tell of what a key signed after the one that took its place had: that covers nothing."""
        by, wrong = self._by, list[NoteKey]()
        for key, (_, last) in by.items():
            signing = [one for one in self.chain.followers(key) if one in by]
            after = min(signing, key=lambda one: by[one][0], default=key)
            if by[after][0] < last and after != key:
                wrong.append(key)
                told = f"{short_name(key)} signed a checkpoint of {last:,} leaves after {short_name(after)} had signed "
                told += (
                    f"one of {by[after][0]:,} in its place: what a key that was rotated away signs counts no more, and"
                )
                self._find(f"{told} whoever has the old private key can have made it", "checkpoint", "key")
        if wrong:
            self.signed = max((last for key, (_, last) in by.items() if key not in wrong), default=0)

    def _count(self, claim: Claim) -> None:
        """Take note of how far the key of a checkpoint has signed, where keys have followed each other."""
        signer = signer_named(claim.note, self.keys) if self.chain.later else None
        if signer is not None:
            size = claim.checkpoint.size
            first, last = self._by.get(signer, (size, size))
            self._by[signer] = min(first, size), max(last, size)

    def _compare(self, claim: Claim, root: bytes | None) -> None:
        size = claim.checkpoint.size
        if root == claim.checkpoint.root:
            if claim.inside or not self.keys or foreign_signer(claim.note, self.keys) is None:
                self.signed = max(self.signed, size)
                self._count(claim)
            if self.trusted and parse_note(claim.note).signers(self.trusted, self.verify):
                self.vouched = max(self.vouched, size)
        elif root is None and not claim.inside:
            self._beyond(claim)
        else:
            told = f"the first {size:,} leaves do not lead to the root that was signed for them in {claim.place}"
            self._find(told, "root", "tree" if claim.inside else "rewritten")

    def _beyond(self, claim: Claim) -> None:
        """Take note of a checkpoint over more leaves than there are."""
        self._further.setdefault((claim.place, claim.inside), []).append(claim.checkpoint.size)
        self.tally.incomplete = True

    def _find_further(self, place: str, inside: bool) -> None:
        """Tell of those of one place: as many as were signed since then, which says the same thing each time."""
        sizes = sorted(self._further[place, inside])
        count = (
            f"a checkpoint of {sizes[0]:,}" if len(sizes) == 1 else f"{len(sizes):,} checkpoints of up to {sizes[-1]:,}"
        )
        gone = "leaves were removed" if inside else "the store was put back to an older state, or cut"
        told = f"{place} has {count} leaves, and there are {self.size:,}"
        self._find(f"{told}: {gone}", "size", "tree" if inside else "rolled_back")


class _Nodes:
    """Compares the stored nodes of a level with those that the leaves make."""

    def __init__(self, level: int, stored: Iterator[tuple[int, bytes]], tally: Tally) -> None:
        self._level, self._stored, self._tally = level, stored, tally
        self._wrong = 0
        self._next = next(stored, None)

    def take(self, number: int, digest: bytes) -> None:
        while self._next is not None and self._next[0] < number:
            self._find(f"node {self._next[0]:,} is there twice, or where none is")
            self._next = next(self._stored, None)
        if self._next is None or self._next[0] != number:
            self._find(f"node {number:,} is missing")
            return
        if self._next[1] != digest:
            self._find(f"node {number:,} is not what the leaves make")
        self._next = next(self._stored, None)

    def _find(self, told: str) -> None:
        self._wrong += 1
        if self._wrong <= _SHOWN:
            self._tally.find(b"", None, "node", "tree", f"level {self._level} of the tree: {told}")

    def end(self) -> None:
        while self._next is not None:
            self._find(f"node {self._next[0]:,} is over leaves that are not there")
            self._next = next(self._stored, None)
        if self._wrong > _SHOWN:
            told = f"level {self._level} of the tree: {self._wrong - _SHOWN:,} more nodes are wrong"
            self._tally.find(b"", None, "node", "tree", told)


def find_forks(chain: KeyChain, tally: Tally) -> None:
    """Tell of keys that more than one key followed: whoever held one of them had two sign in its place."""
    for fork in chain.forks:
        journal, version = fork.told_by
        counting = next(one for one in fork.after if one in chain.keys)
        told = f"{short_name(fork.before)} was rotated to several keys, {' and '.join(map(short_name, fork.after))}: "
        told += f"{short_name(counting)} counts here, and somebody else may hold the private key of before"
        tally.find(journal, version, "to", "key", told)
