"""``recorder db copy``: a store, or some of it, carried into another one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import click

from recorder.api.copying import CopyReport, copy
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import FOUND, tell, warn
from recorder.cli.once import command
from recorder.cli.output import counted, emit_json, short
from recorder.cli.progress import progress
from recorder.cli.selecting import Selection, selection_options

_NAMED: Final = 5  # ids in a line of warning


@command("copy")
@click.option("--from", "source", metavar="URL", help="The store to read; it is not changed. Else that of --store.")
@click.option("--to", "target", metavar="URL", required=True, help="The store to write; a SQLite file is made.")
@selection_options
@click.option("--without-ledger", is_flag=True, help="Leave the ledger behind: the target gets one of its own.")
@json_option
@store_option
@pass_settings
def copy_store(
    settings: Settings, selection: Selection, source: str | None, target: str, without_ledger: bool, as_json: bool
) -> None:
    """Copy a store, or the exchanges that the filters leave, to another one.

    Every event is the same there, bit for bit, with its hash: a store in Postgres becomes one SQLite file that
    verifies, or the other way round. Names and tags of conversations come along; of filtered
    exchanges, the journals of their processes and what was erased do not. What the other store has already is
    compared and kept, so a copy that was broken off, or is repeated, goes on where it stood. Where it holds another
    event stream under the same ID, nothing is copied and the exit code is 1.
    """
    with ExitStack() as shown:
        report = copy(
            settings.store if source is None else source,
            target,
            begin=lambda number: shown.enter_context(progress("copying", number)),
            ledger=not without_ledger,
            **selection.filters,
        )
    if as_json:
        emit_json(report.as_json())
    else:
        _print(report)
    _warn(report)
    for stream, version, reason in report.refused:
        place = "" if version is None else f" from version {version} on"
        tell(f"the event stream {stream} is not copied{place}, {reason}: the others are")
    if report.refused:
        sys.exit(FOUND)


def _print(report: CopyReport) -> None:
    held = f"{counted(report.exchanges, 'exchange')} and {counted(report.openings, 'opening')} of conversations"
    click.echo(f"{report.target}: {counted(report.events, 'event')} copied from {report.source}, of {held}")
    if report.leaves:
        click.echo(f"{report.leaves:,} {'leaf' if report.leaves == 1 else 'leaves'} of the ledger, as they were sealed")
    if report.present:
        click.echo(f"{counted(report.present, 'event')} there already, the same")


def _warn(report: CopyReport) -> None:
    again = "copy again when they have ended, the rest is added then"
    if report.unfinished:
        warn(
            f"{counted(len(report.unfinished), 'exchange')} without an end yet ({_some(report.unfinished)}), copied as "
            f"far as they had come: {again}; where their program died, run `recorder recover --store {report.source}` "
            "before"
        )
    if report.erased:
        warn(
            f"{counted(len(report.erased), 'event stream')} not copied ({_some(report.erased)}), as what was said was "
            "erased: the records of that come with a copy of everything, without filters"
        )
    if report.held:
        warn(
            f"{report.target} still has content that {report.source} has erased, of "
            f"{counted(len(report.held), 'event stream')} ({_some(report.held)}): run `recorder erase --finish "
            f"--store {report.target}`, or `recorder erase ID` for what was copied with filters"
        )
    if report.spooled:
        warn(
            f"{counted(len(report.spooled), 'exchange')} of which something is only in a spool "
            f"({_some(report.spooled)}), which is not copied: {again}; where their program died, run "
            f"`recorder recover --store {report.source}` before"
        )


def _some(ids: Sequence[str]) -> str:
    return ", ".join(map(short, ids[:_NAMED])) + (", …" if len(ids) > _NAMED else "")
