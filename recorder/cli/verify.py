"""``recorder verify``: is everything still what was recorded?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, store_option
from recorder.cli.bundle_verifying import bundle_options, verify_a_bundle
from recorder.cli.failures import FOUND
from recorder.cli.naming import exchanges
from recorder.cli.output import clean, counted, emit_json, short
from recorder.cli.trail import note
from recorder.clock import id_bytes
from recorder.core.chain import Finding
from recorder.core.events import Event, StreamOpened
from recorder.errors import ConfigurationError
from recorder.ledger.verify import NOT_PROVED, Report
from recorder.ledger.verify import verify as audit
from recorder.store.upkeep import damage

_SHOWN: Final = 20
_QUESTIONS: Final = {
    "unmodified": "every event is the one that was written",
    "complete_in_range": "no event is missing before the last one of its exchange",
}


@click.command()
@click.argument("identity", metavar="[ID]", required=False)
@bundle_options
@json_option
@store_option
@click.pass_context
def verify(
    ctx: click.Context,
    identity: str | None,
    bundle: Path | None,
    keys: tuple[str, ...],
    held: Path | None,
    as_json: bool,
) -> None:
    """Check the hash chains of all exchanges, or of those of ID.

    ID is what list shows, or a conversation's name. Without ID, the pages and indexes of a SQLite file are
    checked as well. The exit code is 1 when anything is not as it was written.

    With --bundle it is an evidence bundle that is checked, and no store is read.
    """
    if bundle is not None:
        if identity is not None:
            raise ConfigurationError("--bundle checks all of a file: leave the ID out")
        verify_a_bundle(ctx, bundle, keys, held, as_json=as_json)
    if keys or held is not None:
        raise ConfigurationError("--key and --checkpoint are for --bundle: give the file of a bundle too")
    with Store(ctx.ensure_object(Settings).store) as store:
        if identity is None:
            report = audit(store.reader.walk(), damage(store.reader.store))
        else:
            report = audit(_named(store, identity))
    if as_json:
        emit_json(report.as_json())
    else:
        _print(report)
    note(ctx.ensure_object(Settings).store, "verify", counted(len(report.findings), "finding"), identity)
    ctx.exit(FOUND if report.findings else 0)


def _named(store: Store, identity: str) -> Iterable[tuple[StreamOpened | None, Iterable[Event]]]:
    for exchange in exchanges(store, identity):
        stream = id_bytes(exchange)
        yield store.reader.opening(stream), store.reader.events(stream)


def _print(report: Report) -> None:
    click.echo(f"checked {counted(report.events, 'event')} of {counted(report.exchanges, 'exchange')}")
    for question, text in _QUESTIONS.items():
        answer = report.verdicts[question]
        click.echo(f"  {click.style(f'{answer:3}', fg='green' if answer == 'yes' else 'red', bold=True)}  {text}")
    if report.unfinished:
        told = "still running, or their program died: then `recorder recover` closes them"
        click.echo(f"  {counted(report.unfinished, 'exchange')} without an end: {told}")
    if report.gaps:
        click.echo(f"  {counted(report.gaps, 'gap')}: the recorder itself says that something could not be kept")
    if report.spooled:
        click.echo(f"  {counted(report.spooled, 'event')} only in a spool, not in the store yet")
    for finding in report.findings[:_SHOWN]:
        click.echo(_line(finding))
    if len(report.findings) > _SHOWN:
        click.echo(f"  … and {counted(len(report.findings) - _SHOWN, 'more finding')}: see --json")
    click.echo("not proved (it takes the signed checkpoints of a later version):")
    for text in NOT_PROVED:
        click.echo(f"  {text}")


def _line(finding: Finding) -> str:
    place = f"exchange {short(finding.exchange)}" if finding.exchange else "store"
    version = "" if finding.version is None else f" version {finding.version}"
    kind = click.style(finding.kind, fg="red")
    return f"  {place}{version}: {kind} ({finding.field}): {clean(finding.detail)}"
