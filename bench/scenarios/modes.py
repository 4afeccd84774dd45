"""Modes of recording: what is sent, what is answered, and what the cassette holds afterwards.

The cases are cassetter's. Where a tool calls a mode otherwise, the mode that is meant is asked for: what cassetter
calls ``all``, everything anew, is ``rewrite`` in recorder.
"""

from __future__ import annotations

from bench.scenarios.server import Answer
from bench.scenarios.tools import NotThereError
from bench.scenarios.trial import FailedError, Trial, expect, scenario

#: title, mode, a cassette is there, what is asked, outcomes (p: played, s: sent, r: refused), what the cassette holds
#: afterwards; None: there is none, or an empty one.
CASES: tuple[tuple[str, str, bool, list[str], str, list[str] | None], ...] = (
    ("`none` plays what is there", "none", True, ["old"], "p", ["old"]),
    ("`none` refuses what is not there", "none", True, ["new"], "r", ["old"]),
    ("`none` makes no cassette", "none", False, ["new"], "r", None),
    ("`once` plays, and adds nothing to a cassette that is there", "once", True, ["old", "new"], "pr", ["old"]),
    ("`once` records where there is no cassette", "once", False, ["a", "b"], "ss", ["a", "b"]),
    ("`once` records a request again that comes again", "once", False, ["a", "a"], "ss", ["a", "a"]),
    (
        "`new_episodes` plays each once, and records the rest",
        "new_episodes",
        True,
        ["old", "old", "new", "new"],
        "psss",
        ["new", "new", "old", "old"],
    ),
    ("everything anew: the cassette holds this run only", "all", True, ["new"], "s", ["new"]),
    ("everything anew, and nothing is asked: the old one is gone", "all", True, [], "", None),
    ("everything anew, nothing is asked, no cassette: none is made", "all", False, [], "", None),
    ("`rewrite`, and nothing is asked: the old one is gone", "rewrite", True, [], "", None),
    ("`rewrite` records a request again that comes again", "rewrite", True, ["old", "old"], "ss", ["old", "old"]),
    ("`rewrite` records what the old one had not", "rewrite", True, ["new"], "s", ["new"]),
)


def case(trial: Trial, mode: str, exists: bool, asked: list[str], outcomes: str, held: list[str] | None) -> None:
    mode = trial.tool.modes.get(mode) or _missing()
    urls = [trial.server.on(f"/{name}", Answer([b"ok"])) for name in asked]
    if exists:
        old = trial.server.on("/old", Answer([b"ok"]))
        trial.record(lambda session: session.get(old))
    before = len(trial.server.hits)
    found = trial.tool.run_mode(trial.path, mode, urls)
    wanted = ["refused" if each == "r" else "answered" for each in outcomes]
    expect(found, wanted, "the program is")
    expect(len(trial.server.hits) - before, outcomes.count("s"), "requests sent")
    there = trial.tool.urls(trial.path) if trial.path.exists() else []
    if there != (held or []):
        raise FailedError(f"the cassette holds {there or 'nothing'}")


def _missing() -> str:
    raise NotThereError


def _made(title: str, mode: str, exists: bool, asked: list[str], outcomes: str, held: list[str] | None) -> None:
    def run(trial: Trial) -> None:
        case(trial, mode, exists, asked, outcomes, held)

    scenario("modes", "cassetter", title)(run)


for _case in CASES:
    _made(*_case)
