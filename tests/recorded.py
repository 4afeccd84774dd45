"""What a store holds after a test, its chains verified; and small ways to ask a loopback server."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

from recorder.clock import id_text
from recorder.core.chain import ChainVerifier
from recorder.core.events import TERMINAL_TYPES, Event, StreamOpened, is_journal, stream_kind
from recorder.core.exchange import Exchange, fold
from recorder.store import open_store
from tests.journals import check_journals

ROOT = Path(__file__).resolve().parents[1]


def streams(url: str) -> dict[str, list[Event]]:
    """Return the events of every stream of a store but the journals, by id.

    Every chain and every order is verified before, and that the journals say what there is.
    """
    found = _all_streams(url)
    check_journals(found)
    return {name: events for name, (opened, events) in found.items() if not is_journal(opened)}


def journals(url: str) -> dict[str, list[Event]]:
    """Return the events of every journal of a store, by id, after the same checks."""
    found = _all_streams(url)
    check_journals(found)
    return {name: events for name, (opened, events) in found.items() if is_journal(opened)}


def _all_streams(url: str) -> dict[str, tuple[StreamOpened, list[Event]]]:
    found: dict[str, tuple[StreamOpened, list[Event]]] = {}
    with closing(open_store(url, write=False)) as store:
        for opened, events in store.walk():
            assert opened is not None
            verifier = ChainVerifier(opened)
            told = list[Event]()
            for event in events:
                verifier.feed(event)
                told.append(event)
            found[id_text(opened.stream)] = opened, told
    return found


def exchanges(url: str) -> dict[str, Exchange]:
    """Return the folded exchanges of a store, by id; none of them may have an anomaly."""
    found = {}
    for name, events in streams(url).items():
        if events and stream_kind(events[0].type) == "exchange":
            exchange = fold(events)
            assert exchange is not None
            assert exchange.anomalies == (), (name, exchange.anomalies)
            found[name] = exchange
    return found


def types(events: list[Event]) -> list[str]:
    """Return the types of events, chunks in a row once."""
    names: list[str] = []
    for event in events:
        if event.type != "chunk_received" or names[-1:] != ["chunk_received"]:
            names.append(event.type)
    return names


def only(url: str) -> list[Event]:
    """Return the events of the only exchange of a store."""
    ((_, events),) = streams(url).items()
    return events


def end(events: list[Event]) -> Event:
    """Return the event that ended an exchange: the first terminal one."""
    return next(event for event in events if event.type in TERMINAL_TYPES)


def ask(session: requests.Session, url: str, prompt: str, **options: Any) -> requests.Response:
    """Ask for a stream."""
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    return session.post(url, json=body, **{"stream": True, "timeout": 30, **options})


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is true.

    :raises TimeoutError: it did not become true.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(true)
        time.sleep(0.005)


def python(program: str, *arguments: str, under: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
    """Start a Python program that may import the tests, its output captured as text.

    :param under: a command that runs it.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.Popen(
        [*under, sys.executable, "-c", program, *arguments],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment, **options},
    )


def ps(pid: int, what: str) -> str:
    """Return what ps(1) says of a process; nothing where there is none."""
    told = subprocess.run(["ps", "-o", f"{what}=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    if Path("/proc/self/stat").exists():
        file = Path(f"/proc/{pid}/stat")
        state = file.read_text().rpartition(")")[2].split()[0] if file.exists() else ""
    else:
        state = ps(pid, "stat")
    return state not in ("", "Z", "X")


def traces(secret: str) -> list[bytes]:
    """Return the bytes by which a secret would be found: plain, and in base64 at any alignment."""
    raw = secret.encode()
    encoded = [base64.b64encode(b" " * shift + raw)[4:-4] for shift in range(3)]
    return [raw, *encoded]


def in_order(url: str) -> list[Exchange]:
    """Return the folded exchanges of a store, in the order in which they began."""
    return [exchange for _, exchange in sorted(exchanges(url).items())]


def linked(url: str) -> list[tuple[int | None, int | None, str | None]]:
    """Return (attempt, status, end) of every exchange; all of them must be of one call."""
    found = in_order(url)
    assert len({exchange.call for exchange in found}) == 1
    return [(e.attempt, e.response.status if e.response else None, e.transport_end) for e in found]
