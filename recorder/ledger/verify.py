"""The audit: is every event still what was written, is none missing, and who says so?

What is checked depends on what there is. Chains are always there. The journals of recorder processes tell which streams
there must be, and how long they are. The ledger tells what was there when it was sealed, and its signed checkpoints
that it is still the same ledger. What lies outside tells that it is still the newest one. What each of these layers
does not prove, the report says.

Chains alone do not prove that no whole stream was removed, that nothing was cut off the end of one, and that nobody who
held the store rewrote a stream together with all of its hashes.
"""

from __future__ import annotations

from collections.abc import Iterable

from recorder.core.events import Event, StreamOpened
from recorder.errors import CorruptRecording
from recorder.ledger.audit_streams import StreamsAudit
from recorder.ledger.report import NOT_PROVED as NOT_PROVED  # names of this module as well
from recorder.ledger.report import Report as Report
from recorder.ledger.report import unmodified
from recorder.ledger.tally import Tally
from recorder.store.walked import Walked

Streams = Iterable[tuple[StreamOpened | None, Iterable[Event]]]


def verify(streams: Streams, damage: Iterable[str] = ()) -> Report:
    """Check event streams by their chains alone.

    :param streams: each with its opening (None where that is missing) and its events in order, as they
        are stored; what cannot be read any more raises :class:`~recorder.errors.CorruptRecording`, and
        the audit ends there with a finding.
    :param damage: what the store's engine finds wrong with its own file, a sentence each: what can be read
        of it may not be all that there is.
    """
    audit = StreamsAudit(Tally())
    find_damage(audit.tally, damage)
    try:
        for opened, events in streams:
            audit.take(Walked(b"" if opened is None else opened.stream, opened, iter(events), (), {}))
    except CorruptRecording as error:
        audit.tally.incomplete = True
        audit.tally.find(audit.current, None, "page", "storage", f"{error}; what follows was not read")
    tally = audit.end()
    verdicts = {
        "unmodified": unmodified(tally.findings),
        "complete_in_range": "no" if tally.incomplete or tally.gaps else "yes",
    }
    counts = (tally.events, tally.exchanges, tally.unfinished, tally.gaps, tally.spooled)
    return Report(verdicts, tuple(tally.findings), *counts)


def find_damage(tally: Tally, damage: Iterable[str]) -> None:
    """Take as findings what the store's engine finds wrong with its own file."""
    for detail in damage:
        tally.incomplete = True
        tally.find(b"", None, "page", "storage", f"the store's file is damaged: {detail}")
