"""``recorder list``: the recorded exchanges, newest first."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any, Final

import click

from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.output import Column, duration, emit_json, short, table, terminal_width, verdict
from recorder.cli.selecting import Selection, selection_options

_SHOWN: Final = 20
_COLUMNS: Final = (
    Column("ID"),
    Column("STARTED (UTC)"),
    Column("STATUS", right=True),
    Column("VERDICT", colour=verdict),
    Column("MODEL", shrinks=True),
    Column("CHUNKS", right=True),
    Column("BYTES", right=True, spare=1),
    Column("FIRST", right=True, spare=3),
    Column("TIME", right=True, spare=4),
    Column("IN", shrinks=True, spare=2),
)


@click.command("list")
@click.option("-n", "count", type=click.IntRange(min=1), metavar="N", help=f"How many; {_SHOWN}, with --json all.")
@selection_options
@json_option
@store_option
@pass_settings
def list_exchanges(settings: Settings, selection: Selection, count: int | None, as_json: bool) -> None:
    """List the recorded exchanges, newest first.

    IN is the conversation that an exchange is in: its name, or the end of its ID.
    """
    limit = None if as_json and count is None else min(count or _SHOWN, sys.maxsize - 1)
    with Store(settings.store) as store:
        found = selection.of(store)
        if as_json:
            for row in islice(found, limit):
                emit_json(row)
            return
        rows = list(islice(found, limit))
        more = next(found, None) is not None
    _print(rows, more=more)


def _print(rows: list[dict[str, Any]], *, more: bool) -> None:
    if not rows:
        click.echo("nothing is recorded that fits", err=True)
        return
    for line in table(_COLUMNS, [_cells(row) for row in rows], terminal_width()):
        click.echo(line)
    if any(row.get("spooled") for row in rows):
        click.echo("* part of it is only in a spool yet: its program still runs, or run `recorder recover`", err=True)
    if more:
        click.echo(f"there are more: give -n, as in -n {len(rows) * 5}", err=True)


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        short(row["id"]) + ("*" if row.get("spooled") else ""),
        _started(row),
        str(row.get("status", "")),
        row["verdict"],
        row.get("model", ""),
        f"{row['chunks']:,}" if "chunks" in row else "",
        f"{row['bytes']:,}",
        duration(row.get("first_chunk_ms")),
        duration(row.get("duration_ms")),
        row.get("conversation_name") or short(row.get("conversation", "")),
    ]


def _started(row: dict[str, Any]) -> str:
    """When it was sent; empty where it was imported and nothing tells."""
    started = row.get("started_at")
    return "" if started is None else f"{started[5:10]} {started[11:19]}"
