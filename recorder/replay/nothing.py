"""A recording of nothing: what a player has that sends and records whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a program that records does not import what reads
    from recorder.core.events import Event
    from recorder.core.exchange import Request
    from recorder.replay.index import Entry


class Nothing:
    """No exchanges at all: a player of it misses every request, or sends it."""

    def entries(self) -> Iterator[Entry]:
        """Yield nothing."""
        return iter(())

    def erased(self) -> int:
        """Return 0: nothing was ever there."""
        return 0

    def began_ns(self) -> int | None:
        """Return None: there is no request."""
        return None

    def events(self, exchange: bytes) -> Iterable[Event]:
        """Return no events."""
        return ()

    def request(self, exchange: bytes) -> Request:
        """Return no request."""
        from recorder.core.exchange import Request

        return Request("", "")
