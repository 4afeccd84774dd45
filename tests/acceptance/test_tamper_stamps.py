"""What time stamps of others catch of somebody who has the key, and the machine that keeps what was signed."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

from recorder.clock import SystemClock
from recorder.ledger import keys
from recorder.ledger.anchoring import leave
from recorder.ledger.anchors.files import FileAnchor
from recorder.ledger.anchors.time_stamps import TimeStampAnchor, read_roots
from recorder.recording.short_journal import write_once
from recorder.store import open_store
from recorder.store.base import Anchored
from tests.acceptance.attacked import ORIGIN, fill, layers, outside_file, verify
from tests.attacker import Attacker, write_outside
from tests.tsa import Authority, Served


def stamped(url: str, anchor: TimeStampAnchor | FileAnchor) -> None:
    """Leave a trace of the last checkpoint, in the store and in a journal."""
    clock = SystemClock()
    with closing(open_store(url, write=True)) as store:
        last = store.ledger.last_checkpoint()
        assert last is not None
        trace = leave(anchor, last[1].encode(), clock)
        store.ledger.add_anchor(Anchored(clock.new_id(), trace.size, trace.anchor, trace.made_ns, trace.evidence))
        assert trace.facts["evidence_sha256"] == hashlib.sha256(trace.evidence).hexdigest()
        write_once(store, clock, [("anchored", trace.facts)], {"action": "anchor"})


def rewritten(url: str) -> None:
    """Change what the model said, and everything that says otherwise on this machine."""
    key = keys.load(ORIGIN)
    assert key is not None
    with Attacker(url) as attacker:
        exchange = attacker.exchanges()[0]
        attacker.change(exchange, lambda events: [*events[:3], *events[4:]])
        attacker.fix_journals()
        attacker.fix_leaves()
        write_outside(outside_file(), attacker.sign(key))


def test_a_rewritten_store_has_none_of_its_time_stamps(store_url: str, tsa: Served, authority: Authority) -> None:
    fill(store_url)
    stamped(store_url, TimeStampAnchor(tsa.url, authority.roots))
    roots = read_roots(authority.roots)
    honest = verify(store_url, roots=roots)
    assert honest.findings == ()
    assert honest.verdicts["bounded_in_time"] == "partly"  # the journal of the anchor itself is under no stamp
    assert any("are under a time stamp" in word for word in honest.more["bounds"])
    rewritten(store_url)
    report = verify(store_url, roots=roots)
    assert layers(report.findings) == "T"
    assert {finding.kind for finding in report.findings} == {"anchor"}


def test_evidence_that_was_removed_is_missed(store_url: str, tsa: Served, authority: Authority) -> None:
    fill(store_url)
    stamped(store_url, TimeStampAnchor(tsa.url, authority.roots))
    with Attacker(store_url) as attacker:
        attacker.run("DELETE FROM anchors")
    assert [finding.kind for finding in verify(store_url).findings] == ["anchor"]


def test_a_place_that_the_auditor_names_still_has_the_old_checkpoint(store_url: str, tmp_path: Path) -> None:
    fill(store_url)
    anchor = FileAnchor(tmp_path / "elsewhere.notes")
    stamped(store_url, anchor)
    assert verify(store_url, anchors=[anchor]).findings == ()
    rewritten(store_url)
    assert {finding.kind for finding in verify(store_url, anchors=[anchor]).findings} >= {"rewritten"}
