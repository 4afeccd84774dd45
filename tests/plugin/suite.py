"""Suites of somebody else's tests, run with the plugin; and what their cassettes hold."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from recorder import Match, Recorder
from recorder.api.cassettes import CassetteRecordings
from recorder.core.exchange import fold
from tests.loopback import LoopbackServer

#: Begins the module of every suite: ``ask(session, "Buy?")`` returns the text of the answer.
ASKING = """
import os

import pytest
from recorder import NoMatchingExchange

URL = os.environ["UPSTREAM"]


def ask(session, prompt):
    body = {"messages": [{"role": "user", "content": prompt}], "stream": True}
    return session.post(URL, json=body).text
"""


class Keeper:
    """Keeps what inner runs have imported: forgotten and imported once more, there would be two of each class."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Note what a run has imported, before pytester forgets it; not the modules of its own tests."""
        own = str(config.rootpath)
        found = {name: module for name, module in sys.modules.items() if name not in self._modules}
        kept = (each for each in found.items() if not str(getattr(each[1], "__file__", None) or "").startswith(own))
        self._modules.update(kept)

    def restore(self) -> None:
        """Have it imported again."""
        for name, module in self._modules.items():
            sys.modules.setdefault(name, module)


class Suite:
    """A directory with tests, a server that they ask, and a way to run them.

    :ivar server: answers the nth request with n chunks.
    """

    def __init__(self, pytester: pytest.Pytester, server: LoopbackServer, keeper: Keeper) -> None:
        self._pytester = pytester
        self._keeper = keeper
        self.server = server
        self.path: Path = pytester.path

    def write(self, text: str, name: str = "test_bot.py") -> None:
        """Write a module of tests, after what each begins with."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ASKING + text)

    def configure(self, *lines: str) -> None:
        """Write the configuration file."""
        self._pytester.makeini("\n".join(["[pytest]", *lines]))

    def run(self, *arguments: str, mode: str | None = None, apart: bool = False) -> pytest.RunResult:
        """Run the tests.

        :param mode: for the command line.
        :param apart: in a process of its own.
        """
        given = [*arguments, "-p", "no:cacheprovider", *([f"--recorder-mode={mode}"] if mode else [])]
        if apart:
            return self._pytester.runpytest_subprocess(*given)
        result = self._pytester.runpytest_inprocess(*given, plugins=[self._keeper])
        self._keeper.restore()
        return result

    def tells(
        self, lines: Sequence[str], *arguments: str, mode: str | None = None, apart: bool = False, **outcomes: int
    ) -> pytest.RunResult:
        """Run the tests: they have these outcomes, and the output has these lines, in their order.

        :param lines: patterns, as ``fnmatch_lines`` of pytester takes them.
        """
        result = self.run(*arguments, mode=mode, apart=apart)
        result.assert_outcomes(**outcomes)
        result.stdout.fnmatch_lines(lines)
        return result

    @property
    def calls(self) -> int:
        """How many requests have come to the server."""
        return len(self.server.visits())

    def cassettes(self) -> list[str]:
        """Return the paths of all cassettes, and of whatever else lies beside them."""
        found = (path for path in self.path.rglob("*") if path.is_file() and "cassettes" in path.parts)
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    def record(self, cassette: str, *prompts: str, match: Match | None = None) -> None:
        """Record requests into a cassette, as the tests would make them."""
        import requests

        path = self.path / cassette
        path.parent.mkdir(parents=True, exist_ok=True)
        with Recorder(path, match=match) as making, requests.Session() as session:
            making.mount(session)
            for prompt in prompts:
                body = {"messages": [{"role": "user", "content": prompt}], "stream": True}
                session.post(self.server.url, json=body).raise_for_status()


def held(path: Path) -> list[tuple[str, int]]:
    """Return what a cassette holds: the prompt of each exchange, and the number of its deltas."""
    recordings = CassetteRecordings(path)
    found = []
    for entry in recordings.entries():
        exchange = fold(recordings.events(entry.exchange))
        assert exchange is not None
        assert exchange.request is not None
        prompt = json.loads(exchange.request.payload)["messages"][-1]["content"]
        found.append((prompt, exchange.body.count(f"[{prompt} ".encode())))
    return found
