"""How a recorded answer ends over a network."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.tape import Read, Tape
from recorder.serving.playing import End, end_of, without_continue

RESET = {"type": "builtins.ConnectionResetError", "message": "reset", "args": ["reset"]}
BROKEN_OFF = {"type": "asyncio.exceptions.CancelledError", "message": ""}


@pytest.mark.parametrize(
    ("end", "facts", "expected"),
    [
        ("response_completed", {}, End.CLOSED),
        ("response_truncated", {}, End.CLOSED),
        ("response_failed", {"kind": "reset", "error": RESET}, End.RESET),
        ("response_failed", {"kind": "timeout", "error": RESET}, End.HELD),
        ("response_failed", {"kind": "malformed"}, End.CLOSED),
        ("response_failed", {"kind": "other", "error": BROKEN_OFF}, End.UNKNOWN),
        ("request_failed", {"kind": "refused", "phase": "connect", "error": RESET}, End.RESET),
        ("request_failed", {"kind": "disconnected", "phase": "head"}, End.CLOSED),
        ("request_failed", {"kind": "other"}, End.UNKNOWN),
        ("consumer_closed", {}, End.UNKNOWN),
        ("process_died", {}, End.UNKNOWN),
        ("gap_recorded", {}, End.UNKNOWN),
        (None, {}, End.UNKNOWN),
    ],
)
def test_the_end_of_a_tape(end: str | None, facts: dict[str, Any], expected: End) -> None:
    assert end_of(Tape(end=end, facts=facts)) is expected
    if end == "response_completed":
        assert end_of(Tape(end=end, reusable=True)) is End.KEPT


@pytest.mark.parametrize("edge", range(len(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")))
def test_a_100_is_not_sent_twice(edge: int) -> None:
    wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    reads = [Read(part, number) for number, part in enumerate((wire[:edge], wire[edge:])) if part]
    assert b"".join(read.data for read in without_continue(reads)) == b"HTTP/1.1 200 OK\r\n\r\n"
    plain = [Read(b"HTTP/1.1 200 OK\r\n\r\n", 0)]
    assert without_continue(plain) == plain
    assert without_continue([Read(b"HTTP/1.1 100 Con", 0)]) == [Read(b"HTTP/1.1 100 Con", 0)]
    assert without_continue([]) == []
