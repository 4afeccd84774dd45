"""The reading side: a store, and on the same machine what still lies in its spools."""

from __future__ import annotations

from collections.abc import Iterator

from recorder.core.events import CONVERSATION_TYPES, Event, StreamOpened
from recorder.locations import spool_directory
from recorder.recording.recovery import Spooled, read_spooled
from recorder.store import open_store


class Reader:
    """Reads events, committed ones first, then those that only a spool holds.

    :param url: the store's URL.
    :raises StoreError: the store cannot be read.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = open_store(url, write=False)
        self.spooled: Spooled = read_spooled(spool_directory(url), self.store)

    def refresh(self) -> None:
        """Look into the spools again."""
        self.spooled = read_spooled(spool_directory(self.url), self.store)

    def opening(self, stream: bytes) -> StreamOpened | None:
        """Return the opening of an event stream."""
        return self.store.opening(stream) or self.spooled.openings.get(stream)

    def events(self, stream: bytes) -> Iterator[Event]:
        """Yield the events of a stream in order; those from a spool have no position."""
        version = 0
        for event in self.store.events(stream):
            version = event.version
            yield event
        for event in self.spooled.events.get(stream, ()):
            if event.version > version:
                version = event.version
                yield event

    def exchange_ids(self) -> Iterator[bytes]:
        """Yield the ids of all exchanges, oldest first."""
        known = {opening.stream for opening in self.store.openings()} | set(self.spooled.openings)
        for stream in sorted(known):
            first = next(self.events(stream), None)
            if first is not None and first.type not in CONVERSATION_TYPES:
                yield stream

    def close(self) -> None:
        """Release the store."""
        self.store.close()
