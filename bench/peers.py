"""What the consumer sees while it is recorded, and on replay: nothing mounted, recorder, vcrpy.

The server sends 200 chunks with gaps of 5 ms, the consumer takes ``iter_content(None)``.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import NamedTuple

import requests
import vcr

from bench.measure import figure, scratch, server
from recorder import Player, Recorder

CHUNKS = 200
GAP_US = 5000
SIZE = 120


class View(NamedTuple):
    """What one consumer saw."""

    pieces: list[bytes]
    first_ms: float
    total_ms: float


def consume(session: requests.Session, base: str) -> View:
    began = time.perf_counter()
    first = 0.0
    pieces = []
    with session.post(f"{base}/{CHUNKS}/{GAP_US}/{SIZE}", json={"prompt": "p"}, stream=True) as response:
        for piece in response.iter_content(None):
            first = first or time.perf_counter() - began
            pieces.append(piece)
    return View(pieces, first * 1000, (time.perf_counter() - began) * 1000)


def tell(name: str, view: View, goal: str, met: bool | None) -> None:
    figure(
        name, f"{len(view.pieces)} chunks, the first after {view.first_ms:.1f} ms, {view.total_ms:.0f} ms", goal, met
    )


def main() -> None:
    with scratch() as directory:
        store, cassette = f"sqlite:///{directory}/peers.db", f"{directory}/peers.yaml"
        vcrpy = f"vcrpy {version('vcrpy')}"
        matching = ("method", "uri", "body")
        with server() as base:
            consume(requests.Session(), base)
            tell("recording with nothing mounted", consume(requests.Session(), base), "none", None)
            with Recorder(store) as recorder:
                session = recorder.mount(requests.Session())
                session.post(f"{base}/1/0/{SIZE}", json={"prompt": "imports and connects"}).close()
                recorded = consume(session, base)
            tell("recording with recorder", recorded, f"{CHUNKS} chunks", len(recorded.pieces) == CHUNKS)
            with vcr.use_cassette(cassette, match_on=matching):
                taped = consume(requests.Session(), base)
            tell(f"recording with {vcrpy}", taped, "none", None)
        with Player(store) as player:
            replayed = consume(player.mount(requests.Session()), base)
        tell("replay by recorder", replayed, "the same chunks", replayed.pieces == recorded.pieces)
        with vcr.use_cassette(cassette, match_on=matching, record_mode="none"):
            tell(f"replay by {vcrpy}", consume(requests.Session(), base), "none", None)


if __name__ == "__main__":
    main()
