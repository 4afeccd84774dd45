"""A thread that does its rounds while there is work."""

from __future__ import annotations

import threading

import pytest

import recorder.recording.rounds as rounds_module
from recorder.recording.rounds import Rounds
from tests.recorded import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds_module, "INTERVAL", 0.001)
    monkeypatch.setattr(rounds_module, "_ROUNDS_TO_IDLE", 3)


def test_it_comes_back_while_there_is_work_and_sleeps_when_there_is_none() -> None:
    work, done = [True] * 5, []

    def one() -> bool:
        done.append(1)
        return bool(work) and work.pop()

    rounds = Rounds("tests", one)
    assert rounds.idle
    rounds.wake()
    until(lambda: rounds.idle and len(done) >= 9)
    slept_at = len(done)
    assert threading.active_count() >= 2
    work += [True]
    rounds.wake()
    until(lambda: not work and rounds.idle)
    assert len(done) > slept_at
    rounds.stop(5)
    rounds.wake()
    stopped_at = len(done)
    assert stopped_at == len(done)


def test_work_that_comes_between_the_last_look_and_the_flag_is_done() -> None:
    looks = []

    def one() -> bool:
        looks.append(1)
        return len(looks) == 5  # the look after the flag

    rounds = Rounds("tests", one)
    rounds.wake()
    until(lambda: rounds.idle and len(looks) >= 9)
    rounds.stop(5)


def test_a_stopped_one_is_never_started() -> None:
    rounds = Rounds("tests", lambda: True)
    rounds.stop(0)
    rounds.wake()
    assert rounds._thread is None


def test_without_a_thread_it_stays_idle_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []
    rounds = Rounds("tests", lambda: bool(done.append(1)))

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        rounds.wake()
    assert rounds.idle
    assert "can't start new thread" in caplog.text
    rounds.wake()
    until(lambda: bool(done))
    rounds.stop(5)


def test_it_may_be_stopped_from_its_own_thread() -> None:
    rounds = Rounds("tests", lambda: (rounds.stop(5), False)[1])
    rounds.wake()
    until(lambda: rounds._thread is not None and not rounds._thread.is_alive())


def test_a_job_is_done_by_the_thread_whether_it_sleeps_or_not_and_waited_for_so_long() -> None:
    go, threads = threading.Event(), list[str]()

    def job() -> bool:
        threads.append(threading.current_thread().name)
        return True

    rounds = Rounds("tests", lambda: False)
    assert rounds.within(0, job) is True  # without a thread it is done here
    rounds.wake()
    assert rounds.within(5, job) is True
    until(lambda: rounds.idle)
    assert rounds.within(5, job) is True
    assert rounds.within(0.01, go.wait) is None
    assert rounds.within(0.01, job) is None
    go.set()
    until(lambda: len(threads) == 4)
    rounds.stop(5)
    assert rounds.within(5, job) is True
    here = threading.current_thread().name
    assert threads == [here, "tests", "tests", "tests", here]


def test_a_job_that_fails_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[object]()
    monkeypatch.setattr(threading, "excepthook", told.append)
    rounds = Rounds("tests", lambda: False)
    rounds.wake()
    assert rounds.within(60, lambda: [][0]) is None
    until(lambda: len(told) == 1)
