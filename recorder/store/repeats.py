"""The careful half of append: which of the given events are stored already, and are they the same?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from recorder.clock import id_text
from recorder.core.events import Event, StreamOpened
from recorder.errors import VersionConflict


class Stored(ABC):
    """What a store holds, asked within the transaction that appends."""

    @abstractmethod
    def opening(self, stream: bytes) -> StreamOpened | None:
        """Return the opening of a stream, or None."""

    @abstractmethod
    def hash(self, stream: bytes, version: int) -> bytes | None:
        """Return the hash of an event, or None."""

    @abstractmethod
    def drained(self, spool: bytes) -> int:
        """Return a spool's offset."""


def without_repeats(
    stored: Stored, openings: Sequence[StreamOpened], events: Sequence[Event]
) -> tuple[list[StreamOpened], list[Event]]:
    """Return the openings and events that are not stored yet, each once.

    :raises VersionConflict: what is stored, or given twice, under the same key differs.
    """
    new_openings: dict[bytes, StreamOpened] = {}
    for opening in openings:
        known = new_openings.get(opening.stream) or stored.opening(opening.stream)
        if known is None:
            new_openings[opening.stream] = opening
        elif known != opening:
            raise VersionConflict(f"another process has opened the event stream {id_text(opening.stream)}")
    new_events: dict[tuple[bytes, int], Event] = {}
    for event in events:
        key = (event.stream, event.version)
        given = new_events.get(key)
        digest = given.hash if given is not None else stored.hash(*key)
        if digest is None:
            new_events[key] = event
        elif digest != event.hash:
            raise VersionConflict(
                f"version {event.version} of the event stream {id_text(event.stream)} is another event already"
            )
    return list(new_openings.values()), list(new_events.values())
