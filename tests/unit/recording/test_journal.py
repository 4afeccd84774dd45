"""The journal: every exchange announced with its number, how far each one goes, and what went wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import recorder.recording.spool as spool_module
from recorder import Recorder, RecordingError
from recorder.core.events import Event, meta_text
from recorder.core.journal_text import closed_text, opened_text
from recorder.core.version import __version__
from recorder.recording import journal as journal_module
from recorder.recording import lanes
from recorder.recording.tap import Call, ExchangeTap
from tests.journals import journals, only_journal, told
from tests.recorded import only, streams, types, until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
BEGINNING = ["instance_started", "clock_sampled"]
END = ["clock_sampled", "instance_stopped"]


def asked(recorder: Recorder, body: bytes = b"") -> ExchangeTap:
    """Send a request."""
    assert recorder._path is not None
    tap = ExchangeTap(recorder._path, Call("c"))
    tap.request_sent("GET", "http://h/", b"GET / HTTP/1.1\r\n\r\n", body, {"client": "tests"})
    return tap


def answered(recorder: Recorder) -> ExchangeTap:
    """Record a whole exchange of five events."""
    tap = asked(recorder)
    tap.response_started(HEAD, 200, "length", 8, ends_read=True)
    tap.received(b"1234")
    tap.received(b"5678")
    return tap


def names(events: list[Event]) -> list[str]:
    """Return the types of a journal's events."""
    return [event.type for event in events]


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Have writes fail that are larger than so many bytes; None: none fails."""
    monkeypatch.setattr(lanes, "suits", lambda _: False)
    limit: list[int | None] = [None]
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if limit[0] is not None and len(data) > limit[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(spool_module.os, "write", write)
    return lambda now: limit.__setitem__(0, now)


def test_the_texts_are_those_of_the_facts() -> None:
    exchange, name = bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert opened_text(exchange, 7).decode() == meta_text({"exchange": name, "number": 7})
    head = {"exchange": name, "head": "ff" * 32, "length": 5}
    assert closed_text(exchange, 7, 5, b"\xff" * 32).decode() == meta_text({**head, "number": 7})
    assert closed_text(exchange, None, 5, b"\xff" * 32).decode() == meta_text(head)
    assert closed_text(exchange, 7, 0, b"").decode() == meta_text({"exchange": name, "length": 0, "number": 7})


def test_what_it_says(store_url: str) -> None:
    with Recorder(store_url, redact=["header:x-key"]) as recorder:
        with recorder.conversation("a plan", tags={"desk": "x"}):
            ids = [answered(recorder).id.hex() for _ in range(2)]
    (identity, events), found = next(iter(journals(store_url).items())), streams(store_url)
    assert names(events) == [
        *BEGINNING,
        *["stream_written"] * 2,
        *["exchange_opened", "exchange_closed"] * 2,
        *END,
    ]
    assert {event.instance for event in events} == {events[0].stream}
    configuration = {"durability": "delivered", "on_failure": "spool", "drainer": "thread", "redact": ["header:x-key"]}
    boot = Path("/proc/sys/kernel/random/boot_id")
    assert events[0].facts == {
        "recorder": __version__,
        "python": platform.python_version(),
        "system": " ".join(os.uname()[index] for index in (0, 2, 4)),
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "configuration": configuration,
        "digest": hashlib.sha256(meta_text(configuration).encode()).hexdigest(),
        **({"boot": boot.read_text().strip()} if boot.exists() else {}),
    }
    assert [facts["number"] for facts in told(events, "exchange_opened")] == [1, 2]
    assert [str(facts["exchange"]).replace("-", "") for facts in told(events, "exchange_opened")] == ids
    for facts in told(events, "exchange_closed"):
        assert (facts["length"], facts["head"]) == (5, found[str(facts["exchange"])][-1].hash.hex())
    name, opening = next((name, each) for name, each in found.items() if each[0].type == "conversation_named")
    assert told(events, "stream_written") == [
        {"stream": name, "kind": "conversation", "length": event.version, "head": event.hash.hex()} for event in opening
    ]
    assert [facts["exchanges"] for facts in told(events, "clock_sampled")] == [0, 2]
    if sys.platform == "linux":
        assert set(told(events, "clock_sampled")[0]) == {
            *("exchanges", "synchronized", "maxerror_us", "esterror_us", "offset_us")
        }
    assert identity not in found


def test_it_names_the_one_before_and_what_is_set_up_otherwise(store_url: str) -> None:
    for durability in ("delivered", "delivered", "batched"):
        Recorder(store_url, durability=durability).close()
    first, second, third = journals(store_url).values()
    assert "previous" not in first[0].facts
    for before, after in ((first, second), (second, third)):
        stream, head = str(before[-1].stream.hex()), before[-1].hash.hex()
        previous = after[0].facts["previous"]
        assert (previous["stream"].replace("-", ""), previous["length"], previous["head"]) == (
            stream,
            len(before),
            head,
        )
    assert names(first) == names(second) == [*BEGINNING, *END]
    assert names(third) == [*BEGINNING, "configuration_changed", *END]
    assert third[2].facts == {"from": second[0].facts["digest"], "to": third[0].facts["digest"]}


def test_a_cassette_has_none(tmp_path: Path) -> None:
    cassette = tmp_path / "c.jsonl"
    with Recorder(cassette) as recorder:
        answered(recorder)
    written = cassette.read_text()
    assert "request_sent" in written
    assert "instance_started" not in written
    assert '"number"' not in written


def test_what_comes_after_the_end_is_said_as_well(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        answered(recorder).closed(3, abandoned=False)
    assert types(only(sqlite_url))[-2:] == ["response_completed", "consumer_closed"]
    assert [facts["length"] for facts in told(only_journal(sqlite_url), "exchange_closed")] == [5, 6]


def test_an_exchange_that_cannot_be_announced_is_not_sent_where_it_must_be_recorded(
    sqlite_url: str, fill: Callable[[int | None], None]
) -> None:
    with Recorder(sqlite_url, on_failure="raise", spool_wait=0) as recorder:
        fill(0)
        with pytest.raises(RecordingError, match="was not sent because it cannot be recorded"):
            asked(recorder)
        fill(None)
        answered(recorder)
    events = only_journal(sqlite_url)
    opened, closed = told(events, "exchange_opened"), told(events, "exchange_closed")
    assert [facts["number"] for facts in opened] == [1, 2]
    assert closed[0] == {"exchange": opened[0]["exchange"], "number": 1, "length": 0}
    assert len(only(sqlite_url)) == 5


def test_an_exchange_that_was_announced_and_not_sent_is_withdrawn(
    sqlite_url: str, fill: Callable[[int | None], None]
) -> None:
    with Recorder(sqlite_url, on_failure="raise", spool_wait=0) as recorder:
        fill(1000)
        with pytest.raises(RecordingError, match="was not sent"):
            asked(recorder, bytes(2000))
        fill(None)
    events = only_journal(sqlite_url)
    assert names(events) == [*BEGINNING, "exchange_opened", "exchange_closed", *END]
    assert events[3].facts["length"] == 0
    assert streams(sqlite_url) == {}


def test_what_is_lost_is_said(sqlite_url: str, fill: Callable[[int | None], None]) -> None:
    with Recorder(sqlite_url, spool_wait=0) as recorder:
        tap = asked(recorder)
        tap.response_started(HEAD, 200, "length", 8, ends_read=True)
        fill(0)
        tap.received(b"1234")
        tap.received(b"5678")
        fill(None)
        until(lambda: recorder.health().unreported_gaps == 0)
    events = only_journal(sqlite_url)
    assert names(events) == [*BEGINNING, "exchange_opened", "events_dropped", "exchange_closed", *END]
    dropped = dict(events[3].facts)
    assert "No space left" in dropped.pop("reason")
    assert dropped == {"exchange": events[2].facts["exchange"], "events": 2, "bytes": 8}
    assert types(only(sqlite_url)) == ["request_sent", "response_started", "gap_recorded", "response_completed"]


def test_what_could_not_be_said_is_said_later_in_order(sqlite_url: str, fill: Callable[[int | None], None]) -> None:
    with Recorder(sqlite_url, spool_wait=0) as recorder:
        answered(recorder)
        fill(0)
        taps = [answered(recorder) for _ in range(20)]
        fill(None)
        until(lambda: recorder.health().unreported_gaps == 0)
        answered(recorder)
    events = only_journal(sqlite_url)
    assert [facts["number"] for facts in told(events, "exchange_opened")] == list(range(1, 23))
    assert len(told(events, "events_dropped")) == len(taps)
    assert len(streams(sqlite_url)) == 22  # and each is as long as the journal says


def test_an_outage_that_is_too_long_is_said_as_such(
    sqlite_url: str, fill: Callable[[int | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "LIMIT", 10)
    with Recorder(sqlite_url, spool_wait=0) as recorder:
        fill(0)
        taps = [answered(recorder) for _ in range(20)]
        fill(None)
        until(lambda: recorder.health().unreported_gaps == 0)
        until(lambda: not recorder._path._journal.owing)  # type: ignore[union-attr]
    events = only_journal(sqlite_url)
    opened = told(events, "exchange_opened")
    assert [facts["number"] for facts in opened] == list(range(1, len(opened) + 1))
    unsaid = [facts for facts in told(events, "events_dropped") if "exchange" not in facts]
    assert {facts["reason"] for facts in unsaid} == {"the journal could not be written"}
    assert 0 < len(opened) < len(taps)
    assert types(events)[-2:] == END


def test_eight_threads(store_url: str) -> None:
    with Recorder(store_url) as recorder:

        def work() -> None:
            for _ in range(100):
                answered(recorder)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = only_journal(store_url)
    assert [facts["number"] for facts in told(events, "exchange_opened")] == list(range(1, 801))
    assert len(told(events, "exchange_closed")) == len(streams(store_url)) == 800
    assert events[-2].facts["exchanges"] == 800


def test_the_announcement_comes_to_the_store_with_its_exchange(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        for _ in range(30):
            tap = asked(recorder)
            assert recorder.flush()
            (name,) = (name for name in streams(sqlite_url) if name.replace("-", "") == tap.id.hex())
            assert told(only_journal(sqlite_url), "exchange_opened")[-1]["exchange"] == name


def test_synced_needs_no_further_sync_for_it(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = spool_module.fdatasync
    with Recorder(sqlite_url, durability="synced") as recorder:
        assert recorder._path is not None
        recorder._path._upkeep.stop(5)  # which syncs what nobody waits for
        recorder.flush()
        monkeypatch.setattr(spool_module, "fdatasync", lambda fd: (synced.append(os.fstat(fd).st_size), real(fd)))
        asked(recorder)
        (file,) = recorder._path._spool.files()
        assert synced == [file.size]  # one, and it covers everything


def test_what_a_dead_process_had_not_said_is_said_by_who_recovers(sqlite_url: str) -> None:
    crashed = Recorder(sqlite_url)
    path = crashed._path
    assert path is not None
    path._mover.retire()
    path._upkeep.stop(5)
    whole, cut = asked(crashed), asked(crashed)
    path._journal.closed = lambda writer: True  # type: ignore[method-assign]  # killed before it could say it
    whole.response_started(HEAD, 200, "length", 8, ends_read=True)
    whole.received(b"12345678")
    path._spool.close(drained=False)
    path.closed = True
    with Recorder(sqlite_url) as recorder:
        assert len(recorder.recovered.died) == 1
    dead, living = journals(sqlite_url).values()
    assert names(dead)[-1] == "process_died"
    found = streams(sqlite_url)
    lengths = {}
    for facts in told(living, "exchange_closed"):
        ended = found[str(facts["exchange"])]
        assert facts == {"exchange": facts["exchange"], "length": len(ended), "head": ended[-1].hash.hex()}
        lengths[str(facts["exchange"]).replace("-", "")] = types(ended)
    assert lengths[whole.id.hex()][-1] == "response_completed"
    assert lengths[cut.id.hex()] == ["request_sent", "process_died"]
