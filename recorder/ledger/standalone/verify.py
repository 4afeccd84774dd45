"""The verifier as a program: ``python verify.py evidence.zip --key FINGERPRINT``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recorder.core.key_spelling import fingerprints_in, groups_joined
from recorder.core.seal_times import TimeStamp
from recorder.ledger.standalone.notes import parse_checkpoint, parse_vkey
from recorder.ledger.standalone.report import lines_of, result_of
from recorder.ledger.standalone.verification import Verification

_EPILOG = """\
exit code: 0 nothing is wrong with what can be proved (read what is not), 1 something is wrong, 2 wrong usage,
3 the result cannot be written.
The key must not come from the bundle: ask for its fingerprint by another way."""
_MOST = 1 << 20  # bytes of a checkpoint


def fingerprints_of(text: str) -> list[str]:
    """Return the fingerprints that ``--key`` means.

    :param text: a fingerprint (64 hexadecimal digits, in groups or not, see :func:`fingerprints_in`), or several, as
        ``recorder keys show`` prints them after a rotation; or the public key itself.
    :raises ValueError: it is neither.
    """
    found = fingerprints_in(text)
    if found:
        return found
    if "+" not in text:
        told = f"{' '.join(text.split())[:200]!r} is no fingerprint of a key: that has 64 hexadecimal digits, as"
        raise ValueError(
            f"{told} `recorder keys show` prints it; ask whoever made the bundle, by another way than with it"
        )
    return [parse_vkey(text.strip()).fingerprint]


def checkpoint_in(path: Path) -> bytes:
    """Return the checkpoint in a file.

    :raises ValueError: there is none in it.
    :raises OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MOST + 1)
    try:
        if len(data) > _MOST:
            raise ValueError("it is too large")
        parse_checkpoint(data, ())
    except ValueError:  # of which a text that is not UTF-8 is one
        raise ValueError(f"{path} holds no checkpoint: give the .note file that you kept") from None
    return data


def verify_bundle(
    path: Path, keys: Sequence[str] = (), checkpoint: bytes | None = None, stamps: Sequence[TimeStamp] = ()
) -> dict[str, Any]:
    """Verify a bundle.

    :param path: the zip file.
    :param keys: fingerprints, or public keys, that were got by another way than with the bundle.
    :param checkpoint: a note that was kept from before.
    :param stamps: time stamps in it that somebody has checked.
    :return: verdicts, findings, and what is not proved; nothing is wrong where ``findings`` is empty.
    :raises ValueError: one of *keys* is no key.
    :raises OSError: the file cannot be read.
    """
    trusted = [one for key in keys for one in fingerprints_of(key)]
    with path.open("rb") as file:
        verification = Verification(file, trusted, checkpoint, stamps)
        verification.run()
        return result_of(verification)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Verify an evidence bundle.", epilog=_EPILOG)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", action="append", default=[], help="a key's fingerprint, got by another way")
    parser.add_argument("--checkpoint", type=Path, help="a file with a checkpoint that you kept from before")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    given = parser.parse_args(groups_joined(sys.argv[1:] if arguments is None else arguments, "--key"))
    try:
        for key in given.key:
            fingerprints_of(key)
    except ValueError as error:
        sys.stderr.write(f"error: --key: {error}\n")
        return 2
    try:
        held = checkpoint_in(given.checkpoint) if given.checkpoint is not None else None
        result = verify_bundle(given.bundle, given.key, held)
    except ValueError as error:
        sys.stderr.write(f"error: --checkpoint: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error.filename} cannot be read: {error.strerror}\n")
        return 2
    lines = [json.dumps(result, sort_keys=True)] if given.json else lines_of(result)
    if sys.stdout is None:
        sys.stderr.write("error: the result cannot be written: standard output is closed\n")
        return 3
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr] # a TextIOWrapper
    return _written("".join(f"{line}\n" for line in lines)) or (1 if result["findings"] else 0)


def _written(text: str) -> int:
    """Write to standard output; return 0, or the exit code where that cannot be done."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        code = 141
    except OSError as error:
        sys.stderr.write(f"error: the result cannot be written: {error.strerror}\n")
        code = 3
    else:
        return 0
    with Path(os.devnull).open("w") as nowhere:  # what is left in the buffer is written once more at the end
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    sys.exit(main())
