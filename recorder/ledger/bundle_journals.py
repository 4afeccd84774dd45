"""Which part of a journal belongs into a bundle: from the last look at the clock before its exchanges to their ends."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.clock import id_bytes
from recorder.core.events import Event
from recorder.ledger.bundle_late import named_late

_WHOLE: Final = 1000  # events: a shorter journal comes from its beginning, with what it says of the process
_NAMING: Final = frozenset({"exchange_opened", "exchange_closed", "events_dropped", "payload_erased", "stream_written"})
_SAMPLES: Final = frozenset({"instance_started", "clock_sampled"})


@dataclass
class JournalSpan:
    """What one pass over a journal found.

    :ivar first: version of the first event that belongs into the bundle; 0: none does.
    :ivar last: version of the last one that does.
    :ivar opened: exchanges that were opened in the period and not all closed without anything in them.
    """

    first: int = 0
    last: int = 0
    opened: dict[bytes, int] = field(default_factory=dict)


def span_of(
    events: Iterable[Event],
    exchanges: Collection[bytes],
    period: tuple[int, int] | None,
    late: Collection[bytes] = frozenset(),
) -> JournalSpan:
    """Look through a journal.

    :param events: all events of it.
    :param exchanges: those that the bundle is made of.
    :param period: UTC nanoseconds from which, and up to which, every exchange belongs into the bundle.
    :param late: event streams that were sealed late, and their processes: what says why belongs into the bundle.
    """
    span, sample = JournalSpan(), 1
    for event in events:
        if event.type in _SAMPLES:
            sample = event.version
        if late and (named_late(event) in late or (event.type == "process_died" and event.stream in late)):
            span.first = span.first or sample
            span.last = event.version
        if event.type not in _NAMING:
            continue
        facts = event.facts
        stream = copied_stream(facts) if event.type == "stream_written" else _exchange_of(facts)
        within = event.type == "exchange_opened" and period is not None and period[0] <= event.wall_ns < period[1]
        if stream is not None and within:
            span.opened[stream] = event.version
        if event.type == "exchange_closed" and facts.get("length") == 0 and stream is not None:
            span.opened.pop(stream, None)
        if stream in exchanges or within:
            span.first = span.first or sample
            span.last = event.version
    if span.last and span.last <= _WHOLE:
        span.first = 1
    return span


def elsewhere_and_lost(events: Iterable[Event], exchanges: Collection[bytes], here: Collection[bytes]) -> list[int]:
    """Count the exchanges that a journal announces and that are not among some, and the events that it says are lost.

    :param events: those of the journal that are in a bundle.
    :param exchanges: those in the bundle; *here*: all event streams in it, of which a loss counts.
    """
    counts = [0, 0]
    for event in events:
        if event.type == "exchange_opened":
            counts[0] += _exchange_of(event.facts) not in exchanges
        elif event.type == "events_dropped":
            facts = event.facts
            if "exchange" not in facts or _exchange_of(facts) in here:
                events_lost = facts.get("events")
                counts[1] += events_lost if type(events_lost) is int and events_lost > 0 else 1
    return counts


def copied_stream(facts: dict[str, Any]) -> bytes | None:
    """Return the event stream that was copied from another store; None where ``stream_written`` tells of another."""
    return _exchange_of({"exchange": facts.get("stream")}) if facts.get("kind") == "copy" else None


def _exchange_of(facts: dict[str, Any]) -> bytes | None:
    try:
        return id_bytes(str(facts.get("exchange")))
    except ValueError:
        return None


def erased_exchange(event: Event) -> bytes | None:
    """Return the exchange whose payloads an event says were erased; None where it says nothing of the kind."""
    try:
        return _exchange_of(json.loads(event.meta or "{}"))
    except (ValueError, AttributeError):
        return None
