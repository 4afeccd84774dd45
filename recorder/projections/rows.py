"""One event stream, folded into the row that stands for it.

A row depends on the events of its own stream and on nothing else, so that the order in which streams
are projected does not matter and dropping the tables and projecting again gives the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple

from recorder.clock import id_bytes, id_text
from recorder.core.chain import told_of
from recorder.core.conversation import Turn, turn_of
from recorder.core.events import Event, StreamKind, stream_kind
from recorder.core.exchange import Exchange, fold
from recorder.core.history_names import kept_history
from recorder.core.kept_histories import KeptHistory
from recorder.core.matching import match_key
from recorder.core.rebuilt import Rebuilt, summary
from recorder.dialects.rebuild import rebuild
from recorder.dialects.remembered import Remembered
from recorder.errors import CorruptRecording
from recorder.projections.messages import call_rows, message_rows, storable, storable_or_none
from recorder.store.linked import LinkRow
from recorder.store.projected import ExchangeRow, OpeningRow, damaged_row
from recorder.store.related import SEALED, TurnRow
from recorder.store.searched import CallRow, MessageRow


def opening_row(events: Sequence[Event]) -> OpeningRow:
    """Return the row of a conversation's opening: its name and its last tags."""
    facts: dict[str, Any] = {}
    for event in events:
        with suppress(CorruptRecording):  # as in an exchange: what cannot be read says nothing, the audit tells of it
            facts.update(event.facts)
    tags = json.dumps(facts.get("tags", {}), sort_keys=True)
    return OpeningRow(
        events[0].stream,
        storable(facts["name"]) if "name" in facts else None,
        tags,
        events[0].wall_ns,
        events[-1].wall_ns,
    )


def exchange_row(events: Sequence[Event]) -> ExchangeRow:
    """Return the row of an exchange."""
    rebuilt = _rebuilt(events)
    return _row(rebuilt, _turn(rebuilt), events[-1].version)


def sealed_row(events: Sequence[Event]) -> ExchangeRow:
    """Return the row of an exchange whose payloads are sealed: what its events tell without them.

    :param events: as they are stored.
    """
    row = exchange_row([event._replace(meta=None, body=None) for event in events])
    size = sum(told[0] for event in events if event.type == "chunk_received" and (told := told_of(event)) is not None)
    told = json.loads(row.summary)
    told["list"] = {name: value for name, value in told["list"].items() if name != "erased"}
    told["list"] |= {"sealed": True, "verdict": "unknown", "bytes": size}
    summary = json.dumps(told, sort_keys=True)
    return replace(row, verdict="unknown", dialect=SEALED, bytes=size, summary=summary, match_key=None)


class ExchangeRows(NamedTuple):
    """All the rows that stand for an exchange; those of messages as far as they were asked for."""

    exchange: ExchangeRow
    messages: tuple[MessageRow, ...]
    calls: tuple[CallRow, ...]


#: Whether a row of a message stands already, by its key, for an exchange that began then and has that id.
Known = Callable[[bytes, int, bytes], bool]


def exchange_rows(
    events: Sequence[Event], remembered: Remembered | None = None, known: Known = lambda *_: False
) -> ExchangeRows:
    """Return the rows of an exchange, of its messages and of the calls in its answers.

    :param remembered: what was read of other exchanges.
    :param known: tells of which messages an earlier exchange has the row: none is made of them, see
        :func:`~recorder.projections.messages.message_rows`.
    """
    rebuilt = _rebuilt(events, remembered)
    exchange, turn = rebuilt.exchange, _turn(rebuilt)
    named = turn.kept.named
    found = message_rows(rebuilt, turn.keys, lambda key: known(key, exchange.started_ns or 0, exchange.stream), named)
    return ExchangeRows(_row(rebuilt, turn, events[-1].version), tuple(found), tuple(call_rows(rebuilt)))


def _rebuilt(events: Sequence[Event], remembered: Remembered | None = None) -> Rebuilt:
    exchange = fold(events)
    if exchange is None:
        raise ValueError("an exchange without events has no row")
    return rebuild(exchange, remembered)


def _turn(rebuilt: Rebuilt) -> Turn:
    exchange = rebuilt.exchange
    began, kept = exchange.started_ns or 0, kept_history(rebuilt)
    return turn_of(exchange.id, began, rebuilt.request_messages, rebuilt.answer_messages, kept=kept)


