"""The report on a whole store: verdicts from what the parts of the audit found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recorder.core.clock_bounds import Bounds
from recorder.core.json_text import present, rfc3339
from recorder.core.notes import NoteKey
from recorder.core.seal_times import SealTimes
from recorder.core.time_verdict import Verdict, verdict_of
from recorder.ledger.anchored import Looked
from recorder.ledger.audit_erasures import Authority, unanswered
from recorder.ledger.audit_journals import Journals
from recorder.ledger.audit_ledger import LedgerAudit
from recorder.ledger.audit_outside import Outside
from recorder.ledger.keys import fingerprint
from recorder.ledger.report import NOT_PROVED, Report, not_unsealed, unmodified, withheld_json
from recorder.ledger.succession import before_this_ledger, followed, lost_entries
from recorder.ledger.tally import Tally

_SECOND = 1e9


@dataclass(frozen=True)
class Audited:
    """What the parts of an audit came to.

    :ivar steps: how often clocks of hosts were stepped.
    :ivar trusted: keys that the auditor got by another way.
    :ivar now_ns: UTC nanoseconds.
    :ivar authority: what answers for erasures.
    :ivar earlier: how many parts of the store, of how many, an earlier run of this audit has read.
    """

    tally: Tally
    ledger: LedgerAudit
    journals: Journals
    outside: Outside
    looked: Sequence[Looked]
    steps: int
    times: SealTimes
    trusted: Sequence[NoteKey]
    named: bool
    now_ns: int
    authority: Authority
    earlier: tuple[int, int] = (0, 0)


def report_of(audited: Audited) -> Report:
    """Return the report."""
    tally, ledger, journals = audited.tally, audited.ledger, audited.journals
    authentic = _authentic(audited)
    bounded = _bounded(audited)
    incomplete = tally.incomplete or tally.gaps or journals.dropped or ledger.tally.incomplete
    incomplete = incomplete or any(map(lost_entries, followed(journals.succeeding, ledger.keys)))
    verdicts = {
        "authentic": authentic,
        "unmodified": "no" if ledger.foreign else unmodified(tally.findings, len(tally.withheld)),
        "complete_in_range": "no" if incomplete else "yes",
        "bounded_in_time": bounded.answer,
        "fresh": _fresh(audited),
    }
    more: dict[str, Any] = {
        "bounds": list(bounded.words),
        "freshness": _freshness(audited),
        "erased": _erased(audited),
        "journals": {
            "processes": len(journals.kept),
            "running": sum(not one.ended for one in journals.kept.values()),
            "announced": len(journals.announced),
            "dropped": journals.dropped,
        },
        "anchors": [one.as_json() for one in audited.looked],
    }
    if ledger.origin is not None:
        more["ledger"] = {
            "origin": ledger.origin,
            "leaves": ledger.size,
            "checkpoints": ledger.checkpoints,
            "outside": audited.outside.read,
            "keys": [{"key": key.text, "fingerprint": fingerprint(key)} for key in ledger.keys],
        }
    if passed := audited.authority.without_effect():
        more["kept"] = {"without_effect": [one.as_json() for one in passed]}
    if tally.withheld:
        more["withheld"] = withheld_json(tally.withheld)
    if tally.more:
        more["more_findings"] = tally.more
    counts = (tally.events, tally.exchanges, tally.unfinished, tally.gaps, tally.spooled)
    open_points = tuple(_not_proved(audited, authentic))
    return Report(verdicts, tuple(tally.findings), *counts, open_points, more)


def _erased(audited: Audited) -> dict[str, Any]:
    """Return what was erased and who answers for it; and what is only recorded, whose payloads are there yet."""
    erased, authority = audited.tally.erased, audited.authority
    kinds = Counter(authority.kind(stream) for stream in erased)
    carried_out = [one for one in authority.records if one.stream in erased]
    pending = [one for one in authority.records if one.stream not in erased]
    told = {
        "payloads": sum(erased.values()),
        "exchanges": kinds["exchange"],
        "names": kinds["conversation"],
        "links": kinds["link"],
        "records": [authority.as_json(one) for one in carried_out],
    }
    return told | ({"not_carried_out": [authority.as_json(one) for one in pending]} if pending else {})


def _authentic(audited: Audited) -> str:
    """Return whether the ledger is by the holder of a key that the auditor got by another way."""
    ledger, tally = audited.ledger, audited.tally
    if not audited.named:
        return "not proved"
    if audited.trusted and ledger.vouched < ledger.signed:
        told = f"the newest checkpoint, of {ledger.signed:,} leaves, is not signed by a key that you named"
        tally.find(b"", None, "checkpoint", "key", told)
    elif audited.trusted and not ledger.vouched:
        tally.find(b"", None, "checkpoint", "key", "no checkpoint is signed by a key that you named")
    wrong = ("tree", "leaf", "signature", "key", "rewritten")
    return "no" if any(finding.kind in wrong for finding in tally.findings) else "yes"


def _bounded(audited: Audited) -> Verdict:
    tally = audited.tally
    bounds = Bounds(audited.times)
    for name in bounds.kept:
        bounds.kept[name] = tally.kept[name]
    bounds.late, bounds.older, bounds.found = tally.late, tally.older, tally.untimely
    return verdict_of(bounds, audited.steps, audited.journals.samples)


def _fresh(audited: Audited) -> str:
    if audited.ledger.origin is None:
        return "not sealed"
    waits = audited.tally.kept["unsealed"] or audited.ledger.signed < audited.ledger.size
    return "no" if waits else "yes"


def _freshness(audited: Audited) -> dict[str, Any]:
    ledger, tally = audited.ledger, audited.tally
    waiting = tally.waiting_ns
    return present(
        unsealed_events=tally.kept["unsealed"],
        lag_s=None if waiting is None else round(max(audited.now_ns - waiting, 0) / _SECOND, 3),
        last_seal=None if ledger.last is None else rfc3339(ledger.last.sealed_ns),
        leaves=ledger.size,
        signed_leaves=ledger.signed,
    )


def _not_proved(audited: Audited, authentic: str) -> Iterator[str]:
    ledger, unsealed = audited.ledger, audited.tally.kept["unsealed"]
    yield from not_unsealed(audited.tally.withheld)
    if audited.earlier[0]:
        done, parts = audited.earlier
        yield (
            f"that {done} of {parts} parts of the store are still as they were: an earlier run has read them, and what "
            "was changed in them since is not seen (without --resume everything is read now)"
        )
    if ledger.origin is None:
        yield from NOT_PROVED
        if audited.journals.kept:
            yield "of these, the journals tell of what was removed, as long as nobody has rewritten them as well"
    else:
        yield from _of_the_ledger(audited, authentic)
        if unsealed:
            yield f"anything of {unsealed:,} events that are not sealed yet, beyond their chains and the journals"
        if ledger.signed < ledger.size:
            yield f"who made the last {ledger.size - ledger.signed:,} leaves: no checkpoint over them is signed yet"
    yield from before_this_ledger(followed(audited.journals.succeeding, audited.ledger.keys))
    unsigned = len(audited.journals.unsigned)
    if unsigned:
        yield (
            f"that {unsigned:,} event streams were imported, or copied from another store: a journal says so, and no "
            "key of the ledger signed it"
        )
    late = Counter((one.facts.get("by"), one.facts.get("ground")) for one in audited.journals.vouched.values())
    for (by, ground), count in late.items():
        they = f"that {count:,} event streams are as old as they say"
        yield f"{they}: they were sealed late, on the word of {by}: {ground}"
    copied = audited.journals.brought_by("copy")
    if copied:
        yield (
            f"that nothing is missing beside {copied:,} event streams that were copied from another store: the "
            "journals of their processes are there"
        )
    yield from unanswered(audited.authority, audited.tally.erased, audited.now_ns)
    yield (
        "that everything was recorded: what was sent past the recorder is in no log; compare with the provider's bill "
        "and with the orders at the broker"
    )


def _of_the_ledger(audited: Audited, authentic: str) -> Iterator[str]:
    ledger, outside = audited.ledger, audited.outside
    if not ledger.keys:
        yield "the signatures of the checkpoints: no public key of the log is known here, give one with --key"
    elif authentic == "not proved":
        yield "who signed: no key was given; give --key with a fingerprint that you got by another way"
    if not outside.read:
        where = f"nothing is known here of what was signed ({outside.path}), and no --anchor was named"
        yield f"that the store was not put back to an older state, or made anew by the holder of its key: {where}"
    elif not outside.anchors:
        yield (
            "that the holder of the key did not make the store anew together with what this machine keeps of it: name "
            "a place that he cannot change with --anchor"
        )
