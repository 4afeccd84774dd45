"""Sealing by a process that is no recorder: what it has done, right after it was written down, or all there is."""

from __future__ import annotations

from collections.abc import Sequence

from recorder.clock import Clock
from recorder.core.receipts import Receipt
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


def seal_all(store: EventLog, clock: Clock, exchange: bytes | None = None) -> tuple[int, Receipt | None]:
    """Seal whatever is not sealed, whoever wrote it.

    :param exchange: of which to return the receipt.
    :return: entries under the ledger's last checkpoint, and that receipt.
    :raises RecorderError: it cannot be sealed, or not with the key that is here.
    """
    sealer = Sealer(clock)
    sealer.look_through()
    receipt = sealer.seal(store, exchange)
    size = sealer.state().size or 0
    sealer.end(store)
    return size, receipt
