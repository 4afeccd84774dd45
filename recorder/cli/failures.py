"""The one place where what went wrong becomes an exit code and one line on standard error.

====  ==========================================================================
0     fine
1     findings, misses, corruption, not found
2     wrong usage or configuration
3     the upstream, the store or an anchor cannot be reached, or the output cannot be written
130   interrupted (128 + SIGINT)
141   whoever read the output went away (128 + SIGPIPE); nothing is said
====  ==========================================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from recorder.cli.interrupts import INTERRUPTED
from recorder.cli.output import clean, colour
from recorder.errors import (
    AnchorFailed,
    ConfigurationError,
    CorruptRecording,
    DialectError,
    ErasureRefused,
    LedgerConflict,
    NotFound,
    NotPermitted,
    RecorderError,
    RecordingError,
    RedactionRefused,
    ReplayError,
    StaleSchema,
    StoreError,
    VersionConflict,
)

if TYPE_CHECKING:
    from recorder.ledger.kept import PassedOver  # with all that checks signatures, which most commands do not need

FOUND: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
PIPE_CLOSED: Final = 141

#: ``(error class, exit code)``: the first that fits decides.
_CODES: Final[tuple[tuple[type[RecorderError], int], ...]] = (
    (ConfigurationError, USAGE),
    (NotPermitted, USAGE),
    (StaleSchema, USAGE),
    (VersionConflict, FOUND),
    (LedgerConflict, FOUND),
    (StoreError, UNREACHABLE),
    (RecordingError, UNREACHABLE),
    (AnchorFailed, UNREACHABLE),
    (CorruptRecording, FOUND),
    (DialectError, FOUND),
    (RedactionRefused, FOUND),
    (ErasureRefused, FOUND),
    (NotFound, FOUND),
    (ReplayError, FOUND),
)


#: Of a fingerprint that a shell has parted, what a command takes for further arguments.
_FINGERPRINT: Final = re.compile(r"(?:\b[0-9a-fA-F]{4}\b ?){8,}")


class Failed(click.ClickException):
    """A command cannot do what was asked.

    :param message: ``what is wrong: what to do``.
    :param code: the exit code.
    :param asked: the request or the response of requests that it is about, where there is one.
    """

    def __init__(self, message: str, code: int, asked: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.asked = asked


class Unheard(Failed):
    """Whoever read the output went away: nothing is said, and nobody would hear it."""

    def __init__(self) -> None:
        super().__init__("", PIPE_CLOSED)


#: What click raises where a group of commands is given none; before click 8.2 it raised nothing.
_NO_ARGUMENTS: Final[Any] = getattr(click.exceptions, "NoArgsIsHelpError", ())


def exit_code(error: RecorderError) -> int:
    """Return the exit code of one of recorder's errors."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FOUND)


def settle(error: BaseException) -> int:
    """Tell what went wrong and return the exit code; what is not foreseen is raised again.

    :param error: what a command raised.
    """
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, Unheard):
        return error.code
    if isinstance(error, _NO_ARGUMENTS):
        click.echo(error.format_message(), err=True)  # asked for nothing, told what there is
        return USAGE
    if isinstance(error, click.UsageError):
        told, _, meant = error.format_message().partition("Did you mean ")
        if not meant:  # as it is told of several
            told, _, meant = told.partition("(Did you mean ")
        told, meant = told.rstrip(" .("), meant.replace("?)", "?")
        if _FINGERPRINT.search(told) is not None:
            told = f"{told}: a fingerprint is put in quotation marks, it has blanks"
        path = error.ctx.command_path if error.ctx is not None else "recorder"
        tell(f"{told}: {f'did you mean {meant} See' if meant else 'see'} `{path} --help`")
        return USAGE
    if isinstance(error, click.ClickException):
        tell(error.format_message())
        return error.code if isinstance(error, Failed) else error.exit_code
    if isinstance(error, RecorderError):
        tell(str(error))
        return exit_code(error)
    if isinstance(error, OSError) and error.filename is not None:
        tell(f"{error.filename} cannot be used ({error.strerror}): check that it exists and may be read and written")
        return UNREACHABLE
    raise error


def tell(message: str) -> None:
    """Write ``error: message`` as one line to standard error; what it quotes cannot steer the terminal."""
    _tell("error:", "red", message)


def warn(message: str) -> None:
    """Write ``warning: message`` as one line to standard error; the command goes on, and its exit code stays."""
    _tell("warning:", "yellow", message)


def tell_unsealed(reason: str) -> None:
    """Say that what was done is recorded, and not sealed.

    :param reason: why.
    """
    warn(f"it is recorded, and not sealed yet: {reason}; run `recorder seal` where the key is")


def tell_without_effect(some: Sequence[PassedOver]) -> None:
    """Warn of what somebody wrote to end or to change what is to be kept, where it has no effect: in one line.

    :param some: all of it, the last one last.
    """
    if some:
        told = "1 record has" if len(some) == 1 else f"{len(some):,} records have"
        last = "" if len(some) == 1 else "the last one: "
        warn(
            f"{told} no effect: {last}{some[-1].told}; whoever wrote it can write the store, see `recorder verify`; "
            "if it was you, say it once more where the key is"
        )


def _tell(head: str, tint: str, message: str) -> None:
    line = clean(" ".join(message.split()))
    click.echo(f"{click.style(head, fg=tint, bold=True)} {line}", err=True, color=colour())
