"""``recorder export``: a transcript in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from recorder.api.store import Store
from recorder.cli.application import Settings, pass_settings, store_option
from recorder.cli.failures import warn
from recorder.cli.naming import resolve
from recorder.cli.output import Recorded
from recorder.cli.redacting import redact_options, redacted, tell_redacted
from recorder.core.conversation import Conversation
from recorder.core.export_redaction import ExportRedaction
from recorder.core.rebuilt import Rebuilt
from recorder.errors import ConfigurationError
from recorder.formats.base import Piece, formats, render


class _File(click.Path):
    """The path of a file to write; an empty one would be the current directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("the name is empty: give the name of a file, or - for standard output.", param, ctx)
        return super().convert(value, param, ctx)


@click.command()
@click.argument("identity", metavar="ID")
@click.option(
    "--format",
    "name",
    type=click.Choice(sorted(formats())),
    default="markdown",
    show_default=True,
    help="; ".join(f"{name}: {each.help}" for name, each in sorted(formats().items())) + ".",
)
@click.option(
    "-o",
    "--output",
    "file",
    type=_File(path_type=Path, dir_okay=False),
    help="Write to this file, not to standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file where it exists.")
@redact_options
@store_option
@pass_settings
def export(
    settings: Settings, identity: str, name: str, file: Path | None, force: bool, redaction: ExportRedaction
) -> None:
    """Export an exchange or a conversation as a transcript.

    ID is what list shows, or a conversation's name. A recording that was changed after it was made is
    exported all the same; the transcript says so, and so does a warning.
    """
    if file is not None and file.exists() and not force:
        raise ConfigurationError(f"{file} exists already: give --force to replace it, or another file")
    with Store(settings.store) as store:
        exchanges, conversation = _found(store, identity)
        for rebuilt in exchanges:
            if rebuilt.not_as_written is not None:
                warn(
                    f"exchange {rebuilt.id} is not as it was written ({rebuilt.not_as_written}): see `recorder verify`"
                )
        exchanges, conversation = redacted(redaction, exchanges, conversation)
        pieces = redaction.guard(render(name, exchanges, conversation))
        if file is None or str(file) == "-":
            shown = Recorded()
            for piece in pieces:
                shown.text(piece) if isinstance(piece, str) else shown.data(piece)
            shown.close()
        else:
            _write(file, pieces)
        tell_redacted(redaction)


def _found(store: Store, identity: str) -> tuple[list[Rebuilt], Conversation]:
    found = resolve(store, identity)
    if found.kind == "conversation":
        view = store.conversation(found)
        ids = tuple(rebuilt.id for rebuilt in view.exchanges)
        return view.exchanges, Conversation(view.id, view.name, ids, view.parents, view.relations())
    rebuilt = store.exchange(found)
    home, parent = store.conversation_of(found.id)
    parents = {} if parent is None else {found.id: parent}
    return [rebuilt], Conversation(home, rebuilt.exchange.conversation_name, (found.id,), parents)


def _write(file: Path, pieces: Iterator[Piece]) -> None:
    """Write a file whole or not at all; a device or a named pipe takes the pieces as they come.

    Those must not be replaced: by root, even ``/dev/null`` would be. Of a symbolic link, it is the target
    that is replaced.
    """
    try:
        if file.exists() and not file.is_file():
            with file.open("wb") as out:
                out.writelines(map(_encoded, pieces))
            click.echo(f"{file}: written", err=True)
            return
        whole = file.resolve()
        partial = whole.with_name(f".{whole.name}.{os.getpid()}.partial")
        try:
            with partial.open("xb") as out:
                out.writelines(map(_encoded, pieces))
            partial.replace(whole)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written ({error.strerror}): give another file") from error
    click.echo(f"{file}: {file.stat().st_size:,} bytes", err=True)


def _encoded(piece: Piece) -> bytes:
    return piece.encode() if isinstance(piece, str) else piece
