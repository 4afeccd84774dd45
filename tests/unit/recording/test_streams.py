"""One event stream being written: numbering, chaining, gaps."""

from __future__ import annotations

from recorder.core.chain import ChainVerifier
from recorder.core.codec import decode_batch
from recorder.core.events import Event
from recorder.recording.spool import Receipt
from recorder.recording.streams import StreamWriter
from tests.clocks import DrivenClock


class FailingSpool:
    """Keeps what it is given unless it is told to fail."""

    def __init__(self) -> None:
        self.data = b""
        self.fails = False
        self.error: str | None = None
        self.interrupt = ""
        self.synced: list[bool] = []

    def append(self, record: bytes, *, sync: bool = False, receipt: Receipt | None = None) -> bool:
        receipt = receipt or Receipt(record)
        if self.fails:
            receipt.safe = False
            return False
        if self.interrupt == "before":
            raise KeyboardInterrupt
        self.data += record
        self.synced.append(sync)
        receipt.safe = True
        if self.interrupt == "after":
            raise KeyboardInterrupt
        return True

    def settle(self, receipt: Receipt) -> bool:
        receipt.safe = receipt.safe or False
        return receipt.safe

    def events(self) -> list[Event]:
        """Return the events, after verifying their chain."""
        openings, events, end = decode_batch(self.data)
        assert end == len(self.data)
        assert len(openings) == (1 if events else 0)
        if openings:
            verifier = ChainVerifier(openings[0])
            for event in events:
                verifier.feed(event)
        return events


def _writer() -> tuple[StreamWriter, FailingSpool]:
    spool = FailingSpool()
    return StreamWriter(spool, DrivenClock(), b"s" * 16, b"i" * 16, b"k" * 32), spool  # type: ignore[arg-type]


def test_events_are_numbered_and_chained_and_the_first_brings_the_opening() -> None:
    writer, spool = _writer()
    assert not writer.begun
    assert writer.write(b"request_sent", 0, b"{}", b"GET")
    assert writer.write(b"chunk_received", 3, None, b"x")
    assert writer.write(b"response_completed")
    assert writer.begun
    assert [(e.version, e.type, e.flags, e.meta, e.body) for e in spool.events()] == [
        (1, "request_sent", 0, "{}", b"GET"),
        (2, "chunk_received", 3, None, b"x"),
        (3, "response_completed", 0, None, None),
    ]
    assert spool.synced == [True, False, True]


def test_what_is_lost_is_told_in_its_place_as_soon_as_possible() -> None:
    writer, spool = _writer()
    writer.write(b"request_sent")
    spool.fails, spool.error = True, "the disk is full"
    assert not writer.write(b"chunk_received", 0, None, b"four")
    assert not writer.write(b"chunk_received", 0, None, b"fives")
    assert not writer.mend()
    spool.fails = False
    assert writer.write(b"chunk_received", 0, None, b"kept")
    assert writer.mend()
    events = spool.events()
    assert [e.type for e in events] == ["request_sent", "gap_recorded", "chunk_received"]
    facts = events[1].facts
    assert (facts["events"], facts["bytes"], facts["reason"]) == (2, 9, "the disk is full")
    assert facts["from_ns"] <= facts["to_ns"]


def test_an_end_that_is_lost_comes_after_the_gap() -> None:
    writer, spool = _writer()
    spool.fails = True
    assert not writer.write(b"request_sent")
    assert not writer.write(b"response_completed", 0, b'{"a":1}')
    assert writer.begun
    spool.fails = False
    assert writer.mend()
    assert [(e.type, e.meta) for e in spool.events()][1:] == [("response_completed", '{"a":1}')]
    assert spool.events()[0].facts["events"] == 1


def test_an_end_alone_that_is_lost_makes_a_gap_of_nothing() -> None:
    writer, spool = _writer()
    writer.write(b"request_sent")
    spool.fails = True
    assert not writer.write(b"response_completed")
    spool.fails = False
    assert writer.mend()
    assert [e.type for e in spool.events()] == ["request_sent", "gap_recorded", "response_completed"]
    assert spool.events()[1].facts["events"] == 0
    assert "cannot be written" in spool.events()[1].facts["reason"]


def test_an_end_that_is_lost_again_after_its_gap_is_still_owed() -> None:
    writer, spool = _writer()
    spool.fails = True
    writer.write(b"response_completed")
    assert not writer.write(b"consumer_closed")  # one more that is lost: the first end is the one to be kept
    real, spool.fails = spool.append, False

    def once(record: bytes, *, sync: bool = False, receipt: Receipt | None = None) -> bool:
        spool.append = lambda record, *, sync=False, receipt=None: False  # type: ignore[method-assign]
        return real(record, sync=sync, receipt=receipt)

    spool.append = once  # type: ignore[method-assign]
    assert not writer.mend()
    assert [e.type for e in spool.events()] == ["gap_recorded"]
    spool.append = real  # type: ignore[method-assign]
    assert writer.mend()
    assert [e.type for e in spool.events()] == ["gap_recorded", "response_completed"]
    assert spool.events()[0].facts["events"] == 1


def test_an_interrupt_after_the_write_counts_and_before_it_does_not() -> None:
    writer, spool = _writer()
    for when in ("after", "before", ""):
        spool.interrupt = when
        try:
            writer.write(b"chunk_received", 0, None, when.encode())
        except KeyboardInterrupt:
            continue
    assert [(e.version, e.body) for e in spool.events()] == [(1, b"after"), (2, b"")]


def test_a_gap_that_is_reported() -> None:
    writer, spool = _writer()
    writer.write(b"request_sent")
    assert writer.report_gap("a defect of recorder: KeyError")
    spool.fails = True
    assert not writer.report_gap("another")
    assert not writer.report_gap("and another")
    spool.fails = False
    assert writer.mend()
    assert [e.facts.get("reason") for e in spool.events()[1:]] == ["a defect of recorder: KeyError", "another"]


def test_a_disowned_stream_writes_nothing_even_if_its_lock_is_held_for_ever() -> None:
    writer, spool = _writer()
    writer._lock.acquire()
    writer.disown()
    assert writer.write(b"chunk_received")
    assert spool.data == b""
