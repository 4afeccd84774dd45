"""``recorder verify``: is everything still what was recorded, is nothing missing, and who says so?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from recorder.api.access import record_access
from recorder.api.auditing import audit_store, audit_streams, kinds_of
from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, store_option
from recorder.cli.bundle_verifying import bundle_options, verify_a_bundle
from recorder.cli.failures import FOUND, UNREACHABLE, exit_code, tell, tell_unsealed
from recorder.cli.naming import conversation_option, named, tell_others
from recorder.cli.once import command
from recorder.cli.output import emit_json
from recorder.cli.progress import progress
from recorder.cli.verified import as_json_of, lines_of
from recorder.clock import SystemClock, id_bytes
from recorder.errors import ConfigurationError, RecorderError
from recorder.ledger.anchors import open_anchor
from recorder.ledger.anchors.files import FileAnchor
from recorder.ledger.anchors.time_stamps import read_roots
from recorder.ledger.audit import Asked
from recorder.ledger.audit_outside import check_keys
from recorder.ledger.outside import is_outside
from recorder.ledger.report import Report
from recorder.store.upkeep import damage

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_SHARES: Final = 1000  # of a progress bar
_LONG: Final = 50_000  # events that take long enough for one


@command()
@click.argument("identity", metavar="[ID]", required=False)
@conversation_option
@bundle_options
@click.option(
    "--anchor",
    "anchors",
    metavar="TEXT",
    multiple=True,
    help="A place outside to look at: file:PATH, directory:PATH.",
)
@click.option("--roots", metavar="FILE", type=_FILE, help="Certificates in PEM that you trust, for time stamps.")
@click.option("--outside", metavar="FILE", type=_FILE, help="The log's checkpoints outside the store, if not here.")
@click.option("--views", is_flag=True, help="Also compare with the events what list, search and stats show.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; else as many as pay.")
@click.option("--record", is_flag=True, help="Record in the store, when that is done, who verified it and the result.")
@click.option("--resume", metavar="FILE", type=_FILE, help="Keep in FILE how far it is, and go on from there.")
@json_option
@store_option
@click.pass_context
def verify(
    ctx: click.Context,
    identity: str | None,
    whole: bool,
    bundle: Path | None,
    keys: tuple[str, ...],
    held: Path | None,
    anchors: tuple[str, ...],
    roots: Path | None,
    outside: Path | None,
    views: bool,
    jobs: int | None,
    record: bool,
    resume: Path | None,
    as_json: bool,
) -> None:
    """Check everything in a store, or the hash chains of ID.

    Every event, every journal, every entry of the ledger and every signed checkpoint is checked, also against what is
    kept outside of the store. Who signed is said only against a key that you name; take its fingerprint from the other
    side by another way than the recording. ID is what list shows, or a conversation's name. A conversation that no
    program opened has the ID of its first exchange, which is checked alone without --conversation.

    The exit code is 1 when anything is not as it was written, is missing, or contradicts the clocks.
    Nothing is changed by that. --record adds to the access trail of a store that has a ledger.

    With --bundle it is an evidence bundle that is checked, and no store is read; with --roots its time stamps, too.
    """
    if bundle is not None:
        if identity is not None or whole or anchors or outside or views or jobs or record or resume:
            raise ConfigurationError("--bundle checks all of a file: only --key, --checkpoint and --roots go with it")
        verify_a_bundle(ctx, bundle, keys, held, roots, as_json=as_json)
    check_keys(keys)
    if whole and identity is None:
        raise ConfigurationError("--conversation is given without an ID: give that of an exchange in it")
    with Store(ctx.ensure_object(Settings).store) as store:
        if identity is not None:
            if keys or held or anchors or roots or outside or views or resume:
                raise ConfigurationError("with an ID only chains and leaves are checked: leave the other options out")
            report = _named(store, identity, whole=whole)
        else:
            asked = Asked(
                now_ns=SystemClock().wall_ns(),
                keys=keys,
                outside=_there(outside),
                anchors=[*map(open_anchor, anchors), *_held(held)],
                roots=[] if roots is None else read_roots(roots),
                jobs=jobs,
                resume=resume,
                damage=damage(store.reader.store),
            )
            report = _whole(store, asked, views=views)
        kinds = kinds_of(store.reader, report.findings)
    if as_json:
        emit_json(as_json_of(report, kinds))
    else:
        for line in lines_of(report, kinds):
            click.echo(line)
    refused = _record(ctx.ensure_object(Settings).store, identity, report) if record else 0
    ctx.exit(FOUND if report.findings else refused)


def _named(store: Store, identity: str, *, whole: bool) -> Report:
    found = named(store, identity, whole=whole)
    report = audit_streams(store.reader, map(id_bytes, store.exchanges_of(found)))
    tell_others(store, found, "--conversation")
    return report


def _record(url: str, identity: str | None, report: Report) -> int:
    """Record that a store was verified, and seal that where the key is; return 0, or the exit code of a failure.

    Where what was signed is not outside any more, it is left unsealed: a seal would put anew what an audit has to miss.
    """
    of = "everything" if identity is None else f"{report.exchanges} of the exchanges"
    try:
        record_access(url, SystemClock(), "verify", of, f"{len(report.findings)} findings", is_outside, tell_unsealed)
    except (RecorderError, OSError) as error:
        tell(f"that this was verified is not recorded: {error}")
        return exit_code(error) if isinstance(error, RecorderError) else UNREACHABLE
    return 0


def _there(outside: Path | None) -> Path | None:
    if outside is not None and not outside.exists():
        raise ConfigurationError(f"{outside} is not there: name a file of the log's checkpoints, or leave it out")
    return outside


def _held(file: Path | None) -> list[FileAnchor]:
    there = _there(file)
    return [] if there is None else [FileAnchor(there.absolute())]


def _whole(store: Store, asked: Asked, *, views: bool) -> Report:
    events, _ = store.reader.store.counts()
    with progress("verifying", _SHARES if events > _LONG else 0) as advance:
        told = 0

        def shared(done: int, of: int) -> None:
            nonlocal told
            now = _SHARES * done // of
            advance(now - told)
            told = now

        return audit_store(store.reader, replace(asked, advance=shared), views=views)
