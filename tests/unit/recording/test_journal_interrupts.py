"""An interrupt at any line of the journal: no number is given twice, none is missing, and what was begun is ended."""

from __future__ import annotations

import linecache
import sys
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from recorder import Recorder
from recorder.recording.tap import Call, ExchangeTap
from tests.journals import only_journal, told
from tests.recorded import streams
from tests.unit.recording.test_journal import END, answered, names

_FILES = ("recording/journal.py", "recording/streams.py", "recording/spool.py", "recording/mapped_file.py")


class Interrupt:
    """Raises KeyboardInterrupt before the n-th line of the code under test; see test_interrupts.py."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, frame: FrameType, what: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.endswith(_FILES):
            return None
        line = linecache.getline(name, frame.f_lineno).strip()
        if what == "line" and not line.startswith(("with ", "paying.discard")):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def _interrupted(recorder: Recorder, after: int) -> bool:
    """Begin an exchange; return whether that was interrupted."""
    assert recorder._path is not None
    tap, before = ExchangeTap(recorder._path, Call("c")), sys.gettrace()
    sys.settrace(Interrupt(after))
    try:
        number = recorder._path.announce(tap._writer)
    except KeyboardInterrupt:
        sys.settrace(before)
        tap.request_failed("other", "connect", None)  # as whoever sends does: nothing was sent
        return True
    finally:
        sys.settrace(before)
    assert number is not None
    tap.request_failed("other", "connect", None)
    return False


@pytest.mark.parametrize("durability", ["delivered", "batched", "synced"])
def test_at_any_line(tmp_path: Path, durability: str) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    with Recorder(url, durability=durability) as recorder:
        for after in count(1):
            struck = _interrupted(recorder, after)
            answered(recorder)
            if not struck:
                break
    assert after > 30
    found, events = streams(url), only_journal(url)  # what is there is what the journal says
    assert len(found) == after
    opened, closed = told(events, "exchange_opened"), told(events, "exchange_closed")
    assert [facts["number"] for facts in opened] == list(range(1, len(opened) + 1))
    assert sorted(str(facts["exchange"]) for facts in opened) == sorted({str(facts["exchange"]) for facts in closed})
    assert names(events)[-2:] == END
