"""Anchoring beside recording: offering costs nothing, what fails is told and tried again, the newest goes first."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.errors import AnchorFailed, StoreUnreachable
from recorder.ledger.anchoring import Anchoring, Trace, leave
from recorder.ledger.anchors import Checked
from recorder.ledger.anchors.base import checkpoint_of
from recorder.ledger.anchors.files import FileAnchor
from tests.unit.ledger.anchors.noted import note

PATIENCE = 20.0


class Outside:
    """An anchor whose answers a test decides: it fails while told to, and waits while told to."""

    def __init__(self, name: str = "outside:1", every_s: float = 0.0) -> None:
        self.name, self.every_s = name, every_s
        self.asked: list[int] = []
        self.given_up = 0
        self.failing: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def leave(self, note: bytes) -> bytes:
        self.asked.append(checkpoint_of(note).size)
        assert self.open.wait(PATIENCE)
        if self.failing is not None:
            raise self.failing
        return b"seen"

    def give_up(self) -> None:
        self.given_up += 1

    def check(self, note: bytes, evidence: bytes) -> Checked:
        raise NotImplementedError

    def held(self) -> Iterator[bytes]:
        return iter(())


def anchoring(*anchors: Outside | FileAnchor, keep: Callable[[Trace], None], **settings: object) -> Anchoring:
    return Anchoring(anchors, keep, SystemClock(), retry_s=(0.01, 0.05), **settings)  # type: ignore[arg-type]  # by name


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def text(size: int) -> str:
    return note(size).decode()


def test_what_is_offered_is_anchored_and_kept(tmp_path: Path) -> None:
    kept: list[Trace] = []
    anchor = FileAnchor(tmp_path / "notes", every_s=0.0)
    anchors = anchoring(anchor, keep=kept.append)
    anchors.offer(text(7))
    until(lambda: bool(kept))
    [trace] = kept
    assert (trace.anchor, trace.size, trace.root) == (anchor.name, 7, checkpoint_of(note(7)).root)
    assert anchor.check(note(7), trace.evidence).state == "confirmed"
    assert trace.facts["evidence_sha256"] == hashlib.sha256(trace.evidence).hexdigest()
    until(lambda: anchors.health()[0].size == 7)
    assert anchors.health()[0].waiting_since_ns is None
    anchors.close(PATIENCE)


def test_offering_waits_for_nothing_and_the_newest_is_next() -> None:
    kept: list[Trace] = []
    outside = Outside()
    outside.open.clear()
    anchors = anchoring(outside, keep=kept.append)
    before = time.thread_time()
    for size in range(1, 200):
        anchors.offer(text(size))
    assert time.thread_time() - before < 1
    assert anchors.health()[0].waiting_since_ns is not None
    outside.open.set()
    until(lambda: anchors.health()[0].size == 199)
    assert len(outside.asked) <= 3
    anchors.close(PATIENCE)
    assert anchors.health()[0].waiting_since_ns is None


@pytest.mark.parametrize("error", [AnchorFailed("the anchor x cannot be reached: y"), RuntimeError("a bug")])
def test_what_fails_is_told_and_tried_again(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Trace] = []
    outside = Outside()
    outside.failing = error
    anchors = anchoring(outside, keep=kept.append)
    with caplog.at_level(logging.WARNING, logger="recorder"):
        anchors.offer(text(7))
        until(lambda: anchors.health()[0].failures >= 3)
    health = anchors.health()[0]
    assert health.error is not None
    assert str(error) in health.error
    assert health.waiting_since_ns is not None
    assert len([record for record in caplog.records if "recording goes on" in record.message]) == 1
    outside.failing = None
    until(lambda: anchors.health()[0].size == 7)
    health = anchors.health()[0]
    assert (health.failures, health.error, health.waiting_since_ns) == (0, None, None)
    assert [trace.size for trace in kept] == [7]
    anchors.close(PATIENCE)


def test_what_the_store_did_not_keep_is_left_again() -> None:
    kept: list[Trace] = []

    def keep(trace: Trace) -> None:
        if not kept:
            kept.append(trace)
            raise StoreUnreachable("the store is away: wait")
        kept.append(trace)

    outside = Outside()
    anchors = anchoring(outside, keep=keep)
    anchors.offer(text(7))
    until(lambda: len(kept) == 2)
    until(lambda: anchors.health()[0].size == 7)
    assert outside.asked == [7, 7]
    anchors.close(PATIENCE)


def test_a_slow_anchor_holds_up_no_other() -> None:
    kept: list[Trace] = []
    slow, quick = Outside("outside:slow"), Outside("outside:quick")
    slow.open.clear()
    anchors = anchoring(slow, quick, keep=kept.append)
    anchors.offer(text(7))
    until(lambda: [trace.anchor for trace in kept] == ["outside:quick"])
    slow.open.set()
    anchors.close(PATIENCE)
    assert sorted(trace.anchor for trace in kept) == ["outside:quick", "outside:slow"]


def test_checkpoints_in_between_are_not_anchored_and_the_last_one_is_at_the_end() -> None:
    kept: list[Trace] = []
    outside = Outside(every_s=3600)
    anchors = anchoring(outside, keep=kept.append)
    anchors.offer(text(1))
    until(lambda: len(kept) == 1)
    anchors.offer(text(2))
    anchors.offer(text(3))
    time.sleep(0.05)
    assert [trace.size for trace in kept] == [1]
    anchors.close(PATIENCE)
    assert [trace.size for trace in kept] == [1, 3]
    anchors.offer(text(4))
    anchors.close(PATIENCE)
    assert [trace.size for trace in kept] == [1, 3]


def test_the_end_does_not_wait_longer_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    hangs, fails, works = (Outside(f"outside:{number}") for number in range(3))
    hangs.open.clear()
    fails.failing = AnchorFailed("nobody there")
    anchors = anchoring(hangs, fails, works, keep=lambda trace: None)
    anchors.offer(text(1))
    until(lambda: bool(hangs.asked))
    began = time.monotonic()
    anchors.close(patience_s=0.2)
    assert time.monotonic() - began < 5
    assert (hangs.given_up, fails.given_up, works.given_up) == (1, 0, 0)
    (told,) = [one.message for one in caplog.records if "the next recorder on this store does it" in one.message]
    assert "is not anchored at outside:0, outside:1:" in told
    hangs.open.set()


def test_what_earlier_processes_anchored_is_known() -> None:
    anchors = anchoring(Outside("outside:1"), Outside("outside:2"), keep=lambda trace: None, anchored={"outside:1": 5})
    assert [health.size for health in anchors.health()] == [5, None]
    anchors.close(PATIENCE)


def test_a_forked_child_anchors_with_threads_of_its_own(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes", every_s=0.0)
    anchors = anchoring(anchor, keep=lambda trace: None)
    anchors.offer(text(1))
    until(lambda: anchors.health()[0].size == 1)
    child = os.fork()
    if not child:
        code = 1
        try:
            anchors.close(PATIENCE)  # the parent's: nothing to end here
            anchors.offer(text(2))
            until(lambda: anchors.health()[0].size == 2)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(anchor.held()) == [note(1), note(2)]
    anchors.offer(text(3))
    until(lambda: anchors.health()[0].size == 3)
    anchors.close(PATIENCE)


def test_at_once_and_by_hand(tmp_path: Path) -> None:
    trace = leave(FileAnchor(tmp_path / "notes"), note(7), SystemClock())
    assert trace.size == 7
    with pytest.raises(AnchorFailed):
        leave(FileAnchor(tmp_path / "missing" / "notes"), note(7), SystemClock())
