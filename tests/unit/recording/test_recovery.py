"""Recovery of files that a crash of the machine, or a death in the middle of an append, left behind."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from recorder.clock import SystemClock, id_text
from recorder.core.codec import decode_records
from recorder.recording.mapped_file import MappedSpoolFile
from recorder.recording.recovery import Recovered, recover
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from tests.recorded import streams, types

CLOCK = SystemClock()


class Left:
    """The spool file of a process that died: as long as a mapped one is, and with zeros at its end."""

    def __init__(self, place: Path, bodies: int = 40) -> None:
        instance = CLOCK.new_id()
        spool = Spool(place, instance, CLOCK, durability="delivered", wait=0.0)
        self.streams = []
        for _ in range(2):
            writer = StreamWriter(spool, CLOCK, CLOCK.new_id(), instance, CLOCK.secret(32))
            writer.write(b"request_sent", 0, b"{}", b"GET / HTTP/1.1\r\n\r\n")
            for _ in range(bodies):
                writer.write(b"chunk_received", 3, None, b"x" * 300)
            self.streams.append(id_text(writer.id))
        self.path = spool.files()[0].path
        spool.close(drained=False)
        self.data = bytearray(self.path.read_bytes())
        self.starts = [HEADER_SIZE]  # of its records
        self.starts += [HEADER_SIZE + end for _, end in decode_records(bytes(self.data[HEADER_SIZE:]))]
        self.data += bytes(3 * 1024 * 1024)

    def recovered(self, url: str) -> Recovered:
        self.path.write_bytes(self.data)
        with closing(open_store(url, write=True)) as store:
            return recover(self.path.parent, store, CLOCK, CLOCK.new_id())


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path / "spool")


def _set_aside(left: Left, found: Recovered) -> None:
    (aside,) = found.damaged
    assert Path(aside).read_bytes() == bytes(left.data)
    assert not left.path.exists()


@pytest.mark.parametrize("hole", [4, 60, 105, 160, 512, 4096])
def test_what_stands_behind_a_hole_is_set_aside_and_told(left: Left, sqlite_url: str, hole: int) -> None:
    at = left.starts[10]
    left.data[at : at + hole] = bytes(hole)
    found = left.recovered(sqlite_url)
    _set_aside(left, found)
    assert found.events == 9  # ten records: an opening, and nine events
    ((stream, events),) = streams(sqlite_url).items()
    assert stream == left.streams[0]
    assert types(events)[-2:] == ["gap_recorded", "process_died"]
    assert f"byte {at}" in events[-2].facts["reason"]


def test_a_hole_before_the_last_record_is_found(left: Left, sqlite_url: str) -> None:
    at = left.starts[-3]
    left.data[at : at + 4] = bytes(4)
    _set_aside(left, left.recovered(sqlite_url))


def test_a_size_that_leads_out_of_the_file_hides_nothing(left: Left, sqlite_url: str) -> None:
    left.data[left.starts[10]] = 0x7F
    _set_aside(left, left.recovered(sqlite_url))


def test_zeros_up_to_the_end_are_no_damage(left: Left, sqlite_url: str) -> None:
    found = left.recovered(sqlite_url)
    assert (found.damaged, found.events, len(found.died)) == ([], 82, 2)
    assert not left.path.parent.exists()


@pytest.mark.parametrize("copied", [9, 40, 90, 180, 300, 10_000])
@pytest.mark.parametrize("first", [False, True])
def test_an_append_that_was_broken_off_is_no_damage(left: Left, sqlite_url: str, copied: int, first: bool) -> None:
    # The last append of a writer that died before the size at its beginning was written: an event, or with first
    # the opening of a stream and its first event.
    start = next(at for at, after in zip(left.starts[2:], left.starts[3:], strict=False) if after - at == 75)
    last = start if first else left.starts[-2]
    end = left.starts[left.starts.index(last) + (2 if first else 1)]
    left.data[last : last + 4] = bytes(4)
    left.data[min(last + copied, end) :] = bytes(len(left.data) - min(last + copied, end))
    found = left.recovered(sqlite_url)
    assert found.damaged == []
    assert len(found.died) == (1 if first else 2)
    assert "gap_recorded" not in {kind for events in streams(sqlite_url).values() for kind in types(events)}


def test_a_write_that_was_cut_short_is_no_damage(left: Left, sqlite_url: str) -> None:
    del left.data[left.starts[-1] - 200 :]
    found = left.recovered(sqlite_url)
    assert (found.damaged, found.events) == ([], 81)


def test_a_mapped_file_ends_as_it_should(tmp_path: Path, sqlite_url: str) -> None:
    file = MappedSpoolFile(tmp_path, b"i" * 16, CLOCK)
    file.let_go()  # as the kernel does: nothing is cut off
    assert file.path.stat().st_size > 1024 * 1024
    with closing(open_store(sqlite_url, write=True)) as store:
        assert recover(tmp_path, store, CLOCK, CLOCK.new_id()).damaged == []
