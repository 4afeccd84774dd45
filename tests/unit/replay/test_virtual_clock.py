"""A clock that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from recorder import ConfigurationError, VirtualClock
from recorder.core.tape import NEVER
from recorder.errors import RecordingEnded
from recorder.replay.pace import Pace

NOON = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)


def test_it_shows_what_has_been_slept() -> None:
    clock = VirtualClock(NOON)
    assert (clock.now(), clock.monotonic(), clock.time()) == (NOON, 0.0, NOON.timestamp())
    clock.sleep(3600)
    clock.advance(0.5)
    asyncio.run(clock.asleep(2))
    assert clock.now() == NOON + timedelta(seconds=3602.5)
    assert clock.time() == NOON.timestamp() + 3602.5
    assert clock.monotonic() == 3602.5
    assert clock.wall_ns() == int(NOON.timestamp() * 1000) * 1_000_000 + 3_602_500_000_000


def test_a_start_may_be_of_any_time_zone() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert VirtualClock(there).now() == NOON
    assert VirtualClock(there).now().tzinfo is UTC


@pytest.mark.parametrize("start", [datetime(2026, 5, 4), 0, "2026-05-04"])
def test_what_is_no_start(start: Any) -> None:
    with pytest.raises(ConfigurationError, match="time zone"):
        VirtualClock(start)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, "1", 1e12])
def test_what_is_no_number_of_seconds(seconds: Any) -> None:
    clock = VirtualClock(NOON)
    for pass_time in (clock.sleep, clock.advance):
        with pytest.raises(ConfigurationError, match="no number of seconds"):
            pass_time(seconds)
    assert clock.monotonic() == 0.0


def test_without_a_start_it_has_no_date() -> None:
    clock = VirtualClock()
    clock.sleep(5)
    assert clock.monotonic() == 5.0
    for ask in (clock.now, clock.time, clock.wall_ns):
        with pytest.raises(ConfigurationError, match="give it to a Player"):
            ask()
    clock.start_at(10**9)
    clock.start_at(7 * 10**9)
    assert clock.time() == 6.0


def test_no_sleep_of_any_thread_is_lost() -> None:
    clock = VirtualClock(NOON)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [clock.sleep(0.001) for _ in range(500)], range(8)))
    assert clock.monotonic() == 4.0


def test_the_clock_shows_the_furthest_that_an_exchange_has_come_to() -> None:
    clock = VirtualClock(NOON)
    long, short = Pace(1, clock).start(), Pace(1, clock).start()
    long.wait(5 * 10**9)
    assert clock.monotonic() == 5.0
    short.wait(3 * 10**9)
    assert clock.monotonic() == 5.0
    short.wait(6 * 10**9)
    assert clock.monotonic() == 6.0
    Pace(1, clock).start().wait(10**9)  # its request is sent when the clock shows 6
    assert clock.monotonic() == 7.0


def test_a_timeout_fires_though_another_exchange_was_further() -> None:
    clock = VirtualClock(NOON)
    patient, hasty = Pace(1, clock).start(), Pace(1, clock).start()
    patient.wait(60 * 10**9)
    with pytest.raises(TimeoutError, match="timed out"):
        hasty.wait(3 * 10**9, timeout=2.0)
    assert clock.monotonic() == 60.0
    hasty.wait(3 * 10**9, timeout=2.0)  # of the three seconds one is left


def test_what_the_reader_sleeps_counts() -> None:
    clock = VirtualClock(NOON)
    pace = Pace(1, clock).start()
    clock.sleep(2.5)
    pace.wait(3 * 10**9, timeout=1.0)
    assert clock.monotonic() == 3.0


def test_what_another_thread_sleeps_does_not_count() -> None:
    clock = VirtualClock(NOON)
    pace = Pace(1, clock).start()
    sleeping = threading.Thread(target=clock.sleep, args=(2.5,))
    sleeping.start()
    sleeping.join()
    with pytest.raises(TimeoutError):
        pace.wait(3 * 10**9, timeout=1.0)
    assert clock.monotonic() == 2.5


def test_an_answer_that_another_thread_reads_on() -> None:
    clock = VirtualClock(NOON)
    pace = Pace(1, clock).start()
    clock.sleep(1)
    pace.wait(2 * 10**9)
    reading = threading.Thread(target=lambda: (pace.wait(4 * 10**9), clock.sleep(3), pace.wait(6 * 10**9)))
    reading.start()
    reading.join()
    assert clock.monotonic() == 7.0


def test_for_what_never_comes_a_client_needs_a_timeout() -> None:
    clock = VirtualClock(NOON)
    for factor, passed in ((1.0, 30.0), (2.0, 60.0), (0.0, 60.0)):
        with pytest.raises(TimeoutError):
            Pace(factor, clock).start().wait(NEVER, timeout=30.0)
        assert clock.monotonic() == passed
        with pytest.raises(RecordingEnded, match="no timeout for a read"):
            Pace(factor, clock).start().wait(NEVER)
    assert clock.monotonic() == 60.0


def test_a_loop_that_lives_by_the_clock_waits_in_order_and_in_no_time() -> None:
    clock, told = VirtualClock(NOON), []

    async def tell(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        told.append((name, clock.monotonic()))
        await clock.asleep(seconds)
        told.append((name, clock.monotonic()))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.gather(tell("a", 1000), tell("b", 300), tell("c", 3500))
        told.append(("timeout", clock.monotonic()))

    began = time.monotonic()
    with asyncio.Runner(loop_factory=clock.event_loop) as runner:
        runner.run(main())
    assert told == [
        ("b", 300.0),
        ("b", 600.0),
        ("a", 1000.0),
        ("a", 2000.0),
        ("c", 3500.0),
        ("timeout", 3600.0),
    ]
    assert time.monotonic() - began < 20


def test_odd_durations_do_not_hang_the_loop() -> None:
    clock = VirtualClock(NOON)

    async def main() -> None:
        for divisor in range(3, 200, 7):
            await asyncio.sleep(1 / divisor)
            await asyncio.sleep(1e-10)

    with asyncio.Runner(loop_factory=clock.event_loop) as runner:
        runner.run(main())
    assert clock.monotonic() == pytest.approx(sum(1 / divisor for divisor in range(3, 200, 7)), abs=1e-6)


def test_while_a_thread_works_the_loop_does_not_leap() -> None:
    clock = VirtualClock(NOON)
    done = threading.Event()

    async def main() -> bool:
        loop = asyncio.get_running_loop()

        def work() -> bool:
            """Ask the loop for something that takes a moment there, as a callback from a thread may."""
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), loop).result(10)
            return done.wait(0.02)

        async with asyncio.timeout(30):
            return await asyncio.to_thread(work)

    with asyncio.Runner(loop_factory=clock.event_loop) as runner:
        assert runner.run(main()) is False
    assert 0.01 <= clock.monotonic() < 30
