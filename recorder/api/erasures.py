"""What journals tell of erasures, for readers: who erased what, when, on what ground, and where it had belonged."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from recorder.api.reader import TAKEN_AWAY, Reader
from recorder.clock import id_bytes
from recorder.core.authority import on_whose_word
from recorder.core.events import Event
from recorder.core.exchange import Exchange
from recorder.core.json_text import present, rfc3339
from recorder.core.messages import ERASED
from recorder.errors import ConfigurationError, CorruptRecording
from recorder.ledger.key_chain import KeyChain
from recorder.ledger.own_keys import own_chain
from recorder.store.erased import acts_of_types, erased_streams, sealing_leaf, thing_digest


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """A ``payload_erased`` of a journal.

    :ivar stream: what was erased; ``at_ns``: when, UTC nanoseconds.
    :ivar signed: whether a key of the ledger vouches for it; None: none is known here.
    """

    stream: bytes
    at_ns: int
    facts: Mapping[str, Any]
    signed: bool | None = None

    @property
    def told(self) -> str:
        """Who erased it, when and why, in words."""
        told = f"what was said in it was erased {rfc3339(self.at_ns)[:19]}Z {on_whose_word(self.facts)}"
        return f"{told}; NOT SIGNED by the ledger's key" if self.signed is False else told

    @property
    def authority(self) -> dict[str, Any]:
        """Return the same as JSON."""
        named = {name: self.facts.get(name) for name in ("by", "approved_by", "ground")}
        return present(at=rfc3339(self.at_ns), signed=self.signed, **named)

    @property
    def linked(self) -> Mapping[str, Any]:
        """What a link named, see docs/format.md; empty of what is no link."""
        found = self.facts.get("linked")
        return found if isinstance(found, dict) else {}

    @property
    def near(self) -> frozenset[str]:
        """The ids of the exchanges that it stood next to in its conversation."""
        return self.texts("follows") | self.texts("followed_by") | self.texts("beside")

    def texts(self, name: str) -> frozenset[str]:
        """Return the ids that one of its facts gives."""
        found = self.facts.get(name)
        return frozenset(one for one in (found if isinstance(found, list) else [found]) if isinstance(one, str))


class Erasures:
    """The erasures that a store's journals tell of, read when the first is asked for.

    :param reader: an open store.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @cached_property
    def _records(self) -> Mapping[bytes, ErasureRecord]:
        told: dict[bytes, ErasureRecord] = {}
        for event in acts_of_types(self._reader.store, ("payload_erased",)):
            try:
                stream = id_bytes(str(event.facts["exchange"]))
            except (CorruptRecording, KeyError, ValueError):  # which the audit tells of
                continue
            record = ErasureRecord(stream, event.wall_ns, event.facts, self._is_signed(event))
            known = told.get(stream)
            if known is None or (record.signed and not known.signed):  # what nobody signed displaces nothing
                told[stream] = record
        return told

    @cached_property
    def _chain(self) -> KeyChain:
        try:
            return own_chain(self._reader.store)
        except ConfigurationError:  # damaged keys, which whoever signs or audits tells of
            return KeyChain()

    def _is_signed(self, event: Event) -> bool | None:
        leaf_of = partial(sealing_leaf, self._reader.store)
        return self._chain.counts(event, leaf_of) if self._chain.keys else None

    @cached_property
    def _gone(self) -> Mapping[bytes, ErasureRecord]:
        """The records of what is erased indeed."""
        gone = self._emptied if self._records else frozenset()
        return {stream: record for stream, record in self._records.items() if stream in gone}

    @cached_property
    def _emptied(self) -> frozenset[bytes]:
        return erased_streams(self._reader.store)

    def of(self, stream: bytes) -> ErasureRecord | None:
        """Return the record of an erasure; None where nothing of the stream was erased."""
        return self._gone.get(stream)

    def links_of(self, kind: str, identity: str) -> Iterator[ErasureRecord]:
        """Yield the records of erased links of something outside, which whoever names it can tell."""
        for record in self._gone.values():
            if record.linked.get("thing") == thing_digest(record.stream, kind, identity):
                yield record

    def links_resting_on(self, exchanges: Collection[str]) -> Iterator[ErasureRecord]:
        """Yield the records of erased links that named one of some exchanges."""
        for record in self._gone.values():
            if record.linked.get("exchange") in exchanges:
                yield record

    def beside(self, conversations: Collection[str], exchanges: Collection[str]) -> Iterator[ErasureRecord]:
        """Yield the records of erased exchanges that were in some conversations, or next to some exchanges."""
        for record in self._gone.values():
            near = record.near
            among = record.texts("conversations").intersection(conversations) or near.intersection(exchanges)
            if among and not record.linked and self._reader.exchange(record.stream) is not None:
                yield record

    def named(self, exchange: Exchange) -> Exchange:
        """Return an exchange; where it was erased, with what is known of that.

        What is gone without a record is not called erased: whoever checks it says what it is.
        """
        gone = next((fact for fact in exchange.anomalies if fact.kind == ERASED), None)
        if gone is None:
            return exchange
        others = tuple(fact for fact in exchange.anomalies if fact.kind != ERASED)
        if not self._reader.tells_erased(exchange.stream):
            return replace(exchange, anomalies=others)
        record = self._records.get(exchange.stream)  # None: it was erased after these were read
        return replace(exchange, anomalies=(*others, gone if record is None else replace(gone, detail=record.told)))

    def listed(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a list shows of an exchange; what is gone without a record is not called erased there either.

        The row may be of a time at which it was there: whoever takes it away need not bring the projections up to date.
        """
        stream = id_bytes(str(row["id"]))
        if not row.get("erased") and stream not in self._emptied:
            return row
        if self._reader.tells_erased(stream):
            return {**row, "erased": True}
        return {name: value for name, value in row.items() if name != "erased"} | {"not_as_written": TAKEN_AWAY}
