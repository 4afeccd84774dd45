"""What a recorder finds in its store when it begins: what dead processes left, and the journals before its own.

A journal names the one before it, so that this cannot be taken away unseen.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from recorder.clock import Clock, id_text
from recorder.core.events import StreamOpened
from recorder.core.journal_facts import ConfigurationChangedMeta, PreviousJournal
from recorder.errors import StoreError
from recorder.recording.recovery import Recovered, recover
from recorder.recording.surroundings import digest_of, host
from recorder.store.base import EventLog
from recorder.store.journals import newest_journals

_log = logging.getLogger("recorder")

_LOOK_BACK: Final = 100  # journals in which the last one of a recorder on this machine is looked for


@dataclass(frozen=True, slots=True)
class Before:
    """What there was in the store when a journal began.

    :ivar journal: the newest other one.
    :ivar changed: how this recorder is set up in another way than the last one on this machine.
    """

    journal: PreviousJournal | None = None
    changed: ConfigurationChangedMeta | None = None


def take_over(
    directory: Path,
    store: EventLog,
    clock: Clock,
    instance: bytes,
    configuration: Mapping[str, Any] | None,
    *,
    must: bool,
) -> tuple[Recovered, Before]:
    """Take over what dead processes left, and look at what there is.

    :param directory: the spool directory.
    :param configuration: how this recorder is set up; None where it keeps no journal.
    :param must: whether it is an error that the store fails meanwhile; else what is left can wait.
    :raises StoreError: the store failed.
    """
    recovered, before = Recovered(), Before()
    try:
        recovered = recover(directory, store, clock, instance)
        if configuration is not None:
            before = what_came_before(store, configuration)
    except StoreError as error:
        if must:
            raise
        _log.warning("recorder: what a dead process left stays in %s for now: %s", directory, error)
    if died := len(recovered.died):
        _log.warning("recorder: closed %d exchange%s of processes that died", died, "" if died == 1 else "s")
    return recovered, before


def what_came_before(store: EventLog, configuration: Mapping[str, Any]) -> Before:
    """Return what the store has before this process's journal.

    :param configuration: how this recorder is set up.
    :raises StoreError: the store failed.
    """
    before = Before(newest(store))
    for opened in islice(newest_journals(store), _LOOK_BACK):
        last = _digest_here(store, opened)
        if last is not None:
            now = digest_of(configuration)
            changed = None if last == now else ConfigurationChangedMeta({"from": last, "to": now})
            return Before(before.journal, changed)
    return before


def newest(store: EventLog) -> PreviousJournal | None:
    """Return the newest journal of a store, and how far it goes; None where it has none.

    :raises StoreError: the store failed.
    """
    for opened in newest_journals(store):
        if (head := store.head(opened.stream)) is not None:
            return PreviousJournal(stream=id_text(opened.stream), length=head.version, head=head.hash.hex())
    return None


def _digest_here(store: EventLog, opened: StreamOpened) -> str | None:
    """Return the digest of a journal's configuration, where it is of a recorder on this machine."""
    first = next(iter(store.found_events(opened.stream)), None)
    facts = first.facts if first is not None and first.type == "instance_started" else {}
    if facts.get("host") != host() or "durability" not in facts.get("configuration", {}):
        return None
    return str(facts["digest"])
