"""What a replay says about itself, above all where it differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recorder.cli.replay import Replayed, compare, summary
from recorder.core.exchange import Exchange, fold
from tests.building import ExchangeBuilder

SAME = Replayed(200, b"abcdef", 2, None, False)


def recorded(end: str | None = "response_completed") -> Exchange:
    built = ExchangeBuilder().request({}).response().chunks(b"abc", b"def")
    if end is not None:
        built.event(end, {})
    exchange = fold(built.events)
    assert exchange is not None
    return exchange


def test_the_same_is_no_difference() -> None:
    assert compare(recorded(), SAME) is None
    assert "same bytes" in summary(SAME, None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": 500}, "status 500 instead of 200"),
        ({"status": None}, "status None instead of 200"),
        ({"body": b"abcdeX"}, "from byte 5 on (6 bytes instead of 6)"),
        ({"body": b"abc"}, "from byte 3 on (3 bytes instead of 6)"),
        ({"body": b"abcdefg"}, "from byte 6 on (7 bytes instead of 6)"),
        ({"failure": "ProtocolError"}, "failed, unlike the recording: ProtocolError"),
        ({"ended_open": True}, "it ends early"),
    ],
)
def test_a_difference_is_told(change: dict[str, object], says: str) -> None:
    difference = compare(recorded(), replace(SAME, **change))  # type: ignore[arg-type]
    assert difference is not None
    assert says in difference
    assert "DIFFERENT" in summary(replace(SAME, **change), difference)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["response_failed", "response_truncated"])
def test_a_failure_must_come_again(end: str) -> None:
    failed = replace(SAME, failure="ProtocolError: cut")
    assert compare(recorded(end), failed) is None
    assert "failed as recorded: ProtocolError: cut" in summary(failed, None)
    difference = compare(recorded(end), SAME)
    assert difference == f"did not fail as recorded ({end})"


@pytest.mark.parametrize("end", ["consumer_closed", "consumer_abandoned", "process_died", "recorder_closed", None])
@pytest.mark.parametrize("again", [SAME, replace(SAME, ended_open=True), replace(SAME, failure="x")])
def test_where_the_recording_stops_anything_may_follow(end: str | None, again: Replayed) -> None:
    assert compare(recorded(end), again) is None
