"""A time is a clock where it says when the request was sent, and what is asked about where it does not."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.exchange import fold
from recorder.core.history_alignment import Line
from recorder.core.history_clocks import same_but_clocks, without_clocks
from recorder.core.messages import MediaPart, Message, TextPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder, delta
from tests.unit.core.test_history_again import EDITED, kinds

BEGINS = ("begins", None, [])
AGAIN = ("regenerates", 1, EDITED)
#: A Monday.
NOW = datetime(2026, 11, 30, 10, 15, 7, tzinfo=UTC)
MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}


def sent(number: int, at: datetime, *messages: tuple[str, str], end: str = "stop", **facts: Any) -> Rebuilt:
    built = ExchangeBuilder(number)
    built.wall_ns = int(at.timestamp()) * 1_000_000_000
    payload = {"model": "m", "messages": [{"role": role, "content": text} for role, text in messages]}
    built.request(payload, call=f"call-{number}", **facts).response()
    values = [delta(role="assistant", content="hold"), *([delta(finish=end)] if end else [])]
    exchange = fold(built.sse(*values, done=bool(end)).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def asked_twice(role: str, one: str, other: str, *, later: timedelta, at: datetime = NOW) -> Any:
    rest = [("user", "Buy?")] if role == "system" else []
    return kinds(sent(1, at, (role, one), *rest), sent(2, at + later, (role, other), *rest))[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What was the close on 2026-11-27?", "What was the close on 2026-11-28?"),
        ("What was the close on 2026-11-30?", "What was the close on 2026-11-29?"),
        ("Report for 30 November 2026", "Report for 1 December 2026"),
        ("Is Monday a holiday?", "Is Tuesday a holiday?"),
        ("Split 4:10", "Split 3:10"),
        ("Split 10:15", "Split 11:15"),
        ("Does it open at 9 am?", "Does it open at 10 am?"),
        ("What was it at 2020-01-01 10:15?", "What was it at 2020-01-01 10:16?"),
        ("Candle 1780135200", "Candle 1780135260"),
        ("Is it Monday?", "Is it Tuesday?"),
        ("If it is Monday, buy", "If it is Tuesday, buy"),
    ],
)
@pytest.mark.parametrize("role", ["system", "user"])
@pytest.mark.parametrize("later", [timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=3)])
def test_what_is_asked_about_is_no_clock(one: str, other: str, role: str, later: timedelta) -> None:
    assert asked_twice(role, one, other, later=later) == BEGINS


def test_a_date_that_is_asked_about_every_day_is_no_clock_in_a_question() -> None:
    day = timedelta(days=1)
    assert asked_twice("user", "The close on 2026-11-30?", "The close on 2026-12-01?", later=day) == BEGINS
    assert asked_twice("user", "Is Monday a holiday?", "Is Tuesday a holiday?", later=day) == BEGINS
    assert asked_twice("user", "Today is Monday. Buy?", "Today is Tuesday. Buy?", later=day) == AGAIN
    assert asked_twice("user", "Date: 2026-11-30\nBuy?", "Date: 2026-12-01\nBuy?", later=day) == AGAIN
    assert asked_twice("user", "Date: 2026-11-27\nBuy?", "Date: 2026-11-28\nBuy?", later=day) == BEGINS


def written(at: datetime) -> list[str]:
    """A clock as it is written in many ways."""
    de, fr = (names.split()[at.month - 1] for names in MONTHS.values())
    return [
        at.isoformat(),
        at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        at.strftime("%Y/%m/%d %H:%M"),
        at.strftime("%d.%m.%Y %H:%M"),
        at.strftime("%d-%b-%Y %I:%M %p"),
        at.strftime("%m/%d/%Y, %I:%M:%S %p"),
        at.strftime("%A, %d %B %Y, %H:%M"),
        at.strftime("%a, %d %b %Y %H:%M:%S %z"),
        at.strftime("%Y年%m月%d日 %H時%M分"),
        at.strftime(f"%d. {de} %Y %H:%M Uhr"),
        at.strftime(f"%d {fr} %Y à %Hh%M"),
        at.strftime("%H:%M"),
        at.strftime("%Hh%M"),
        at.strftime("%Y%m%dT%H%M%S"),
        str(int(at.timestamp())),
        str(int(at.timestamp() * 1000)),
    ]


WAYS = len(written(NOW))


@given(
    st.integers(0, WAYS - 1),
    st.sampled_from(["{} buy?", "[{}] buy?", "Price 100.25 at {}. Buy?", '{{"now": "{}", "price": 3}}']),
    st.sampled_from(["system", "user"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([-48, -38, -16, -14, 0, 4, 22, 23, 35, 51, 56]),
    st.integers(60, 400 * 86_400),
    st.integers(0, 60),
)
def test_the_time_of_sending_is_a_clock_however_it_is_written(
    way: int, around: str, role: str, at: datetime, zone: int, later: int, made: int
) -> None:
    """Made up to a minute before it is sent, in the zone of the program."""
    at, here = at.replace(microsecond=0), timezone(timedelta(minutes=15 * zone))
    then = at + timedelta(seconds=later)
    texts = [around.format(written((moment - timedelta(seconds=made)).astimezone(here))[way]) for moment in (at, then)]
    expected = ("regenerates", 1, EDITED if texts[0] != texts[1] else [])
    assert asked_twice(role, *texts, at=at, later=timedelta(seconds=later)) == expected


@given(
    st.integers(0, WAYS - 1),
    st.sampled_from(["system", "user"]),
    st.integers(1, 10_000),
    st.integers(1, 3_000),
    st.integers(1, 600),
)
def test_a_time_that_moves_otherwise_than_the_clock_is_asked_about(
    way: int, role: str, ago: int, step: int, later: int
) -> None:
    """As in a test over past days: the moments that it asks about are not those at which it asks."""
    moments = [NOW - timedelta(days=ago), NOW - timedelta(days=ago) + timedelta(minutes=20 * step + 5)]
    texts = [f"The close at {written(moment)[way]}?" for moment in moments]
    if texts[0] != texts[1]:
        assert asked_twice(role, *texts, later=timedelta(seconds=later)) == BEGINS


def test_a_clock_in_a_question_hides_no_retry() -> None:
    asks = [("user", f"[10:{minute}] buy?") for minute in (15, 16, 17)]
    times = [NOW + timedelta(minutes=minute) for minute in range(3)]
    found = kinds(sent(1, times[0], asks[0], end=""), sent(2, times[1], asks[1]), sent(3, times[2], asks[2]))
    assert found[1:] == [("retries", 1, EDITED), ("regenerates", 2, EDITED)]
    found = kinds(sent(1, times[0], asks[0]), sent(2, times[1], ("user", "[10:16] sell?")))
    assert found[1] == BEGINS


def test_what_is_called_the_time_of_now_in_instructions_is_a_clock_in_a_simulation_too() -> None:
    for called in (
        "It is {} now.",
        "You trade.\nCurrent time: {}",
        "Now: {}",
        "- today is {}",
        "**Time now:** {}",
        "{}",
    ):
        texts = [called.format(f"2020-01-0{day} 10:15") for day in (1, 2)]
        assert asked_twice("system", *texts, later=timedelta(seconds=1)) == AGAIN, called
        assert asked_twice("user", *texts, later=timedelta(seconds=1)) == BEGINS, called


def test_where_nobody_knows_when_it_was_sent_only_instructions_have_a_clock() -> None:
    def lines(*texts: tuple[str, str]) -> list[Line]:
        return [Line(text.encode(), Message(role, (TextPart(text),))) for role, text in texts]

    at = int(NOW.timestamp()) * 10**9
    for role, called, known, unknown in (
        ("system", "It is {}", True, True),
        ("system", "a {}", True, False),
        ("user", "It is {}", True, False),
        ("tool", "It is {}", False, False),
    ):
        one, other = (lines((role, called.format(f"10:{minute}"))) for minute in (14, 15))
        assert same_but_clocks(one, at, other, at) is known
        assert (without_clocks(one, at) == without_clocks(other, at)) is known
        assert same_but_clocks(one, None, other, None) is unknown
        assert same_but_clocks(one, -1, other, 10**30) is unknown


def test_what_else_a_message_has_in_it_counts() -> None:
    at = int(NOW.timestamp()) * 10**9

    def line(minute: int, picture: str) -> list[Line]:
        text = f"[10:{minute}] up?"
        return [Line(f"{text}{picture}".encode(), Message("user", (TextPart(text), MediaPart("image", url=picture))))]

    assert same_but_clocks(line(14, "a"), at, line(15, "a"), at)
    assert not same_but_clocks(line(14, "a"), at, line(15, "b"), at)


def test_long_instructions_are_looked_at_where_they_begin_and_end() -> None:
    long = "The trend is up since 2026-11-27 09:30, and the yield is 4.25. " * 20_000
    begun = time.process_time()
    for texts in (
        [f"{hour}\n{long}" for hour in ("10:14", "10:15")],
        [f"{long}\n{hour}" for hour in ("10:14", "10:15")],
    ):
        assert asked_twice("system", *texts, later=timedelta(seconds=60)) == AGAIN
    assert time.process_time() - begun < 5
