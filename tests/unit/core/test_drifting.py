"""Ids and times of answers are other ones each time; everything else that changes is a drift."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.drifting import alike

BEFORE: dict[str, Any] = {
    "id": "x7Hs82kQ",
    "created": 1730000000,
    "request_id": "9b2d1c1e-7f7e-4a5e-9c56-0a4a0a0a0a00",
    "at": "2026-05-04T12:00:00Z",
    "job_id": 4711,
    "model": {"id": "llama-3"},
    "items": [{"id": "item_0a1b2c3d4e", "value": 1.5, "text": "as of 2026-05-04: hold"}],
    "status": "done",
}
NOW: dict[str, Any] = {
    **BEFORE,
    "id": "Qp01LmZz",
    "created": 1761111111,
    "request_id": "0a4a0a0a-1111-4a5e-9c56-9b2d1c1e7f7e",
    "at": "2027-01-01T08:15:00Z",
    "job_id": 99,
    "items": [{"id": "item_ffffeeee00", "value": 1.5, "text": "as of 2027-01-01: hold"}],
}


def _same(before: object, now: object) -> bool:
    one, other = alike(json.dumps(before), json.dumps(now, indent=1))
    return one == other


def test_ids_and_times_whose_shapes_agree_are_no_drift() -> None:
    assert _same(BEFORE, NOW)
    assert _same(BEFORE, dict(reversed(NOW.items())))


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed"},
        {"model": {"id": "llama-4"}},
        {"id": None},
        {"id": 5},
        {"id": "x7Hs82kQ-2"},
        {"created": "soon"},
        {"created": 0},
        {"created": "2027-01-01"},
        {"request_id": "none"},
        {"items": []},
        {"items": [*NOW["items"], {}]},
        {"items": [{**NOW["items"][0], "value": 1.6}]},
        {"items": [{**NOW["items"][0], "text": "as of 2027-01-01: sell"}]},
        {"more": 1},
        {"job_id": True},
    ],
    ids=str,
)
def test_what_else_changes_is_a_drift(change: dict[str, Any]) -> None:
    assert not _same(BEFORE, NOW | change)


def test_what_is_missing_is_a_drift() -> None:
    assert not any(_same(BEFORE, {key: value for key, value in NOW.items() if key != left}) for left in NOW)


def test_lines_of_json_and_server_sent_events_are_compared_line_by_line() -> None:
    def stream(value: dict[str, Any]) -> str:
        return f"event: one\ndata: {json.dumps(value)}\n\ndata: [DONE]\n\n"

    for written in (stream, lambda value: json.dumps(value) + "\n" + json.dumps(value)):
        one, other = alike(written(BEFORE), written(NOW))
        assert one == other
        one, other = alike(written(BEFORE), written(NOW | {"status": "failed"}))
        assert (one == other, "failed" in other) == (False, True)


def test_any_other_text_is_compared_without_dates_and_ids_that_programs_make() -> None:
    one, other = alike("request 9b2d1c1e-7f7e-4a5e-9c56-0a4a0a0a0a00 on 2026-05-04", "request none on 2026-05-04")
    assert one != other
    one, other = alike(f"request {BEFORE['request_id']} on 2026-05-04", f"request {NOW['request_id']} on 2027-01-01")
    assert one == other
    assert alike("", "") == ("", "")
    assert alike("{broken", "{broken too")[0] == "{broken"
