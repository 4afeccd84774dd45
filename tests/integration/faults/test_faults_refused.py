"""What is no fault, cannot happen to an answer or did not happen: each is said, none is passed over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from recorder import ConfigurationError, Player, Recorder, VirtualClock
from recorder.faults import (
    Fault,
    corrupt_gzip,
    cut,
    done_missing,
    done_twice,
    error_in_stream,
    every_cut,
    late,
    malformed,
    rechunk,
    several,
    stall,
    status,
    unreachable,
)
from recorder.replay.faults import Cut
from tests.fidelity.behaviours import BEHAVIOURS
from tests.fidelity.server import Server
from tests.integration.faults.libraries import FRAMES, SCRIPT, played, with_requests
from tests.integration.test_replay import ask


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: cut(), "say where to cut"),
        (lambda: cut(after_bytes=1, after_chunks=1), "say where to cut"),
        (lambda: cut(after_bytes=-1), "is no count"),
        (lambda: cut(after_events=1, how="bang"), "'close', 'reset', 'timeout'"),
        (lambda: status(99), "no status"),
        (lambda: status(204, body="x"), "has no body"),
        (lambda: status(429, retry_after=-1), "no number of seconds"),
        (lambda: status(429, retry_after=float("nan")), "no number of seconds"),
        (lambda: several(), "names no fault"),
        (lambda: several(every_cut), "is no fault"),
        (lambda: late(float("nan")), "no number of seconds"),
        (lambda: rechunk("lines"), "not known"),
        (lambda: unreachable("dns"), "not known"),
    ],
)
def test_what_is_no_fault_is_refused(make: Callable[[], Fault], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_what_cannot_happen_to_an_answer_is_said(recorded: tuple[str, str], sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match="not compressed"):
        played(with_requests, recorded, corrupt_gzip())
    with Server() as server:
        gzipped = server.url(BEHAVIOURS["gzip_flushed"], "one")
        refused = server.url(BEHAVIOURS["refused"], "two")
        with Recorder(sqlite_url) as recorder, requests.Session() as session:
            recorder.mount(session).post(gzipped, json=ask("a"))
            with pytest.raises(requests.ConnectionError):
                session.post(refused, json=ask("a"))
    for url, says in ((gzipped, "compressed"), (refused, "was not answered")):
        with pytest.raises(ConfigurationError, match=says):
            with Player(sqlite_url, fault=cut(after_events=1)) as player, requests.Session() as session:
                player.mount(session).post(url, json=ask("a"))


def swallowed(store: str, url: str, fault: Fault, transport: str = "requests") -> None:
    """Ask as a program does that goes on whatever happens."""
    with Player(store, fault=fault) as player, suppress(Exception):
        if transport == "requests":
            with requests.Session() as session:
                player.mount(session).post(url, json=ask("a"), timeout=5)
        else:
            with httpx.Client(transport=player.httpx_transport(httpx)) as client:
                client.post(url, json=ask("a"))


@pytest.mark.parametrize("transport", ["requests", "httpx"])
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (corrupt_gzip(3), "is not compressed"),
        (cut(after_bytes=10**6), f"has {len(SCRIPT.body('a')):,} bytes: there is nothing after that"),
        (cut(after_chunks=99, how="reset"), f"has {len(FRAMES)} chunks: "),
        (cut(after_events=99, how="timeout"), f"has {len(FRAMES)} events: "),
        (malformed(99), f"has {len(FRAMES)} chunks: "),
        (error_in_stream(99), f"has {len(FRAMES)} events: "),
        (several(done_missing(), done_missing()), r"has no data: \[DONE\]"),
        (several(done_missing(), done_twice()), r"has no data: \[DONE\]"),
    ],
)
def test_a_fault_that_did_not_happen_is_raised_on_leaving(
    transport: str, fault: Fault, says: str, recorded: tuple[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=f"^the answer of [0-9a-f-]+ {says}"):
        swallowed(*recorded, fault, transport)


def test_what_ends_after_the_last_byte_changes_nothing_where_the_length_was_told(tmp_path: Path) -> None:
    """Whoever knows the length reads no further; in the chunked coding the last frame is still to come."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    with Server() as server, Recorder(store) as recorder, requests.Session() as session:
        url = server.url(BEHAVIOURS["gzip_content_length"], "key")
        size = int(recorder.mount(session).post(url, json=ask("a")).headers["content-length"])
    for fault in (
        *(cut(after_bytes=size + more, how=how) for more in (0, 9) for how in ("close", "reset", "timeout")),
        corrupt_gzip(size),
    ):
        with pytest.raises(ConfigurationError, match=f"has {size} bytes: "):
            swallowed(store, url, fault)
    clock = VirtualClock()
    with pytest.raises(ConfigurationError, match=f"has {size} bytes: "):
        with Player(store, fault=stall(600, after_bytes=size), clock=clock) as player, requests.Session() as session:
            player.mount(session).post(url, json=ask("a"))
    for fault in every_cut(store, by="bytes", most=3):
        with Player(store, fault=fault) as player, requests.Session() as session:
            with pytest.raises(requests.RequestException):
                player.mount(session).post(url, json=ask("a"))


@pytest.mark.parametrize("wrong", [every_cut, Cut, 3, [cut(after_bytes=1)], {"desk": None}, object(), "cutt:1"])
def test_what_is_no_fault_is_refused_as_the_player_is_made(wrong: Any, recorded: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="is no fault: "):
        Player(recorded[0], fault=wrong)


@pytest.mark.parametrize("fault", [late(1), stall(600, after_events=1), several(cut(after_bytes=9), late(1))])
def test_what_is_only_time_needs_time(fault: Fault, recorded: tuple[str, str]) -> None:
    for given in (fault, {"desk": fault}):
        with pytest.raises(ConfigurationError, match="at a pace of 0: give a pace, as "):
            Player(recorded[0], fault=given)
    for settled in ({"pace": 0.5}, {"clock": VirtualClock()}):
        Player(recorded[0], fault=fault, **settled).close()
    Player(recorded[0], fault=late(0)).close()
