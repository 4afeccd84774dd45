"""What an export leaves out: the options ``--redact`` and ``--redact-file``, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from recorder.cli.output import counted
from recorder.core.conversation import Conversation
from recorder.core.export_redaction import ExportRedaction
from recorder.core.history import relate
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.errors import ConfigurationError


def redact_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets the redaction as ``redaction``."""

    @click.option(
        "--redact",
        "rules",
        metavar="RULE",
        multiple=True,
        help="Leave out what this finds: text:TEXT, re:EXPRESSION, json:PATH, detect:email, iban, card, phone or key.",
    )
    @click.option(
        "--redact-file",
        "files",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        multiple=True,
        help="The same for each line of this file; empty ones and those that begin with # are none.",
    )
    @wraps(command)
    def redacting(*args: Any, rules: Sequence[str], files: Sequence[Path], **options: Any) -> Any:
        given = [*rules, *(rule for file in files for rule in _lines(file))]
        return command(*args, redaction=ExportRedaction(given, rebuild), **options)

    return redacting


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read ({error.strerror}): give another file of rules") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is no UTF-8: write the rules in it, one a line") from error
    rules = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if not rules:
        raise ConfigurationError(f"{file} has no rule in it: write one a line")
    return [rule.removesuffix("\r") for rule in rules]


def redacted(
    redaction: ExportRedaction, exchanges: list[Rebuilt], conversation: Conversation
) -> tuple[list[Rebuilt], Conversation]:
    """Return both with what is found left out.

    :raises RedactionRefused: it cannot be done.
    """
    if not redaction.rules:
        return exchanges, conversation
    made = list(redaction.exchanges(exchanges))
    relations = relate(made) if conversation.relations else {}
    return made, redaction.conversation(conversation, relations)


def tell_redacted(redaction: ExportRedaction) -> None:
    """Tell on standard error how often each rule found something; never what."""
    for label, count in redaction.totals.items():
        click.echo(f"{label}: {counted(count, 'place')} redacted", err=True)
