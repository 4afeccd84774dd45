"""What can still be brought to the store where something is lost.

A damaged record costs itself, and no more than it must: further records are looked for by how one begins,
and what follows on what the store has, in version and in hash, is brought there. So the other exchanges of a
thread are whole, and of the one that was hit nothing is taken that its chain does not vouch for.

What follows on an event that is lost can be in any later file of the process: so all of them are read in this way
from the damage on. And it may follow on an event that is in a file which is read later, where a signal handler or a
finalizer had recorded in the middle of another write (:mod:`recorder.recording.lanes`): so it waits, as a place in
its file, until all files are read.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from recorder.core.chain import follows, genesis
from recorder.core.codec import decode_record, decode_records
from recorder.core.events import TYPE_CODES, Event, StreamOpened
from recorder.core.record_search import FoundRecord, RecordSearch
from recorder.errors import CorruptRecording, VersionConflict
from recorder.recording.orphans import Orphan
from recorder.recording.spool_file import HEADER_SIZE
from recorder.store.base import EventLog

_log = logging.getLogger("recorder")

_BATCH: Final = 1000  # records of one transaction


class _Head(NamedTuple):
    """How far the store has a stream, or will have it when what was let through is committed."""

    opened: StreamOpened
    version: int
    hash: bytes


class _Place(NamedTuple):
    """Where a record stands."""

    file: Orphan
    start: int
    end: int


class Salvage:
    """Brings to the store what one dead process left, so that no event stream gets a hole.

    Nothing is noted in the store of how far a file was read: doing it again changes nothing more.

    :param owner: id of the process that wrote the files. What names another one was not written there: it
        stood in the payload of a damaged record.
    :ivar begun: whether :meth:`bring` was called: from then on every file goes this way.
    :ivar brought: events that it brought to the store.
    :ivar behind: those of them that stood behind damage, or in a later file.
    """

    def __init__(self, store: EventLog, owner: bytes) -> None:
        self._store = store
        self._owner = owner
        self._heads: dict[bytes, _Head | None] = {}
        self._hashes: defaultdict[bytes, dict[int, bytes]] = defaultdict(dict)  # of what is stored or let through
        self._asked: set[bytes] = set()  # streams of which the store has told all hashes
        self._waiting: defaultdict[tuple[bytes, int], list[_Place]] = defaultdict(list)
        self._refused = 0
        self._damaged = False
        self.begun = False
        self.brought = 0
        self.behind = 0

    @property
    def left(self) -> int:
        """How many events are in the files that neither are in the store nor can be brought there."""
        return self._refused + sum(map(len, self._waiting.values()))

    def fits(self, openings: Sequence[StreamOpened], events: Sequence[Event]) -> bool:
        """Tell whether some events, brought to the store, leave no hole in any stream.

        If so, they are taken to be there afterwards, until :meth:`forget` is called.
        """
        ahead: dict[bytes, _Head] = {}
        for opening in openings:
            if self._head(opening.stream) is None:
                ahead[opening.stream] = _Head(opening, 0, genesis(opening.stream))
        for event in events:
            head = ahead.get(event.stream) or self._head(event.stream)
            if head is None or event.version > head.version + 1:
                return False
            if event.version > head.version:
                ahead[event.stream] = _Head(head.opened, event.version, event.hash)
        self._heads.update(ahead)
        return True

    def count(self, events: Sequence[Event]) -> int:
        """Return how many events the store has of the streams that some belong to."""
        heads = [self._head(stream) for stream in {event.stream for event in events}]
        return sum(head.version for head in heads if head is not None)

    def forget(self) -> None:
        """Ask the store again how far it has each stream."""
        self._heads.clear()
        self._hashes.clear()
        self._asked.clear()

    def bring(self, file: Orphan, start: int) -> None:
        """Bring to the store what a file holds from *start* on and what follows on what is stored.

        What is wrong with the file is noted in it.

        :raises StoreError: the store failed; what was brought there stays.
        """
        self.begun = True
        passed = self._passed(file, start)
        while batch := list(islice(passed, _BATCH)):
            self._append(file, batch)

    def close(self) -> None:
        """Mark the files in which events wait for what is lost, to be kept; all files were read."""
        for places in self._waiting.values():
            for place in places:
                place.file.kept = True

    def _append(self, file: Orphan, batch: list[tuple[Event | StreamOpened, bool]]) -> None:
        openings = [record for record, _ in batch if isinstance(record, StreamOpened)]
        events = [record for record, _ in batch if isinstance(record, Event)]
        try:
            self._store.append(openings, events)
        except VersionConflict as error:
            _log.error("recorder: %d records stay in %s: %s", len(batch), file.path.name, error)
            self._refused += len(events)
            file.kept = True
            self.forget()
        else:
            self.brought += len(events)
            self.behind += sum(behind for record, behind in batch if isinstance(record, Event))

    def _passed(self, file: Orphan, start: int) -> Iterator[tuple[Event | StreamOpened, bool]]:
        """Yield what can be stored next, and whether it stood behind damage."""
        for found in self._records(file, start):
            record, behind = found.record, self._damaged
            if record.instance != self._owner:
                continue
            if isinstance(record, StreamOpened):
                if self._head(record.stream) is not None:
                    continue
                self._heads[record.stream] = _Head(record, 0, genesis(record.stream))
                yield record, behind
            elif self._is_next(record, _Place(file, found.start, found.end)):
                yield record, behind
            else:
                continue
            for event in self._released(record.stream):
                yield event, behind

    def _records(self, file: Orphan, start: int) -> Iterator[FoundRecord]:
        """Yield the records of a file, and behind what is damaged those that can be found."""
        data, end = file.bytes_at(0, file.size), start
        try:
            for record, after in decode_records(data, start):
                yield FoundRecord(record, end, after)
                end = after
            file.require_nothing_behind(end)
        except CorruptRecording as error:
            file.damage, self._damaged = str(error), True
            # Where nothing stands behind a damaged header, it may have become longer or shorter.
            yield from RecordSearch(data, 0 if file.fault and end == HEADER_SIZE else end, self._owner)

    def _is_next(self, event: Event, place: _Place) -> bool:
        """Tell whether an event is the next one of its stream; if not, take note of where it is."""
        head = self._head(event.stream)
        if head is None or event.version > head.version + 1:
            self._waiting[event.stream, event.version].append(place)
            return False
        if event.version == head.version + 1:
            if event.type in TYPE_CODES and follows(head.opened, head.hash, event):
                self._heads[event.stream] = _Head(head.opened, event.version, event.hash)
                self._hashes[event.stream][event.version] = event.hash
                return True
        elif self._hash_at(event.stream, event.version) == event.hash:
            return False  # it was brought there before
        self._refused += 1
        place.file.kept = True
        return False

    def _released(self, stream: bytes) -> Iterator[Event]:
        """Yield the events that had waited for the last one of their stream."""
        while (head := self._head(stream)) is not None:
            places = self._waiting.pop((stream, head.version + 1), None)
            if places is None:
                return
            for place in places:
                event, _ = decode_record(place.file.bytes_at(place.start, place.end - place.start), 0)
                if isinstance(event, Event) and self._is_next(event, place):
                    yield event

    def _head(self, stream: bytes) -> _Head | None:
        if stream not in self._heads:
            opened, last = self._store.opening(stream), self._store.head(stream)
            ahead = (last.version, last.hash) if last is not None else (0, genesis(stream))
            self._heads[stream] = None if opened is None else _Head(opened, *ahead)
        return self._heads[stream]

    def _hash_at(self, stream: bytes, version: int) -> bytes | None:
        known = self._hashes[stream]
        if version not in known and stream not in self._asked:
            self._asked.add(stream)
            known.update((event.version, event.hash) for event in self._store.found_events(stream))
        return known.get(version)
