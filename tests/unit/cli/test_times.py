"""Points in time on the command line."""

from __future__ import annotations

import pytest

from recorder.cli.times import nanoseconds
from recorder.core.json_text import rfc3339

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        *(("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259_200), ("1w", 604_800), ("2 H", 7200), (" 0s ", 0)),
        *(("1h30m", 5400), ("1d 12h", 129_600), ("1W2D3H4M5S", 788_645), ("1.5h", 5400), ("0,5d", 43_200)),
        *(("1h1.5m", 3690), ("1m", 60), ("90m", 5400)),
    ],
)
def test_an_age(text: str, ago: int) -> None:
    assert nanoseconds(text, NOW) == NOW - ago * SECOND


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-02", 86_400),
        ("2026-11-01", 1_793_491_200),
        ("2026-11-01T09:30", 1_793_525_400),
        ("2026-11-01 09:30:01", 1_793_525_401),
        ("2026-11-01T09:30Z", 1_793_525_400),
        ("2026-11-01T10:30+01:00", 1_793_525_400),
        ("1969-12-31T23:59:59", -1),
    ],
)
def test_a_date_or_a_time_is_utc_unless_it_says_otherwise(text: str, seconds: int) -> None:
    assert nanoseconds(text, NOW) == seconds * SECOND


def test_fractions_are_exact() -> None:
    assert nanoseconds("2026-11-01T09:30:00.000001", NOW) == 1_793_525_400 * SECOND + 1000


def test_a_fraction_of_an_age_is_exact() -> None:
    assert nanoseconds("0.000000001s", NOW) == NOW - 1
    assert nanoseconds("1.1h", NOW) == NOW - 3960 * SECOND


@pytest.mark.parametrize(
    ("text", "shown"),  # NOW is 2023-11-14T22:13:20Z
    [
        ("today", "2023-11-14T00:00:00.000000000Z"),
        ("Yesterday", "2023-11-13T00:00:00.000000000Z"),
        ("tomorrow", "2023-11-15T00:00:00.000000000Z"),
        ("14:00", "2023-11-14T14:00:00.000000000Z"),
        ("9:30", "2023-11-14T09:30:00.000000000Z"),
        ("23:59:59.123456789", "2023-11-14T23:59:59.123456789Z"),
        ("14:00Z", "2023-11-14T14:00:00.000000000Z"),
        ("yesterday 14:00", "2023-11-13T14:00:00.000000000Z"),
        ("todayT9:30", "2023-11-14T09:30:00.000000000Z"),
        ("2026-11", "2026-11-01T00:00:00.000000000Z"),
        ("2024-02", "2024-02-01T00:00:00.000000000Z"),
    ],
)
def test_days_by_name_months_and_times_of_the_day_are_utc_and_their_first_moment(text: str, shown: str) -> None:
    assert rfc3339(nanoseconds(text, NOW)) == shown


def test_a_month_ends_where_the_next_begins() -> None:
    last, first = nanoseconds("2026-11-30T23:59:59.999999999", NOW), nanoseconds("2026-12", NOW)
    assert (first, nanoseconds("2026-12-01", NOW)) == (last + 1, last + 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "Z", "soon", "2y", "h", "-2h", "2026-13-01", "2026-13", "2026", "14", "25:00", "14:60"),
        *("30m1h", "1h1h", "1.5h30m", ".5h", "1.h", "1e3h", "today9:30", "today 9", "todayZ", "14:00+01:00"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        nanoseconds(text, NOW)


@pytest.mark.parametrize(
    "text", ["99999999d", "0001-01-01", "1677-01-01", "2262-04-12", "9999-12-31", "2300-01-01T00:00"]
)
def test_a_time_beyond_those_that_are_kept_is_the_first_or_the_last(text: str) -> None:
    found = nanoseconds(text, NOW)
    assert found in (-(2**63), 2**63 - 1)
    assert (found > 0) == text.startswith(("2", "9999-"))
