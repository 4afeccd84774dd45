"""What a verification came to: verdicts that are given apart, since one word for all of them would hide something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from recorder.core.authority import on_whose_word
from recorder.core.link_words import facts_told, seal_told, tag_told
from recorder.ledger.standalone.findings import OF_TIMES, Finding, id_of
from recorder.ledger.standalone.links import links_told, seal_of
from recorder.ledger.standalone.selection import made_for
from recorder.ledger.standalone.streams import StreamSummary
from recorder.ledger.standalone.verification import Verification

#: What is not proved of anchors until somebody has checked what they gave.
OF_ANCHORS = "what the anchors say: each is checked with its own program or place, and proves `not later than`"
_SHOWN = 20
_UTC = timezone(timedelta(0))
_TOLD = ("ground", "by", "approved_by", "overrides", "vouched_by")
_LOST = ("bundle", "tree", "leaf", "omitted", "version", "journal", "record")
_QUESTIONS = {
    "authentic": "it is by the holder of a key that you named",
    "unmodified": "every event is the one that was written, every file the one that the manifest names",
    "complete_in_range": "no entry of the ledger's range, and no event of what is here, was left out",
    "bounded_in_time": "what says when it was",
}


def result_of(verification: Verification) -> dict[str, Any]:
    """Return everything that a verification found, as ``--json`` prints it."""
    log, findings = verification.log, verification.findings
    clocks = _clocks(verification)
    exchanges = [one for one in verification.summaries.values() if one.kind == "exchange"]
    verdicts = {
        "authentic": _authentic(verification),
        "unmodified": "no" if findings.others_than("key", "stale", *OF_TIMES) else "yes",
        "complete_in_range": _complete(verification),
        "bounded_in_time": _bounded(verification, clocks),
    }
    result: dict[str, Any] = {
        "verdicts": verdicts,
        "findings": [_finding(verification, finding) for finding in findings.found],
        "events": verification.events,
        "exchanges": [_exchange(verification, one) for one in exchanges],
        "counts": verification.counts,
        "gaps": verification.gaps(),
        "dropped": verification.dropped(),
        "not_proved": list(_not_proved(verification, verdicts)),
        "clocks": clocks,
        "anchors": verification.anchors,
    }
    erasures = list(_erasures(verification))
    if erasures:
        result["erasures"] = erasures
    links = [_link_shown(verification, summary, told) for summary, told in links_told(verification)]
    if links:
        result["links"] = links
    if findings.more:
        result["more_findings"] = findings.more
    if log is not None and log.present:
        result["ledger"] = {
            "origin": log.origin,
            "from": log.start,
            "to": log.end,
            "checkpoints": [checkpoint.size for checkpoint in log.checkpoints],
            "keys": [{"vkey": key.text, "fingerprint": key.fingerprint} for key in log.keys],
        }
    if verification.predicate:
        result["selection"] = verification.predicate.get("selection")
        result["made_for"] = made_for(verification.predicate.get("selection"))
        result["recorder"] = verification.predicate.get("recorder")
    if verification.journals is not None:
        result["announced_elsewhere"] = verification.journals.elsewhere
    if verification.held_told:
        result["held_checkpoint"] = verification.held_told
    return result


def _finding(verification: Verification, finding: Finding) -> dict[str, Any]:
    of = {"of": verification.kind_of(finding.stream)} if finding.stream else {}
    return {**finding.as_json(), **of}


def _authentic(verification: Verification) -> str:
    log, findings, trusted = verification.log, verification.findings, verification.trusted
    signers = {
        key.fingerprint
        for checkpoint in (log.checkpoints if log is not None else ())
        if log is not None and checkpoint.size in log.proved_sizes and checkpoint.size >= log.end
        for key in checkpoint.signers
    }
    if trusted and not signers & trusted and not findings.any_of("bundle"):
        findings.add("key", "checkpoints", "no checkpoint of what is here is signed by a key that you named")
    if findings.others_than("stale", *OF_TIMES):
        return "no"
    if not trusted:
        return "not proved"
    by_manifest = {key.fingerprint for key in verification.manifest_signers}
    return "yes" if by_manifest & trusted else "events only"


def _complete(verification: Verification) -> str:
    if verification.findings.any_of(*_LOST) or verification.gaps() or verification.dropped():
        return "no"
    return "yes" if verification.log is not None and verification.log.present else "not proved"


def _bounded(verification: Verification, clocks: list[str]) -> str:
    if clocks or verification.findings.any_of("bundle", "tree", "signature"):
        return "no"
    return "anchors not checked" if verification.anchored() else "by its own clock"


def _clocks(verification: Verification) -> list[str]:
    """Return what is wrong with the times that clocks told, a sentence each: the findings, and what is none."""
    told = [finding.detail for finding in verification.findings.found if finding.kind in OF_TIMES]
    return told + ([] if verification.times is None else verification.times.excused)


def _last_leaf(verification: Verification, stream: bytes) -> Any:
    leaves = verification.log.own.get(stream) if verification.log is not None else None
    return leaves[-1] if leaves else None


def _erasures(verification: Verification) -> Iterator[dict[str, Any]]:
    """Yield who erased what is erased here, when, on what ground and on whose word, as its records say."""
    journals, log = verification.journals, verification.log
    for stream, records in sorted(journals.erasures.items()) if journals is not None else ():
        summary = verification.summaries.get(stream)
        if summary is None or not summary.emptied["erased"]:
            continue
        for one in records:
            told = {name: one.facts[name] for name in _TOLD if name in one.facts}
            shown = {
                "stream": id_of(stream),
                "kind": summary.kind,
                "events": one.events,
                "at": _time(one.at_ns),
                **told,
            }
            yield {**shown, "signed": one.signed} if log is not None and log.present else shown


def _exchange(verification: Verification, summary: StreamSummary) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": id_of(summary.stream), "events": summary.length}
    shown["began_at"], shown["last_at"] = _time(summary.began_ns), _time(summary.last_ns)
    leaf = _last_leaf(verification, summary.stream)
    if leaf is not None:
        shown["sealed_at"], shown["leaf"] = _time(leaf.sealed_ns), leaf.number
    told = {**summary.emptied, "gaps": summary.gaps}
    return {**shown, **{what: count for what, count in told.items() if count}}


def _link_shown(verification: Verification, summary: StreamSummary, told: dict[str, Any]) -> dict[str, Any]:
    shown = {**told, "at": _time(summary.began_ns)}
    leaf = seal_of(verification, told.get("exchange"))
    if leaf is not None:
        lead_ms = round((summary.began_ns - leaf.sealed_ns) / 1_000_000, 3)
        shown["seal"] = {"leaf": leaf.number, "sealed_at": _time(leaf.sealed_ns), "before_link_ms": lead_ms}
    return shown


def _not_proved(verification: Verification, verdicts: dict[str, str]) -> Iterator[str]:
    if verification.findings.any_of("bundle"):
        yield "anything: this is not the file that was made"
        return
    log = verification.log
    if log is None or not log.present:
        yield "authenticity: the store has no signed checkpoints"
        yield "that no whole exchange was left out, and nothing cut off the end of one"
        yield "that nobody rewrote an exchange together with all of its hashes"
    elif verdicts["authentic"] == "not proved":
        yield "authenticity: give --key with the fingerprint that you got from the other side by another way"
    if log is not None and log.present and not verification.held_told:
        yield "that others are shown the same ledger: compare with a checkpoint that you keep (--checkpoint)"
    if verdicts["authentic"] == "events only":
        yield "who wrote the transcripts, the cover and the selection: the manifest is not signed with that key"
    if verification.unsigned_erasures:
        several = _counted(verification.unsigned_erasures, "event stream")
        yield f"on whose authority payloads of {several} were erased: their records are of a time when none was signed"
    if any(summary.emptied["erased"] for summary in verification.summaries.values()):
        sealed = log is not None and log.present
        who = (
            "that nothing forbade what is erased"
            if sealed
            else "who erased what is erased, and that nothing forbade it"
        )
        yield f"{who}: holds and retention periods are in the store alone (`recorder verify`)"
    yield from _late(verification)
    copied = () if verification.journals is None else verification.journals.copied
    others = sum(one.kind == "exchange" and one.stream in copied for one in verification.summaries.values())
    if others:
        told = f"that nothing is missing beside {_counted(others, 'exchange')} that came from another store"
        yield f"{told}: the journals of it are not here"
    yield "that the transcripts say what the events say: recorder wrote them, and can write them again from the events"
    yield "that the recorder saw everything: what was sent past it is in no ledger"
    selection = verification.predicate.get("selection")
    if isinstance(selection, dict) and "period" in selection:
        yield "that no other process recorded in that time: those whose journals are not here are not known"
    elif isinstance(selection, dict) and ("link" in selection or "conversation" in selection):
        whole = "that led to it" if "link" in selection else "of the conversation"
        yield f"that these are all exchanges {whole}: whoever made the bundle chose them"
    if verification.anchors:
        yield OF_ANCHORS
    yield "that the clock of the recording machine was right, and anything `not earlier than` a moment"


def _late(verification: Verification) -> Iterator[str]:
    """Yield what is not proved of what was sealed late."""
    times = verification.times
    for why, count in times.late.items() if times is not None else ():
        yield f"that {_counted(count, 'event')} are as old as they say: they were sealed late; {why}"
    if times is not None and times.excused:
        yield "why some of it was sealed late: the bundle is of a time when none had to bring what tells of that"


def _time(nanoseconds: int) -> str:
    """Return a time as people read it, UTC; a number where no calendar has it."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=_UTC) + timedelta(seconds=nanoseconds // 10**9)
    except OverflowError:
        return str(nanoseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09}Z"


