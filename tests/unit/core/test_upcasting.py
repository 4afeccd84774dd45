"""Old formats, step by step into the newest."""

from __future__ import annotations

import pytest

from recorder.core.events import Event
from recorder.core.upcasting import UPCASTERS, upcast
from recorder.errors import CorruptRecording, UnknownEventType

EVENT = Event(b"s" * 16, 1, "chunk_received", 7, 8, b"i" * 16, 0, None, b"x", b"h" * 32, 9)


def test_the_newest_format_comes_as_it_is() -> None:
    assert upcast(EVENT, 1) is EVENT
    assert UPCASTERS == {}


def test_each_step_is_taken_once_in_order() -> None:
    steps = {
        (1, "chunk_received"): lambda event: event._replace(flags=event.flags * 10 + 1),
        (2, "chunk_received"): lambda event: event._replace(flags=event.flags * 10 + 2),
        (2, "request_sent"): lambda event: event._replace(flags=99),
    }
    assert upcast(EVENT, 1, upcasters=steps, newest=3).flags == 12
    assert upcast(EVENT, 2, upcasters=steps, newest=3).flags == 2
    assert upcast(EVENT, 3, upcasters=steps, newest=3).flags == 0


def test_a_step_may_rename_a_type() -> None:
    old = EVENT._replace(type="piece")
    steps = {(1, "piece"): lambda event: event._replace(type="chunk_received")}
    assert upcast(old, 1, upcasters=steps, newest=2).type == "chunk_received"


@pytest.mark.parametrize("written_as", [0, 2, -1])
def test_a_format_that_is_not_known(written_as: int) -> None:
    with pytest.raises(CorruptRecording, match="upgrade recorder") as raised:
        upcast(EVENT, written_as)
    assert raised.value.position == 9


def test_a_type_that_is_not_known() -> None:
    with pytest.raises(UnknownEventType, match="'ping'"):
        upcast(EVENT._replace(type="ping"), 1)