def _row(rebuilt: Rebuilt, turn: Turn, version: int) -> ExchangeRow:
    exchange = rebuilt.exchange
    request, response = exchange.request, exchange.response
    listed = summary(rebuilt)
    tokens, finishes, tools = (listed.get(name) for name in ("tokens", "finish", "tools"))
    return ExchangeRow(
        id=exchange.stream,
        opening=_identity(exchange.conversation),
        opening_name=storable_or_none(exchange.conversation_name) if _identity(exchange.conversation) else None,
        thread_key=keys[-1] if (keys := turn.keys) else None,
        goes_on_from=turn.kept.tells or turn.kept.apart,
        kept_as=turn.kept.answer,
        last_item=turn.kept.item,
        call=storable_or_none(exchange.call),
        attempt=exchange.attempt or 1,
        started_ns=exchange.started_ns or 0,
        method=storable(request.method) if request else "",
        url=storable(request.url) if request else "",
        status=response.status if response else None,
        model=storable_or_none(rebuilt.model),
        verdict=rebuilt.verdict,
        chunks=len(exchange.chunks),
        bytes=len(exchange.body),
        duration_ns=exchange.duration_ns,
        first_chunk_ns=exchange.first_chunk_ns,
        dialect=rebuilt.answer.dialect,
        finish=",".join(dict.fromkeys(finishes)) if finishes else None,
        tools="".join(f"{_line(tool)}\n" for tool in tools) if tools else None,
        **{f"{kind}_tokens": _countable((tokens or {}).get(kind)) for kind in _COUNTED},
        match_key=match_key(request.method, request.url, request.payload, request.redacted) if request else None,
        match_places=json.dumps(request.redacted) if request and request.redacted else None,
        last_version=version,
        summary=json.dumps({"list": listed, "turn": _turn_json(exchange, turn)}, sort_keys=True),
    )


_COUNTED: Final = ("input", "output", "total", "cached", "cache_written", "reasoning")


def _countable(tokens: int | None) -> int | None:
    """A number as a column takes it; what no provider can have counted is in the summary alone."""
    return tokens if tokens is not None and abs(tokens) < 1 << 63 else None


def _line(name: str) -> str:
    return " ".join(storable(name).splitlines())


def kind_of(first: Event) -> StreamKind:
    """Return what a stream that begins with *first* tells of."""
    # A journal whose beginning was lost begins with a gap; it is still that of the process that writes there.
    return "journal" if first.stream == first.instance else stream_kind(first.type)


def link_row(events: Sequence[Event]) -> LinkRow | None:
    """Return the row of a link; None where its facts are not what was written, which the audit tells of."""
    first = events[0]
    facts: dict[str, Any] = {}
    with suppress(CorruptRecording):
        facts = first.facts
    kind, identity, exchange = facts.get("kind"), facts.get("id"), facts.get("exchange")
    if not (isinstance(kind, str) and isinstance(identity, str) and isinstance(exchange, str)):
        return None
    stream = _identity(exchange)
    if stream is None:
        return None
    return LinkRow(first.stream, storable(kind), storable(identity), stream, first.wall_ns)


def _identity(text: str | None) -> bytes | None:
    try:
        return id_bytes(text) if text else None
    except ValueError:
        return None


def _turn_json(exchange: Exchange, turn: Turn) -> dict[str, Any]:
    """What threading needs, as JSON: the keys as hexadecimal digits."""
    return {
        "keys": [key.hex() for key in turn.keys],
        "answers": [key.hex() for key in turn.answers],
        **({"kept": kept} if (kept := _kept_json(turn.kept)) else {}),
        **({"opening": exchange.conversation} if exchange.conversation else {}),
        **({"name": exchange.conversation_name} if exchange.conversation_name is not None else {}),
    }


def _kept_json(kept: KeptHistory) -> dict[str, str]:
    return {name: key.hex() for name, key in kept._asdict().items() if key is not None}


def listed(row: ExchangeRow) -> dict[str, Any]:
    """Return the object that ``list --json`` prints for a row.

    :raises CorruptRecording: the row is damaged.
    """
    with _reading("exchange_rows", row.id, "summary"):
        shown: dict[str, Any] = json.loads(row.summary)["list"]
        for name in _LISTED:
            shown[name]
        return shown


_LISTED: Final = ("id", "verdict", "bytes")  # what every exchange has


def turn_of_row(row: ExchangeRow | TurnRow, identity: str) -> Turn:
    """Return what threading needs to know of a row.

    :param identity: the exchange's id as text.
    :raises CorruptRecording: the row is damaged.
    """
    with _reading("exchange_rows", row.id, "summary"):
        told = json.loads(row.summary)["turn"]
        return Turn(
            identity,
            row.started_ns,
            tuple(map(bytes.fromhex, told["keys"])),
            tuple(map(bytes.fromhex, told["answers"])),
            row.call,
            row.attempt,
            id_text(row.opening) if row.opening else None,
            told.get("name"),
            KeptHistory(**{name: bytes.fromhex(key) for name, key in told.get("kept", {}).items()}),
        )


def tags_of_row(row: OpeningRow) -> dict[str, str]:
    """Return the tags of a conversation's opening.

    :raises CorruptRecording: the row is damaged.
    """
    with _reading("openings", row.id, "tags"):
        return dict(json.loads(row.tags))


def places_of_row(identity: bytes, text: str | None) -> tuple[str, ...]:
    """Return the places of a request where a redaction marker matches anything, from ``match_places``.

    :raises CorruptRecording: the row is damaged.
    """
    with _reading("exchange_rows", identity, "match_places"):
        return tuple(map(str, json.loads(text or "[]")))


@contextmanager
def _reading(table: str, identity: bytes, column: str) -> Iterator[None]:
    """Whatever goes wrong within, the row is not what a projection wrote."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged_row(table, identity, column) from error
