"""``recorder tail``: exchanges as they begin and end, whichever process records them."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import click

from recorder.api.following import Following, followed
from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.interrupts import leaving_at_once
from recorder.cli.once import command
from recorder.cli.output import clean, counted, dim, duration, emit_json, home, short, verdict
from recorder.cli.selecting import Selection, selection_options
from recorder.clock import SystemClock
from recorder.store.urls import parse_url

_SHOWN: Final = 10
_EVERY: Final = 0.2  # seconds between two looks


@command()
@click.option("-n", "count", type=click.IntRange(min=0), metavar="N", help=f"Last ones first; {_SHOWN}, with --json 0.")
@selection_options
@json_option
@store_option
@pass_settings
def tail(settings: Settings, selection: Selection, count: int | None, as_json: bool) -> None:
    """Follow what is recorded, by any process, until it is interrupted.

    One line when an exchange begins, one when it ends. With a filter by what only the end tells (status, verdict,
    finish, tool) there are no lines for beginnings; until the end, the model is the one that was asked. A conversation
    and its tags are those that the program gave to the exchange itself.
    """
    parse_url(settings.store)  # a cassette is not followed
    show = emit_json if as_json else _print
    with Store(settings.store) as store:
        following = Following(store.reader, followed(**selection.filters))
        last = count if count is not None else 0 if as_json else _SHOWN
        for change in following.last(last) if last else ():
            show(change)
        clock = SystemClock()
        with leaving_at_once():  # there is nothing to put in order
            while True:
                for change in following.changes():
                    show(change)
                clock.sleep(_EVERY)


def _print(change: dict[str, Any]) -> None:
    at = change.get("started_at", "")[11:19] or "imported"  # as long as a time: what follows stands below each other
    head = f"{at}  {click.style(short(change['id']), bold=True)}"
    if change["state"] == "began":
        url = urlsplit(change.get("url", ""))
        facts = ["…", change.get("method", ""), f"{url.netloc}{url.path}", change.get("model", ""), home(change)]
        click.echo(f"{head}  {dim('  '.join(clean(fact) for fact in facts if fact))}")
        return
    chunks = counted(change["chunks"], "chunk") if "chunks" in change else ""
    sizes = [chunks, counted(change["bytes"], "byte"), duration(change.get("duration_ms"))]
    facts = [str(change.get("status", "")), *sizes, change.get("model", ""), home(change)]
    click.echo(f"{head}  {verdict(change['verdict'])}  {'  '.join(clean(fact) for fact in facts if fact)}")
