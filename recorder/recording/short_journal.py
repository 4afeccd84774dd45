"""The journal of a process that records no exchanges: written whole, in one go, when there is something to say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recorder.clock import Clock
from recorder.core.events import Event, StreamOpened
from recorder.recording.closing import following
from recorder.recording.previous import newest
from recorder.recording.recovery import Recovered
from recorder.recording.surroundings import started_facts
from recorder.store.base import EventLog
from recorder.store.sql import SqlStore

#: Types and facts of events: see :mod:`recorder.core.journal_facts`.
Facts = Iterable[tuple[str, Mapping[str, Any]]]


def short_journal(
    store: EventLog, clock: Clock, facts: Facts, configuration: Mapping[str, Any], instance: bytes | None = None
) -> tuple[StreamOpened, list[Event]]:
    """Return a journal, to be committed together with what it tells of.

    :param store: names the newest other journal.
    :param facts: what is between ``instance_started`` and ``instance_stopped``.
    :param configuration: what the process does, as ``{"action": "import"}``.
    :param instance: id of the process; a new one where it is left out.
    :raises StoreError: the store failed.
    """
    identity = clock.new_id() if instance is None else instance
    opened = StreamOpened(identity, identity, clock.secret(32))
    events: list[Event] = []
    told = [("instance_started", started_facts(configuration, newest(store))), *facts, ("instance_stopped", {})]
    for kind, meta in told:
        events.append(following(opened, events[-1] if events else None, kind, meta, clock, identity))
    return opened, events


def write_once(
    store: EventLog,
    clock: Clock,
    facts: Sequence[tuple[str, Mapping[str, Any]]],
    configuration: Mapping[str, Any],
    instance: bytes | None = None,
) -> bytes:
    """Write the journal of a process that is no recorder, in one transaction; return its id.

    The parameters are those of :func:`short_journal`.

    :raises StoreError: the store failed; nothing is written.
    """
    opened, events = short_journal(store, clock, facts, configuration, instance)
    store.append([opened], events)
    return opened.stream


def note_recovered(store: EventLog, clock: Clock, recovered: Recovered, instance: bytes | None = None) -> None:
    """Say how far the exchanges of dead processes go, where no recorder's journal can say it; a cassette has none.

    :raises StoreError: the store failed; nothing is written.
    """
    if recovered.closed and isinstance(store, SqlStore):
        told = [("exchange_closed", facts) for facts in recovered.closed]
        write_once(store, clock, told, {"action": "recover"}, instance)
