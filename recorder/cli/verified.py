"""The report of an audit for people: what was checked, what follows from it, what does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from recorder.cli.output import clean, counted, short
from recorder.core.authority import on_whose_word
from recorder.core.chain import Finding
from recorder.ledger.kept import passed_over_told
from recorder.ledger.report import Report

_SHOWN: Final = 20
_QUESTIONS: Final = {
    "authentic": "it was sealed by the holder of a key that you named",
    "unmodified": "every event is the one that was written",
    "complete_in_range": "nothing is missing that is said to be there",
    "bounded_in_time": "others say when it was there, and no clock contradicts them",
    "fresh": "everything is sealed and signed",
}
_COLOURS: Final = {"yes": "green", "no": "red"}


def lines_of(report: Report, kinds: Mapping[str, str]) -> Iterator[str]:
    """Yield what is shown, line by line.

    :param kinds: what the event streams of findings are, by their ids.
    """
    yield f"checked {counted(report.events, 'event')} of {counted(report.exchanges, 'exchange')}"
    width = max(len(answer) for answer in report.verdicts.values())
    for question, text in _QUESTIONS.items():
        if question in report.verdicts:
            yield f"  {_answer(question, report.verdicts[question], width)}  {text}"
    yield from _counts(report)
    yield from _layers(report.more)
    for finding in report.findings[:_SHOWN]:
        yield _line(finding, kinds)
    if len(report.findings) > _SHOWN:
        yield f"  … and {counted(len(report.findings) - _SHOWN, 'more finding')}: see --json"
    yield "not proved:"
    for text in report.not_proved:
        yield f"  {clean(text)}"


def as_json_of(report: Report, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return what ``--json`` prints (docs/schema/verify.schema.json).

    :param kinds: what the event streams of findings are, by their ids.
    """
    shown = report.as_json()
    for one in shown["findings"]:
        one |= {"stream": kinds[one["exchange"]]} if one["exchange"] in kinds else {}
    return shown


def _answer(question: str, answer: str, width: int) -> str:
    colour = _COLOURS.get(answer, "yellow")
    if answer == "no" and question == "fresh":  # which is no finding by itself
        colour = "yellow"
    return click.style(f"{answer:{width}}", fg=colour, bold=True)


def _counts(report: Report) -> Iterator[str]:
    if report.unfinished:
        told = (
            "still running, or their program died: then `recorder recover`, run where their spool is, closes them, "
            "if anything in it tells whose it was"
        )
        yield f"  {counted(report.unfinished, 'exchange')} without an end: {told}"
    if report.gaps:
        yield f"  {counted(report.gaps, 'gap')}: the recorder itself says that something could not be kept"
    if report.spooled:
        yield f"  {counted(report.spooled, 'event')} only in a spool, not in the store yet"


def _layers(more: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is there beside the chains."""
    journals = more.get("journals", {})
    if journals.get("processes"):
        running = f", {journals['running']:,} without an end" if journals["running"] else ""
        announced = counted(journals["announced"], "exchange")
        yield f"  {announced} announced, processes that keep journals: {journals['processes']:,}{running}"
    if journals.get("dropped"):
        yield f"  {counted(journals['dropped'], 'event')} lost, as the journals say"
    ledger = more.get("ledger")
    if ledger is not None:
        sizes = f"leaves: {ledger['leaves']:,}, {counted(ledger['checkpoints'], 'signed checkpoint')}"
        yield f"  ledger {clean(ledger['origin'])}: {sizes}, {ledger['outside']:,} known outside of the store"
        for key in ledger["keys"]:
            yield f"    key {key['fingerprint']}"
        yield from _freshness(more["freshness"])
    erased = more.get("erased", {})
    if erased.get("payloads"):
        yield f"  {counted(erased['payloads'], 'payload')} erased in {_of(erased)}{':' if erased['records'] else ''}"
        yield from _records(erased["records"])
    if erased.get("not_carried_out"):
        yield "  recorded, not carried out: what these are of is there yet (`recorder erase --finish`):"
        yield from _records(erased["not_carried_out"])
    if passed := more.get("kept", {}).get("without_effect", []):
        yield "  said of what has to be kept, and without effect:"
        yield from _passed_over(passed)
    withheld = more.get("withheld", {})
    if withheld.get("payloads"):
        streams = counted(withheld["streams"], "event stream")
        yield f"  {counted(withheld['payloads'], 'payload')} withheld in {streams}: sealed, and the keys are not here"
    for anchor in more.get("anchors", [])[:_SHOWN]:
        yield f"  anchor {clean(anchor['anchor'])}: {clean(anchor['told'])}"
    for word in more.get("bounds", []) if ledger is not None else []:
        yield f"  time: {clean(word)}"


def _of(erased: Mapping[str, Any]) -> str:
    of = (("exchanges", "exchange"), ("names", "conversation name"), ("links", "link"))
    return ", ".join(counted(erased[name], what) for name, what in of if erased.get(name)) or "nothing that is known"


def _records(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield on whose authority something was erased, a line for each record."""
    for record in records[:_SHOWN]:
        signed = "" if record.get("signed", True) else "; NOT SIGNED by the ledger's key"
        what = {"conversation": "name of conversation ", "link": "link "}.get(str(record.get("kind")), "")
        yield f"    {what}{short(record['exchange'])} {record['at']} {clean(on_whose_word(record))}{signed}"
    if len(records) > _SHOWN:
        yield f"    … and {counted(len(records) - _SHOWN, 'more record')}: see --json"


def _passed_over(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what has no effect on what has to be kept, a line for each record."""
    for record in records[:_SHOWN]:
        yield f"    {record['at']} {clean(passed_over_told(record))}"
    if len(records) > _SHOWN:
        yield f"    … and {counted(len(records) - _SHOWN, 'more record')}: see --json"


def _freshness(freshness: Mapping[str, Any]) -> Iterator[str]:
    if "last_seal" in freshness:
        yield f"    last sealed {freshness['last_seal']}"
    if freshness.get("unsealed_events"):
        waits = f", the oldest for {freshness['lag_s']:,} s" if "lag_s" in freshness else ""
        yield f"    {counted(freshness['unsealed_events'], 'event')} not sealed yet{waits}"
    unsigned = freshness["leaves"] - freshness["signed_leaves"]
    if unsigned:
        yield f"    leaves that are not signed yet: {unsigned:,}"


def _line(finding: Finding, kinds: Mapping[str, str]) -> str:
    place = f"{kinds.get(finding.exchange, 'exchange')} {short(finding.exchange)}" if finding.exchange else "store"
    version = "" if finding.version is None else f" version {finding.version}"
    kind = click.style(finding.kind, fg="red")
    return f"  {place}{version}: {kind} ({clean(finding.field)}): {clean(finding.detail)}"
