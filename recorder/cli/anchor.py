"""``recorder anchor``: the last checkpoint, kept where nobody who has the store can change it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import click

from recorder.api.acts import write_down
from recorder.cli.application import Settings, json_option, store_option
from recorder.cli.failures import FOUND, UNREACHABLE, tell, tell_unsealed
from recorder.cli.once import command
from recorder.cli.output import clean, counted, emit_json
from recorder.clock import SystemClock
from recorder.core.json_text import rfc3339
from recorder.errors import AnchorFailed, ConfigurationError, NotFound
from recorder.ledger.anchored import Looked, disagreements, look
from recorder.ledger.anchoring import Trace, leave
from recorder.ledger.anchors import VARIABLE, Anchor, open_anchors
from recorder.ledger.anchors.time_stamps import read_roots
from recorder.ledger.keys import known as known_keys
from recorder.ledger.own_keys import require_own
from recorder.store import open_store, schema
from recorder.store.base import Ledger
from recorder.store.urls import parse_url


@command()
@click.option(
    "--anchor",
    "texts",
    metavar="TEXT",
    multiple=True,
    help=f"Where: file:PATH, directory:PATH, command:PROGRAM… or rfc3161:URL; else those of {VARIABLE}.",
)
@click.option("--list", "listed", is_flag=True, help="Leave nothing: tell what was left, and what it proves.")
@click.option(
    "--roots",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Certificates in PEM that you trust, to check time stamps against.",
)
@json_option
@store_option
@click.pass_context
def anchor(ctx: click.Context, texts: tuple[str, ...], listed: bool, roots: Path | None, as_json: bool) -> None:
    """Leave a trace of the last signed checkpoint outside, and tell what it proves.

    A file that only grows, or a directory with a file for each checkpoint, on a share of somebody else; a command that
    gets the checkpoint on its standard input; the time stamp of an authority (RFC 3161, needs the extra tsa). After
    an anchor, #every=SECONDS says how often a recorder anchors there, #ca=FILE whom a time stamp has to be of. Several
    in RECORDER_ANCHORS are separated by semicolons.

    The exit code is 3 where one of them cannot be reached. With --list, files and directories are looked at that
    --anchor names, and it is 1 where anything contradicts the store.
    """
    settings = ctx.ensure_object(Settings)
    anchors = open_anchors(texts or None)
    if listed:
        ctx.exit(_list(settings, anchors, roots, as_json))
    if not anchors:
        raise ConfigurationError(f"there is nowhere to anchor: give --anchor file:PATH, or set {VARIABLE}")
    ctx.exit(_leave(settings, anchors, roots, as_json))


def _leave(settings: Settings, anchors: Sequence[Anchor], roots: Path | None, as_json: bool) -> int:
    schema.state(parse_url(settings.store))  # refuses what is not there: opening it to write would make it
    clock, traces, failed = SystemClock(), list[Trace](), False
    with closing(open_store(settings.store, write=True)) as store:
        last = store.ledger.last_checkpoint()
        if last is None:
            raise NotFound(f"nothing of {store.name} is sealed yet: run `recorder keys init`, then `recorder seal`")
        require_own(store)
        note = last[1].encode()
        for one in anchors:
            try:
                trace = leave(one, note, clock)
            except AnchorFailed as error:
                tell(str(error))
                failed = True
                continue
            kept = trace.kept_as(clock.new_id())
            store.ledger.add_anchor(kept)
            traces.append(trace)
            _show(Looked(kept, one.check(note, trace.evidence)), as_json)
        if traces:
            # The digest of a time stamp in the journal shows later what was sealed after it.
            facts = [("anchored", trace.facts) for trace in traces]
            write_down(store, clock, "anchor", facts, unsealed=tell_unsealed)
    return UNREACHABLE if failed else 0


def _show(looked: Looked, as_json: bool) -> None:
    if as_json:
        emit_json(looked.as_json())
        return
    click.echo(f"{clean(looked.checked.told)}")
    _echo_words(looked)


def _echo_words(looked: Looked) -> None:
    click.echo(f"  proves      {clean(looked.checked.proves)}")
    click.echo(f"  not proved  {clean(looked.checked.not_proved)}")


def _list(settings: Settings, anchors: Sequence[Anchor], roots: Path | None, as_json: bool) -> int:
    trusted = [] if roots is None else read_roots(roots)
    with closing(open_store(settings.store, write=False)) as store:
        ledger = store.ledger
        found = False
        by_anchor: dict[str, list[Looked]] = {}
        for looked in look(ledger, anchors, trusted):
            found |= looked.checked.state == "contradicted"
            if as_json:
                emit_json(looked.as_json())
            else:
                by_anchor.setdefault(looked.anchored.anchor, []).append(looked)
        _print(by_anchor)
        disagreed = [told for one in anchors for told in _disagreements(ledger, one)]
    for told in disagreed:
        tell(told)
    if not (as_json or by_anchor or disagreed):
        click.echo("no checkpoint of this store was anchored outside", err=True)
    return FOUND if found or disagreed else 0


def _disagreements(ledger: Ledger, one: Anchor) -> Iterable[str]:
    origin = ledger.origin()
    keys = () if origin is None else known_keys(origin)
    for found in disagreements(ledger, one, keys):
        yield f"{found.told}: see `recorder verify`"


def _print(by_anchor: dict[str, list[Looked]]) -> None:
    for name, all_of_it in by_anchor.items():
        last = all_of_it[-1]
        newest = f"the last of {last.anchored.size:,} leaves, {rfc3339(last.anchored.made_ns)[:19]}Z"
        click.echo(f"{clean(name)}: {counted(len(all_of_it), 'checkpoint')}, {newest}")
        for state in ("confirmed", "not checked", "contradicted"):
            those = [one for one in all_of_it if one.checked.state == state]
            if those:
                click.echo(f"  {state}: {len(those):,}")
            for one in those if state == "contradicted" else those[-1:]:
                click.echo(f"    {clean(one.checked.told)}")
        _echo_words(last)
