"""The frame of the command line: options that every command has, and the commands by name."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from recorder import __version__
from recorder.cli.failures import settle, warn
from recorder.cli.interrupts import leaving_at_once
from recorder.cli.once import Group
from recorder.cli.output import colour
from recorder.cli.streams import guard
from recorder.errors import ConfigurationError, RecorderError
from recorder.locations import DEFAULT_STORE, as_url, default_store

F = TypeVar("F", bound=Callable[..., Any])

#: ``name -> module:attribute``; a command is imported when it is asked for.
COMMANDS: Final = {
    "anchor": "recorder.cli.anchor:anchor",
    "bundle": "recorder.cli.bundle:bundle",
    "cassette": "recorder.cli.cassette:cassette",
    "chat": "recorder.cli.chat:chat",
    "db": "recorder.cli.db:db",
    "demo": "recorder.cli.demo:demo",
    "diff": "recorder.cli.diff:diff",
    "erase": "recorder.cli.erase:erase",
    "events": "recorder.cli.events:events",
    "export": "recorder.cli.export:export",
    "hold": "recorder.cli.hold:hold",
    "import": "recorder.cli.importing:import_files",
    "journal": "recorder.cli.journal:journal",
    "keys": "recorder.cli.keys:keys",
    "link": "recorder.cli.link:link",
    "list": "recorder.cli.listing:list_exchanges",
    "migrate": "recorder.cli.migrate:migrate_suite",
    "recover": "recorder.cli.recover:recover",
    "redact": "recorder.cli.redact:redact",
    "replay": "recorder.cli.replay:replay",
    "seal": "recorder.cli.seal:seal",
    "retention": "recorder.cli.retention:retention",
    "search": "recorder.cli.search:search",
    "serve": "recorder.cli.serve:serve",
    "show": "recorder.cli.show:show",
    "stats": "recorder.cli.stats:stats",
    "tail": "recorder.cli.tail:tail",
    "trace": "recorder.cli.trace:trace",
    "verify": "recorder.cli.verify:verify",
}


@dataclass
class Settings:
    """What the options before a command, and those of the same name after it, say.

    :ivar named: the store's URL as it was given; None where it was not.
    """

    named: str | None = None

    @property
    def store(self) -> str:
        """The store's URL: as given, else ``RECORDER_STORE``, else ``sqlite:///recorder.db``."""
        return as_url(default_store() if self.named is None else self.named)


def _take_store(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    if not value.strip():
        raise ConfigurationError("--store names nothing: give sqlite:///FILE or postgresql://…, or leave it out")
    ctx.ensure_object(Settings).named = value


_OTHERWISE: Final = f"else RECORDER_STORE, else {DEFAULT_STORE}"


def store_option(command: F, otherwise: str = _OTHERWISE) -> F:
    """Add ``--store`` to a command; the one after the command counts before the one that stands before it.

    :param otherwise: what the help says of where the option is not given.
    """
    return click.option(
        "--store",
        metavar="URL",
        expose_value=False,
        callback=_take_store,
        help=f"The store: sqlite:///FILE, postgresql://… or a cassette, FILE.jsonl; {otherwise}.",
    )(command)


json_option: Final = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line.")

pace_option: Final = click.option(
    "--pace",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="F",
    show_default=True,
    help="0 at once, 1 as recorded, 2 at half that speed.",
)

pass_settings: Final = click.make_pass_decorator(Settings, ensure=True)


class Application(Group):
    """A group that imports its commands when they are asked for, and ends every error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        with leaving_at_once():
            command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and leave with its exit code; with ``standalone_mode=False``, return and raise.

        :param guarded: a keyword: the standard streams are those of the process, and are guarded first.
        """
        run: Callable[..., Any] = super().main
        guarded = extra.pop("guarded", False)
        if not extra.pop("standalone_mode", True):
            return run(*args, standalone_mode=False, **extra)
        try:
            if guarded:
                guard()
            code = run(*args, standalone_mode=False, **extra)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Abort, KeyboardInterrupt, RecorderError, OSError) as error:
            code = settle(error)
        sys.exit(code if isinstance(code, int) else 0)


class _Telling(logging.Handler):
    """Says on standard error what a reader warns of, when the command has done what it could."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it for the end: a command that fails says why in one line."""
        self._waiting[record.getMessage().removeprefix("recorder: ")] = None

    def tell(self) -> None:
        """Say it."""
        waiting, self._waiting = self._waiting, {}
        for line in waiting:
            warn(line)


@click.group(cls=Application, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="recorder", message="%(prog)s %(version)s")
@store_option
@click.pass_context
def application(ctx: click.Context) -> None:
    """A flight recorder for LLM conversations.

    Every request and every raw chunk of its answer, recorded while it streams; rebuilt, verified and
    replayed from the recording alone. Begin with: recorder demo

    An ID is that of an exchange or of a conversation: any beginning or end of it that no other has,
    or a conversation's name.
    """
    ctx.ensure_object(Settings)
    # What the recorder logs for a program, a command says itself, in one line.
    logging.getLogger("recorder").addHandler(logging.NullHandler())
    telling = _Telling()  # whoever reads cannot know before what is sealed
    logging.getLogger("recorder.sealed").handlers = [telling]
    ctx.call_on_close(lambda: telling.tell() if sys.exc_info()[0] in (None, click.exceptions.Exit) else None)
    ctx.color = colour()
