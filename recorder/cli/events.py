"""``recorder events``: what was recorded of an exchange, event by event."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any, Final

import click

from recorder.api.journals import resolve_journal, stream_called
from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.naming import conversation_option, named, tell_others
from recorder.cli.once import command
from recorder.cli.output import Column, clean, emit_json, short, table, terminal_width
from recorder.clock import id_bytes, id_text
from recorder.core.events import TYPE_CODES, Event, stream_kind
from recorder.core.json_text import milliseconds, plain, rfc3339
from recorder.errors import NotFound

_COLUMNS: Final = (
    Column("VERSION", right=True),
    Column("POSITION", right=True, spare=1),
    Column("ELAPSED", right=True),
    Column("TYPE"),
    Column("SIZE", right=True),
    Column("WHAT", shrinks=True),
)
_TYPE: Final = 3  # which column it is
_PREVIEW: Final = 200


@command()
@click.argument("identity", metavar="ID")
@conversation_option
@json_option
@store_option
@pass_settings
def events(settings: Settings, identity: str, whole: bool, as_json: bool) -> None:
    """Print the events of an exchange, a conversation, a journal or a link, in order.

    ID is what list, journal, trace or verify shows, or a conversation's name. A conversation that no program opened has
    the ID of its first exchange, whose events are printed alone without --conversation.
    """
    with Store(settings.store) as store:
        try:
            found = named(store, identity, whole=whole)
        except NotFound:
            if (other := _journal_or_link(store, identity)) is None:
                raise
            _print((other,), store, as_json=as_json)
        else:
            _print(store.exchanges_of(found), store, as_json=as_json)
            tell_others(store, found, "--conversation")  # last: what is damaged there stops nothing


def _journal_or_link(store: Store, identity: str) -> str | None:
    try:
        return id_text(resolve_journal(store.reader, identity))
    except NotFound:
        other = stream_called(store.reader, identity)
        return None if other is None else id_text(other)


def _print(streams: Iterable[str], store: Store, *, as_json: bool) -> None:
    for stream in streams:
        found = store.reader.events(id_bytes(stream))
        if as_json:
            for value in as_objects(found):
                emit_json(value)
        else:
            _print_lines(stream, found)


def as_objects(events: Iterable[Event]) -> Iterable[dict[str, Any]]:
    """Yield the events of one exchange as ``events --json`` prints them (docs/schema/events.schema.json)."""
    origin: int | None = None
    for event in events:
        origin = event.mono_ns if origin is None else origin
        yield _object(event, event.mono_ns - origin)


def _object(event: Event, elapsed_ns: int) -> dict[str, Any]:
    value: dict[str, Any] = {"exchange": id_text(event.stream), "version": event.version}
    if event.position is not None:
        value["position"] = event.position
    value |= {"type": event.type, "at": rfc3339(event.wall_ns), "elapsed_ns": elapsed_ns, "hash": event.hash.hex()}
    if event.flags:
        value["flags"] = event.flags
    if event.meta is not None:
        value["facts"] = plain(event.facts)
    if event.body is not None:
        value |= {"size": len(event.body), "data": b64encode(event.body).decode("ascii")}
    if event.position is None:
        value["spooled"] = True
    return value


def _print_lines(exchange: str, found: Iterable[Event]) -> None:
    rows: list[list[str]] = []
    origin, spooled = 0, False
    for event in found:
        origin = event.mono_ns if not rows else origin
        spooled = spooled or event.position is None
        rows.append(_cells(event, event.mono_ns - origin))
    kind = stream_kind(rows[0][_TYPE]) if rows and rows[0][_TYPE] in TYPE_CODES else "exchange"
    click.echo(click.style(f"{kind} {exchange}", bold=True))
    for line in table(_COLUMNS, rows, terminal_width()):
        click.echo(line)
    if spooled:
        click.echo(f"events of {short(exchange)} without a position are only in a spool yet", err=True)


def _cells(event: Event, elapsed_ns: int) -> list[str]:
    body = event.body
    what = event.meta if event.meta is not None else ""
    if body:
        what = body[:_PREVIEW].decode("utf-8", "replace").replace("\r\n", "⏎").replace("\n", "⏎")
    return [
        str(event.version),
        "" if event.position is None else str(event.position),
        f"{milliseconds(elapsed_ns):,.3f} ms",
        event.type,
        "" if body is None else f"{len(body):,}",
        clean(what),
    ]
