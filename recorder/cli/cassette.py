"""``recorder cassette``: files with exchanges, for git: from a store, to a store, checked, listed, pruned."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from recorder.api import cassette_changes as changes
from recorder.api.cassette_reports import CassetteReport, cassettes_in, look
from recorder.api.cassette_rules import match_of, read_match
from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import FOUND, Failed, tell, warn
from recorder.cli.naming import IN_PLACE, resolve, tell_others
from recorder.cli.once import group
from recorder.cli.output import Column, clean, counted, emit_json, short, table, terminal_width
from recorder.cli.selecting import Selection, selection_options
from recorder.cli.times import PointInTime
from recorder.core.json_text import rfc3339
from recorder.core.match_rules import Match
from recorder.errors import ConfigurationError

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_ANY: Final = click.Path(path_type=Path)
_PLACE: Final = Path("tests/cassettes")

_SHOWN: Final = 3  # files that are passed over

_COLUMNS: Final = (
    Column("CASSETTE"),
    Column("EXCHANGES", right=True),
    Column("RECORDED (UTC)"),
    Column("BYTES", right=True),
    Column("MATCH", shrinks=True),
)


@group()
def cassette() -> None:
    """Work on cassettes: files with exchanges, for git.

    A cassette is JSON Lines: every exchange with its chunks as they came, their times, and how it ended. Where
    --store is named, its path does too: `recorder show --store FILE.jsonl ID`.
    """


@cassette.command("from-store")
@click.argument("file", type=_FILE)
@click.argument("names", metavar="[ID]...", nargs=-1)
@click.option("--match", metavar="JSON", help="How requests are matched, see `rules`; else strictly.")
@selection_options
@store_option
@pass_settings
def from_store(settings: Settings, selection: Selection, file: Path, names: tuple[str, ...], match: str | None) -> None:
    """Write exchanges of the store to FILE; without IDs and filters, all of them.

    ID is what list shows, or a conversation's name. A conversation that no program opened has the ID of its first
    exchange, which is written alone: --conversation ID, in the place of ID, takes all of it.

    They are the same there, bit for bit. What FILE holds already is compared and kept.
    """
    rules = None if match is None else read_match(match)
    done = changes.save(settings.store, file, names, rules, **selection.filters)
    told = f"{clean(str(file))}: {counted(done.exchanges, 'exchange')}, {counted(done.events, 'event')} written"
    click.echo(told + (f", {done.present:,} there already" if done.present else ""))
    if names:
        with Store(settings.store) as store:
            for name in names:
                tell_others(store, resolve(store, name), IN_PLACE)
    if done.unfinished:
        warn(f"{counted(len(done.unfinished), 'exchange')} without an end yet, written as far as they had come")
    for stream, _, reason in done.refused:
        tell(f"the exchange {stream} is not written, {reason}: the others are")
    if done.refused:
        sys.exit(FOUND)


@cassette.command("to-store")
@click.argument("files", type=_FILE, nargs=-1, required=True)
@store_option
@pass_settings
def to_store(settings: Settings, files: tuple[Path, ...]) -> None:
    """Bring what FILES hold to the store, bit for bit; what it has already is compared and kept."""
    for file in files:
        done = changes.load(file, settings.store)
        told = (
            f"{clean(str(file))}: {counted(done.exchanges, 'exchange')}, {counted(done.events, 'event')} "
            f"brought to {done.target}"
        )
        click.echo(told + (f", {done.present:,} there already" if done.present else ""))


@cassette.command("list")
@click.argument("paths", type=_ANY, nargs=-1)
@json_option
def list_cassettes(paths: tuple[Path, ...], as_json: bool) -> None:
    """List cassettes: files, and what is below folders; without PATHS, below tests/cassettes."""
    others: list[Path] = []
    found = [look(path) for path in _cassettes(paths, others)]
    _tell_passed_over(others)
    if as_json:
        for one in found:
            emit_json(one.as_json())
        return
    if not found:
        click.echo("no cassette there", err=True)
        return
    rows = [
        [
            clean(str(one.path)),
            f"{one.exchanges:,}" + ("!" if one.problems else ""),
            "" if one.last_ns is None else rfc3339(one.last_ns)[:10],
            f"{one.size:,}",
            _matching(one),
        ]
        for one in found
    ]
    for line in table(_COLUMNS, rows, terminal_width()):
        click.echo(line)
    if any(one.problems for one in found):
        click.echo("! something is wrong with it: run `recorder cassette check`", err=True)


def _matching(found: CassetteReport) -> str:
    """Return the rules of matching in words; nothing where they are what is wrong."""
    try:
        return str(Match.from_json(found.match or {}))
    except ConfigurationError:
        return ""


def _cassettes(paths: Sequence[Path], others: list[Path]) -> Iterator[Path]:
    """Yield the cassettes that were asked for.

    :param others: gets what lies below folders and is none.
    """
    if paths:
        return cassettes_in(paths, others.append)
    return cassettes_in([_PLACE], others.append) if _PLACE.is_dir() else iter(())


def _tell_passed_over(others: Sequence[Path]) -> None:
    if others:
        shown = ", ".join(clean(str(path)) for path in others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        number = f"{counted(len(others), 'file')} that {'does' if len(others) == 1 else 'do'}"
        click.echo(f"passed over: {number} not begin like a cassette: {shown}", err=True)


@cassette.command()
@click.argument("paths", type=_ANY, nargs=-1)
@json_option
def check(paths: tuple[Path, ...], as_json: bool) -> None:
    """Read every line of cassettes and compare every hash; the exit code is 1 where something is wrong.

    PATHS are files and folders; without them, tests/cassettes. What lies in a folder and does not begin like a
    cassette is passed over, and counted on standard error; a file that is named has to be one.
    What would be redacted if it were recorded now is told of, and on the machine that recorded, answers that repeat a
    credential of their request.
    """
    bad = number = 0
    others: list[Path] = []
    for path in _cassettes(paths, others):
        found = look(path)
        number += 1
        bad += bool(found.problems)
        if as_json:
            emit_json(found.as_json())
            continue
        if not found.problems:
            click.echo(f"ok  {clean(str(path))}: {counted(found.exchanges, 'exchange')}")
        for problem in found.problems:
            click.echo(f"!!  {clean(problem)}")
    _tell_passed_over(others)
    if not number:
        raise Failed("there is no cassette: name files or folders with some", FOUND)
    if bad:
        sys.exit(FOUND)


@cassette.command()
@click.argument("file", type=_FILE)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--before", "before_ns", type=PointInTime(), help="Those sent before: 90d, 2026-11-01.")
@click.option("--unfinished", is_flag=True, help="Those without an end: their program was killed, or is at it.")
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be taken out.")
def prune(file: Path, ids: tuple[str, ...], before_ns: int | None, unfinished: bool, dry: bool) -> None:
    """Take exchanges out of FILE: those with these IDs, or that an option names."""
    if not (ids or before_ns is not None or unfinished):
        raise click.UsageError("nothing was named: give IDs, --before or --unfinished.")
    done = changes.prune(file, ids, before_ns=before_ns, unfinished=unfinished, dry=dry)
    verb = "would be taken out" if dry else "taken out"
    click.echo(f"{clean(str(file))}: {counted(len(done.removed), 'exchange')} {verb}, {done.left:,} left")
    for identity in done.removed:
        click.echo(f"  {short(identity)}")


@cassette.command()
@click.argument("file", type=_FILE)
@click.option("--set", "text", metavar="JSON", help="Other rules; {} for strict ones.")
def rules(file: Path, text: str | None) -> None:
    """Show by which rules requests are matched with FILE, or write others into it.

    As JSON they are what its first line holds: {"ignore": ["/user"], "normalise": ["ids", "dates"]}.
    """
    if text is not None:
        changes.set_match(file, read_match(text))
    click.echo(f"{clean(str(file))}: {match_of(file)}")


@cassette.command()
@click.argument("files", type=_FILE, nargs=-1, required=True)
@click.option("--accept", is_flag=True, help="Keep what can be read of a file that was changed, or cut off.")
def upgrade(files: tuple[Path, ...], accept: bool) -> None:
    """Write FILES again in the newest version of the format.

    A file that was edited, merged by git or cut off is refused, unless --accept says that what it holds now counts.
    """
    for file in files:
        changed, accepted = changes.upgrade(file, accept=accept)
        for one in accepted:
            click.echo(f"accepted: {clean(one)}")
        click.echo(f"{clean(str(file))}: " + ("written again" if changed else "is up to date"))
