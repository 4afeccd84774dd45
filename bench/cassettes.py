"""A cassette of a thousand exchanges: loading, replaying and the memory that takes, against other libraries.

Each library records the same thousand requests from one server into a cassette of its own, matches method, URL and
body, and replays a fifth of them in a process of its own, three times in turn. Loading is whatever comes before the
first request; memory is what the process grew by from before the loading to the end.

    python -m bench.cassettes [library...]
"""

from __future__ import annotations

import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import requests

from bench.measure import ROOT, figure, median, scratch, server

EXCHANGES = 1000
ASKED = 200
CHUNKS, SIZE = 10, 700
ROUNDS = 3

Mounted = Callable[[Path, bool], AbstractContextManager[requests.Session]]


@contextmanager
def ours(directory: Path, recording: bool) -> Iterator[requests.Session]:
    path = directory / "ours.jsonl"
    if recording:
        from recorder import Recorder  # with SQLAlchemy, which playing a cassette does not need

        with Recorder(path) as recorder:
            yield recorder.mount(requests.Session())
    else:
        from recorder import Player

        with Player(path) as player:
            yield player.mount(requests.Session())


@contextmanager
def vcrpy(directory: Path, recording: bool) -> Iterator[requests.Session]:
    import vcr

    mode = "once" if recording else "none"
    with vcr.use_cassette(str(directory / "vcr.yaml"), record_mode=mode, match_on=("method", "uri", "body")):
        yield requests.Session()


@contextmanager
def cassetter(directory: Path, recording: bool) -> Iterator[requests.Session]:
    from cassetter import use_cassette

    mode = "once" if recording else "none"
    path = directory / "cassetter.yaml"
    with use_cassette(path, record_mode=mode, match_on=["method", "uri", "body"], intercept=["requests"]):
        yield requests.Session()


@contextmanager
def betamax(directory: Path, recording: bool) -> Iterator[requests.Session]:
    from betamax import Betamax

    session = requests.Session()
    mounted = Betamax(session, cassette_library_dir=str(directory))
    mode = "once" if recording else "none"
    with mounted.use_cassette("betamax", record=mode, match_requests_on=["method", "uri", "body"]):
        yield session


TOOLS: dict[str, Mounted] = {"recorder": ours, "vcrpy": vcrpy, "cassetter": cassetter, "betamax": betamax}

MODULES = {"recorder": ("recorder.api.player", "recorder.api.cassettes", "recorder.replay.answers"), "vcrpy": ("vcr",)}


def ask(session: requests.Session, target: str, number: int) -> None:
    body = {"model": "m-1", "messages": [{"role": "user", "content": f"Prompt number {number}?"}]}
    response = session.post(target, json=body)
    assert len(response.content) == CHUNKS * SIZE


def memory() -> float:
    """Return the most memory that this process has had, in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def child(tool: str, directory: Path, target: str, recording: bool) -> None:
    """Record, or replay everything and print how that went."""
    mounted = TOOLS[tool]
    if recording:
        with mounted(directory, True) as session:
            for number in range(EXCHANGES):
                ask(session, target, number)
        return
    for module in MODULES.get(tool, (tool,)):  # importing is not loading
        importlib.import_module(module)
    before, began = memory(), time.perf_counter()
    with mounted(directory, False) as session:
        loaded = time.perf_counter()
        ask(session, target, 0)  # pays for what a library imports and builds once
        warm = time.perf_counter()
        for number in range(1, EXCHANGES, EXCHANGES // ASKED):
            ask(session, target, number)
        done = time.perf_counter()
    each = (done - warm) * 1000 / ASKED
    print(json.dumps({"load": (loaded - began) * 1000, "replay": each, "memory": memory() - before}))


def run(tool: str, directory: Path, target: str, mode: str) -> str:
    command = [sys.executable, "-m", "bench.cassettes", mode, tool, str(directory), target]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(wanted: list[str]) -> None:
    there = [tool for tool in TOOLS if tool == "recorder" or importlib.util.find_spec(tool.replace("vcrpy", "vcr"))]
    tools = [tool for tool in there if tool == "recorder" or not wanted or tool in wanted]
    found: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    with scratch() as directory:
        with server() as base:
            target = f"{base}/{CHUNKS}/0/{SIZE}"
            for tool in tools:
                run(tool, directory, target, "record")
        for _ in range(ROUNDS):
            for tool in tools:
                found[tool].append(json.loads(run(tool, directory, target, "replay")))
    figures = {tool: {name: median([one[name] for one in told]) for name in told[0]} for tool, told in found.items()}
    mine = figures.pop("recorder")
    for tool, theirs in figures.items():
        faster, loads = theirs["replay"] / mine["replay"], mine["load"] / theirs["load"]
        goal = 20.0 if tool == "vcrpy" else 1.0 if tool == "cassetter" else None
        figure(
            f"replay per request from a cassette of {EXCHANGES:,} against {tool}",
            f"{faster:.1f} times faster ({mine['replay']:.2f} against {theirs['replay']:.2f} ms)",
            "none" if goal is None else f">= {goal:.0f} times",
            None if goal is None else faster >= goal,
        )
        figure(
            f"loading a cassette of {EXCHANGES:,} against {tool}",
            f"{loads:.2f} times ({mine['load']:.0f} against {theirs['load']:.0f} ms)",
            "<= 1 times" if tool == "cassetter" else "none",
            loads <= 1 if tool == "cassetter" else None,
        )
        figure(
            f"memory of a player with a cassette of {EXCHANGES:,} against {tool}",
            f"{mine['memory'] / theirs['memory']:.2f} times ({mine['memory']:.0f} against {theirs['memory']:.0f} MiB)",
            "none",
            None,
        )


if __name__ == "__main__":
    if sys.argv[1:2] in (["record"], ["replay"]):
        child(sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[1] == "record")
    else:
        main(sys.argv[1:])
