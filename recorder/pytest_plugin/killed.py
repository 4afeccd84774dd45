"""What a run that was killed has left: finished, and never mixed into what the next run records.

Where it recorded into the cassette itself, what it had is the cassette: a run that records goes on from there, as from
any other. Where it recorded beside it, to take its place, that is nobody's: it stays where it is, and the next run
that records there sets it aside under another name.
"""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path

import pytest

from recorder.api.cassette_names import KILLED, beside, with_ending
from recorder.clock import SystemClock
from recorder.errors import RecorderError
from recorder.locations import spool_directory, url_of_path
from recorder.pytest_plugin.counting import counted
from recorder.pytest_plugin.run import Run
from recorder.recording.orphans import any_left, any_owned
from recorder.store.cassette_file import read_first_line


def was_killed(cassette: Path) -> bool:
    """Whether a cassette, which may be missing, has not been written to its end, and nobody writes it any more."""
    spools = spool_directory(url_of_path(cassette))
    if any_left(spools):
        return True
    return cassette.exists() and not any_owned(spools) and read_first_line(cassette).recording


def finish(cassette: Path) -> None:
    """Bring what a dead process left in its spool to its cassette, which is then written to its end.

    :raises RecorderError: the cassette cannot be read, or be written.
    """
    from recorder.recording.recovery import recover
    from recorder.recording.spool_file import spool_files
    from recorder.store.cassette import CassetteStore

    spools, clock = spool_directory(url_of_path(cassette)), SystemClock()
    store = CassetteStore(cassette)
    recover(spools, store, clock, clock.new_id())
    if not spool_files(spools):
        store.settle(abandoned=True)


def clear(run: Run, cassette: Path) -> None:
    """Make room beside a cassette: what a run recorded there that was killed is set aside, and told.

    What a test has left that failed was told by its run, and goes.

    :raises RecorderError: what is there cannot be read, or be written.
    :raises pytest.UsageError: another run is recording there.
    """
    newer = beside(cassette)
    if any_owned(spool_directory(url_of_path(newer))):
        raise pytest.UsageError(
            f"{run.told(cassette)} is being recorded by another run, in {newer.name}: wait until that has ended"
        )
    if was_killed(newer):
        finish(newer)
        if newer.exists():
            kept = next(path for path in _kept_names(cassette) if not path.exists())
            newer.rename(kept)
            run.findings.named.add(str(kept))
            told = f"{run.told(kept)}: what a run had recorded that was killed: {counted(kept)}"
            run.findings.left.append(f"{told}: look at it, then remove it")
    newer.unlink(missing_ok=True)


def told_left(run: Run, cassette: Path) -> str:
    """Return what is told of a killed run that recorded beside a cassette which is only played; empty if none did."""
    newer = beside(cassette)
    if str(newer) in run.findings.named:
        return ""
    try:
        if not was_killed(newer):
            return ""
    except RecorderError:  # it can be read by nobody, and keeps nobody from playing the cassette
        return ""
    run.findings.named.add(str(newer))
    return (
        f"{run.told(newer)}: what a run had recorded that was killed, {run.told(cassette)} stays as it was: "
        f"`recorder recover --store {run.told(newer)}` finishes it, to look at"
    )


def _kept_names(cassette: Path) -> chain[Path]:
    first = with_ending(cassette, KILLED)
    return chain([first], (with_ending(cassette, f"{KILLED}{number}") for number in count(2)))
