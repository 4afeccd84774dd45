"""What a run of tests knows as a whole: which tests share a cassette, what was recorded, what is to be told at its end.

Under pytest-xdist each worker knows its own part; it hands it to the controller as plain data, which adds them up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recorder.pytest_plugin.attempts import Attempts
from recorder.pytest_plugin.collected import Collected
from recorder.pytest_plugin.modes import Target


@dataclass
class Shared:
    """A cassette that several tests name.

    :ivar users: how many tests of this run do.
    :ivar runs: ids of those that have passed by playing it.
    :ivar played: ids of the exchanges that they have asked for.
    :ivar exchanges: ids of all of its exchanges.
    """

    users: int
    runs: set[str] = field(default_factory=set)
    played: set[str] = field(default_factory=set)
    exchanges: set[str] = field(default_factory=set)

    def add(self, other: Shared) -> None:
        """Add what another worker knows of the same cassette."""
        self.runs |= other.runs
        self.played |= other.played
        self.exchanges |= other.exchanges

    @property
    def unplayed(self) -> set[str]:
        """Ids of the exchanges that no test has asked for; none as long as not all tests have passed."""
        return self.exchanges - self.played if len(self.runs) == self.users else set()


@dataclass
class Findings:
    """What is told at the end of a run: lines for people, and what some of them are made of.

    :ivar recorded: what was recorded.
    :ivar left: what was not as it should be after recording.
    :ivar named: cassettes that a test has, or has used.
    :ivar orphans: cassettes that belong to no test.
    :ivar shared: cassettes that several tests play.
    :ivar late: requests that tests have made after their end.
    :ivar shut: to which ``host:port`` connections were ended.
    """

    recorded: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    orphans: set[str] = field(default_factory=set)
    shared: dict[str, Shared] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    shut: set[str] = field(default_factory=set)

    def add(self, told: dict[str, Any]) -> None:
        """Add what a worker has told."""
        self.recorded += told["recorded"]
        self.left += told["left"]
        self.named |= set(told["named"])
        self.orphans |= set(told["orphans"])
        self.late |= set(told["late"])
        self.shut |= set(told["shut"])
        for path, each in told["shared"].items():
            shared = Shared(each["users"], *(set(each[name]) for name in ("runs", "played", "exchanges")))
            self.shared.setdefault(path, Shared(shared.users)).add(shared)

    def as_data(self) -> dict[str, Any]:
        """Return what :meth:`add` takes, of lists, texts and numbers."""
        told: dict[str, Any] = _plain(asdict(self))
        return told


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return sorted(value) if isinstance(value, set) else value


class Run:
    """One run of tests, in this process.

    :ivar root: paths are told relative to it.
    :ivar parallel: other processes run tests of it at the same time.
    :ivar is_controller: other processes run all of its tests.
    :ivar begun: cassettes that this run has begun to record, and where.
    :ivar attempts: what each test has recorded, and whether it has passed.
    :ivar kept: how many exchanges have stayed in those that were recorded again.
    :ivar rewriting: ids of the tests that have passed by rewriting one.
    :ivar settled: cassettes beside which nothing is recorded any more.
    """

    def __init__(self, config: pytest.Config, collected: Collected) -> None:
        self._collected = collected
        self.root = config.rootpath
        self.parallel = hasattr(config, "workerinput")
        self.is_controller = not self.parallel and config.getoption("dist", "no") != "no"
        self.begun: dict[Path, Target] = {}
        self.attempts = Attempts()
        self.kept: dict[Path, int] = {}
        self.rewriting: dict[Path, set[str]] = {}
        self.settled: set[Path] = set()
        self.findings = Findings()
        self._users: dict[Path, int] = {}

    def expect(self, cassettes: Iterable[Path]) -> None:
        """Note which cassettes will be used: one for each test that will run."""
        for path in cassettes:
            self._users[path] = self._users.get(path, 0) + 1

    def users_of(self, cassette: Path) -> int:
        """Return how many tests of this run use a cassette."""
        return max(self._users.get(cassette, 1), 1)

    def is_done(self, cassette: Path) -> bool:
        """Whether all tests that use a cassette have come to their end, those that were run again included."""
        return self.attempts.done(cassette) >= self.users_of(cassette)

    def is_rewritten(self, cassette: Path) -> bool:
        """Return whether every test that may have recorded a cassette has now rewritten it."""
        known = self._collected.recorders_of(cassette)
        return known is not None and known <= self.rewriting.get(cassette, set())

    def shared(self, cassette: Path) -> Shared:
        """Return what is known of a cassette that several tests play."""
        return self.findings.shared.setdefault(str(cassette), Shared(self.users_of(cassette)))

    def told(self, path: Path) -> str:
        """Return a path as people read it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)
