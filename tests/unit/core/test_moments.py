"""Dates in texts: what is one, and which is the earlier."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.moments import Moment, find_moments, unix_ns

DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%B %d, %Y",
    "%b %d %Y",
    "%d %B %Y",
    "%A, %B %d, %Y",
    "%d.%m.%Y",
    "%d-%b-%Y",
    "%a %Y-%m-%d",
)
TIMES = (
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S",
    "%B %d, %Y at %I:%M:%S %p",
    "%a %b %d %H:%M:%S %Y",
    "%d/%m/%Y %H:%M:%S",
)
dates = st.dates(date(1900, 1, 1), date(2099, 12, 31))
moments = st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31)).map(lambda each: each.replace(microsecond=0))


def found(text: str) -> str:
    return next((text[start:end] for start, end, _ in find_moments(text)), "")


def moment_in(text: str) -> Moment:
    ((start, end, moment),) = find_moments(text)
    assert (start, end) == (0, len(text))
    return moment


@settings(deadline=None)
@given(
    dates,
    st.sampled_from(DATES),
    st.sampled_from(["%s", "Today is %s.", "(%s)", "as of %s, buy", '{"d":"%s"}', "x\\n%s\\n"]),
)
def test_a_date_is_found_however_it_is_written_and_is_its_value(day: date, form: str, around: str) -> None:
    text = day.strftime(form)
    assert found(around % text) == text
    assert moment_in(text) == (day.year, day.month, day.day)


@settings(deadline=None)
@given(moments, moments, st.sampled_from(TIMES[:4]), st.sampled_from(TIMES[:4]))
def test_the_earlier_of_two_times_is_less(one: datetime, other: datetime, form: str, another: str) -> None:
    texts = one.strftime(form), other.strftime(another)
    assert tuple(map(found, texts)) == texts
    values = [moment_in(text)[:7] for text in texts]
    assert (values[0] < values[1], values[0] == values[1]) == (one < other, one == other)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-29T20:22:25.123456+01:00",
        "2026-11-29T20:22:25.201912Z",
        "2026-11-29 20:22",
        "2026-11-29 (Sunday)",
        "Sun, 29 Nov 2026 20:22:25 GMT",
        "Sun Nov 29 20:22:25 UTC 2026",
        "Nov. 29th, 2026 at 8:22 p.m. EST",
        "the 29th of November, 2026"[4:],
        "11/29/2026",
    ],
)
def test_the_usual_forms_are_found_whole(text: str) -> None:
    assert found(f"now: {text}; go") == text
    assert moment_in(text)[:3] == (2026, 11, 29)


@pytest.mark.parametrize(
    "text",
    [
        "gpt-4o-2024-08-06",
        "2024-10-01-preview",
        "report_2026-11-29",
        "2026-11-29.csv",
        "models/2026-11-29",
        "llama:2026-11-29",
        "v2026-11-29",
        "2026-13-01",
        "2026-11-32",
        "1.2.2024",
        "120261129",
        "20:22:25",
        "Sunday",
        "May 2026",
        "2026-11-291",
        "2126-11-29",
    ],
)
def test_a_part_of_a_name_and_half_of_a_date_are_none(text: str) -> None:
    assert found(text) == ""


def test_a_day_before_the_month_is_told_where_it_can_be() -> None:
    assert moment_in("29/11/2026") == moment_in("11/29/2026") == (2026, 11, 29)
    assert moment_in("11/12/2026") == (2026, 11, 12)
    assert moment_in("11.12.2026") == (2026, 12, 11)


@settings(deadline=None)
@given(
    st.lists(dates, max_size=5),
    st.sampled_from(DATES),
    st.sampled_from(["\n", ", ", " and in 2019 or 1980: ", " x" * 40 + " "]),
)
def test_every_date_of_a_text_is_found_once(days: list[date], form: str, between: str) -> None:
    texts = [day.strftime(form) for day in days]
    text = between.join(["", *texts, ""])
    assert [text[start:end] for start, end, _ in find_moments(text)] == texts


def test_what_stands_after_a_time_is_no_zone_unless_it_is_one() -> None:
    assert found("Nov 29, 2026 10:32 BUY") == "Nov 29, 2026 10:32"
    assert found("Nov 29, 2026 10:32 EST") == "Nov 29, 2026 10:32 EST"


@settings(deadline=None)
@given(st.datetimes(datetime(2001, 9, 10), datetime(2096, 1, 1), timezones=st.just(UTC)))
def test_unix_times_are_the_same_moment_in_any_unit(moment: datetime) -> None:
    seconds = int(moment.timestamp())
    expected = seconds * 10**9
    for written in (f"{seconds}", f"{seconds}.0", f"{seconds}000", f"{seconds}000000", f"{seconds}000000000"):
        assert unix_ns(written) == expected
    assert unix_ns(f"{seconds}.25") == unix_ns(f"{seconds}250") == expected + 250_000_000


@pytest.mark.parametrize(
    "written", ["0", "-1764447745", "176444774", "17644477450", "5764447745", "1e9", "", "1764447745x"]
)
def test_other_numbers_are_no_unix_times(written: str) -> None:
    assert unix_ns(written) is None