def lines_of(result: dict[str, Any]) -> Iterator[str]:
    """Yield what people are shown, line by line; nothing that a bundle says can move the cursor."""
    counts = result["counts"]
    yield f"{_counted(result['events'], 'event')} of {_counted(len(result['exchanges']), 'exchange')}"
    yield from _chosen(result)
    for question, text in _QUESTIONS.items():
        yield f"  {result['verdicts'][question]:<19} {question.replace('_', ' ')}: {text}"
    ledger = result.get("ledger")
    if ledger is not None:
        span = f"entries {ledger['from']} to {ledger['to'] - 1}"
        others = _counted(counts.get("other_streams", 0), "other event stream")
        yield f"ledger {_clean(ledger['origin'])}, {span}, of {others} too"
        for key in ledger["keys"]:
            yield f"  key {_grouped(key['fingerprint'])}"
    yield from _not_here(result, counts)
    yield from _authority(result.get("erasures", []))
    for one in result["exchanges"][:_SHOWN]:
        sealed = f", sealed {one['sealed_at']}" if "sealed_at" in one else ""
        gaps = f", {_counted(one['gaps'], 'gap')}" if "gaps" in one else ""
        yield f"  exchange {one['id']}: {one['began_at']} to {one['last_at']}{sealed}{gaps}"
    yield from _rest("exchanges", len(result["exchanges"]))
    yield from _links(result.get("links", []))
    for anchor in result["anchors"][:_SHOWN]:
        told = "" if anchor["names_checkpoint"] else "; what it gave does not name the checkpoint"
        told = f": {_clean(anchor['told'])}" if "told" in anchor else told  # where somebody has checked it
        yield f"  anchor of entry {anchor['size'] - 1}: {_clean(anchor['anchor'])}, {_time(anchor['made_ns'])}{told}"
    found = {finding["detail"] for finding in result["findings"]}
    for told in [one for one in result["clocks"] if one not in found][:_SHOWN]:
        yield f"  clock: {_clean(told)}"
    for finding in result["findings"][:_SHOWN]:
        place = f"{finding.get('of', 'event stream')} {finding['stream']} " if "stream" in finding else ""
        version = f"version {finding['version']} " if "version" in finding else ""
        yield f"  FOUND {place}{version}{finding['kind']} ({_clean(finding['field'])}): {_clean(finding['detail'])}"
    yield from _rest("findings", len(result["findings"]))
    if result.get("held_checkpoint"):
        yield f"the checkpoint that you hold: {result['held_checkpoint']}"
    yield "not proved:"
    for text in result["not_proved"]:
        yield f"  {text}"


