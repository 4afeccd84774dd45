"""What journals tell of erasures, for readers: who erased an exchange, when, and on what ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from recorder.api.reader import Reader
from recorder.clock import id_bytes
from recorder.core.exchange import Exchange
from recorder.core.json_text import rfc3339
from recorder.core.messages import ERASED
from recorder.errors import CorruptRecording
from recorder.store.erased import acts_of_types


class Erasures:
    """The erasures that a store's journals tell of, read when the first erased exchange is shown.

    :param reader: an open store.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @cached_property
    def _told(self) -> Mapping[bytes, str]:
        told: dict[bytes, str] = {}
        for event in acts_of_types(self._reader.store, ("payload_erased",)):
            try:
                facts = event.facts
                stream = id_bytes(str(facts["exchange"]))
            except (CorruptRecording, KeyError, ValueError):  # which the audit tells of
                continue
            approved = f", approved by {facts['approved_by']}" if "approved_by" in facts else ""
            by = f"by {facts.get('by', 'unknown')}{approved}: {facts.get('ground', 'no ground is told')}"
            told.setdefault(stream, f"what was said in it was erased {rfc3339(event.wall_ns)[:19]}Z {by}")
        return told

    def named(self, exchange: Exchange) -> Exchange:
        """Return an exchange; where it was erased, with what is known of that."""
        if not any(fact.kind == ERASED for fact in exchange.anomalies) or exchange.stream not in self._told:
            return exchange
        detail = self._told[exchange.stream]
        named = [replace(fact, detail=detail) if fact.kind == ERASED else fact for fact in exchange.anomalies]
        return replace(exchange, anomalies=tuple(named))
