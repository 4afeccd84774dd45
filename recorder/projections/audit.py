"""Are the projections' rows what the events say? They are caches, and may be built again at any time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Final

from recorder.clock import id_or_digits
from recorder.core.chain import Finding
from recorder.projections.rows import ExchangeRows, exchange_rows, kind_of, link_row, opening_row
from recorder.projections.runner import NAME, Rows
from recorder.store.compared import Compared, compared
from recorder.store.linked import LinkRow
from recorder.store.projected import ExchangeRow, OpeningRow
from recorder.store.searched import CallRow, MessageRow
from recorder.store.sql import SqlStore

_KEPT: Final = 20  # findings; the others are counted


@dataclass(slots=True)
class RowAudit:
    """What was found.

    :ivar rows: how many were compared with events.
    :ivar pending: event streams that are not projected whole yet; views fold those themselves.
    :ivar findings: the first ones, of kind ``projection``; ``found``: how many there are.
    """

    rows: int = 0
    pending: int = 0
    found: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(self, stream: bytes, place: str, detail: str) -> None:
        """Take a finding."""
        self.found += 1
        if len(self.findings) < _KEPT:
            self.findings.append(Finding(id_or_digits(stream), None, place, "projection", detail))


def audit_rows(store: SqlStore) -> RowAudit:
    """Fold every event stream and compare the row; nothing is changed, one stream at a time is in memory."""
    audit = RowAudit()
    for one in compared(store, NAME):
        if one.pending:
            audit.pending += 1
            continue
        exchange, opening, link = _folded(one)
        _compare(audit, one.stream, "exchange_rows", exchange.exchange if exchange else None, one.exchange)
        _compare(audit, one.stream, "openings", opening, one.opening)
        _compare(audit, one.stream, "link_rows", link, one.link)
        _compare_messages(audit, one, {row.key: row for row in exchange.messages} if exchange else {})
        _compare_calls(audit, one, exchange.calls if exchange else ())
    return audit


def _folded(one: Compared) -> tuple[ExchangeRows | None, OpeningRow | None, LinkRow | None]:
    events = one.events()
    if one.sealed:
        rows = Rows(messages={})
        rows.fold_sealed(iter(events))
        found = rows.exchanges.get(one.stream)
        return None if found is None else ExchangeRows(found, (), ()), rows.openings.get(one.stream), None
    kind = kind_of(events[0]) if events else None
    return (
        exchange_rows(events) if kind == "exchange" else None,
        opening_row(events) if kind == "conversation" else None,
        link_row(events) if kind == "link" else None,
    )


def _compare_messages(audit: RowAudit, one: Compared, said: dict[bytes, MessageRow]) -> None:
    """A message has its row with the first exchange that had it, which may be another one."""
    stored = {row.key: row for row in one.messages}
    missing = [key for key in said if key not in stored]
    elsewhere = one.elsewhere(missing)
    for key in missing:
        if key not in elsewhere or elsewhere[key] > (said[key].started_ns, one.stream):
            _compare(audit, one.stream, "message_rows", said[key], None)
    for key, row in stored.items():
        _compare(audit, one.stream, "message_rows", said.get(key), row)


def _compare_calls(audit: RowAudit, one: Compared, folded: Iterable[CallRow]) -> None:
    said = {(row.choice, row.place): row for row in folded}
    stored = {(row.choice, row.place): row for row in one.calls}
    for place in sorted(said.keys() | stored.keys()):
        _compare(audit, one.stream, "call_rows", said.get(place), stored.get(place))


def _compare(
    audit: RowAudit,
    stream: bytes,
    table: str,
    said: ExchangeRow | OpeningRow | LinkRow | MessageRow | CallRow | None,
    stored: object | None,
) -> None:
    audit.rows += stored is not None
    if said == stored:
        return
    if stored is None:
        audit.find(stream, "row", f"its row in {table} is missing")
    elif said is None:
        audit.find(stream, "row", f"its row in {table} stands for no event")
    else:
        differing = [one.name for one in fields(said) if getattr(said, one.name) != getattr(stored, one.name)]
        told = f"in {table}, {' and '.join(differing)} {'is' if len(differing) == 1 else 'are'} not what the events say"
        audit.find(stream, ", ".join(differing), told)
