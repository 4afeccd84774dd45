"""``recorder import``: recordings of other tools, brought to the store."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from recorder.api.foreign_files import files_in
from recorder.api.import_comparing import Different
from recorder.api.importing import FileReport, Import
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import FOUND, tell, tell_unsealed, warn
from recorder.cli.once import command
from recorder.cli.output import counted, dim, emit_json
from recorder.cli.progress import progress
from recorder.core.same_exchange import DIFFERS
from recorder.formats.importing.base import LACKS, NOT_KEPT, importers

_NOUN: Final = "exchange"
#: What is told of an exchange that differs from the one that is there, by which of them begins the other.
_BEGINNINGS: Final[Mapping[str | None, str]] = {
    None: "it differs in {0}: import it into another store to have it as well",
    "store": "it had not ended, and the file has more of it ({0}): import it into another store to have all of it",
    "file": "the file has only the beginning of it ({0}): nothing is missing from the store",
}

_SIDES: Final[Mapping[str, str]] = {"request": "request", "response": "answer"}
_ALONE: Final[Mapping[str, str]] = {
    "kind": "what the store has under this id is no exchange, see `recorder verify`",
    "not_readable": "it was erased, or its key is not here, so nothing could be compared",
    "told": "its bodies are the same, but what the file tells beside them is not what this version reads in them",
}


@command(
    "import",
    epilog="Formats, found by what a file holds: "
    + ", ".join(f"{each.name}: {each.help}" for each in importers())
    + ". Any of them may be gzipped.",
)
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--redact", "rules", multiple=True, metavar="RULE", help="Redact more: header:NAME, query:NAME, body:NAME."
)
@json_option
@store_option
@pass_settings
def import_files(settings: Settings, files: tuple[Path, ...], rules: tuple[str, ...], as_json: bool) -> None:
    """Import recordings that other tools made; folders are walked.

    Credentials are replaced as in a recording of our own. What a file does not tell (times, chunks, how it ended) stays
    unknown; the report says what. Importing a file again adds nothing, also after an import that was interrupted. What
    differs from the exchange that is there under its id is told, and changes nothing.
    """
    found = files_in(files)
    reports: list[FileReport] = []
    size = sum(path.stat().st_size for path, _ in found if path.is_file())
    with progress("importing", size) as advance, Import(settings.store, rules, advance=advance) as importing:
        if any(walked for _, walked in found):
            importing.look(path for path, _ in found)
        try:
            for path, walked in found:
                report = importing.file(path, found=walked)
                reports.append(report)
                if as_json:
                    emit_json(report.as_json())
        finally:
            importing.project()
            unsealed = importing.seal()
    if not as_json:
        _print(reports)
    if unsealed is not None:
        tell_unsealed(unsealed)
    for report in reports:
        _complain(report)
    if not all(report.is_whole or report.status == "passed_over" for report in reports):
        sys.exit(FOUND)


def _print(reports: list[FileReport]) -> None:
    imported, present = sum(one.imported for one in reports), sum(one.present for one in reports)
    different = sum(len(one.different) for one in reports)
    used = [one for one in reports if one.imported or one.present or one.different]
    click.echo(f"{counted(imported, 'exchange')} imported from {counted(len(used), 'file')}")
    if present:
        click.echo(f"{counted(present, 'exchange')} there already")
        _print_untold(sum((one.untold for one in reports), Counter()))
    if different:
        click.echo(f"{counted(different, 'exchange')} there already, but not the same: nothing of them was imported")
    bodies = sum(one.body_of is not None for one in reports)
    if bodies:
        click.echo(f"{counted(bodies, 'file')} passed over: bodies that a HAR names")
    passed = sum(one.status == "passed_over" for one in reports) - bodies
    if passed:
        click.echo(f"{counted(passed, 'file')} passed over: in no known format")
    lacks = {name: sum(one.lacks[name] for one in reports) for name in LACKS}
    for name, untold in NOT_KEPT.items():
        lacks[untold] -= lacks[name]
    _print_lacks("not told by the files:", {name: count for name, count in lacks.items() if name not in NOT_KEPT})
    _print_lacks("told by the files, and nothing that a store can keep:", {name: lacks[name] for name in NOT_KEPT})


def _print_untold(untold: Counter[str]) -> None:
    """Tell of how many nobody compared what the file says of them beside their recordings."""
    if untold:
        whys = ", ".join(f"{why} ({number:,})" for why, number in untold.most_common())
        of = f"of {untold.total():,} of them"
        click.echo(f"  {of} the messages and the verdict that the file tells were not compared: {whys}")


def _print_lacks(title: str, lacks: Mapping[str, int]) -> None:
    if any(lacks.values()):
        click.echo(title)
    for name, count in lacks.items():
        if count:
            click.echo(f"  {LACKS[name]}  {dim(f'in {counted(count, _NOUN)}')}")


def _complain(report: FileReport) -> None:
    """Tell on standard error what was not imported, a line each."""
    if report.reason is not None and report.status == "refused":
        advice = report.advice or "save it again with what recorded it, or leave it out"
        tell(f"{report.path} is not imported, {report.reason}: {advice}")
    elif report.reason is not None and report.status in ("imported", "different"):
        kept = counted(report.imported + report.present, _NOUN)
        tell(f"{report.path} is damaged, {report.reason}: {kept} before that are imported, save it again for the rest")
    for another in report.different:
        place = f"entry {another.number} of {report.path}"
        tell(f"{place} is not imported, exchange {another.exchange} is there: {_what(another)}")
    for each in report.damaged:
        told = "it is imported as it was recorded, and what was lost is lost"
        warn(f"the answer of entry {each.number} of {report.path} cannot be decoded, {each.reason}: {told}")
    for missing in report.absent:
        whose = f"the body of the {_SIDES[missing.side]} of entry {missing.number} of {report.path}"
        warn(f"{whose} is in a file that is not beside it, {missing.name}: the exchange is imported without it")
    for one in report.refused:
        tell(f"entry {one.number} of {report.path} is not imported, {one.reason}: {_rest_of(report)}")


def _rest_of(report: FileReport) -> str:
    """What became of the rest of a file, of which an entry is refused; others may be, too."""
    kept = report.imported + report.present
    if not kept:
        return "nothing of it is"
    return f"{counted(kept, _NOUN)} of it {'is' if kept == 1 else 'are'}"


def _what(another: Different) -> str:
    for name, told in _ALONE.items():
        if name in another.what.names:
            return told
    return _BEGINNINGS[another.what.beginning].format(", ".join(DIFFERS[name] for name in another.what.names))
