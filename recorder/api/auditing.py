"""The audit of a store as a command asks for it: what the ledger's audit does not know is put together here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from recorder.api.reader import Reader
from recorder.clock import id_bytes
from recorder.core.chain import Finding
from recorder.core.events import TYPE_CODES, is_journal, stream_kind
from recorder.core.heads import log_id
from recorder.errors import CorruptRecording
from recorder.ledger.audit import Asked, Spooled, audit
from recorder.ledger.audit_journals import Journals
from recorder.ledger.audit_said import Said
from recorder.ledger.audit_streams import StreamsAudit
from recorder.ledger.report import NOT_PROVED, Report, not_unsealed, unmodified, withheld_json
from recorder.ledger.tally import Tally
from recorder.locations import is_cassette
from recorder.projections.audit import audit_rows
from recorder.store.walked import Walked, walked

NOT_ANSWERED = (
    "who erased what is erased, and that nothing forbade it: only an audit of the whole store (without ID) compares "
    "that with its journals and its ledger"
)
VIEWS_NOT_COMPARED = "that list, search and stats show what the events say: they were not compared (--views)"


def audit_store(reader: Reader, asked: Asked, *, views: bool = False) -> Report:
    """Check a whole store.

    :param views: also compare the projections with the events, as ``recorder db check`` does.
    :raises RecorderError: as :func:`recorder.ledger.audit.audit` does.
    """

    def spooled() -> Spooled:
        reader.refresh()
        return reader.spooled

    jobs = 1 if is_cassette(reader.url) else asked.jobs  # a view of one is made anew by each that opens it
    report = audit(reader.url, reader.store, spooled, replace(asked, jobs=jobs))
    if not views:
        return replace(report, not_proved=(*report.not_proved, VIEWS_NOT_COMPARED))
    return _with_views(report, reader)


def _with_views(report: Report, reader: Reader) -> Report:
    try:
        found = audit_rows(reader.store)
    except CorruptRecording as error:
        told = Finding("", None, "row", "projection", f"the views could not be compared: {error}")
        return replace(report, findings=(*report.findings, told))
    shown = {"rows": found.rows, "pending": found.pending, "found": found.found}
    return replace(report, findings=(*report.findings, *found.findings), more={**report.more, "views": shown})


def audit_streams(reader: Reader, streams: Iterable[bytes]) -> Report:
    """Check some event streams: their chains, and the ledger's leaves of them; not the ledger itself."""
    streams = list(streams)
    audit = StreamsAudit(Tally(), _said(reader, streams))
    try:
        for stream in streams:
            _take(audit, reader, stream)
    except CorruptRecording as error:
        audit.tally.incomplete = True
        audit.tally.find(audit.current, None, "page", "storage", f"{error}; what follows was not read")
    tally = audit.end()
    complete = "no" if tally.incomplete or tally.gaps else "yes"
    counts = (tally.events, tally.exchanges, tally.unfinished, tally.gaps, tally.spooled)
    verdicts = {"unmodified": unmodified(tally.findings, len(tally.withheld)), "complete_in_range": complete}
    more: dict[str, Any] = {"withheld": withheld_json(tally.withheld)} if tally.withheld else {}
    open_points = (*NOT_PROVED, *not_unsealed(tally.withheld))
    if tally.erased:
        more["erased"] = {"payloads": sum(tally.erased.values()), "exchanges": len(tally.erased), "records": []}
        open_points += (NOT_ANSWERED,)
    return Report(verdicts, tuple(tally.findings), *counts, open_points, more)


def kinds_of(reader: Reader, findings: Iterable[Finding]) -> dict[str, str]:
    """Return what the event streams of findings are, by their ids: ``exchange``, ``journal``, ``link``, …

    One of which nothing says what it is is an ``event stream``.
    """
    return {text: _kind(reader, text) for text in {one.exchange for one in findings if one.exchange}}


def _kind(reader: Reader, text: str) -> str:
    try:
        stream = id_bytes(text)
        opened = reader.opening(stream)
        if opened is not None and is_journal(opened):
            return "journal"
        first = next(reader.found_events(stream), None)
    except (ValueError, CorruptRecording):
        return "event stream"
    known = first is not None and first.type in TYPE_CODES
    return stream_kind(first.type) if first is not None and known else "event stream"


def _said(reader: Reader, streams: Iterable[bytes]) -> Said:
    """Return what the journals of their processes say of streams."""
    journals, origin = Journals(Tally()), reader.store.ledger.origin()
    openings = [opened for stream in streams if (opened := reader.opening(stream)) is not None]
    for instance in dict.fromkeys(opened.instance for opened in openings):
        try:
            journals.take(instance, reader.with_spooled(instance, reader.store.found_events(instance)))
        except CorruptRecording:
            continue  # of a journal that cannot be read nothing is known; the audit of the whole store tells of it
    told = {opened.stream: journals.told[opened.stream] for opened in openings if opened.stream in journals.told}
    return Said(
        log=None if origin is None else log_id(origin),
        journals=journals.kept,
        told=told,
        announced=journals.announced,
        imported=frozenset(journals.imported),
        last=False,
    )


def _take(audit: StreamsAudit, reader: Reader, stream: bytes) -> None:
    """Check a stream, with its leaves, and with what of it only a spool holds."""
    found = False
    for one in walked(reader.store, stream, (int.from_bytes(stream) + 1).to_bytes(16)):
        found = True
        audit.take(one._replace(opened=reader.opening(stream), events=reader.with_spooled(stream, one.events)))
    if not found:
        audit.take(Walked(stream, reader.opening(stream), reader.with_spooled(stream, ()), (), {}))
