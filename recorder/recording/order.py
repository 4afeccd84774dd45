"""Events of several lanes in the order of their streams.

An event stream is in one lane, but for what a signal handler or a finalizer recorded in the middle of another write:
that is in a lane of its own (:mod:`recorder.recording.lanes`). Were each lane read for itself, an event could come to
the store before the one that it follows on; and if that one turned out to be damaged, the stream would have a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from recorder.core.codec import decode_records
from recorder.core.events import Event, StreamOpened
from recorder.recording.batches import Drainable
from recorder.store.base import EventLog, SpoolMark


@dataclass(slots=True)
class Ordered:
    """What can be stored now, and which files hold more that has to wait.

    :ivar marks: how far the files that something is taken of are drained then.
    :ivar counts: how many events are taken of each file, by its id.
    :ivar held: ids of the files of which something waits for an event that is in none of the batches.
    """

    openings: list[StreamOpened] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    marks: list[SpoolMark] = field(default_factory=list)
    counts: dict[bytes, int] = field(default_factory=dict)
    held: set[bytes] = field(default_factory=set)


def in_order(store: EventLog, batches: Sequence[tuple[Drainable, SpoolMark]]) -> Ordered:
    """Return of some batches what leaves no hole in any stream: of each file up to the first event that would.

    :param batches: files, and from where to where each was read.
    :raises CorruptRecording: a file is damaged there.
    """
    records = [list(decode_records(file.read(mark.start, mark.end - mark.start))) for file, mark in batches]
    reached = _reached(store, [record for each in records for record, _ in each])
    taken = [0] * len(records)
    ordered, more = Ordered(), True
    while more:
        more = False
        for number, each in enumerate(records):
            for record, _ in islice(each, taken[number], None):
                if isinstance(record, StreamOpened):
                    reached.setdefault(record.stream, 0)
                    ordered.openings.append(record)
                elif record.version <= reached.get(record.stream, -1) + 1:
                    reached[record.stream] = max(record.version, reached[record.stream])
                    ordered.events.append(record)
                else:
                    break
                taken[number] += 1
                more = True
    for number, (file, mark) in enumerate(batches):
        if taken[number]:
            ordered.marks.append(SpoolMark(file.id, mark.start, mark.start + records[number][taken[number] - 1][1]))
            passed = islice(records[number], taken[number])
            ordered.counts[file.id] = sum(isinstance(record, Event) for record, _ in passed)
        if taken[number] < len(records[number]):
            ordered.held.add(file.id)
    return ordered


def _reached(store: EventLog, records: Sequence[Event | StreamOpened]) -> dict[bytes, int]:
    """Return the last version that the store has of each stream that it has an opening of."""
    streams = {record.stream for record in records if isinstance(record, Event)}
    reached = {stream: head.version for stream, head in store.heads(list(streams)).items()}
    opened = {record.stream for record in records if isinstance(record, StreamOpened)}
    empty = streams - reached.keys() - opened
    return reached | {stream: 0 for stream in empty if store.opening(stream) is not None}
