"""``recorder db``: looking after a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import FOUND
from recorder.cli.output import counted, emit_json
from recorder.locations import spool_directory
from recorder.store import schema, upkeep
from recorder.store.urls import parse_url


@click.group()
@store_option
def db() -> None:
    """Look after a store: its schema, a copy of it, its health."""


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
@store_option
@click.pass_context
def check(ctx: click.Context) -> None:
    """Look for all that can be wrong apart from the chains.

    The exit code is 1 when anything is.
    """
    found = upkeep.check(ctx.ensure_object(Settings).store)
    for line in found.lines:
        mark = click.style("ok", fg="green") if line.ok else click.style("!!", fg="red", bold=True)
        click.echo(f"{mark}  {line.what:12} {line.detail}")
    ctx.exit(0 if found.ok else FOUND)
