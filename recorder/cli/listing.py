"""``recorder list``: the recorded exchanges, newest first."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import click

from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.once import command
from recorder.cli.output import (
    Column,
    duration,
    emit_json,
    home,
    short,
    started,
    table,
    tell_more,
    tell_nothing_fits,
    terminal_width,
    verdict,
)
from recorder.cli.selecting import Selection, count_option, limit_of, selection_options

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

#: What is said in the place of a verdict, about what nobody can read any more.
_INSTEAD: Final = ("erased", "not_as_written", "sealed")


@command("list")
@count_option
@selection_options
@json_option
@store_option
@pass_settings
def list_exchanges(settings: Settings, selection: Selection, count: int | None, as_json: bool) -> None:
    """List the recorded exchanges, newest first.

    IN is the conversation that an exchange is in: its name, or the end of its ID.
    """
    limit = limit_of(count, as_json=as_json)
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
        tell_nothing_fits()
        return
    for line in table(_COLUMNS, [_cells(row) for row in rows], terminal_width()):
        click.echo(line)
    if any(row.get("spooled") for row in rows):
        click.echo("* part of it is only in a spool yet: its program still runs, or run `recorder recover`", err=True)
    if more:
        tell_more(len(rows))


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        short(row["id"]) + ("*" if row.get("spooled") else ""),
        started(row),
        str(row.get("status", "")),
        next((word.replace("_", " ") for word in _INSTEAD if row.get(word)), row["verdict"]),
        row.get("model", ""),
        f"{row['chunks']:,}" if "chunks" in row else "",
        f"{row['bytes']:,}",
        duration(row.get("first_chunk_ms")),
        duration(row.get("duration_ms")),
        home(row),
    ]
