"""The matrix outside pytest, for fast iteration: differences, compactly, and the time each pass took."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fidelity.behaviours import BEHAVIOURS
from tests.fidelity.consumers import CONSUMERS
from tests.fidelity.matrix import REPLAY_IGNORES
from tests.fidelity.passes import (
    THREADS,
    Case,
    Name,
    Seen,
    all_cases,
    bare,
    pass_differences,
    run_pass,
    sampled_cases,
)
from tests.fidelity.server import Server


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fidelity", description=__doc__)
    parser.add_argument(
        "--ways", default="bare", help="bare, recorded, replayed: any of them, by commas (default: bare)"
    )
    parser.add_argument("--behaviour", action="append", choices=BEHAVIOURS, metavar="NAME")
    parser.add_argument("--consumer", action="append", choices=CONSUMERS, metavar="NAME")
    parser.add_argument("--sample", action="store_true", help="the default tier's sample instead of everything")
    parser.add_argument("--repeat", type=int, default=1, help="compare so many passes of each way")
    parser.add_argument("--store", help="URL of the store to record into (default: a temporary SQLite file)")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--lines", type=int, default=3, help="differences shown per case")
    return parser.parse_args()


class _Runner:
    def __init__(self, options: argparse.Namespace, server: Server, cases: list[Case]) -> None:
        self._options = options
        self._server = server
        self._cases = cases
        self._ours = self._pass("bare", bare, "b")
        self.differing = 0

    def run(self, ways: list[str], store_url: str, number: int) -> None:
        if "bare" in ways:
            self._compare("bare", self._pass("bare again", bare, f"b{number}"))
        if "recorded" in ways or "replayed" in ways:
            self._record(store_url, f"r{number}")

    def replay(self, store_url: str, number: int) -> None:
        from recorder import Player

        with Player(store_url) as player:
            seen = self._pass("replayed", player.mount, f"r{number}", live=False)
        self._compare("replayed", seen, REPLAY_IGNORES)

    def _record(self, store_url: str, keys: str) -> None:
        from recorder import Recorder

        with Recorder(store_url) as recorder:
            seen = self._pass("recorded", recorder.mount, keys)
        self._compare("recorded", seen)

    def _pass(self, what: str, prepare: object, keys: str, *, live: bool = True) -> Seen:
        assert callable(prepare)
        started = time.perf_counter()
        seen = run_pass(self._cases, prepare, server=self._server, keys=keys, live=live, threads=self._options.threads)
        print(f"{what}: {len(seen)} cases in {time.perf_counter() - started:.1f} s", flush=True)
        return seen

    def _compare(self, way: str, seen: Seen, ignore: tuple[str, ...] = ()) -> None:
        found = pass_differences(self._ours, seen, ignore)
        self.differing += len(found)
        print(f"{way}: {len(found)} of {len(seen)} cases differ")
        for (behaviour, consumer), lines in found.items():
            print(f"  {behaviour} × {consumer}")
            for line in lines[: self._options.lines]:
                print(f"      {line}")
        _summarise(found)


def _summarise(found: dict[Name, list[str]]) -> None:
    for axis in (0, 1):
        counted = Counter(name[axis] for name in found)
        if counted:
            print("  " + ", ".join(f"{name} {count}" for name, count in counted.most_common(12)))


def main() -> int:
    options = _arguments()
    chosen = all_cases(options.behaviour or BEHAVIOURS, options.consumer or CONSUMERS)
    cases = sampled_cases() if options.sample else chosen
    ways = options.ways.split(",")
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        stores = [options.store or f"sqlite:///{Path(folder, f'{n}.db')}" for n in range(options.repeat)]
        runner = _Runner(options, server, cases)
        for number, store_url in enumerate(stores):
            runner.run(ways, store_url, number)
        server.close()
        if "replayed" in ways:
            for number, store_url in enumerate(stores):
                runner.replay(store_url, number)
    return 1 if runner.differing else 0


if __name__ == "__main__":
    sys.exit(main())
