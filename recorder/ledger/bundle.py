"""Evidence bundles: one zip file that somebody who trusts nobody can verify with Python alone.

What it holds, and in which form, is in docs/format.md, "Evidence bundles". The same store, selection and version of
recorder make the same bytes: no clock is read, and nothing is drawn at random.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.core.heads import log_id
from recorder.core.notes import NoteKey, Sign
from recorder.core.version import __version__
from recorder.ledger.bundle_manifest import manifest
from recorder.ledger.bundle_plan import Part, Plan
from recorder.ledger.bundle_range import (
    Range,
    consistency_proofs,
    entries,
    first_leaf_proof,
    left_of_range,
    proof_text,
)
from recorder.ledger.bundle_streams import stream_records
from recorder.ledger.bundle_verifier import verifier_source
from recorder.ledger.bundle_zip import BundleZip
from recorder.ledger.standalone.log import KEYS, LEAVES, LEFT
from recorder.ledger.standalone.notes import canonical_json
from recorder.ledger.standalone.verification import MANIFEST
from recorder.store.base import Anchored
from recorder.store.sql import SqlStore

FORMAT: Final = 1


@dataclass(frozen=True)
class LedgerKeys:
    """The keys of a ledger.

    :ivar public: all that it has had, the oldest first, then those of the ledgers before it.
    :ivar signer: the one that signs the manifest; None: it is not here.
    :ivar retired: of those that were rotated away, the number of the leaf that seals that.
    """

    public: tuple[NoteKey, ...]
    signer: tuple[NoteKey, Sign] | None = None
    retired: Mapping[NoteKey, int] = field(default_factory=dict)


def predicate_of(plan: Plan, counts: Mapping[str, int], keys: LedgerKeys, began: str = "") -> dict[str, Any]:
    """Return what the manifest says of a bundle.

    :param began: the proof of the ledger's first leaf, where that is not in the range.
    """
    streams = [
        {"id": id_text(part.opened.stream), "kind": part.kind, "events": part.last - part.first + 1}
        | ({"from": part.first} if part.first > 1 else {})
        for part in plan.parts
    ]
    told: dict[str, Any] = {
        "format": FORMAT,
        "recorder": __version__,
        "selection": dict(plan.wanted.selection),
        "streams": sorted(streams, key=lambda one: str(one["id"])),
        "counts": dict(counts),
    }
    within = plan.within
    if within is not None:
        told["erasures"] = "signed"  # a verifier asks for signatures under their records
        told["times"] = "explained"  # and for what explains that something was sealed late
        told["ledger"] = {
            "origin": within.origin,
            "log_id": log_id(within.origin).hex(),
            "from": within.start,
            "to": within.end,
            "checkpoints": list(within.notes),
        }
        if began:
            told["ledger"]["began"] = began
        if keys.retired:
            told["ledger"]["retired"] = {key.text: leaf for key, leaf in keys.retired.items()}
    return told


def write_bundle(
    out: Path, store: SqlStore, plan: Plan, keys: LedgerKeys, documents: Mapping[str, Iterable[bytes]]
) -> dict[str, int]:
    """Write a bundle.

    :param out: the file, which is made or overwritten.
    :param plan: what goes into it.
    :param documents: what people read: name and bytes of each file.
    :return: what was counted.
    :raises ConfigurationError: it would be larger than a bundle can be.
    """
    with BundleZip(out.parent) as pack:
        counts = _add_streams(pack, store, plan.parts)
        counts |= {"streams": len(plan.parts), "other_streams": 0}
        if plan.within is not None:
            counts["other_streams"] = _others(store, plan.within, plan.parts)
            _add_ledger(pack, store, plan.within, plan.parts, keys.public)
        for name, pieces in documents.items():
            pack.add(name, pieces)
        pack.add("verify.py", [verifier_source().encode()])
        pack.add("FORMAT.md", [format_text().encode()])
        signer = keys.signer if plan.within is not None else None
        began = "" if plan.within is None else first_leaf_proof(store.ledger, plan.within)
        pack.add(MANIFEST, [manifest(pack.digests(), predicate_of(plan, counts, keys, began), signer)])
        with out.open("wb") as file:
            pack.write(file)
    return counts


def format_text() -> str:
    """Return docs/format.md, which lies in the wheel beside the verifier and in a checkout in docs."""
    inside = files("recorder.ledger.standalone").joinpath("format.md")
    if inside.is_file():
        return inside.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")


def _add_streams(pack: BundleZip, store: SqlStore, parts: Sequence[Part]) -> dict[str, int]:
    counts = {"events": 0, "withheld": 0, "erased": 0}
    for part in parts:
        stream = part.opened.stream
        pack.add(f"streams/{id_text(stream)}.ev", _records(store, part))
        events = part.last - part.first + 1
        erased = sum(part.first <= version <= part.last for version in part.erased)
        counts["events"] += events
        counts["erased"] += erased
        counts["withheld"] += events - erased if part.withheld else 0
    return counts


def _records(store: SqlStore, part: Part) -> Iterator[bytes]:
    skipped = max(part.first - 2, 0)
    stored = takewhile(lambda event: event.version <= part.last, store.events(part.opened.stream, after=skipped))
    after: Event | None = next(stored) if part.first > 1 else None
    return stream_records(part.opened, stored, part.erased, withheld=part.withheld, after=after)


def _others(store: SqlStore, within: Range, parts: Sequence[Part]) -> int:
    """Count the event streams that have leaves in the range and are not in the bundle."""
    own = {part.opened.stream for part in parts}
    leaves = store.ledger.leaves(within.start, within.end)
    return sum(leaf.before <= within.start and leaf.head.stream not in own for leaf in leaves)


def _add_ledger(
    pack: BundleZip, store: SqlStore, within: Range, parts: Sequence[Part], keys: Sequence[NoteKey]
) -> None:
    ledger = store.ledger
    pack.add(KEYS, [f"{key.text}\n".encode() for key in keys])
    pack.add(LEFT, [left_of_range(ledger, within)])
    pack.add(LEAVES, entries(ledger, within))
    for size, note in within.notes.items():
        pack.add(f"checkpoints/{size:020}.note", [note.encode()])
    for size, proof in consistency_proofs(ledger, within):
        pack.add(f"ledger/{within.end}-{size}.consistency", [proof])
    for one in within.anchors:
        pack.add(f"anchors/{id_text(one.id)}.json", [_anchor(one)])
    for part in parts:
        if part.leaf is not None and part.kind != "journal":
            proof_of = proof_text(ledger, within, part.leaf)
            pack.add(f"proofs/{id_text(part.opened.stream)}.tlog-proof", [proof_of.encode()])


def _anchor(one: Anchored) -> bytes:
    evidence = base64.b64encode(one.evidence).decode()
    return canonical_json({"anchor": one.anchor, "size": one.size, "made_ns": one.made_ns, "evidence": evidence})
