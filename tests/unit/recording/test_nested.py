"""A signal handler, or a finalizer, may record at any moment, also while its thread is in the middle of a write."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from recorder import Recorder
from recorder.recording import lanes, mapped_file
from recorder.recording.tap import Call, ExchangeTap
from tests.recorded import streams, types

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
_FILES = (
    *("spool.py", "spool_file.py", "mapped_file.py", "streams.py", "write_path.py", "tap.py", "lanes.py"),
    *("journal.py", "writes.py", "unended.py"),
)
_WHOLE = ["request_sent", "response_started", "chunk_received", "response_completed"]


class Signal:
    """Calls a handler before the n-th line of the code under test, which goes on afterwards."""

    def __init__(self, after: int, handler: Callable[[], None]) -> None:
        self.left = after
        self._handler = handler

    def __call__(self, frame: FrameType, what: str, _: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.endswith(_FILES) or "recording" not in code.co_filename:
            return None
        if what == "line":
            self.left -= 1
            if self.left == 0:
                self._handler()
        return self


def _during(work: Callable[[], None], after: int, handler: Callable[[], None]) -> bool:
    signal, before = Signal(after, handler), sys.gettrace()
    sys.settrace(signal)
    try:
        work()
    finally:
        sys.settrace(before)
    return signal.left <= 0


def _answered(recorder: Recorder) -> ExchangeTap:
    assert recorder._path is not None
    tap = ExchangeTap(recorder._path, Call("c"))
    tap.request_sent("GET", "http://h/", b"GET / HTTP/1.1\r\n\r\n", b"", {"client": "tests"})
    tap.response_started(HEAD, 200, "length", 8, ends_read=True)
    return tap


def _read(tap: ExchangeTap) -> None:
    tap.received(b"1234")
    tap.received(b"5678")


@pytest.fixture(params=["mapped", "plain", "batched", "synced"])
def durability(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way to append."""
    monkeypatch.setattr(mapped_file, "_WINDOW", 200)  # made ready by some appends, and not by others
    if request.param == "plain":
        monkeypatch.setattr(lanes, "suits", lambda _: False)
    return "delivered" if request.param in ("mapped", "plain") else str(request.param)


def test_another_exchange_at_any_line(tmp_path: Path, durability: str) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    with Recorder(url, durability=durability) as recorder:
        for after in count(1):
            read, open_before = _answered(recorder), _answered(recorder)

            def handler(open_before: ExchangeTap = open_before) -> None:
                _read(open_before)
                _read(_answered(recorder))
                with recorder.conversation("from a handler"):
                    recorder.flush()

            if not _during(lambda read=read: _read(read), after, handler):  # type: ignore[misc]
                _read(open_before)
                break
        health = recorder.health()
    assert health.lost_events == health.unreported_gaps == 0
    found = [types(events) for events in streams(url).values()]
    assert after > 60  # as many lines were interrupted, one after the other
    assert found.count(_WHOLE) == 3 * after - 1
    assert [each for each in found if each != _WHOLE and each[0] != "conversation_named"] == []
    bodies = [b"".join(e.body or b"" for e in events if e.type == "chunk_received") for events in streams(url).values()]
    assert set(bodies) <= {b"12345678", b""}


def test_its_own_response_closed_at_any_line(tmp_path: Path, durability: str) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    with Recorder(url, durability=durability) as recorder:
        for after in count(1):
            tap = _answered(recorder)
            if not _during(lambda tap=tap: _read(tap), after, lambda tap=tap: tap.closed(0, abandoned=False)):  # type: ignore[misc]
                break
    for events in streams(url).values():
        names = types(events)
        assert names[:2] == _WHOLE[:2]
        assert names[2:] in (_WHOLE[2:], ["chunk_received", "consumer_closed"], ["consumer_closed"]), names


def check_closed(tmp_path: Path, durability: str, step: int) -> None:
    for after in count(1, step):  # a store each
        url = f"sqlite:///{tmp_path}/{after}.db"
        recorder = Recorder(url, durability=durability)
        tap = _answered(recorder)
        struck = _during(lambda: _read(tap), after, recorder.close)  # noqa: B023 - called at once
        assert recorder.health().pending_bytes == 0 or not struck
        recorder.close()
        ((_, events),) = streams(url).items()
        assert types(events)[-1] in ("recorder_closed", "response_completed")
        if not struck:
            assert after > 60  # as many lines there are
            return


def test_a_handler_may_close_the_recorder_at_many_lines(tmp_path: Path, durability: str) -> None:
    check_closed(tmp_path, durability, 13)


@pytest.mark.soak
def test_a_handler_may_close_the_recorder_at_any_line(tmp_path: Path, durability: str) -> None:
    check_closed(tmp_path, durability, 1)


def test_an_exchange_that_nobody_holds_any_more_has_an_end_when_the_recorder_is_closed(tmp_path: Path) -> None:
    # Its response was found by the garbage collector in another thread, which has not told of it yet.
    url = f"sqlite:///{tmp_path}/store.db"
    with Recorder(url) as recorder:
        tap = _answered(recorder)
        tap.received(b"1234")
        told = _answered(recorder)
        _read(told)
        del tap, told
    ended = [types(events)[-1] for events in streams(url).values()]
    assert sorted(ended) == ["recorder_closed", "response_completed"]
