"""Ids that sort, and survive a fork at the wrong moment."""

from __future__ import annotations

import os
import threading
import time
import uuid

import pytest

import recorder.clock as clock_module
from recorder.clock import SystemClock, id_bytes, id_text


def test_ids_are_uuid_version_7_of_now_and_sort_in_the_order_of_their_making() -> None:
    clock, before = SystemClock(), time.time_ns() // 1_000_000
    made = [clock.new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == 5000
    first = uuid.UUID(bytes=made[0])
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert before <= int.from_bytes(made[0][:6], "big") <= before + 5000


def test_ids_of_two_clocks_and_many_threads_are_distinct_and_sort_within_each() -> None:
    made: list[list[bytes]] = [[] for _ in range(8)]

    def work(mine: list[bytes]) -> None:
        clock = SystemClock()
        mine.extend(clock.new_id() for _ in range(2000))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in made)
    assert len({identity for mine in made for identity in mine}) == 16_000


def test_a_child_forked_while_a_thread_makes_an_id_makes_its_own() -> None:
    with clock_module._ids:  # what another thread holds at the moment of the fork
        child = os.fork()
        if child == 0:
            SystemClock().new_id()
            os._exit(0)
    deadline = time.monotonic() + 10
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline, "the child hangs"
        time.sleep(0.01)
    assert ended == (child, 0)


def test_an_id_as_text_and_back() -> None:
    identity = SystemClock().new_id()
    assert id_bytes(id_text(identity)) == identity
    with pytest.raises(ValueError):
        id_bytes("nonsense")


def test_the_machines_clocks() -> None:
    clock = SystemClock()
    assert abs(clock.wall_ns() - time.time_ns()) < 10**9
    assert clock.monotonic_ns() <= clock.monotonic_ns()
    assert len(clock.secret(32)) == 32
    clock.sleep(0)
