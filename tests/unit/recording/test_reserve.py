"""The room that is kept: once, by whichever thread comes first, and given back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.recording.reserve import SIZE, Reserve, mark_closed, marked_closed
from tests.clocks import DrivenClock


def test_threads_that_begin_at_once_take_the_room_once(tmp_path: Path) -> None:
    for _ in range(20):
        reserve, ready = Reserve(tmp_path, SystemClock()), threading.Barrier(8)

        def take(reserve: Reserve = reserve, ready: threading.Barrier = ready) -> None:
            ready.wait()
            reserve.keep()

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (path,) = tmp_path.iterdir()
        assert path.stat().st_size == SIZE
        reserve.free()
        reserve.free()
        assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_asked_again_later(tmp_path: Path) -> None:
    clock, place = DrivenClock(), tmp_path / "spool"
    reserve = Reserve(place, clock)
    reserve.keep()
    place.mkdir()
    reserve.keep()
    assert list(place.iterdir()) == []
    clock.sleep(1.0)
    reserve.keep()
    assert len(list(place.iterdir())) == 1
    reserve.free()


def test_marks_are_found_by_instance_and_others_are_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mark_closed(tmp_path, b"i" * 16)
    (tmp_path / "odd.closed").touch()
    assert [instance for _, instance in marked_closed(tmp_path)] == [b"i" * 16]
    mark_closed(tmp_path / "nowhere", b"i" * 16)
    assert "will take the recorder for one that died" in caplog.text
