"""The ends of the time that a bundle is made of, at and beside everything that happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import Store
from recorder.cli.times import nanoseconds
from recorder.clock import id_text
from recorder.core.json_text import rfc3339
from recorder.errors import NotFound
from recorder.ledger import own_keys
from recorder.ledger.standalone.verify import verify_bundle
from tests.commands import run
from tests.sealed import ORIGIN, Desk, Key, Stream, small

_MANY = ("chunk_received", "clock_sampled", "response_started", "stream_written")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Key:
    made = Key()
    monkeypatch.setattr(own_keys, "public_here", lambda origin: (made.public,) if origin == ORIGIN else ())
    return made


def in_bundle(store: Store, out: Path, since_ns: int | None, until_ns: int | None) -> set[str]:
    """Return the exchanges in the bundle of a time, which verifies."""
    try:
        made = store.bundle(out, since_ns=since_ns, until_ns=until_ns, replace=True)
    except NotFound:
        return set()
    assert list(made.findings) == []
    return {one["id"] for one in verify_bundle(out)["exchanges"]}


def limits(desk: Desk) -> Iterator[int]:
    """Yield the nanosecond of what happened, those beside it, and the microsecond that people are shown."""
    events = (event for stream in desk.streams for event in stream.events if event.type not in _MANY)
    times = {event.wall_ns for event in events}
    for at in sorted(times):
        yield from (at - 1, at, at + 1, nanoseconds(rfc3339(at)[:26] + "Z", 0))


def test_an_exchange_is_in_it_or_is_not_by_the_time_at_which_it_started(
    store_url: str, key: Key, tmp_path: Path
) -> None:
    desk, exchanges, _ = small(store_url, key)
    started = {one.id: one.events[0].wall_ns for one in exchanges}
    with Store(store_url) as store:
        for limit in limits(desk):
            before = in_bundle(store, tmp_path / "b.zip", None, limit)
            after = in_bundle(store, tmp_path / "a.zip", limit, None)
            assert before == {one for one, at in started.items() if at < limit}, rfc3339(limit)
            assert after == set(started) - before


def concurrent(url: str, key: Key) -> tuple[Desk, list[Stream]]:
    """Two processes whose exchanges begin at once: announced one after the other before any request is sent."""
    desk = Desk(url, key)
    made: list[Stream] = []

    def announced() -> Stream:
        stream = desk.opened(desk.new_id())
        made.append(stream)
        desk.put(desk.journal, "exchange_opened", {"number": len(made), "exchange": stream.id})
        return stream

    def sent(stream: Stream) -> None:
        facts = {"call": stream.id, "attempt": 1, "method": "POST", "url": "https://api.example.test/", "head": 0}
        desk.put(stream, "request_sent", {**facts, "client": "tests", "number": made.index(stream) + 1}, b"")

    first, second = announced(), announced()
    sent(second)
    third = announced()
    sent(first)
    sent(third)
    for stream in made:
        desk.put(stream, "response_completed")
        told = {"exchange": stream.id, "length": len(stream.events), "head": stream.events[-1].hash.hex()}
        desk.put(desk.journal, "exchange_closed", told)
    desk.seal()
    return desk, made


def test_what_begins_at_once_is_in_one_of_two_bundles_that_meet(store_url: str, key: Key, tmp_path: Path) -> None:
    desk, made = concurrent(store_url, key)
    every = {one.id for one in made}
    with Store(store_url) as store:
        for limit in limits(desk):
            before = in_bundle(store, tmp_path / "b.zip", None, limit)
            after = in_bundle(store, tmp_path / "a.zip", limit, None)
            assert (before | after, before & after) == (every, set()), rfc3339(limit)


def test_what_was_announced_long_after_it_began_is_in_the_bundle_of_either_time(
    store_url: str, key: Key, tmp_path: Path
) -> None:
    """As on a full disk."""
    desk = Desk(store_url, key)
    stream = desk.opened(desk.new_id())
    facts = {"call": stream.id, "attempt": 1, "method": "POST", "url": "https://api.example.test/", "head": 0}
    began = desk.put(stream, "request_sent", {**facts, "client": "tests", "number": 1}, b"").wall_ns
    ended = desk.put(stream, "response_completed").wall_ns
    desk._ticks += 10_000  # ten seconds
    said = desk.put(desk.journal, "exchange_opened", {"number": 1, "exchange": stream.id}).wall_ns
    told = {"exchange": stream.id, "length": 2, "head": stream.events[-1].hash.hex()}
    desk.put(desk.journal, "exchange_closed", told)
    desk._number = 1
    after = desk.exchange("EURUSD?", ["Buy"])
    desk.seal()
    with Store(store_url) as store:
        for since, until in ((began, ended + 1), (None, said)):
            assert in_bundle(store, tmp_path / "b.zip", since, until) == {stream.id}
        for since in (began, said):
            assert in_bundle(store, tmp_path / "b.zip", since, None) == {stream.id, after.id}


def test_the_start_that_list_prints_is_taken_to_the_nanosecond(store_url: str, key: Key) -> None:
    _, exchanges, _ = small(store_url, key)
    last = rfc3339(exchanges[2].events[0].wall_ns + 999)
    listed = run("list", "--json", "--since", last, "--store", store_url)
    assert listed.stdout == ""
    assert nanoseconds(last, 0) == exchanges[2].events[0].wall_ns + 999
    assert id_text(exchanges[2].opened.stream) in run("list", "--json", "--until", last, "--store", store_url).stdout
