"""A process that died, its spool files as bytes that can be damaged, and what recovery makes of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from recorder.clock import id_text
from recorder.core.codec import decode_records
from recorder.core.events import Event
from recorder.recording.recovery import Recovered, recover
from recorder.recording.spool import Spool
from recorder.recording.spool_file import HEADER_SIZE, spool_files
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from tests.unit.recording.spooled import CLOCK


class Process:
    """A process that records in several lanes and files, and dies."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.instance = CLOCK.new_id()
        self.lanes = {0: self._spool(0)}
        self.written: dict[str, int] = {}

    def _spool(self, lane: int) -> Spool:
        return Spool(self.place, self.instance, CLOCK, durability="delivered", wait=0.0, lane=lane)

    def stream(self, lane: int = 0) -> StreamWriter:
        if lane not in self.lanes:
            self.lanes[lane] = self._spool(lane)
        writer = StreamWriter(self.lanes[lane], CLOCK, CLOCK.new_id(), self.instance, CLOCK.secret(32))
        writer.write(b"request_sent", 0, b"{}", b"GET / HTTP/1.1\r\n\r\n")
        self.written[id_text(writer.id)] = 1
        return writer

    def chunks(self, *writers: StreamWriter, count: int = 10) -> None:
        for _ in range(count):
            for writer in writers:
                writer.write(b"chunk_received", 3, None, b"x" * 300)
                self.written[id_text(writer.id)] += 1

    def nested(self, writer: StreamWriter, lane: int = 8) -> None:
        """Record an event as a signal handler does that came in the middle of another write."""
        if lane not in self.lanes:
            self.lanes[lane] = self._spool(lane)
        writer.write_beside(self.lanes[lane], b"chunk_received", 3, None, b"nested")
        self.written[id_text(writer.id)] += 1

    def die(self) -> list[SpoolData]:
        for spool in self.lanes.values():
            spool.close(drained=False)
        return [SpoolData(path) for path in spool_files(self.place)]


class SpoolData:
    """A spool file, and where its records begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = bytearray(path.read_bytes())
        found = list(decode_records(bytes(self.data), HEADER_SIZE))
        self.records = [record for record, _ in found]
        self.starts = [HEADER_SIZE, *(end for _, end in found)]

    def hit(self, number: int, at: int = 200) -> None:
        """Flip a bit in a record."""
        self.flip(self.starts[number] + at)

    def flip(self, *places: int) -> None:
        """Flip a bit of each of these bytes."""
        for place in places:
            self.data[place] ^= 1
        self.path.write_bytes(self.data)


def recovered(place: Path, url: str) -> Recovered:
    with closing(open_store(url, write=True)) as store:
        return recover(place, store, CLOCK, CLOCK.new_id())


def names(found: Recovered) -> list[str]:
    return [Path(path).name.removesuffix(".damaged") for path in found.damaged]


def stored(told: dict[str, list[Event]]) -> int:
    """How many events a process had written itself."""
    own = ("gap_recorded", "process_died")
    return sum(event.type not in own for events in told.values() for event in events)
