"""What a spool file holds, read and moved to a store batch by batch."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from recorder.clock import id_text
from recorder.core.codec import decode_batch, encode_opened, ends_here, event_record
from recorder.core.events import Event, StreamOpened
from recorder.errors import CorruptRecording, RecorderError, VersionConflict
from recorder.recording.spool_file import HEADER_SIZE
from recorder.store.base import EventLog, SpoolMark

_log = logging.getLogger("recorder")

BATCH_BYTES: Final = 256 * 1024
CONFLICTS: Final = ".conflicts"


class Drainable(Protocol):
    """A spool file as the drainer sees it."""

    @property
    def id(self) -> bytes:
        """Id of the file."""
        ...

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    def read(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes from *start* on."""
        ...


class Laned(Drainable, Protocol):
    """A spool file whose place among others is known."""

    @property
    def lane(self) -> int:
        """Files of one lane follow one another."""
        ...

    def holds_more(self, end: int) -> bool:
        """Whether there is anything behind byte *end* of a file that is no longer appended to."""
        ...


class Source(Protocol):
    """Where spool files come from and go to."""

    @property
    def instance(self) -> bytes:
        """The id of the recorder process whose files they are."""
        ...

    def files(self) -> Sequence[Laned]:
        """Return the files, oldest of each lane first; only the last one of a lane is still appended to."""
        ...

    def drop(self, spool: bytes) -> None:
        """Remove the file of that id: it is drained whole and no longer appended to."""
        ...

    def check(self) -> None:
        """Look whether the files are still there, whatever became of the store."""
        ...


def read_batch(file: Drainable, start: int, limit: int = BATCH_BYTES) -> tuple[list[StreamOpened], list[Event], int]:
    """Return openings and events of a spool file from byte *start* on, and the offset after them.

    A record larger than *limit* is read whole; a torn record at the end is left for later. Zeros in the
    place of a record end the file.

    :raises CorruptRecording: the file is damaged at that place.
    """
    while True:
        data = file.read(start, limit)
        try:
            openings, events, end = decode_batch(data)
        except CorruptRecording:
            # Memory that another process is writing to is not copied in order: with a record's size, which is
            # written last, what came before it may not have been seen. A second look sees it, if it is there.
            data = file.read(start, limit)
            openings, events, end = decode_batch(data)
        if end or len(data) < limit or ends_here(data):
            return openings, events, start + end
        limit *= 4


def events_left(file: Drainable, start: int) -> int:
    """Return how many events a spool file holds from byte *start* on."""
    count = 0
    while True:
        _, events, end = read_batch(file, start)
        if end == start:
            return count
        count, start = count + len(events), end


def forget_files(store: EventLog, files: Iterable[Drainable]) -> None:
    """Drop the bookkeeping of files that are drained and about to be removed; it does no harm where that fails."""
    try:
        for file in files:
            store.forget_spool(file.id)
    except RecorderError as error:
        _log.info("recorder: bookkeeping of drained spools stays in the store: %s", error)


class Moved(NamedTuple):
    """How far a spool file is drained, the number of events moved, and of those set aside."""

    end: int
    events: int
    conflicts: int


def move_batch(
    store: EventLog, file: Drainable, openings: Sequence[StreamOpened], events: Sequence[Event], mark: SpoolMark
) -> Moved:
    """Move a batch that was read from a spool file; what the store has others in the place of is set aside.

    :raises VersionConflict: somebody else has drained this file.
    :raises RecorderError: the store failed; nothing was moved.
    """
    refused = 0
    try:
        store.append(openings, events, mark)
    except VersionConflict:
        if max(store.drained(file.id), HEADER_SIZE) != mark.start:
            raise
        refused = _append_apart(store, file, openings, events, mark)
    return Moved(mark.end, len(events) - refused, refused)


def _append_apart(
    store: EventLog, file: Drainable, openings: Sequence[StreamOpened], events: Sequence[Event], mark: SpoolMark
) -> int:
    """Append a batch stream by stream: one that the store refuses is kept in a file and holds up no other.

    :return: how many events were set aside: of each refused stream, the first in conflict and what follows it.
    """
    by_stream: defaultdict[bytes, tuple[list[StreamOpened], list[Event]]] = defaultdict(lambda: ([], []))
    for opening in openings:
        by_stream[opening.stream][0].append(opening)
    for event in events:
        by_stream[event.stream][1].append(event)
    refused, count = bytearray(), 0
    for stream, (opened, told) in by_stream.items():
        try:
            store.append(opened, told)
        except VersionConflict as error:
            rest = told[_sound(store, opened, told) :]
            _log.error(
                "recorder: the store has other events of %s: %d kept beside the spool: %s",
                id_text(stream),
                len(rest),
                error,
            )
            refused += b"".join([*map(encode_opened, opened), *map(event_record, rest)])
            count += len(rest)
    if refused:
        aside = file.path.with_suffix(CONFLICTS)
        aside.touch(mode=0o600)
        with aside.open("ab") as kept:
            kept.write(refused)
    store.append([], [], mark)
    return count


def _sound(store: EventLog, opened: Sequence[StreamOpened], told: Sequence[Event]) -> int:
    """Append the events of one stream up to the first that the store refuses; return how many it took."""
    for number, event in enumerate(told):
        try:
            store.append([] if number else opened, [event])
        except VersionConflict:
            return number
    return len(told)
