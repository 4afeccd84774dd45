"""Erasing event streams: their payloads, and every row that was folded from these, in one transaction.

What stays of the rows is what a fold of the events without their payloads gives, so that dropping the projections and
building them again gives the same. A message that another exchange sent as well gets its row with that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.projections.rows import exchange_row, kind_of, opening_row, turn_of_row
from recorder.projections.runner import NAME, folded
from recorder.store import erasure
from recorder.store.projected import ExchangeRow, OpeningRow, store_rows
from recorder.store.related import heirs_of
from recorder.store.searched import remove_messages, store_calls, store_messages
from recorder.store.sql import SqlStore


def erase_streams(store: SqlStore, streams: Mapping[bytes, Sequence[Event]], left: erasure.Left) -> None:
    """Erase event streams; all of it is done when this returns, or nothing.

    The projections have to be brought up to date before (:func:`recorder.projections.runner.project`).

    :param streams: the events of each, without their payloads.
    :param left: what is left of the payloads.
    :raises StoreError: the store failed, or a stream was written to meanwhile; nothing was erased.
    """
    exchanges, openings, links = _rows(streams)
    ids = [row.id for row in exchanges]
    with store.writing(durable=True) as connection:
        erasure.hide_originals(connection)
        erasure.lock_rows(connection)
        erasure.require_folded(store, connection, NAME, streams)
        erasure.take_away(store, connection, left)
        store_rows(connection, exchanges)
        store_rows(connection, openings)
        erasure.remove_links(connection, links)
        heirs = heirs_of(connection, ids, lambda row: turn_of_row(row, id_text(row.id)).keys)
        remove_messages(connection, ids)
        rows = folded(store, sorted(heirs), messages=True)
        store_messages(connection, list((rows.messages or {}).values()), sorted(heirs))
        store_calls(connection, rows.calls, sorted(heirs))


def _rows(streams: Mapping[bytes, Sequence[Event]]) -> tuple[list[ExchangeRow], list[OpeningRow], list[bytes]]:
    exchanges, openings, links = list[ExchangeRow](), list[OpeningRow](), list[bytes]()
    for stream, events in streams.items():
        kind = kind_of(events[0])
        if kind == "exchange":
            exchanges.append(exchange_row(events))
        elif kind == "conversation":
            openings.append(opening_row(events))
        else:
            links.append(stream)
    return exchanges, openings, links
