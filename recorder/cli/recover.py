"""``recorder recover``: brings what dead processes left in their spools to the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from recorder.cli.application import Settings, pass_settings, store_option
from recorder.cli.failures import FOUND, Failed
from recorder.cli.once import command
from recorder.cli.output import clean, counted
from recorder.clock import SystemClock, id_bytes
from recorder.ledger.sealing_acts import seal_acts
from recorder.locations import spool_directory
from recorder.projections.runner import project
from recorder.recording.recovery import Recovered, set_aside
from recorder.recording.recovery import recover as take_over
from recorder.recording.short_journal import note_recovered
from recorder.recording.spool_file import spool_files
from recorder.store import open_events, schema
from recorder.store.cassette import CassetteStore
from recorder.store.cassette_file import read_file
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from recorder.store.urls import parse_url


@command()
@store_option
@pass_settings
def recover(settings: Settings) -> None:
    """Bring what dead processes left in their spools to the store.

    Their open exchanges are closed as process_died. Every program does the same when it opens a
    Recorder; processes that live are left alone. Brings the tables behind
    list and replay up to date as well. Of a cassette whose spool is gone, what there is counts as all.
    """
    url = settings.store
    target = parse_url(url, cassettes=True)
    spools = spool_directory(url)
    kept_before = set_aside(spools)
    if target.path is not None and not spool_files(spools):
        schema.state(target)  # there is nothing to recover: opened to write, a missing or empty store would be made
    if target.cassette is not None and not spool_files(spools):
        read_file(target.cassette)  # the same
    store = open_events(url)
    finished = False
    try:
        clock = SystemClock()
        instance = clock.new_id()
        done = take_over(spools, store, clock, instance)
        note_recovered(store, clock, done, instance)
        if done.instances:
            seal_acts(store, clock, instance, list(map(id_bytes, done.instances)))
        if isinstance(store, SqlStore):
            project(store, SqlProjected(store))
        elif isinstance(store, CassetteStore) and not spool_files(spools):
            finished = store.settle(abandoned=True)
    finally:
        store.close()
    if finished:
        click.echo(f"{clean(store.name)} is finished: nobody records to it any more")
    _print(done, kept_before)


def _print(done: Recovered, kept_before: Sequence[Path]) -> None:
    for path in kept_before:
        click.echo(f"kept since an earlier time, not in the store: {path}")
    if not done.instances and not done.damaged:
        click.echo("nothing to recover: no dead process left anything")
        return
    processes = "1 dead process" if len(done.instances) == 1 else f"{len(done.instances):,} dead processes"
    click.echo(f"{processes} found")
    click.echo(f"{counted(done.events, 'event')} brought to the store")
    click.echo(f"{counted(len(done.died), 'exchange')} closed as process_died")
    for identity in done.died:
        click.echo(f"  {identity}")
    if done.damaged:
        click.echo(f"{counted(done.salvaged, 'event')} of them stood behind damage")
        click.echo(f"{counted(done.left, 'event')} can be read, but only follow on what is lost")
        for kept in done.nobodys:
            click.echo(f"nothing tells whose spool this was; if its process had open exchanges, they stay open: {kept}")
        names = ", ".join(done.damaged)
        spools = counted(len(done.damaged), "spool")
        raise Failed(f"{spools} could not be brought to the store whole: kept as {names}", FOUND)
