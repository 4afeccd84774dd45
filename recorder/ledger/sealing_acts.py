"""Sealing by a process that is no recorder: what it has done, right after it was written down."""

from __future__ import annotations

from collections.abc import Sequence

from recorder.clock import Clock
from recorder.ledger.sealer import Sealer
from recorder.store.base import EventLog


def seal_acts(store: EventLog, clock: Clock, instance: bytes, dead: Sequence[bytes] = ()) -> str | None:
    """Seal what a process that is no recorder has written, where the store has a ledger; return why it is not sealed.

    :param instance: the id of its journal.
    :param dead: recorders whose streams it has brought to the store and closed.
    """
    sealer = Sealer(clock)
    sealer.begin(store, dead)
    sealer.take(store, instance)
    sealer.end(store)
    return sealer.error
