"""The scenarios of ``bench.scenarios``: the page has them all, recorder passes each, and they can fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.scenarios import answers, answers_of_http, modes, streams
from bench.scenarios.__main__ import attempt
from bench.scenarios.tools import TOOLS, Taps, Tool
from bench.scenarios.trial import SCENARIOS, Scenario

PAGE = Path(__file__).parents[2] / "docs/scenarios.md"
ROWS = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]


class Nothing(Tool):
    """Records nothing, and answers nothing."""

    name = "nothing"

    @contextmanager
    def opened(self, path: Path, mode: str) -> Iterator[Taps]:
        yield Taps()


def named(run: object) -> Scenario:
    return next(one for one in SCENARIOS if one.run is run)


def test_the_page_has_every_scenario_and_ours_passes_each() -> None:
    shown = {row[0].removeprefix("| "): row[2] for row in ROWS if len(row) == 2 + len(TOOLS)}
    titles = [one.title for one in SCENARIOS]
    assert len(set(titles)) == len(titles) >= 40
    assert {title: shown.get(title) for title in titles} == dict.fromkeys(titles, "passes")


@pytest.mark.parametrize("run", [streams.boundaries, answers.out_of_order, answers_of_http.cookies])
def test_a_scenario_passes_with_ours(run: object) -> None:
    assert attempt(named(run), TOOLS["recorder"]) == "passes"


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (streams.boundaries, "replay asks the network"),
        (answers.never, "replay asks the network"),
        (answers_of_http.cookies, "replay asks the network"),
        (streams.refused, "nothing is recorded"),
        (answers.swallowed, "nothing is told"),
    ],
)
def test_a_scenario_fails_with_a_tool_that_does_nothing(run: object, told: str) -> None:
    assert attempt(named(run), Nothing()) == f"fails: {told}"


def test_there_are_the_thirteen_modes() -> None:
    assert len(modes.CASES) == 13
