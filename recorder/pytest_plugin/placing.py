"""What was recorded beside a cassette takes its place, once all of its tests that ran are done."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from recorder.api.cassette_names import beside
from recorder.api.cassette_renewal import renew
from recorder.errors import RecorderError
from recorder.pytest_plugin.attempts import Outcome
from recorder.pytest_plugin.counting import counted
from recorder.pytest_plugin.run import Run

_BECAME: Final = {"failed": "failed", "skipped": "was skipped"}


def take_place(run: Run, cassette: Path) -> None:
    """Put what was recorded in the place of a cassette, if none of its tests has failed.

    What other tests have recorded stays: only where all that may have the cassette were run by ``rewrite``, it is
    replaced as a whole.

    :raises RecorderError: one of the two files is not what was written, or cannot be written.
    """
    if run.attempts.outcome(cassette) != "passed":
        return  # one that has failed may be run again
    run.settled.add(cassette)
    newer, is_whole = beside(cassette), run.is_rewritten(cassette)
    if newer.exists():
        run.kept[cassette] = renew(cassette, newer, keep_others=not is_whole)
    elif is_whole:
        cassette.unlink(missing_ok=True)
        run.kept[cassette] = 0


def settle_all(run: Run) -> None:
    """Bring a run's recordings to their end: tell what was recorded, and what has become of it.

    Of some cassettes a test was skipped, or was not reached: nobody was the last one to have them.
    """
    for cassette, target in run.begun.items():
        try:
            if target == "beside":
                _settle(run, cassette)
        except RecorderError as error:
            run.findings.left.append(str(error))
    for cassette, (added, outcome) in run.attempts.recorded().items():
        if cassette.exists():
            _tell_recorded(run, cassette, added, outcome)


def _settle(run: Run, cassette: Path) -> None:
    if cassette not in run.settled:
        take_place(run, cassette)
    newer, told = beside(cassette), run.told(cassette)
    if cassette not in run.settled and newer.exists():
        run.findings.named.add(str(newer))
        run.findings.left.append(
            f"{told} stays as it was, since a test of it has not passed: what that recorded is in {newer.name}"
        )
    kept = run.kept.get(cassette)
    if kept is not None and cassette.exists():
        run.findings.recorded.append(f"{told}: {counted(cassette)}{_told_kept(run, cassette, kept)}")
    elif kept is not None:
        run.findings.recorded.append(f"{told}: removed, its test asks for nothing")


def _told_kept(run: Run, cassette: Path, kept: int) -> str:
    """Return what is told of exchanges that stay though their cassette was to be rewritten."""
    if not (kept and run.rewriting.get(cassette)):
        return ""
    return f", {kept} of them from before: not every test that may have it was run with rewrite"


def _tell_recorded(run: Run, cassette: Path, added: int, outcome: Outcome) -> None:
    told, count = run.told(cassette), counted(cassette, added)
    if outcome == "passed":
        run.findings.recorded.append(f"{told}: {count}")
    else:
        run.findings.left.append(
            f"{told} was recorded by a test that {_BECAME[outcome]}: {count}: look at it, "
            "or record again with --recorder-mode=rewrite"
        )
