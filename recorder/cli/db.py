"""``recorder db``: looking after a store."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import click

from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.copying import copy_store
from recorder.cli.failures import FOUND
from recorder.cli.once import group
from recorder.cli.output import clean, counted, emit_json
from recorder.errors import CorruptRecording
from recorder.locations import spool_directory
from recorder.projections.audit import audit_rows
from recorder.projections.runner import rebuild_all
from recorder.recording.spool_file import read_header, spool_files
from recorder.store import open_store, schema, upkeep
from recorder.store.projected import SqlProjected
from recorder.store.urls import parse_url


@group()
@store_option
def db() -> None:
    """Look after a store: its schema, its views, a copy of it, its health."""


db.add_command(copy_store)


@db.command()
@store_option
@pass_settings
def upgrade(settings: Settings) -> None:
    """Bring the store to the schema of this version, or make it."""
    applied = schema.upgrade(settings.store)
    name = parse_url(settings.store).name
    if applied:
        click.echo(f"{name} now has schema {applied[-1]} (applied: {', '.join(applied)})")
    else:
        click.echo(f"{name} is up to date")


@db.command()
@json_option
@store_option
@pass_settings
def status(settings: Settings, as_json: bool) -> None:
    """Say what the store holds and how large it is."""
    found = upkeep.status(settings.store)
    if as_json:
        emit_json({key: value for key, value in asdict(found).items() if value is not None})
        return
    lines = [("store", found.name), ("engine", found.engine), ("schema", found.revision or "none")]
    if found.pending:
        lines.append(("pending", f"{', '.join(found.pending)}: run `recorder db upgrade`"))
    if found.events is not None and found.streams is not None:
        lines.append(("events", f"{found.events:,} in {counted(found.streams, 'event stream')}"))
    lines.append(("size", f"{found.size:,} bytes"))
    if found.log_size:
        lines.append(("log", f"{found.log_size:,} bytes of it in the write-ahead log"))
    lines += [("spool", f"{spool}: {drained:,} bytes drained") for spool, drained in found.spools]
    for name, value in lines:
        click.echo(f"{name:8} {value}")


@db.command()
@store_option
@pass_settings
def path(settings: Settings) -> None:
    """Print where the store is: its file, or its URL without password."""
    target = parse_url(settings.store)
    click.echo(target.name if target.path is None else str(target.path))
    click.echo(f"spools: {spool_directory(settings.store)}", err=True)


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@store_option
@pass_settings
def backup(settings: Settings, file: Path) -> None:
    """Copy a SQLite store to FILE, also while it is being written.

    FILE must not exist yet.
    """
    size = upkeep.backup(settings.store, file)
    click.echo(f"{file}: {size:,} bytes")


@db.command()
@click.option(
    "--writer", metavar="ROLE", help="A role for programs that record: it reads and adds, and changes nothing."
)
@click.option("--auditor", metavar="ROLE", help="A role that only reads.")
@store_option
@pass_settings
def grant(settings: Settings, writer: str | None, auditor: str | None) -> None:
    """Give roles of a Postgres server what they need on the store, and nothing more.

    Run it as the owner of the tables, again after each db upgrade. A role that is not there is made, without a login:
    GRANT it to those who log in. What a role had on the tables before is taken away first. Erasing, upgrading and
    granting stay with the owner.
    """
    from recorder.store import roles  # needs a driver that need not be installed

    made = roles.grant(settings.store, writer=writer, auditor=auditor)
    name = parse_url(settings.store).name
    for role, may in (
        (writer, "reads and adds; it cannot change or remove what was recorded"),
        (auditor, "only reads"),
    ):
        if role is not None:
            new = ", made without a login" if role in made else ""
            click.echo(f"{clean(role)}{new}: {may}, in {name}")


@db.command()
@json_option
@store_option
@pass_settings
def rebuild(settings: Settings, as_json: bool) -> None:
    """Build the views of the store again from its events.

    The tables behind list and replay are emptied and filled again. Nothing that was recorded is
    changed, and programs may go on recording.
    """
    target = parse_url(settings.store)
    schema.state(target)  # refuses what is not there: opening it to write would make it
    with closing(open_store(settings.store, write=True)) as store:
        exchanges, openings = rebuild_all(store, SqlProjected(store))
    if as_json:
        emit_json({"store": target.name, "exchanges": exchanges, "openings": openings})
        return
    made = f"{counted(exchanges, 'exchange')} and {counted(openings, 'opening')} of conversations"
    click.echo(f"{target.name}: {made} built again from the events")


@db.command()
@store_option
@click.pass_context
def check(ctx: click.Context) -> None:
    """Look for all that can be wrong apart from the chains.

    The exit code is 1 when something should be done about it.
    """
    url = ctx.ensure_object(Settings).store
    found = upkeep.check(url)
    lines = list(found.lines)
    # Where the schema or a page is not what it should be, nothing can be read to compare.
    if all(line.ok for line in lines if line.what in ("schema", "integrity")):
        lines += [*_spool_files(url), *_views(url)]
    for line in lines:
        mark = click.style("ok", fg="green") if line.ok else click.style("!!", fg="red", bold=True)
        click.echo(f"{mark}  {line.what:12} {clean(line.detail)}")
    ctx.exit(0 if all(line.ok for line in lines) else FOUND)


def _spool_files(url: str) -> list[upkeep.CheckLine]:
    """Compare the offsets that the store has of spools with the files that are on this machine."""
    lines = []
    with closing(open_store(url, write=False)) as store:
        for file in spool_files(spool_directory(url)):
            with suppress(FileNotFoundError, CorruptRecording):  # removed in the meantime; recover tells of damage
                size, drained = file.stat().st_size, store.drained(read_header(file).spool)
                if drained > size:
                    told = f"{file.name} has {counted(size, 'byte')}, and the store says that {drained:,} were drained"
                    lines.append(upkeep.CheckLine("spools", False, f"{told}: keep the file, restore a backup"))
    return lines


def _views(url: str) -> list[upkeep.CheckLine]:
    """Compare the tables behind the views with the events."""
    with closing(open_store(url, write=False)) as store:
        audit = audit_rows(store)
    lines = [upkeep.CheckLine("views", False, f"{one.exchange}: {one.detail}") for one in audit.findings]
    if audit.found:
        told = f"{counted(audit.found, 'row')} to be made again: run `recorder verify`, then `recorder db rebuild`"
        return [*lines, upkeep.CheckLine("views", False, told)]
    told = f"{counted(audit.rows, 'row')} compared, each is what the events say"
    if audit.pending:
        told += f"; {counted(audit.pending, 'event stream')} not projected whole yet, views read the events"
    return [upkeep.CheckLine("views", True, told)]
