"""Whole passes over the matrix: bare, recorded, and replayed with the server gone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import requests

from tests.fidelity.behaviours import BEHAVIOURS, Behaviour
from tests.fidelity.consumers import CONSUMERS, Consumer
from tests.fidelity.matrix import REPLAY_IGNORES, Observation, PrepareSession, differences, observe
from tests.fidelity.server import Server

Case = tuple[Behaviour, Consumer]
Name = tuple[str, str]
Seen = dict[Name, Observation]

#: Consumers a behaviour meets in the sample of the default tier.
SAMPLE: Final = 4
THREADS: Final = 3
#: A read timeout of so many seconds at most is there to be waited for.
SHORT: Final = 1.0
_SLEEPERS: Final = 4


def bare(session: requests.Session) -> requests.Session:
    """Return the session as it is: nothing mounted."""
    return session


def all_cases(behaviours: Iterable[str] = BEHAVIOURS, consumers: Iterable[str] = CONSUMERS) -> list[Case]:
    """Return every behaviour with every consumer, of those named."""
    # Consumer by consumer, so that the behaviours that wait for a timeout do not all come at once.
    chosen = [BEHAVIOURS[name] for name in behaviours]
    return [(behaviour, CONSUMERS[name]) for name in consumers for behaviour in chosen]


def sampled_cases(count: int = SAMPLE) -> list[Case]:
    """Return every behaviour with *count* consumers, rotating, so that every consumer appears."""
    consumers = list(CONSUMERS.values())
    return [
        (behaviour, consumers[(row * count + column) % len(consumers)])
        for row, behaviour in enumerate(BEHAVIOURS.values())
        for column in range(count)
    ]


def run_pass(
    cases: Sequence[Case],
    prepare_session: PrepareSession,
    *,
    server: Server,
    keys: str,
    live: bool = True,
    threads: int = THREADS,
) -> Seen:
    """Observe every case once, several at a time.

    :param keys: names the pass; a replay takes the name of the pass that was recorded.
    """

    def one(case: Case) -> tuple[Name, Observation]:
        behaviour, consumer = case
        key = f"{keys}.{behaviour.name}.{consumer.name}"
        seen = observe(behaviour, consumer, prepare_session, server=server, key=key, live=live)
        return (behaviour.name, consumer.name), seen

    # Those that wait for a read timeout sleep most of the time: they get threads of their own.
    quick = [case for case in cases if case[0].read_timeout > SHORT]
    slow = [case for case in cases if case[0].read_timeout <= SHORT]
    gc.freeze()  # consumers that abandon a response collect garbage: keep that to what the pass itself makes
    with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(_SLEEPERS) as sleepers:
        both = (sleepers.map(one, slow), pool.map(one, quick))  # map submits at once: both run side by side
        return {name: seen for found in both for name, seen in found}


def pass_differences(
    ours: Mapping[Name, Observation], theirs: Seen, ignore: Iterable[str] = ()
) -> dict[Name, list[str]]:
    """Return the differing cases with their differences."""
    ignored = tuple(ignore)
    compared = {name: differences(seen, theirs[name], ignored) for name, seen in ours.items()}
    return {name: lines for name, lines in compared.items() if lines}


def compare_ways(
    cases: Sequence[Case], store_url: str, *, report: Callable[[str], None] = lambda _: None
) -> dict[str, dict[Name, list[str]]]:
    """Run the cases bare, recorded and replayed; return the differences from bare by way.

    :param store_url: an empty or absent store to record into.
    :param report: is told what is being run.
    """
    from recorder import Player, Recorder

    found: dict[str, dict[Name, list[str]]] = {}
    with Server() as server:
        report("bare")
        ours = run_pass(cases, bare, server=server, keys="bare")
        report("recorded")
        with Recorder(store_url) as recorder:
            recorded = run_pass(cases, recorder.mount, server=server, keys="rec")
        found["recorded"] = pass_differences(ours, recorded)
        server.close()
        report("replayed")
        with Player(store_url) as player:
            replayed = run_pass(cases, player.mount, server=server, keys="rec", live=False)
        found["replayed"] = pass_differences(ours, replayed, REPLAY_IGNORES)
    return found
