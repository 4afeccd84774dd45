"""Rows of events whose payloads are sealed: read with the keys of this machine, or without what was said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from recorder.core.events import SEALED_FORMAT, Event, StreamOpened
from recorder.store.rows import Row, event_of, found_event

if TYPE_CHECKING:
    from recorder.store.unsealing import Unsealing


class SealedRows:
    """How a store reads what is sealed.

    :ivar unseals: whether it is read at all: who writes to a store has nothing to do with what was said.
    """

    unseals = False

    @contextmanager
    def also_sealed(self) -> Iterator[None]:
        """Read what is sealed as well, where its keys are here: for a writer that has to compare what it brings."""
        before, self.unseals = self.unseals, True
        try:
            yield
        finally:
            self.unseals = before

    @cached_property
    def unsealing(self) -> Unsealing:
        """What reads payloads that are sealed."""
        from recorder.store.unsealing import Unsealing  # with the key table: most stores have nothing that is sealed

        return Unsealing()

    def _opened(self, row: Row) -> StreamOpened:
        opened = StreamOpened(*row)
        return self.unsealing.opening(opened) if self.unseals and opened.format == SEALED_FORMAT else opened

    def _event(self, row: Row) -> Event:
        event = event_of(row)
        if row[12] is None:
            return event
        return self.unsealing.event(event, row[12]) if self.unseals else event._replace(meta=None, body=None)

    def _found(self, row: Row) -> Event:
        """Return an event for whoever must get past it: what cannot be read of it is left out."""
        event = found_event(row)
        if row[12] is None or not event.hash:
            return event
        return self.unsealing.shown(event, row[12]) if self.unseals else event._replace(meta=None, body=None)

    def audited(
        self, opened: StreamOpened | None, events: Iterator[Event]
    ) -> tuple[StreamOpened | None, Iterator[Event]]:
        """Return an opening and events, given as they are stored, as an audit checks them: unsealed where they can be.

        Where its key is not here, or its payloads were erased, an opening stays of the format that says so.
        """
        if opened is None or opened.format != SEALED_FORMAT or not self.unseals:
            return opened, events
        return self.unsealing.opening(opened), self.unsealing.stored(opened, events)
