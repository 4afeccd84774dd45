"""Exchanges for event stores, and what only a test may do to one."""

from __future__ import annotations

from recorder.core.events import Event
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder

OTHER = b"o" * 16


def exchange(number: int, chunks: int = 3, *, ended: bool = True, instance: bytes = b"i" * 16) -> ExchangeBuilder:
    builder = ExchangeBuilder(number, instance=instance).event("request_sent", {"method": "POST", "é": "ü"}, b"POST /")
    builder.event("response_started", {"status": 200}, b"HTTP/1.1 200 OK", flags=2)
    for index in range(chunks):
        builder.event("chunk_received", None, bytes([index]) * 300, flags=7)
    return builder.event("response_completed") if ended else builder


def unplaced(events: list[Event]) -> list[Event]:
    return [event._replace(position=None) for event in events]


def unchecked(store: SqlStore, *statements: str) -> None:
    """Do what nobody should: change a store behind its back."""
    with store.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
