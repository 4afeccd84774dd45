"""An interrupt may come anywhere: no version is given twice, and none that is in the spool is forgotten."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import pytest

import recorder.recording.spool as spool_module
from recorder.clock import SystemClock
from recorder.core.chain import ChainVerifier
from recorder.core.codec import decode_batch
from recorder.core.events import Event
from recorder.recording import mapped_file
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE
from recorder.recording.streams import StreamWriter
from tests.interrupts import Interrupt

CLOCK = SystemClock()
_FILES = ("recording/spool.py", "recording/spool_file.py", "recording/mapped_file.py", "recording/streams.py")


def _interrupted(writer: StreamWriter, after: int, type_name: bytes, body: bytes) -> bool:
    before = sys.gettrace()
    sys.settrace(Interrupt(after, _FILES))
    try:
        writer.write(type_name, 0, None, body)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def _events(spool: Spool, writer: StreamWriter) -> list[Event]:
    data = b""
    for file in spool.files():
        with file.path.open("rb") as content:
            data += content.read(file.size)[HEADER_SIZE:]
            assert not any(content.read(2000))
    openings, events, end = decode_batch(data)
    assert end == len(data)
    (opening,) = (opening for opening in openings if opening.stream == writer.id)
    verifier, own = ChainVerifier(opening), [event for event in events if event.stream == writer.id]
    for event in own:
        verifier.feed(event)
    return own


def _writer(spool: Spool) -> StreamWriter:
    return StreamWriter(spool, CLOCK, CLOCK.new_id(), b"i" * 16, CLOCK.secret(32))


@pytest.mark.parametrize("rolls", [False, True])
@pytest.mark.parametrize(
    ("durability", "mapped"), [("delivered", True), ("delivered", False), ("batched", False), ("synced", False)]
)
def test_an_interrupt_anywhere(
    tmp_path: Path, durability: str, mapped: bool, rolls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_FLUSH_SIZE", 1 if rolls else 700)  # batched: flushed each time, or sometimes
    monkeypatch.setattr(mapped_file, "_WINDOW", 200)  # made ready by some appends, and not by others
    for after in count(1):
        spool = Spool(tmp_path / str(after), b"i" * 16, CLOCK, durability=durability, wait=0.0, mapped=mapped)
        writer, other = _writer(spool), _writer(spool)
        if rolls:
            spool._roll_at = 600
        assert writer.write(b"request_sent", 0, b"{}", b"first")
        interrupted = _interrupted(writer, after, b"response_completed", b"i" * 300)
        other.write(b"chunk_received", 0, None, b"of another stream")
        assert writer.write(b"chunk_received", 0, None, b"next")
        assert other.write(b"chunk_received", 0, None, b"more")
        assert spool.flush()
        bodies = [event.body for event in _events(spool, writer)]
        assert bodies in ([b"first", b"next"], [b"first", b"i" * 300, b"next"]), after
        assert len(_events(spool, other)) == 2
        spool.close(drained=True)
        if not interrupted:
            assert after > 10  # as many places were interrupted, one after the other
            return


@pytest.mark.parametrize(("durability", "mapped"), [("delivered", True), ("delivered", False), ("batched", False)])
def test_an_interrupt_while_a_gap_is_paid(tmp_path: Path, durability: str, mapped: bool) -> None:
    for after in count(1):
        spool = Spool(tmp_path / str(after), b"i" * 16, CLOCK, durability=durability, wait=0.0, mapped=mapped)
        writer = _writer(spool)
        writer.write(b"request_sent", 0, b"{}", b"first")
        writer._lose(b"chunk_received", 0, None, b"lost")
        writer._lose(b"response_completed", 0, None, b"late")
        interrupted = _interrupted(writer, after, b"consumer_closed", b"")
        assert writer.mend()
        assert spool.flush()
        types = [event.type for event in _events(spool, writer)]
        assert types[:3] == ["request_sent", "gap_recorded", "response_completed"], after
        assert types[3:] in ([], ["consumer_closed"])
        spool.close(drained=True)
        if not interrupted:
            return
