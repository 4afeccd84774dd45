"""An interrupt anywhere in the journal: no number is given twice, none is missing, and what was begun is ended."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import pytest

from recorder import Recorder
from recorder.recording.tap import Call, ExchangeTap
from tests.interrupts import Interrupt
from tests.journals import only_journal, told
from tests.recorded import streams
from tests.unit.recording.test_journal import END, answered, names

_FILES = ("recording/journal.py", "recording/streams.py", "recording/spool.py", "recording/mapped_file.py")


def _interrupted(recorder: Recorder, after: int) -> bool:
    """Begin an exchange; return whether that was interrupted."""
    assert recorder._path is not None
    tap, before = ExchangeTap(recorder._path, Call("c")), sys.gettrace()
    sys.settrace(Interrupt(after, _FILES))
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
def test_anywhere(tmp_path: Path, durability: str) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    with Recorder(url, durability=durability) as recorder:
        for after in count(1):
            # While another thread writes to the journal there are fewer places: what is not there twice is not there.
            struck = _interrupted(recorder, after) or _interrupted(recorder, after)
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
