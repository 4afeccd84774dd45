"""The journals of a store: what each recorder process says of itself and of the exchanges that it recorded."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from recorder.api.reader import Reader
from recorder.clock import id_bytes, id_text
from recorder.core.events import TERMINAL_TYPES, Event, StreamOpened, is_journal
from recorder.core.json_text import plain, present, rfc3339
from recorder.errors import NotFound
from recorder.store.journals import newest_journals
from recorder.store.related import streams_with


def openings(reader: Reader) -> Iterator[StreamOpened]:
    """Yield the openings of the journals that can be read, the one that began last first."""
    spooled = {opened.stream: opened for opened in reader.spooled.openings.values() if is_journal(opened)}
    for opened in newest_journals(reader.store):
        spooled.pop(opened.stream, None)
        for stream in sorted((stream for stream in spooled if stream > opened.stream), reverse=True):
            yield spooled.pop(stream)
        yield opened
    yield from (spooled[stream] for stream in sorted(spooled, reverse=True))


def resolve_journal(reader: Reader, text: str) -> bytes:
    """Return the id of the journal that *text* names: an id, or the beginning or the end of one.

    :raises NotFound: no journal goes by that name, or more than one does.
    """
    try:
        wanted = id_text(id_bytes(text))
    except ValueError:
        wanted = text.strip().lower()
    named = (one.stream for one in openings(reader) if _goes_by(id_text(one.stream), wanted))
    found = list(islice(named, 2))
    if not wanted or not found:
        raise NotFound(f"no journal of this store goes by {text!r}: `recorder journal` lists them")
    if len(found) > 1:
        raise NotFound(f"more than one journal goes by {text!r}: give more of its id")
    return found[0]


def stream_called(reader: Reader, text: str) -> bytes | None:
    """Return the id of the event stream of any kind, a link for example, whose id *text* is or is a part of.

    None where there is none, or more than one.
    """
    digits = text.strip().lower().replace("-", "")
    if not digits or set(digits) - set("0123456789abcdef"):
        return None
    found = set(streams_with(reader.store, digits))
    found |= {one for one in reader.spooled.openings if _goes_by(one.hex(), digits)}
    return found.pop() if len(found) == 1 else None


def _goes_by(identity: str, text: str) -> bool:
    return identity.startswith(text) or identity.endswith(text)


def summaries(reader: Reader, limit: int) -> Iterator[dict[str, Any]]:
    """Yield what there is to know of each journal, the newest first (docs/schema/journal.schema.json).

    :param limit: how many at most.
    """
    for opened in islice(openings(reader), limit):
        yield _summary(opened.stream, reader.found_events(opened.stream))


def _summary(stream: bytes, events: Iterator[Event]) -> dict[str, Any]:
    first = next(events, None)
    facts = {} if first is None else first.facts
    counts = dict.fromkeys(("exchange_opened", "exchange_closed", "events_dropped"), 0)
    dropped, length, last, end = 0, 0 if first is None else 1, first, None
    for event in events:
        length, last = length + 1, event
        if event.type in counts:
            counts[event.type] += 1
        if event.type == "events_dropped":
            dropped += event.facts["events"]
        elif event.type in TERMINAL_TYPES:
            end = event.type
    told = {name: facts.get(name) for name in ("recorder", "python", "system", "host", "pid", "digest", "previous")}
    return present(
        journal=id_text(stream),
        started=None if first is None else rfc3339(first.wall_ns),
        last=None if last is None else rfc3339(last.wall_ns),
        end=end,
        events=length,
        exchanges=counts["exchange_opened"],
        drops=counts["events_dropped"],
        dropped_events=dropped,
        configuration=plain(facts.get("configuration")),
        **told,
    )
