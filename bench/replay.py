"""Replay per request: against vcrpy at 1,000 exchanges, at 100,000 against 1,000, and by rules against strictly.

Opening the player, which reads the store's index, is not part of a request; it is told apart.

    python -m bench.replay [exchanges in the large store]
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests
import vcr

from bench.measure import figure, interleaved, median, scratch, server
from recorder import Match, Player
from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from tests.building import ExchangeBuilder

SMALL = 1000
LARGE = 100_000
ASKED = 200
PIECE = b"data: {" + b"x" * 280 + b"}\n\n"


def prompt(number: int) -> dict[str, object]:
    return {"model": "m-1", "messages": [{"role": "user", "content": f"Prompt number {number}?"}]}


def build(url: str, target: str, count: int) -> None:
    """Write a store of *count* exchanges of ten chunks each."""
    store = open_store(url, write=True)
    for start in range(0, count, 500):
        made = [
            ExchangeBuilder(number + 1).request(prompt(number), url=target).response().chunks(*[PIECE] * 10).completed()
            for number in range(start, min(start + 500, count))
        ]
        store.append([each.opened for each in made], [event for each in made for event in each.events])
    project(store, SqlProjected(store))  # as a recorder does when its program rests, and on closing
    store.close()


def ask(session: requests.Session, target: str, numbers: list[int], **more: str) -> float:
    """Return milliseconds per request."""
    began = time.perf_counter()
    for number in numbers:
        with session.post(target, json=prompt(number) | more, stream=True) as response:
            size = sum(len(piece) for piece in response.iter_content(None))
        assert size
    return (time.perf_counter() - began) * 1000 / len(numbers)


def asking(
    url: str, target: str, count: int, opened: list[float], match: Match | None = None, **more: str
) -> Callable[[], float]:
    numbers = random.Random(count).sample(range(count), ASKED)

    def once() -> float:
        began = time.perf_counter()
        with Player(url, match=match) as player:
            session = player.mount(requests.Session())
            ask(session, target, numbers[:1], **more)  # the first request pays for imports, connections and rules
            opened.append(time.perf_counter() - began)
            return ask(session, target, numbers[1:], **more)

    return once


def vcrpy(cassette: Path, target: str) -> Callable[[], float]:
    numbers = random.Random(SMALL).sample(range(SMALL), ASKED)

    def once() -> float:
        with vcr.use_cassette(str(cassette), record_mode="none", match_on=("method", "uri", "body")):
            return ask(requests.Session(), target, numbers)

    return once


def main() -> None:
    large = int(sys.argv[1]) if len(sys.argv) > 1 else LARGE
    with scratch() as directory:
        cassette, small_url, large_url = (
            directory / "peer.yaml",
            f"sqlite:///{directory}/small.db",
            f"sqlite:///{directory}/large.db",
        )
        with server() as base:
            target = f"{base}/10/0/{len(PIECE)}"
            with vcr.use_cassette(str(cassette), match_on=("method", "uri", "body")):
                ask(requests.Session(), target, list(range(SMALL)))
        build(small_url, target, SMALL)
        build(large_url, target, large)
        opened: tuple[list[float], ...] = ([], [], [])
        rules = Match(ignore=("/user",), normalise=("ids", "dates", "tool_call_ids"))
        at_small, at_large, by_rules = interleaved(
            9,
            asking(small_url, target, SMALL, opened[0]),
            asking(large_url, target, large, opened[1]),
            asking(small_url, target, SMALL, opened[2], rules, user="another"),
        )
        (theirs,) = interleaved(3, vcrpy(cassette, target))
    faster = median(theirs) / median(at_small)
    slower = median([one / other for one, other in zip(at_large, at_small, strict=True)])
    figure(
        "replay per request at 1,000 exchanges against vcrpy",
        f"{faster:.1f} times faster ({median(at_small):.2f} against {median(theirs):.2f} ms)",
        ">= 20 times",
        faster >= 20,
    )
    figure(
        f"replay per request at {large:,} exchanges against 1,000",
        f"{slower:.2f} times ({median(at_large):.2f} against {median(at_small):.2f} ms)",
        "<= 1.3 times",
        slower <= 1.3,
    )
    loosened = median([one / other for one, other in zip(by_rules, at_small, strict=True)])
    figure(
        "replay per request by rules that every request needs, against strictly",
        f"{loosened:.2f} times ({median(by_rules):.2f} against {median(at_small):.2f} ms)",
        "<= 1.3 times",
        loosened <= 1.3,
    )
    small_s, large_s, rules_s = map(median, opened)
    figure(
        "opening a player",
        f"{small_s:.2f} s at 1,000 ({rules_s:.2f} with rules that a request needs), {large_s:.2f} s at {large:,}",
        "none",
        None,
    )


if __name__ == "__main__":
    main()
