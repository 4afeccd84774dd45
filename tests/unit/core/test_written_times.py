"""Dates and times as they are written in prompts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.written_times import written_times

DATE = {"dates": ((2026, 11, 30),)}
MONDAY = {"weekday": 0} | DATE


def clock(hour: int, minute: int = 0, second: int | None = None) -> dict[str, int]:
    return {"second": hour * 3600 + minute * 60 + (second or 0), "unit": 60 if second is None else 1}


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("2026-11-30", DATE),
        ("2026/11/30 10:15", DATE | clock(10, 15)),
        ("2026-11-30T10:15:00.123456Z", DATE | clock(10, 15, 0) | {"zone": 0}),
        ("2026-11-30 10:15:07+02:00", DATE | clock(10, 15, 7) | {"zone": 7200}),
        ("20261130T101507", DATE | clock(10, 15, 7)),
        ("30-Nov-2026", DATE),
        ("30-Nov-26", DATE),
        ("30.11.2026 14:05", DATE | clock(14, 5)),
        ("30. November 2026 14.05 Uhr", DATE | clock(14, 5)),
        ("1. März 2026", {"dates": ((2026, 3, 1),)}),
        ("lundi 30 novembre 2026 à 14h05", MONDAY | clock(14, 5)),
        ("1er décembre", {"dates": ((None, 12, 1),)}),
        ("30 de noviembre de 2026", DATE),
        ("2026年11月30日(月) 10時15分30秒", {"weekday": 0} | DATE | clock(10, 15, 30)),
        ("2026년 11월 30일", DATE),
        ("月曜日", {"weekday": 0}),
        ("Monday, 30 November 2026, 17:45", MONDAY | clock(17, 45)),
        ("Mon, 30 Nov 2026 10:15:00 +0530", MONDAY | clock(10, 15, 0) | {"zone": 19800}),
        ("Nov 30, 2026 at 10:15 p.m.", DATE | clock(22, 15)),
        ("30th of November 2026", DATE),
        ("10:15 UTC-3", clock(10, 15) | {"zone": -10800}),
        ("10:15 (CET)", clock(10, 15)),
        ("12 am", {"second": 0, "unit": 3600}),
        ("1 o’clock", {"second": 3600, "unit": 3600}),
        ("10 Uhr", {"second": 36000, "unit": 3600}),
        ("1/12/26", {"dates": ((2026, 12, 1), (2026, 1, 12))}),
        ("11/30/2026", DATE),
        ("Tues.", {"weekday": 1}),
        ("1780135200", {"epoch": 1780135200}),
        ("1780135200123", {"epoch": 1780135200}),
        ("1780135200.5", {"epoch": 1780135200}),
    ],
)
@pytest.mark.parametrize("around", ["{}", "It is {}.", "[{}] price 100.25, size 3", "now: {}\nbuy?"])
def test_a_date_or_a_time_is_read_with_all_of_its_parts(written: str, means: dict[str, Any], around: str) -> None:
    (one,) = written_times(around.format(written))
    assert (one.start, around.format(written)[one.start : one.end].rstrip(".")) == (
        around.index("{}"),
        written.rstrip("."),
    )
    told = {"dates": (), "second": None, "unit": 0, "zone": None, "epoch": None} | means
    assert {name: value for name, value in one._asdict().items() if name in told} == told


@pytest.mark.parametrize(
    "text",
    [
        *("gpt-4o-2024-08-06", "2024-10-01-preview", "v1.2.10", "10.15", "may sell", "march on", "split 4:1"),
        *("2026-13-40", "31.02.2026", "25:10", "13 pm", "10/12-14", "+491780135200", "a1780135200", "mondays"),
        *("10:15:59:1", "127.0.0.1:8080", "1234567890123456789012", "2026", "日", "月が", "5 marbles", "secondary"),
    ],
)
def test_other_numbers_and_words_are_none(text: str) -> None:
    assert list(written_times(text)) == []


def test_two_dates_and_two_times_stay_apart() -> None:
    text = "2026-11-27, 2026-11-28, 10:15, 11:30 Mon Tue"
    found = [text[one.start : one.end] for one in written_times(text)]
    assert found == ["2026-11-27", "2026-11-28, 10:15", "11:30 Mon", "Tue"]


@given(st.text(alphabet="0123456789:-/.T Zamp月日年時(monNov", max_size=40))
def test_whatever_is_written_is_read_in_order(text: str) -> None:
    end = 0
    for one in written_times(text):
        assert end <= one.start < one.end <= len(text)
        assert one.dates or one.epoch or (one.weekday, one.second) != (None, None)
        end = one.end


def test_long_texts_are_read_in_linear_time() -> None:
    def cost(text: str) -> float:
        begun = time.process_time()
        for _ in written_times(text):
            pass
        return time.process_time() - begun

    for piece in (
        "2026-11-30 10:15 close 100.25 ",
        "1234 12 1 ",
        "the trend is up and so ",
        "mon ",
        "30 - ",
        "1." * 20,
    ):
        assert cost(piece * (200_000 // len(piece))) < 4
