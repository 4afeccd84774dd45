"""Points in time on the command line."""

from __future__ import annotations

import pytest

from recorder.cli.times import nanoseconds

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ago"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259_200), ("1w", 604_800), ("2 H", 7200), (" 0s ", 0)],
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


@pytest.mark.parametrize("text", ["", "yesterday", "2y", "h", "-2h", "2026-13-01", "1.5h"])
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
