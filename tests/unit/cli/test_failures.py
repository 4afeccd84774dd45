"""Every error of recorder has an exit code, and is one line."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import click
import pytest

import recorder.errors as errors
from recorder.cli.failures import Failed, Unheard, exit_code, settle

EXPECTED = {
    "RecorderError": 1,
    "ConfigurationError": 2,
    "PayloadsSealed": 2,
    "StoreError": 3,
    "StoreUnreachable": 3,
    "NotPermitted": 2,
    "StaleSchema": 2,
    "VersionConflict": 1,
    "LedgerConflict": 1,
    "AnchorFailed": 3,
    "RedactionRefused": 1,
    "ErasureRefused": 1,
    "ImportRefused": 1,
    "RecordingError": 3,
    "CorruptRecording": 1,
    "UnknownEventType": 1,
    "ChainBroken": 1,
    "DialectError": 1,
    "NotFound": 1,
    "ReplayError": 1,
    "NoMatchingExchange": 1,
    "CassetteExhausted": 1,
    "RecordingEnded": 1,
    "NetworkBlocked": 1,
}


def classes(kind: type[errors.RecorderError] = errors.RecorderError) -> Iterator[type[errors.RecorderError]]:
    yield kind
    for inner in kind.__subclasses__():
        if inner.__module__ == errors.__name__:
            yield from classes(inner)


def test_every_error_of_recorder_has_its_exit_code() -> None:
    assert {kind.__name__: exit_code(kind()) for kind in classes()} == EXPECTED


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.NotFound("nothing:\n  try again"), 1, "error: nothing: try again\n"),
        (Failed("the upstream is gone: wait", 3), 3, "error: the upstream is gone: wait\n"),
        (click.UsageError("No such thing."), 2, "error: No such thing: see `recorder --help`\n"),
        (click.FileError("x", "is odd"), 1, "error: Could not open file 'x': is odd\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x.db"),
            3,
            "error: x.db cannot be used (Permission denied)",
        ),
        (errors.NotFound("no \x1b[2J\u202ename: try again"), 1, "error: no \ufffd[2J\ufffdname: try again\n"),
        (Unheard(), 141, ""),
        (click.exceptions.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_command_raises_is_settled(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settle(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == bool(line)


@pytest.mark.parametrize("error", [ValueError("a defect"), OSError("of no file")])
def test_what_is_not_foreseen_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        settle(error)
