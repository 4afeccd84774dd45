"""What bounds the times of a store's events: the time stamps of others, and what the journals know of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from recorder.core.seal_times import SealTimes, TimeStamp
from recorder.ledger.anchored import Looked
from recorder.ledger.tally import Tally
from recorder.store.base import Ledger


def seal_times(ledger: Ledger, looked: Iterable[Looked], known: Mapping[str, tuple[bytes, int]]) -> SealTimes:
    """Return what checks the times of leaves.

    :param looked: what was left outside, and what it proves.
    :param known: of digests of evidence, in hexadecimal: the journal and the version that has it.
    """
    stamps = []
    for one in looked:
        time = one.checked.time
        if one.checked.state == "confirmed" and time is not None:
            leaf = _leaf_that_knows(ledger, known.get(hashlib.sha256(one.anchored.evidence).hexdigest()))
            stamps.append(TimeStamp(one.anchored.size, time.not_before_ns, time.not_after_ns, time.by, leaf))
    return SealTimes(stamps)


def _leaf_that_knows(ledger: Ledger, place: tuple[bytes, int] | None) -> int | None:
    """Return the number of the first leaf that seals an event of a journal."""
    if place is None:
        return None
    journal, version = place
    return next((leaf.number for leaf in ledger.leaves_of(journal) if leaf.head.length >= version), None)


def find_contradicted(looked: Sequence[Looked], known: Mapping[str, tuple[bytes, int]], tally: Tally) -> None:
    """Take as findings what was left outside and is not there, or is another thing; and what is kept of it no more.

    :param known: of digests of evidence: the journal and the version that has it.
    """
    kept = {hashlib.sha256(one.anchored.evidence).hexdigest() for one in looked}
    for digest in sorted(known.keys() - kept):
        journal, version = known[digest]
        told = "it tells of evidence from outside that is not in the store any more"
        tally.find(journal, version, "evidence_sha256", "anchor", told)
    for one in looked:
        if one.checked.state == "contradicted":
            tally.find(b"", None, one.anchored.anchor, "anchor", one.checked.told)


def find_steps(tally: Tally) -> int:
    """Take as findings where clocks of hosts were stepped; return how often that was."""
    steps = tally.clocks.steps()
    for step in steps:
        tally.find(*step.as_untimely())
    return len(steps)
