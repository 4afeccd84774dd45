"""The vectors of the page's ledger hold for a reader made from the page alone, and for recorder."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.core import heads, merkle, notes
from recorder.ledger.keys import fingerprint
from tests.golden import ledger_reader as reader
from tests.golden import reader as event_reader
from tests.unit.core.trees import Tree

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
LEAVES = [reader.fields(block) for block in reader.blocks(PAGE, "leaf")]
((TREE,),) = ([reader.fields(block) for block in reader.blocks(PAGE, "tree")],)
((KEY,),) = ([reader.fields(block) for block in reader.blocks(PAGE, "key")],)
(NOTE,) = reader.blocks(PAGE, "checkpoint")
(PROOF,) = reader.blocks(PAGE, "proof")
ENTRIES = [bytes.fromhex(leaf["entry"]) for leaf in LEAVES]
HASHES = [bytes.fromhex(leaf["hash"]) for leaf in LEAVES]
LOG = bytes.fromhex(TREE["log_id"])


def hashes(text: str) -> list[bytes]:
    return [bytes.fromhex(each) for each in text.split()]


def test_the_entries_hold_for_the_independent_reader() -> None:
    assert reader.log_id(TREE["origin"]) == LOG
    for leaf, entry, digest in zip(LEAVES, ENTRIES, HASHES, strict=True):
        numbers = {name: int(leaf[name]) for name in ("length", "state", "sealed_ns", "before")}
        made = reader.entry(LOG, bytes.fromhex(leaf["stream"]), head=bytes.fromhex(leaf["head"]), **numbers)
        assert made == entry
        assert len(entry) == 122
        assert reader.leaf(entry) == digest


def test_the_entries_hold_for_recorder() -> None:
    assert heads.log_id(TREE["origin"]) == LOG
    for number, (leaf, entry, digest) in enumerate(zip(LEAVES, ENTRIES, HASHES, strict=True)):
        head = heads.Head(
            bytes.fromhex(leaf["stream"]), int(leaf["length"]), bytes.fromhex(leaf["head"]), int(leaf["state"])
        )
        expected = heads.Leaf(number, head, int(leaf["sealed_ns"]), int(leaf["before"]))
        assert int(leaf["number"]) == number
        assert heads.decode_entry(LOG, number, entry) == expected
        assert heads.encode_entry(LOG, expected) == entry
        assert merkle.leaf_hash(entry) == digest


def test_the_first_streams_heads_are_hashes_of_the_page_s_events() -> None:
    events = {vector.get("version"): vector.get("hash") for vector in event_reader.vectors(PAGE)}
    assert [leaf["head"] for leaf in LEAVES if leaf["stream"].startswith("0001")] == [events["1"], events["3"]]


def test_the_tree_holds_for_both() -> None:
    tree = Tree(ENTRIES)
    for size in range(4):
        expected = bytes.fromhex(TREE[f"size {size}"])
        assert reader.root(HASHES[:size]) == expected == merkle.root(size, tree.node)
    for index in (0, 2):
        expected_path = hashes(TREE[f"leaf {index} in 3"])
        assert reader.inclusion(index, HASHES) == expected_path == merkle.inclusion(index, 3, tree.node)
    expected_path = hashes(TREE["from 1 to 3"])
    assert reader.consistency(1, HASHES) == expected_path == merkle.consistency(1, 3, tree.node)


def test_the_checkpoint_holds_for_both() -> None:
    root = bytes.fromhex(TREE["size 3"])
    assert reader.checkpoint(NOTE, KEY["vkey"]) == (TREE["origin"], 3, root)
    key = notes.parse_key(KEY["vkey"])
    assert notes.open_checkpoint(NOTE, TREE["origin"], [key]) == notes.Checkpoint(TREE["origin"], 3, root)
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEY["seed"]))
    assert private.public_key().public_bytes_raw() == key.public
    assert notes.sign_note(notes.Checkpoint(TREE["origin"], 3, root).text, key, private.sign) == NOTE


def test_the_fingerprint_holds_for_both() -> None:
    assert hashlib.sha256(KEY["vkey"].encode()).hexdigest() == KEY["fingerprint"].replace(" ", "")
    assert fingerprint(notes.parse_key(KEY["vkey"])) == KEY["fingerprint"]


def test_the_proof_holds_for_both() -> None:
    head, _, note = PROOF.partition("\n\n")
    first, index, *path = head.splitlines()
    assert (first, index, note) == ("c2sp.org/tlog-proof@v1", "index 2", NOTE)
    assert [base64.b64decode(line) for line in path] == reader.inclusion(2, HASHES)
    proof = notes.parse_proof(PROOF)
    assert proof.text == PROOF
    checkpoint = notes.open_checkpoint(proof.checkpoint, TREE["origin"], [notes.parse_key(KEY["vkey"])])
    assert merkle.verify_inclusion(HASHES[2], proof.index, checkpoint.size, proof.path, checkpoint.root)
    assert not merkle.verify_inclusion(HASHES[1], proof.index, checkpoint.size, proof.path, checkpoint.root)
