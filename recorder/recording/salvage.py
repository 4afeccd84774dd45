"""What can still be read behind a damaged place of a spool file.

A damaged record costs itself, and no more than it must: further records are looked for by how one begins,
and what follows on what the store has, in version and in hash, is brought there. So the other exchanges of a
thread are whole, and of the one that was hit nothing is taken that its chain does not vouch for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from recorder.core.chain import genesis, link
from recorder.core.codec import find_records
from recorder.core.events import Event, StreamOpened
from recorder.errors import VersionConflict
from recorder.store.base import EventStore

_log = logging.getLogger("recorder")

_BATCH: Final = 1000  # records of one transaction


class Salvaged(NamedTuple):
    """How many events behind damage were brought to the store, and how many follow on what is lost."""

    brought: int
    left: int


def salvage(store: EventStore, data: bytes, instance: bytes) -> Salvaged:
    """Bring to the store what stands behind damage and follows on what is stored.

    Nothing is noted in the store of how far the file was read: doing it again changes nothing more.

    :param data: of the spool file, from the damage to its end.
    :param instance: id of the process that wrote the file. What names another one was not written there: it
        stood in the payload of the damaged record.
    :raises StoreError: the store failed; what was brought there stays.
    """
    following = _Following(store, instance)
    records = following.among(find_records(data))
    brought = 0
    while batch := list(islice(records, _BATCH)):
        openings = [record for record in batch if isinstance(record, StreamOpened)]
        events = [record for record in batch if isinstance(record, Event)]
        try:
            store.append(openings, events)
        except VersionConflict as error:
            _log.error("recorder: %d records behind the damage stay in the file: %s", len(batch), error)
            following.left += len(events)
        else:
            brought += len(events)
    return Salvaged(brought, following.left)


class _Following:
    """Tells which records continue what is stored, or begin a stream.

    :ivar left: events that do neither, and are not stored yet.
    """

    def __init__(self, store: EventStore, instance: bytes) -> None:
        self._store = store
        self._instance = instance
        self.left = 0
        self._heads: dict[bytes, tuple[StreamOpened, int, bytes] | None] = {}  # opening, last version and hash

    def among(self, records: Iterator[Event | StreamOpened]) -> Iterator[Event | StreamOpened]:
        for record in records:
            if record.instance != self._instance:
                continue
            head = self._head(record.stream)
            if isinstance(record, StreamOpened):
                if head is None:
                    self._heads[record.stream] = record, 0, genesis(record.stream)
                    yield record
            elif head is not None and self._follows(record, *head):
                self._heads[record.stream] = head[0], record.version, record.hash
                yield record
            elif head is None or record.version > head[1]:
                self.left += 1

    @staticmethod
    def _follows(event: Event, opened: StreamOpened, version: int, digest: bytes) -> bool:
        return event.version == version + 1 and link(digest, opened.secret, event) == event.hash

    def _head(self, stream: bytes) -> tuple[StreamOpened, int, bytes] | None:
        if stream not in self._heads:
            opened, last = self._store.opening(stream), self._store.head(stream)
            ahead = (last.version, last.hash) if last is not None else (0, genesis(stream))
            self._heads[stream] = None if opened is None else (opened, *ahead)
        return self._heads[stream]
