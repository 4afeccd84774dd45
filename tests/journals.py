"""What the journals of a store must say of its streams; every test that looks at a store checks it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from recorder.clock import id_text
from recorder.core.events import Event, StreamOpened, is_journal, stream_kind
from recorder.store import open_store

Stored = Mapping[str, tuple[StreamOpened, list[Event]]]


def journals(url: str) -> dict[str, list[Event]]:
    """Return the events of every journal of a store, by id, the oldest first."""
    with closing(open_store(url, write=False)) as store:
        found = [opened for opened in store.openings() if is_journal(opened)]
        return {id_text(opened.stream): list(store.events(opened.stream)) for opened in found}


def only_journal(url: str) -> list[Event]:
    """Return the events of the only journal of a store."""
    ((_, events),) = journals(url).items()
    return events


def told(events: list[Event], kind: str) -> list[dict[str, object]]:
    """Return the facts of a journal's events of one type."""
    return [event.facts for event in events if event.type == kind]


def check_journals(stored: Stored) -> None:
    """Check that the journals announce every exchange of their process, in order, and say how far each one goes."""
    kept = {name: events for name, (opened, events) in stored.items() if is_journal(opened)}
    reached: dict[str, tuple[int, str | None]] = {}
    for events in kept.values():
        for facts in (event.facts for event in events if event.type == "exchange_closed"):
            length = facts["length"]
            if length >= reached.get(facts["exchange"], (0, None))[0]:
                reached[facts["exchange"]] = (length, facts.get("head"))
    for name, events in kept.items():
        assert events[0].type == "instance_started", (name, events[0])
        if any(event.type in ("gap_recorded", "events_dropped") and "exchange" not in event.facts for event in events):
            continue  # it says itself that it is not whole
        opened = told(events, "exchange_opened")
        assert [facts["number"] for facts in opened] == list(range(1, len(opened) + 1)), name
        _check_exchanges(name, {str(facts["exchange"]): facts["number"] for facts in opened}, stored)
        if events[-1].type in ("instance_stopped", "process_died"):
            _check_ends({str(facts["exchange"]) for facts in opened}, reached, stored)


def _check_exchanges(journal: str, numbers: Mapping[str, object], stored: Stored) -> None:
    """Check that every exchange of a process is in its journal, with its number."""
    for name, (opened, events) in stored.items():
        if id_text(opened.instance) != journal or not events or stream_kind(events[0].type) != "exchange":
            continue
        if events[0].type == "imported":
            continue
        sent = [event.facts.get("number") for event in events if event.type == "request_sent"]
        assert name in numbers, (journal, name)
        assert sent in ([], [numbers[name]]), (journal, name, sent, numbers[name])


def _check_ends(opened: set[str], reached: Mapping[str, tuple[int, str | None]], stored: Stored) -> None:
    for name in opened:
        events = stored[name][1] if name in stored else []
        expected = (len(events), events[-1].hash.hex()) if events else (0, None)
        assert reached.get(name) == expected, (name, reached.get(name), expected)
