"""``recorder migrate``: a suite that vcrpy's plugins record becomes one of ours."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from recorder.api.migration import Migration, migrate
from recorder.api.migration.moving import Moved
from recorder.cli.application import json_option
from recorder.cli.failures import FOUND, Failed, tell
from recorder.cli.once import command
from recorder.cli.output import clean, counted, dim, emit_json
from recorder.formats.importing.base import LACKS

_BY_NAME: Final = "bring them over by `recorder migrate {names}`, and name each by a marker"
_ARE: Final = {False: "it is", True: "they are"}
_MARKS: Final = {"written": "ok", "added": "ok", "present": "--", "conflict": "!!", "refused": "!!"}
_DONE: Final = {"written": "written", "added": "added to", "present": "there already"}
_WOULD: Final = {"written": "would be written", "added": "would be added to", "present": "there already"}


@command("migrate")
@click.argument("tests", metavar="[TESTS]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--cassette-dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="One directory for all cassettes, as the setting recorder_cassette_dir; else beside each module.",
)
@click.option(
    "--redact", "rules", multiple=True, metavar="RULE", help="Redact more: header:NAME, query:NAME, body:NAME."
)
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be written.")
@json_option
def migrate_suite(
    tests: tuple[Path, ...], directory: Path | None, rules: tuple[str, ...], dry: bool, as_json: bool
) -> None:
    """Turn a suite that vcrpy, pytest-recording or pytest-vcr records into one of ours.

    TESTS are modules and folders; without them, the current directory. Each old cassette becomes one under the name
    that the plugin looks for; the old one stays, and what lies there with other content is never overwritten. An old
    cassette that is named itself, or lies in a folder without tests, is brought over whosever it is, beside itself.
    Told besides: what got stricter, secrets that stood in the old files, and what to write instead of each marker,
    fixture and option, with its place. Running it again adds nothing.

    Where the source does not tell whose a cassette is, `pytest --collect-only` is asked, which imports the tests and
    runs none. What could not be brought over is told by name, and the exit code is 1.
    """
    found = migrate(
        tests or (Path(),),
        directory=directory,
        redact=rules,
        dry=dry,
        told=(lambda _: None) if as_json else _teller(dry=dry),
    )
    if as_json:
        for one in found.lines():
            emit_json(one)
    else:
        _print(found)
    for path, reason in found.unread:
        tell(f"{path} was not looked at, {reason}: mend it, or leave it out")
    for path, line, name in found.missing:
        tell(f"{path}:{line}: there is no cassette {name!r}: record it by pytest --recorder-mode=once")
    for path, line, what in found.untold:
        tell(f"{path}:{line}: which cassettes {what} names cannot be told: {_BY_NAME.format(names='FILE-OR-FOLDER…')}")
    if found.orphans:
        names = _BY_NAME.format(names=shlex.join(map(str, found.to_name)))
        tell(f"{counted(len(found.orphans), 'old cassette')} left where {_ARE[len(found.orphans) > 1]}: {names}")
    if found.uncollected:
        tell(f"{found.uncollected}: the tests were read from their source alone, mend that and run it again")
    if not (found.moved or found.places or found.missing or found.unread or found.orphans):
        raise Failed("there is nothing of vcrpy's: name the modules and folders of its suite", FOUND)
    if not found.is_whole:
        sys.exit(FOUND)


def _teller(*, dry: bool) -> Callable[[Moved], None]:
    done = _WOULD if dry else _DONE

    def told(one: Moved) -> None:
        target = clean(str(one.move.target))
        state = done.get(one.status, one.status)
        click.echo(f"{_MARKS[one.status]}  {target}: {counted(one.exchanges, 'exchange')}, {state}")
        for source in one.move.sources:
            click.echo(dim(f"      from {clean(str(source))}"))
        for reason in one.reasons:
            click.echo(f"      not whole: {clean(reason)}" if one.is_whole else f"      {clean(reason)}")
        if one.move.note:
            click.echo(f"      {one.move.note}")
        for each in one.strictness.found:
            click.echo(f"      {clean(each.detail)}")
            click.echo(f"        {clean(each.advice)}")
        if one.strictness.rules:
            written = shlex.quote(json.dumps(one.strictness.rules, separators=(",", ":")))
            click.echo(f"        recorder cassette rules {shlex.quote(target)} --set {written}")

    return told


def _print(found: Migration) -> None:
    if found.moved:
        states = Counter(one.status for one in found.moved)
        exchanges = sum(one.exchanges for one in found.moved)
        told = ", ".join(f"{number} {name}" for name, number in sorted(states.items()))
        click.echo(f"\n{counted(len(found.moved), 'cassette')} ({told}) with {counted(exchanges, 'exchange')}")
    _print_lacks(found)
    if secrets := found.secrets:
        click.echo(
            f"\n{counted(sum(secrets.values()), 'value')} that may be secret stood in the old files in plain text:"
        )
        for name, number in sorted(secrets.items()):
            click.echo(f"  {clean(name)}  {number}")
        click.echo("they are not in the new ones; the old ones, and git's history, still have them: rotate them")
    if found.places:
        click.echo(f"\nto change in the tests, {counted(len(found.places), 'place')}:")
        for place in found.places:
            click.echo(f"  {clean(str(place.path))}:{place.line}: {place.found}")
            click.echo(f"      {clean(place.instead)}")
    if found.orphans:
        click.echo("\nold cassettes that no test has, as far as can be told, left where they are:")
        for path in found.orphans:
            click.echo(f"  {clean(str(path))}")


def _print_lacks(found: Migration) -> None:
    lacks: Counter[str] = sum((one.lacks for one in found.moved), Counter())
    if lacks:
        click.echo("\nnot told by the old files, until they are recorded again:")
        for name in LACKS:
            if lacks[name]:
                number = counted(lacks[name], "exchange")
                click.echo(f"  {LACKS[name]}  {dim(f'in {number}')}")
        if lacks["chunk_boundaries"]:
            click.echo("  so a streamed answer comes in one piece: pytest --recorder-mode=rewrite records its chunks")
