"""Journals and links, as recorders write them."""

from __future__ import annotations

from recorder.clock import id_text
from tests.building import ExchangeBuilder, identity


def journal(number: int, *opened: int, ended: str | None = "instance_stopped") -> ExchangeBuilder:
    """Return the journal of a process that has recorded some exchanges; its stream is its instance."""
    built = ExchangeBuilder(number, instance=identity(number))
    built.event("instance_started", {"recorder": "0", "python": "3", "pid": 1, "configuration": {}, "digest": "d"})
    for place, exchange in enumerate(opened, 1):
        built.event("exchange_opened", {"number": place, "exchange": id_text(identity(exchange))})
        built.event("clock_sampled", {"exchanges": place})
    for place, exchange in enumerate(opened, 1):
        facts = {"number": place, "exchange": id_text(identity(exchange)), "length": 6, "head": "00" * 32}
        built.event("exchange_closed", facts)
    return built if ended is None else built.event(ended, {})


def link(number: int, exchange: int, identity_there: str = "12345", kind: str = "order") -> ExchangeBuilder:
    """Return the stream of a link."""
    facts = {"kind": kind, "id": identity_there, "exchange": id_text(identity(exchange)), "facts": {"side": "buy"}}
    return ExchangeBuilder(number).event("linked", facts)
