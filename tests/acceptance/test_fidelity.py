"""The fidelity matrix: a program cannot tell whether it is recorded, nor that it is answered from the recording.

Every behaviour of the scripted server meets ways to consume, once bare, once with the recorder
mounted, once answered by a player with the server gone, and once over the network by a player that
serves. What is compared, and what is not, is said in tests/fidelity/matrix.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import requests
from requests.adapters import HTTPAdapter

from recorder import Player, Recorder
from tests.commands import serving
from tests.fidelity.behaviours import BEHAVIOURS
from tests.fidelity.consumers import CONSUMERS
from tests.fidelity.matrix import REPLAY_IGNORES, PrepareSession, differences, observe
from tests.fidelity.passes import Case, Seen, all_cases, bare, pass_differences, run_pass, sampled_cases
from tests.fidelity.rerouting import rerouted
from tests.fidelity.server import Server

Way = Literal["recorded", "replayed", "served"]
WAYS: tuple[Way, ...] = ("recorded", "replayed", "served")
#: What a server cannot do that is there to be asked.
NOT_SERVED = frozenset({"refused"})
#: Seconds that a client waits at least for what is served.
PATIENCE = 1.0


def _run_ways(cases: list[Case], folder: Path, every: int = 1) -> dict[str, Seen]:
    """Run the cases bare, recorded, replayed with the server gone, and every so many of them served."""
    store_url = f"sqlite:///{folder / 'matrix.db'}"
    with Server() as server:
        seen = {"bare": run_pass(cases, bare, server=server, keys="bare")}
        with Recorder(store_url) as recorder:
            seen["recorded"] = run_pass(cases, recorder.mount, server=server, keys="rec")
        server.close()
        with pytest.raises(requests.ConnectionError):
            requests.get(server.url(BEHAVIOURS["json"], "gone"), timeout=5)
        with Player(store_url) as player:
            seen["replayed"] = run_pass(cases, player.mount, server=server, keys="rec", live=False)
            assert not player.misses
        with serving(store_url) as (_, url):
            served = [_patient(case) for case in cases[::every] if case[0].name not in NOT_SERVED]
            seen["served"] = run_pass(served, rerouted(url), server=server, keys="rec", live=False)
    return seen


def _patient(case: Case) -> Case:
    """Return a case whose client waits longer: on a busy machine an answer by another process takes its time."""
    behaviour, consumer = case
    return replace(behaviour, read_timeout=max(behaviour.read_timeout, PATIENCE)), consumer


def _assert_same(seen: dict[str, Seen], way: Way) -> None:
    ignored = () if way == "recorded" else REPLAY_IGNORES
    ours = {name: one for name, one in seen["bare"].items() if name in seen[way]}
    found = pass_differences(ours, seen[way], ignored)
    lines = [f"{behaviour} × {consumer}: {line}" for (behaviour, consumer), each in found.items() for line in each]
    assert not found, f"{len(found)} of {len(seen[way])} cases differ:\n" + "\n".join(lines[:60])


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return _run_ways(sampled_cases(), tmp_path_factory.mktemp("sampled"), every=2)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return _run_ways(all_cases(), tmp_path_factory.mktemp("everything"))


def test_the_matrix_is_as_large_as_promised() -> None:
    assert len(BEHAVIOURS) >= 26
    assert len(CONSUMERS) >= 38
    behaviours, consumers = zip(*sampled_cases(), strict=True)
    assert {b.name for b in behaviours} == set(BEHAVIOURS)
    assert {c.name for c in consumers} == set(CONSUMERS)


@pytest.mark.parametrize("mount", WAYS)
def test_a_program_sees_no_difference(sampled: dict[str, Seen], mount: Way) -> None:
    _assert_same(sampled, mount)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mount", WAYS)
def test_no_way_to_consume_sees_a_difference(everything: dict[str, Seen], mount: Way) -> None:
    left_out = len(NOT_SERVED) if mount == "served" else 0
    assert len(everything[mount]) == (len(BEHAVIOURS) - left_out) * len(CONSUMERS)
    _assert_same(everything, mount)


class _Eager(HTTPAdapter):
    """What most recording libraries do: read the whole answer before the program gets it."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(*args, **kwargs)
        assert response.content is not None
        return response


class _Lingering(HTTPAdapter):
    """Keeps a reference, so that an abandoned response stays open."""

    kept: ClassVar[list[requests.Response]] = []

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.kept.append(super().send(*args, **kwargs))
        return self.kept[-1]


def _mounting(adapter: type[HTTPAdapter]) -> PrepareSession:
    def prepare(session: requests.Session) -> requests.Session:
        session.mount("http://", adapter())
        return session

    return prepare


@pytest.mark.parametrize(
    ("adapter", "behaviour", "consumer", "expected"),
    [
        (_Eager, "event_per_frame", "raw_read_20", "items.count"),
        (_Eager, "event_per_frame", "close_after_first", "server.answers[0].segments"),
        (_Eager, "truncated_in_frame", "iter_lines", "phase"),
        (_Eager, "json", "json", "before.raw.closed"),
        (_Lingering, "event_per_frame", "abandon_untouched", "server.answers[0].left_open"),
    ],
)
def test_the_matrix_notices_what_peers_change(
    adapter: type[HTTPAdapter], behaviour: str, consumer: str, expected: str
) -> None:
    case = (BEHAVIOURS[behaviour], CONSUMERS[consumer])
    with Server() as server:
        ours = observe(*case, bare, server=server, key="bare")
        theirs = observe(*case, _mounting(adapter), server=server, key="peer", patience=0.5)
    for response in _Lingering.kept:
        response.close()
    _Lingering.kept.clear()
    assert expected in [line.partition(": ")[0] for line in differences(ours, theirs)]
