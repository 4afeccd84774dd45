"""What each test of a run has recorded: the last time it ran. A test that is run again begins where it began before.

pytest-rerunfailures, and plugins like it, run a test that has failed once more, its fixtures made anew. What it had
recorded the time before is taken out first, so that no cassette holds the exchanges of an attempt that did not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one test has done with a cassette.

    :ivar outcome: of the test.
    :ivar file: which it has recorded into; None where it has only played.
    :ivar added: ids of the exchanges that are in it since then.
    :ivar has_made: the file was not there before.
    """

    outcome: Outcome
    file: Path | None = None
    added: frozenset[bytes] = frozenset()
    has_made: bool = False


class Attempts:
    """The last attempt of each test of a run, by cassettes."""

    def __init__(self) -> None:
        self._found: defaultdict[Path, dict[str, Attempt]] = defaultdict(dict)

    def note(self, cassette: Path, test: str, attempt: Attempt) -> None:
        """Note what a test has done, in the place of what it did before."""
        self._found[cassette][test] = attempt

    def begin(self, cassette: Path, test: str) -> None:
        """Take out of a cassette, or of what lies beside it, what a test recorded the time before, if it ran already.

        :raises RecorderError: the file cannot be read, or be written.
        """
        earlier = self._found[cassette].pop(test, None)
        if earlier is None or earlier.file is None or not earlier.added:
            return
        there = exchanges_in(earlier.file)
        if not (gone := there & earlier.added):
            return  # it has taken the place of the cassette already
        if gone == there and earlier.has_made:
            earlier.file.unlink()
            return
        from recorder.api.cassette_changes import prune
        from recorder.clock import id_text

        prune(earlier.file, map(id_text, gone))

    def done(self, cassette: Path) -> int:
        """Return how many tests have come to their end."""
        return len(self._found[cassette])

    def outcome(self, cassette: Path) -> Outcome:
        """Return ``passed`` where all of a cassette's tests that ran have, else what has become of one that has not."""
        return _worst(self._found[cassette].values())

    def recorded(self) -> dict[Path, tuple[int, Outcome]]:
        """Return how many exchanges stand in cassettes since this run, and what has become of the tests that did it.

        What was recorded beside a cassette is not among them.
        """
        found: dict[Path, tuple[int, Outcome]] = {}
        for cassette, attempts in self._found.items():
            made = [each for each in attempts.values() if each.file == cassette and each.added]
            if made:
                found[cassette] = len(frozenset[bytes]().union(*(each.added for each in made))), _worst(made)
        return found


def _worst(attempts: Iterable[Attempt]) -> Outcome:
    return next((each.outcome for each in attempts if each.outcome != "passed"), "passed")


def exchanges_in(file: Path) -> frozenset[bytes]:
    """Return the ids of the exchanges of a cassette; none where it is not there.

    :raises RecorderError: it cannot be read.
    """
    from recorder.store.cassette_file import read_file

    return frozenset(block.stream for block in read_file(file).exchange_blocks()) if file.exists() else frozenset()
