"""``recorder bundle``: evidence in one file, for somebody who trusts nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click

from recorder.api.bundling import Bundled
from recorder.api.store import Store
from recorder.cli.application import Settings, pass_settings, store_option
from recorder.cli.failures import FOUND, warn
from recorder.cli.once import command
from recorder.cli.output import clean, counted
from recorder.cli.progress import progress
from recorder.cli.times import PointInTime, require_span
from recorder.cli.trail import note

_MANY: Final = 150  # exchanges that are read, which is done in less than a second
_SHOWN: Final = 5  # findings


@command()
@click.option("--order", metavar="ID", help="The exchanges that led to this order: --link order:ID.")
@click.option("--link", metavar="KIND:ID", help="The exchanges that led to something outside.")
@click.option("--exchange", metavar="ID", help="This exchange.")
@click.option("--conversation", metavar="ID", help="The exchanges of this conversation: name or ID.")
@click.option(
    "--since",
    "since_ns",
    type=PointInTime(),
    help="Everything begun at or after: 2h, today, 2026-11, 2026-11-01.",
)
@click.option("--until", "until_ns", type=PointInTime(), help="Everything begun before.")
@click.option("--withhold", metavar="ID", multiple=True, help="Give no payload of this exchange or conversation.")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The zip file to write.",
)
@click.option("--force", is_flag=True, help="Replace the file where it exists.")
@store_option
@pass_settings
@click.pass_context
def bundle(
    ctx: click.Context,
    settings: Settings,
    order: str | None,
    link: str | None,
    exchange: str | None,
    conversation: str | None,
    since_ns: int | None,
    until_ns: int | None,
    withhold: tuple[str, ...],
    out: Path,
    force: bool,
) -> None:
    """Put evidence into one zip file that anybody can verify with Python alone.

    It holds the events of what is selected, the part of the ledger that they are sealed in, transcripts for reading,
    and a verifier. Nothing in it can be changed unnoticed by somebody who does not have the ledger's key; give the
    key's fingerprint to the other side by another way. COVER.html in it says how it is checked.

    It is verified before it is named: what whoever gets it will find is told at once, and the exit code is 1 then.
    """
    require_span(since_ns, until_ns)
    with Store(settings.store) as store, ExitStack() as shown:

        def begin(count: int) -> Callable[[int], None]:
            return shown.enter_context(progress("bundling", count if count >= _MANY else 0))

        made = store.bundle(
            out,
            order=order,
            link=link,
            exchange=exchange,
            conversation=conversation,
            since_ns=since_ns,
            until_ns=until_ns,
            withhold=withhold,
            replace=force,
            begin=begin,
        )
    of, whole = exchange or conversation, conversation is not None
    note(settings.store, "bundle", f"{made.exchanges:,} exchanges", of, "a selection", whole=whole)
    _tell(out, made)
    ctx.exit(FOUND if made.findings else 0)


def _tell(out: Path, made: Bundled) -> None:
    told = f"{counted(made.events, 'event')} of {counted(made.exchanges, 'exchange')}"
    click.echo(f"{out}: {made.size:,} bytes, {told}", err=True)
    if made.redactions:
        applied = f"{counted(made.redactions, 'redaction')} {'was' if made.redactions == 1 else 'were'} applied"
        warn(f"{applied} to the transcripts; the events in it hold what was recorded: --withhold gives no payload")
    if not made.sealed:
        warn("authenticity cannot be proved: the store has no signed checkpoints (see `recorder keys init`)")
    elif not made.signed:
        warn("the ledger's key is not here, so nobody vouches for the transcripts and the cover, only for the events")
    if made.unsealed_links:
        links = f"{counted(made.unsealed_links, 'link')} to these exchanges"
        warn(f"{links} {'is' if made.unsealed_links == 1 else 'are'} not sealed yet and not in it: run `recorder seal`")
    for finding in made.findings[:_SHOWN]:
        warn(f"whoever verifies it will find: {_place(finding)}{clean(finding['detail'])}")
    if len(made.findings) > _SHOWN:
        warn(f"and {len(made.findings) - _SHOWN} more: see `recorder verify --bundle`")


def _place(finding: Mapping[str, Any]) -> str:
    if "stream" not in finding:
        return ""
    version = f" version {finding['version']}" if "version" in finding else ""
    return f"{finding['of']} {finding['stream']}{version}: "