def _not_here(result: dict[str, Any], counts: dict[str, int]) -> Iterator[str]:
    for why in ("withheld", "erased"):
        if counts.get(why):
            yield f"  {_counted(counts[why], 'payload')} {why}: their sizes and commitments are here"
    if result["gaps"]:
        yield f"  {_counted(result['gaps'], 'gap')}: the recorder itself says that something could not be kept"
    if result["dropped"]:
        yield f"  {_counted(result['dropped'], 'event')} lost, as the journals say"


def _authority(erasures: list[dict[str, Any]]) -> Iterator[str]:
    for one in erasures[:_SHOWN]:
        signed = "" if one.get("signed", True) else "; NOT SIGNED by a key that counts"
        yield f"    {one['kind']} {one['stream']} erased {one['at']} {_clean(on_whose_word(one))}{signed}"
    yield from _rest("records of erasures", len(erasures))


def _links(links: list[dict[str, Any]]) -> Iterator[str]:
    for one in links[:_SHOWN]:
        named = f"{one.get('kind', 'something')} {one.get('id', '(its id is not here)')}"
        yield f"  link {one['link']}: {_clean(named)}, linked {one['at']}{_emptied(one)}"
        if "exchange" in one:
            seal = one.get("seal")
            lead_ns = None if seal is None else round(seal["before_link_ms"] * 1_000_000)
            leaf = "" if seal is None else f", leaf {seal['leaf']}"
            yield f"    rests on exchange {_clean(one['exchange'])}, {seal_told(lead_ns)}{leaf}"
        if "tag" in one:
            leaf, of = one.get("tag_of", {}).get("leaf"), one.get("tag_of", {}).get("stream")
            yield f"    tag {tag_told(_clean(one['tag']), leaf, '' if of == one.get('exchange') else of or '')}"
        for name, text in list(facts_told(one.get("facts")))[:_SHOWN]:
            yield f"    {_clean(name)}: {_clean(text)}"
        yield from _rest("facts", len(one.get("facts", {})))
    yield from _rest("links", len(links))


def _emptied(link: dict[str, Any]) -> str:
    return "".join(f", {why}" for why in ("withheld", "erased") if link.get(why))


def _chosen(result: dict[str, Any]) -> Iterator[str]:
    if "made_for" in result:
        yield f"made for {_clean(result['made_for'])}"
    elsewhere = result.get("announced_elsewhere", 0)
    if elsewhere:
        are = "is" if elsewhere == 1 else "are"
        yield f"{_counted(elsewhere, 'exchange')} that these processes announced {are} not in this bundle"


def _rest(what: str, count: int) -> Iterator[str]:
    if count > _SHOWN:
        yield f"  … and {count - _SHOWN} more {what}: see --json"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _grouped(digits: str) -> str:
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _clean(text: object) -> str:
    return "".join(each if each.isprintable() else "�" for each in str(text))[:500]
