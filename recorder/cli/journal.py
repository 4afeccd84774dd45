"""``recorder journal``: what recorder processes say of themselves, and of what they recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import click

from recorder.api.journals import resolve_journal, summaries
from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.events import as_objects
from recorder.cli.once import command
from recorder.cli.output import Column, clean, counted, emit_json, short, table, tell_more, terminal_width
from recorder.clock import id_text
from recorder.core.events import Event
from recorder.core.json_text import rfc3339

_LIST: Final = (
    Column("ID"),
    Column("STARTED (UTC)"),
    Column("END"),
    Column("EXCHANGES", right=True),
    Column("LOST", right=True),
    Column("EVENTS", right=True),
    Column("WHAT", shrinks=True),
)
_EVENTS: Final = (Column("VERSION", right=True), Column("AT"), Column("WHAT", shrinks=True))
_SECONDS: Final = 19  # characters of a time, to the second
_ENDS: Final = {"instance_stopped": "stopped", "process_died": "died", "recorder_closed": "stopped"}


@command()
@click.argument("identity", metavar="[ID]", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many are listed.")
@json_option
@store_option
@pass_settings
def journal(settings: Settings, identity: str | None, limit: int, as_json: bool) -> None:
    """List the journals, newest first; or print one, in words.

    Each process that records keeps a journal in the store: when it began and how it was set up, every exchange with
    a number before its request is sent, how far each one goes, what was lost, how the clock was kept, and its end.
    ID is what the list shows.
    """
    with Store(settings.store) as store:
        if identity is not None:
            stream = resolve_journal(store.reader, identity)
            _show(stream, store.reader.found_events(stream), as_json)
            return
        shown = 0
        rows: list[list[str]] = []
        for summary in summaries(store.reader, limit + 1):
            shown += 1
            if shown > limit:
                break
            if as_json:
                emit_json(summary)
            else:
                rows.append(_row(summary))
    if not as_json:
        _list(rows, more=shown > limit)


def _list(rows: list[list[str]], *, more: bool) -> None:
    if not rows:
        click.echo("no recorder has kept a journal here", err=True)
        return
    for line in table(_LIST, rows, terminal_width()):
        click.echo(line)
    if more:
        tell_more(len(rows))


def _row(summary: Mapping[str, Any]) -> list[str]:
    configuration = summary.get("configuration") or {}
    what = configuration.get("action") or configuration.get("durability", "")
    return [
        short(summary["journal"]),
        summary.get("started", "")[:_SECONDS].replace("T", " "),
        _ENDS.get(summary.get("end", ""), "open"),
        f"{summary['exchanges']:,}",
        f"{summary['dropped_events']:,}" if summary["drops"] else "",
        f"{summary['events']:,}",
        clean(f"{what}, {summary.get('host', '')} pid {summary.get('pid', '')}"),
    ]


def _show(stream: bytes, events: Iterable[Event], as_json: bool) -> None:
    if as_json:
        for value in as_objects(events):
            emit_json(value)
        return
    click.echo(click.style(f"journal {id_text(stream)}", bold=True))
    rows = [[str(event.version), rfc3339(event.wall_ns), clean(in_words(event))] for event in events]
    for line in table(_EVENTS, rows, terminal_width()):
        click.echo(line)


def in_words(event: Event) -> str:
    """Return what an event of a journal says."""
    said = _WORDS.get(event.type)
    try:
        return f"{event.type} {event.meta or ''}".strip() if said is None else said(event.facts)
    except KeyError:  # a newer recorder says it in another way
        return f"{event.type} {event.meta}"


def _started(facts: Mapping[str, Any]) -> str:
    place = f"{facts['system']}, host {facts['host']}, pid {facts['pid']}"
    return f"began: recorder {facts['recorder']}, Python {facts['python']}, {place}"


def _closed(facts: Mapping[str, Any]) -> str:
    which = f"exchange {facts['number']}" if "number" in facts else "of a process that died, an exchange"
    if not facts["length"]:
        return f"{which} was withdrawn, nothing of it was sent: {facts['exchange']}"
    return f"{which} ended, {counted(facts['length'], 'event')}: {facts['exchange']}"


def _clock(facts: Mapping[str, Any]) -> str:
    if "synchronized" not in facts:
        return "clock: the system does not tell how it is kept"
    kept = "synchronized" if facts["synchronized"] else "not synchronized"
    return f"clock {kept}, off by {facts['maxerror_us'] / 1000:,.3f} ms at most"


def _dropped(facts: Mapping[str, Any]) -> str:
    events = counted(facts["events"], "event") if facts["events"] else "an unknown number of events"
    of = f" of {facts['exchange']}" if "exchange" in facts else ""
    return f"lost: {events}{of}: {facts['reason']}"


_WORDS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "instance_started": _started,
    "exchange_opened": lambda facts: f"exchange {facts['number']} begins: {facts['exchange']}",
    "exchange_closed": _closed,
    "stream_written": lambda facts: f"{facts['kind']} has {counted(facts['length'], 'event')}: {facts['stream']}",
    "clock_sampled": _clock,
    "events_dropped": _dropped,
    "configuration_changed": lambda facts: f"set up otherwise than before: {facts['from'][:12]} → {facts['to'][:12]}",
    "instance_stopped": lambda facts: "stopped",
    "process_died": lambda facts: f"died; found by {facts['found_by']}",
}
