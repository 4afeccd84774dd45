"""``recorder verify --bundle``: the lines that ``verify.py`` in the bundle runs, run by recorder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import click

from recorder.cli.application import F
from recorder.cli.failures import FOUND
from recorder.cli.output import emit_json
from recorder.errors import ConfigurationError
from recorder.ledger.anchors.time_stamps import read_roots
from recorder.ledger.bundle_stamps import with_stamps
from recorder.ledger.standalone.report import lines_of
from recorder.ledger.standalone.verify import checkpoint_in, verify_bundle

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_OPTIONS: Final = (
    click.option("--bundle", metavar="FILE", type=_FILE, help="Check this evidence bundle."),
    click.option(
        "--key", "keys", metavar="KEY", multiple=True, help="The log's key or its fingerprint, from elsewhere."
    ),
    click.option("--checkpoint", "held", metavar="FILE", type=_FILE, help="A checkpoint that you kept from before."),
)


def bundle_options(command: F) -> F:
    """Add the options that are about a bundle to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _checkpoint(path: Path) -> bytes:
    try:
        return checkpoint_in(path)
    except ValueError as error:
        raise ConfigurationError(f"--checkpoint: {error}") from error


def verify_a_bundle(
    ctx: click.Context, bundle: Path, keys: tuple[str, ...], held: Path | None, roots: Path | None, *, as_json: bool
) -> None:
    """Verify a bundle, print what was found, and leave with the exit code.

    :param keys: what ``--key`` says.
    :param held: a file with a checkpoint.
    :param roots: a file with certificates, by which time stamps in it are checked.
    :raises ConfigurationError: a key is none, a file cannot be read, or what checks time stamps is not installed.
    """
    trusted = None if roots is None else read_roots(roots)
    try:
        checkpoint = None if held is None else _checkpoint(held)
        verified = partial(verify_bundle, bundle, keys, checkpoint)
        result = verified() if trusted is None else with_stamps(bundle, verified, trusted)
    except ValueError as error:
        raise ConfigurationError(f"--key: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be read ({error.strerror}): give another file") from error
    if as_json:
        emit_json(result)
    else:
        for line in lines_of(result):
            click.echo(line)
    ctx.exit(FOUND if result["findings"] else 0)
