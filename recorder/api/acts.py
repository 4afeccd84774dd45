"""What somebody who is no recorder does to a store: it is written down, and sealed where the store has a ledger."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recorder.clock import Clock, id_text
from recorder.core.events import Event, StreamOpened
from recorder.errors import ConfigurationError
from recorder.ledger.keys import SigningKey, load
from recorder.ledger.own_keys import require_in_force
from recorder.ledger.sealer import Sealer
from recorder.ledger.sealing_acts import seal_acts
from recorder.recording.closing import following
from recorder.recording.short_journal import short_journal
from recorder.store.base import EventLog

_log = logging.getLogger("recorder")


def who() -> str:
    """Return the name of the user that this process runs as, as far as the system tells it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such user, or no way to ask
        return "unknown"


def write_down(
    store: EventLog,
    clock: Clock,
    action: str,
    facts: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    links: Sequence[Mapping[str, Any]] = (),
    journal: bytes | None = None,
    seal: bool = True,
    unsealed: Callable[[str], None] = lambda reason: None,
) -> bytes:
    """Write a journal of what was done, with the streams that this made, in one transaction; seal it where that is on.

    :param action: what was done, in a word.
    :param facts: the events of the journal, see :mod:`recorder.core.journal_facts`.
    :param links: facts of links, each of which becomes a stream of its own.
    :param journal: its id, where the facts say in which they stand; a new one where it is left out.
    :param seal: False leaves the sealing to whoever seals next: what is outside is not touched.
    :param unsealed: is told why it is recorded and not sealed, where that is so.
    :return: id of the journal.
    :raises StoreError: the store failed; nothing is written.
    """
    instance = journal or clock.new_id()
    made = [_linked(clock, link, instance) for link in links]
    told = [*facts, *(("stream_written", _reached(event)) for _, event in made)]
    opened, events = short_journal(store, clock, told, {"action": action}, instance)
    store.append([opened, *(opening for opening, _ in made)], [*events, *(event for _, event in made)])
    reason = seal_acts(store, clock, instance) if seal else None
    if reason is not None:
        _log.warning("recorder: what was done is recorded, and not sealed: %s", reason)
        unsealed(reason)
    return instance


def seal_first(store: EventLog, clock: Clock, journals: Sequence[bytes]) -> str | None:
    """Seal what was written down before what it tells of is done.

    :param journals: in which it stands.
    :return: why it is not sealed, where the signing key cannot be used here; None: it is, or the store has no ledger.
    :raises LedgerConflict: the ledger does not continue what was signed before.
    :raises RecorderError: the key is here, and it cannot be sealed all the same.
    """
    if store.ledger is None or store.ledger.origin() is None:
        return None
    key, reason = signing_key(store)
    if key is None:
        return reason
    sealer = Sealer(clock)
    try:
        sealer.begin(store)
        for journal in journals:
            sealer.take(store, journal)
        sealer.seal(store)
    finally:
        sealer.end(store)
    return None


def signing_key(store: EventLog) -> tuple[SigningKey | None, str]:
    """Return the key that signs for a store here; where there is none, why, in words."""
    origin = store.ledger.origin() if store.ledger is not None else None
    if origin is None:
        return None, "the store has no ledger"
    try:
        key = load(origin)
        if key is not None:
            require_in_force(store, key.public)
    except ConfigurationError as error:
        return None, str(error)
    return key, f"the signing key of {origin} is not here"


def _linked(clock: Clock, facts: Mapping[str, Any], instance: bytes) -> tuple[StreamOpened, Event]:
    opened = StreamOpened(clock.new_id(), instance, clock.secret(32))
    return opened, following(opened, None, "linked", facts, clock, instance)


def _reached(event: Event) -> dict[str, Any]:
    return {"stream": id_text(event.stream), "length": event.version, "head": event.hash.hex(), "kind": "link"}
