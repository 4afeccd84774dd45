"""The part of the ledger that is in a bundle: keys, checkpoints, and every leaf of a range.

The root of each checkpoint within the range is made anew, from the subtrees left of the range and the leaves in it;
so a leaf that is left out, put in, moved or changed leads to another root. Later checkpoints are reached by a
proof that their tree goes on from that of the range's end.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from recorder.core.link_words import tag_of
from recorder.core.seal_times import SealedLeaf, SealTimes, TimeStamp
from recorder.ledger.standalone.container import Container, Damaged
from recorder.ledger.standalone.findings import Findings
from recorder.ledger.standalone.notes import Checkpoint, Key, Proof, parse_checkpoint, parse_proof, parse_vkey
from recorder.ledger.standalone.tree import Frontier, extends, includes, leaf_hash

LEAVES, LEFT, KEYS = "ledger/leaves.bin", "ledger/left.bin", "log.vkey"
_TAG = b"recorder/head/v1\0"
_ENTRY = struct.Struct(">17s32s16sQ32sBQQ")
_NOT_HERE = "it is of a leaf, or by a checkpoint, that is not here"
_MOST_KEYS, _MOST_CHECKPOINTS, _MOST_BYTES = 100, 10_000, 1 << 20


class Sealed(NamedTuple):
    """A leaf: how far one event stream had come, and when that was sealed.

    :ivar state: 1 where the stream had ended.
    :ivar before: number of the leaf of this stream before it, plus 1; 0: there is none.
    """

    number: int
    stream: bytes
    length: int
    hash: bytes
    state: int
    sealed_ns: int
    before: int


class Log:
    """Reads and checks the part of the ledger in a bundle.

    :param stamps: over its checkpoints, checked by whoever can.

    :ivar present: whether there is one: a store without a key has none.
    :ivar start, end: the range of leaves that are here, the second not included.
    :ivar keys: of the ledger; ``former``: of those before it, which vouch for facts of their time and for nothing else.
    :ivar own: the leaves of the event streams that are in the bundle, by stream, in order.
    :ivar others: how many other event streams have leaves in the range.
    :ivar seals: the times of the leaves.
    :ivar began_ns: when the ledger was begun, by its own clock; None where its first leaf is not here.
    """

    def __init__(self, container: Container, told: Any, findings: Findings, stamps: Iterable[TimeStamp] = ()) -> None:
        self._container, self._findings = container, findings
        self.present = LEAVES in container.members or told is not None
        self.keys: list[Key] = []
        self.former: list[Key] = []
        self.checkpoints: list[Checkpoint] = []
        self.own: dict[bytes, list[Sealed]] = {}
        self.start = self.end = self.others = 0
        self.origin = ""
        self.seals = SealTimes(stamps)
        self.began_ns: int | None = None
        self._began = ""
        self._log_id = b""
        self._retired: dict[str, int] = {}
        self.proved_sizes: set[int] = set()
        self.roots: dict[int, bytes] = {}
        if self.present:
            self._read_range(told)
            self._read_keys()
            self._read_checkpoints()

    def _read_range(self, told: Any) -> None:
        start, end = (told.get("from"), told.get("to")) if isinstance(told, dict) else (None, None)
        if type(start) is not int or type(end) is not int or not 0 <= start < end < 1 << 63:
            raise Damaged("the manifest does not tell which leaves of the ledger are here")
        self.start, self.end = start, end
        self.origin = str(told.get("origin"))
        self._began = str(told.get("began", ""))
        retired = told.get("retired")
        self._retired = retired if isinstance(retired, dict) else {}
        self._log_id = hashlib.sha256(b"recorder/origin/v1\0" + self.origin.encode("utf-8", "surrogatepass")).digest()

    def _read_keys(self) -> None:
        lines = self._container.read(KEYS, _MOST_BYTES).decode("utf-8", "replace").split("\n")
        if lines.pop() != "" or not lines or len(lines) > _MOST_KEYS:
            raise Damaged(f"{KEYS} is not a list of public keys, a line each")
        for line in lines:
            try:
                key = parse_vkey(line)
            except ValueError as error:
                raise Damaged(f"{KEYS}: {error}") from None
            (self.keys if key.name == self.origin else self.former).append(key)

    def _read_checkpoints(self) -> None:
        names = self._container.names("checkpoints")
        if len(names) > _MOST_CHECKPOINTS:
            raise Damaged("there are more checkpoints than a bundle can have")
        for name in names:
            try:
                checkpoint = parse_checkpoint(self._container.read(name, _MOST_BYTES), self.keys)
            except ValueError as error:
                self._findings.add("signature", name, f"{error}")
                continue
            if name != f"checkpoints/{checkpoint.size:020}.note" or checkpoint.origin != self.origin:
                self._findings.add("signature", name, "the checkpoint is of another size, or of another ledger")
            elif not checkpoint.signers:
                self._findings.add("signature", name, "the checkpoint is signed by none of the keys that are here")
            else:
                self.checkpoints.append(checkpoint)

    def read_leaves(self, own: Mapping[bytes, object], size: int = 0) -> None:
        """Read all leaves, make the roots anew, and compare them with the checkpoints.

        :param own: the event streams in the bundle.
        :param size: of another tree whose root is wanted.
        """
        frontier = self._frontier()
        wanted = {size, *(checkpoint.size for checkpoint in self.checkpoints)}
        for number, entry in enumerate(self._entries(), self.start):
            if number >= self.end:
                break
            frontier.append(leaf_hash(entry))
            if frontier.size in wanted:
                self.roots[frontier.size] = frontier.root()
            leaf = self._leaf(number, entry)
            if leaf is None:
                self._findings.add("leaf", LEAVES, f"leaf {number} is none, or one of another ledger")
                continue
            self._time(leaf)
            if leaf.stream in own:
                self.own.setdefault(leaf.stream, []).append(leaf)
            else:
                self.others += leaf.before <= self.start  # the first of its stream within the range
        if self._container.members[LEAVES].size != (self.end - self.start) * _ENTRY.size:
            told = f"there are more or fewer leaves than those from {self.start} to before {self.end}"
            self._findings.add("tree", LEAVES, told)
        self._compare()
        self._read_began()

    def _time(self, leaf: Sealed) -> None:
        if not leaf.number:
            self.began_ns = leaf.sealed_ns
        for untimely in self.seals.take(SealedLeaf(leaf.number, leaf.stream, leaf.length, leaf.sealed_ns)):
            self._findings.untimely(untimely)

    def _read_began(self) -> None:
        """Read when the ledger was begun, where its first leaf lies outside the range: it comes with its proof."""
        if not self._began:
            return
        try:
            proof = parse_proof(self._began.encode())
        except ValueError as error:
            self._findings.add("proof", "began", f"{error}")
            return
        leaf = self._leaf(0, proof.entry)
        wrong = "it is not of the first leaf" if leaf is None or proof.number else self._not_proved(leaf, proof)
        if wrong or leaf is None:
            self._findings.add("proof", "began", wrong)
        else:
            self.began_ns = leaf.sealed_ns

    def _frontier(self) -> Frontier:
        left = self._container.read(LEFT, _MOST_BYTES)
        try:
            return Frontier(self.start, [left[at : at + 32] for at in range(0, len(left), 32)])
        except ValueError as error:
            raise Damaged(f"{LEFT}: {error}") from None

    def _entries(self) -> Iterator[bytes]:
        if LEAVES not in self._container.members:
            raise Damaged(f"{LEAVES} is missing")
        held = b""
        for piece in self._container.chunks(LEAVES):
            held += piece
            whole = len(held) - len(held) % _ENTRY.size
            for at in range(0, whole, _ENTRY.size):
                yield held[at : at + _ENTRY.size]
            held = held[whole:]

    def _compare(self) -> None:
        by_size = {checkpoint.size: checkpoint for checkpoint in self.checkpoints}
        end = by_size.get(self.end)
        if end is None:
            self._findings.add("tree", "checkpoints", f"there is no good checkpoint of the range's end, {self.end}")
        proofs = set(self._container.names("ledger")) - {LEAVES, LEFT}
        for checkpoint in self.checkpoints:
            name = f"ledger/{self.end}-{checkpoint.size}.consistency"
            if checkpoint.size in self.roots:
                agrees = self.roots[checkpoint.size] == checkpoint.root
            else:
                agrees = end is not None and name in proofs and self._extends(name, end, checkpoint)
                proofs.discard(name)
            if agrees:
                self.proved_sizes.add(checkpoint.size)
            else:
                told = f"the leaves do not lead to the root that was signed for {checkpoint.size} leaves"
                self._findings.add("tree", f"checkpoints/{checkpoint.size:020}.note", told)
        for name in sorted(proofs):
            self._findings.add("tree", name, "a proof that belongs to no checkpoint")

    def _extends(self, name: str, old: Checkpoint, new: Checkpoint) -> bool:
        data = self._container.read(name, 64 * 32)
        path = [data[at : at + 32] for at in range(0, len(data), 32)]
        whole = all(len(hashed) == 32 for hashed in path)
        return whole and extends(old.size, new.size, old.root, new.root, path)

    def _leaf(self, number: int, entry: bytes) -> Sealed | None:
        if len(entry) != _ENTRY.size:
            return None
        tag, found, stream, length, digest, state, sealed_ns, before = _ENTRY.unpack(entry)
        if tag != _TAG or found != self._log_id or state > 1 or before > number or not length:
            return None
        return Sealed(number, stream, length, digest, state, sealed_ns, before)

    def take_proof(self, stream: bytes, proof: Proof) -> str:
        """Check a proof; a leaf that lies outside the range, and comes with its proof, counts from now on.

        :return: what is wrong with it; empty where nothing is.
        """
        own = self.own.get(stream, [])
        leaf = next((one for one in own if one.number == proof.number), None)
        if proof.entry:
            leaf = None if self.start <= proof.number < self.end else self._leaf(proof.number, proof.entry)
        if leaf is None or leaf.stream != stream:
            return _NOT_HERE
        wrong = self._not_proved(leaf, proof)
        if not wrong and leaf not in own:
            self.own[stream] = [leaf, *own]
        return wrong

    def _not_proved(self, leaf: Sealed, proof: Proof) -> str:
        """Return why a proof does not show that a leaf is in the ledger; empty where it does."""
        checkpoint = next((one for one in self.checkpoints if one.note == proof.note), None)
        if checkpoint is None or checkpoint.size not in self.proved_sizes:
            return _NOT_HERE
        if not includes(proof.number, checkpoint.size, leaf_hash(self._entry(leaf)), proof.path, checkpoint.root):
            return "its path does not lead to the root of the checkpoint"
        return ""

    def in_force(self, key: Key, stream: bytes, version: int) -> bool:
        """Return whether a key was yet in force when a version of a stream was sealed, as the manifest says."""
        last = self._retired.get(key.text)
        leaf = next((one.number for one in self.own.get(stream, ()) if one.length >= version), 0)
        return type(last) is not int or leaf <= last

    def tagged(self, tags: Collection[str]) -> dict[str, Sealed]:
        """Return the leaves that are here whose hashes begin with some tags, by these.

        All leaves are read once more where one of the tags is of none of the streams that are here.
        """
        found: dict[str, Sealed] = {}
        for leaf in (leaf for leaves in self.own.values() for leaf in leaves):
            found.setdefault(tag_of(leaf_hash(self._entry(leaf))), leaf)
        found = {tag: leaf for tag, leaf in found.items() if tag in tags}
        if self.present and not found.keys() >= set(tags):
            for number, entry in enumerate(self._entries(), self.start):
                tag = tag_of(leaf_hash(entry))
                other = self._leaf(number, entry) if tag in tags else None
                if other is not None:
                    found.setdefault(tag, other)
        return found

    def _entry(self, leaf: Sealed) -> bytes:
        fields = (leaf.stream, leaf.length, leaf.hash, leaf.state, leaf.sealed_ns, leaf.before)
        return _ENTRY.pack(_TAG, self._log_id, *fields)
