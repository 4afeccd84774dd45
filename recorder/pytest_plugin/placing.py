"""What was recorded beside a cassette takes its place, once all of its tests that ran are done."""

from __future__ import annotations

from pathlib import Path

from recorder.api.cassette_names import beside
from recorder.api.cassette_renewal import renew
from recorder.errors import RecorderError
from recorder.pytest_plugin.counting import counted
from recorder.pytest_plugin.run import Run


def take_place(run: Run, cassette: Path) -> None:
    """Put what was recorded in the place of a cassette, if none of its tests has failed.

    What other tests have recorded stays: only where all that may have the cassette were run by ``rewrite``, it is
    replaced as a whole.

    :raises RecorderError: one of the two files is not what was written, or cannot be written.
    """
    run.settled.add(cassette)
    newer, told = beside(cassette), run.told(cassette)
    if cassette in run.failed:
        if newer.exists():
            run.findings.named.add(str(newer))
            run.findings.left.append(
                f"{told} stays as it was, since a test of it has not passed: what that recorded is in {newer.name}"
            )
        return
    is_whole = run.is_rewritten(cassette)
    if newer.exists():
        kept = renew(cassette, newer, keep_others=not is_whole)
        run.findings.recorded.append(f"{told}: {counted(cassette)}{_told_kept(run, cassette, kept)}")
    elif is_whole:
        cassette.unlink(missing_ok=True)
        run.findings.recorded.append(f"{told}: removed, its test asks for nothing")


def _told_kept(run: Run, cassette: Path, kept: int) -> str:
    """Return what is told of exchanges that stay though their cassette was to be rewritten."""
    if not (kept and run.rewriting.get(cassette)):
        return ""
    return f", {kept} of them from before: not every test that may have it was run with rewrite"


def settle_all(run: Run) -> None:
    """Do it for cassettes of which a test was skipped, or was not reached: nobody was the last one to have them."""
    for cassette, target in run.begun.items():
        if target == "beside" and cassette not in run.settled:
            try:
                take_place(run, cassette)
            except RecorderError as error:
                run.findings.left.append(str(error))
