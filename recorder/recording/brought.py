"""What a spool has brought to its store so far, as far as it takes to know that store again.

A store that is opened again may be another one: its file was moved away and there is a new one in its place, or an
older copy was put back. As long as the spool still has all that was brought, the other store simply gets all of it.
Once a spool file was removed because everything in it was in the store, another store would get streams without
their beginning, and what was in that file would be missing from it: so it gets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recorder.core.events import Event
from recorder.errors import StoreUnreachable
from recorder.store.base import EventLog


class Brought:
    """What one process's spool has brought to its store.

    :param known: what :meth:`facts` said of it in a process that drained this spool before.
    """

    def __init__(self, known: Mapping[str, Any] | None = None) -> None:
        self._whole = True
        self._last: tuple[bytes, int, bytes] | None = None  # stream, version, hash: whoever has it has all before it
        if known is not None:
            self._whole = known["whole"]
            self._last = bytes.fromhex(known["stream"]), known["version"], bytes.fromhex(known["hash"])

    def note(self, events: Sequence[Event]) -> None:
        """Take note of events that were committed."""
        if events:
            last = events[-1]
            self._last = last.stream, last.version, last.hash

    def shorten(self) -> None:
        """Take note that a file is removed, because the store has what was in it."""
        self._whole = False

    def require_in(self, store: EventLog) -> None:
        """Refuse a store that lacks what was brought, where that is not in the spool any more.

        :raises StoreUnreachable: it is another store, or an older copy.
        """
        if self._whole or self._last is None:
            return
        stream, version, digest = self._last
        head = store.head(stream)
        if head is None or head.version < version or (head.version == version and head.hash != digest):
            raise StoreUnreachable(
                f"{store.name} was replaced while this program recorded, and lacks what it has recorded before: "
                "put back the former one, what is recorded waits in the spool"
            )

    def facts(self) -> dict[str, Any] | None:
        """Return it as JSON has it; None where nothing was brought."""
        if self._last is None:
            return None
        stream, version, digest = self._last
        return {"whole": self._whole, "stream": stream.hex(), "version": version, "hash": digest.hex()}
