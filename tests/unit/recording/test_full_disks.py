"""Disks that fill and empty at any moment: what is safe is there, in order, and a gap tells of the rest."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

import pytest

import recorder.recording.lanes as lanes_module
from recorder.core.chain import follows, genesis
from recorder.core.events import Event, StreamOpened
from recorder.core.journal_facts import EventsDroppedMeta
from recorder.recording.batches import read_batch
from recorder.recording.lanes import Lanes
from recorder.recording.losses import Losses
from recorder.recording.reserve import SIZE, Reserve
from recorder.recording.spool_file import HEADER_SIZE
from recorder.recording.streams import StreamWriter
from tests.clocks import DrivenClock
from tests.unit.recording.disks import INSTANCE, SmallDisk


class Recorded:
    """Streams that are written to the lanes of a recorder, and what was told of each event."""

    def __init__(self, place: Path, durability: str) -> None:
        self.clock = DrivenClock()
        self.lanes = Lanes(place, INSTANCE, self.clock, durability=durability, wait=0.0)
        self.reserve, self.losses = Reserve(place, self.clock), Losses()
        self.reserve.keep()
        self.writers: list[StreamWriter] = []
        self.sent: defaultdict[bytes, list[bytes]] = defaultdict(list)
        self.safe: defaultdict[bytes, list[bytes]] = defaultdict(list)
        self.told: list[EventsDroppedMeta] = []

    def stream(self) -> StreamWriter:
        clock = self.clock
        writer = StreamWriter(self.lanes.of_thread(), clock, clock.new_id(), INSTANCE, clock.secret(32))
        self.writers.append(writer)
        return writer

    def write(self, writer: StreamWriter, kind: bytes, body: bytes) -> None:
        self.sent[writer.id].append(body)
        if writer.write(kind, 0, None, body):
            self.safe[writer.id].append(body)
        else:
            self.losses.note(writer, "full")

    def mend(self) -> None:
        self.losses.mend(self.told.append, lambda writer: None)

    def end(self) -> tuple[int, int]:
        """Close, as a recorder does; return how many events nothing tells of, and of how many streams."""
        self.lanes.flush()
        self.mend()
        self.losses.use_reserve(self.reserve, self.lanes, interrupted=False)
        self.lanes.flush()
        self.mend()
        nothing_tells = self.losses.forgo(self.told.append, lambda writer: None)
        self.lanes.flush()
        return nothing_tells

    def events(self) -> dict[bytes, list[Event]]:
        """Return what is in the files, whose chains are whole."""
        found: defaultdict[bytes, list[Event]] = defaultdict(list)
        opened: dict[bytes, StreamOpened] = {}
        for file in self.lanes.files():
            at = HEADER_SIZE
            while True:
                openings, events, end = read_batch(file, at)
                opened.update({one.stream: one for one in openings})
                if end == at:
                    assert end == file.size
                    break
                at = end
                for event in events:
                    found[event.stream].append(event)
        for stream, events in found.items():
            head = genesis(stream)
            for version, event in enumerate(events, 1):
                assert event.version == version
                assert follows(opened[stream], head, event)
                head = event.hash
        return found


def _told(events: list[Event]) -> tuple[list[bytes], int]:
    """Return the payloads that are there, and how many events gaps tell of."""
    gaps = [json.loads(event.meta or "")["events"] for event in events if event.type == "gap_recorded"]
    return [event.body or b"" for event in events if event.type != "gap_recorded"], sum(gaps)


def _is_among(some: list[bytes], all_of_them: list[bytes]) -> bool:
    """Whether some are among others, in their order."""
    rest = iter(all_of_them)
    return all(one in rest for one in some)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("durability", ["delivered", "batched", "synced"])
def test_what_is_safe_is_there_and_gaps_tell_the_rest(
    durability: str, seed: int, tmp_path: Path, small: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "suits", lambda directory: False)
    monkeypatch.setattr("recorder.recording.spool.BUFFER_LIMIT", 40_000)
    monkeypatch.setattr("recorder.recording.spool._FLUSH_SIZE", 5_000)
    dice = random.Random(seed)
    recorded = Recorded(tmp_path, durability)
    writers: list[StreamWriter] = []
    for number in range(600):
        step = dice.random()
        if step < 0.03:
            small.room = dice.choice([0, 0, 50, 700, 5_000, 30_000])
        elif step < 0.1:
            recorded.lanes.flush()
            recorded.mend()
            recorded.clock.sleep(dice.choice([0.02, 1.0, 40.0]))
        elif step < 0.2 or not writers:
            writers.append(recorded.stream())
            recorded.write(writers[-1], b"request_sent", b"request %d" % number)
        elif step < 0.27:
            recorded.write(writers.pop(dice.randrange(len(writers))), b"response_completed", b"end %d" % number)
        else:
            recorded.write(dice.choice(writers), b"chunk_received", b"%d " % number * dice.choice([1, 20, 400]))
    emptied = dice.random() < 0.5
    small.room = 1 << 30 if emptied else 0
    taken, free = recorded.reserve._path is not None, recorded.reserve.free

    def freed() -> None:
        small.room += SIZE if taken else 0
        free()

    monkeypatch.setattr(recorded.reserve, "free", freed)
    assert recorded.end() == (0, 0)
    found = recorded.events()
    lost = 0
    for writer in recorded.writers:
        sent, safe = recorded.sent[writer.id], recorded.safe[writer.id]
        there, gone = _told(found[writer.id])
        assert _is_among(there, sent)
        assert len(there) + gone == len(sent)
        lost += gone
        if durability != "batched" or emptied:
            assert _is_among(safe, there)
        if sent[-1].startswith(b"end"):
            assert found[writer.id][-1].type == "response_completed"
    assert lost == recorded.losses.events == sum(told["events"] for told in recorded.told)
    recorded.lanes.close(drained=False)
