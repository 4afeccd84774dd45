"""What brings the spool to the store, as the write path sees it: a thread of this process, or another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from recorder.store.base import EventStore


class Mover(Protocol):
    """What brings the spool to the store: a thread or a process."""

    drained: dict[bytes, int]
    events: int
    conflicts: int
    error: str | None

    @property
    def idle(self) -> bool:
        """Whether nobody is looking into the spool, so that :meth:`wake` has to be called."""
        ...

    def adopt(self, store: EventStore) -> None:
        """Take a store that is open already."""
        ...

    def inherited(self) -> EventStore | None:
        """Return the store that a forked child must neither use nor close."""
        ...

    def start_failed(self, reason: str) -> None:
        """Take note that the store could not be opened."""
        ...

    def wake(self) -> None:
        """Say that there is something in the spool; never waits."""
        ...

    def drain(self, timeout: float | None = None) -> bool:
        """Move what is there now, where that can be done from here."""
        ...

    def pause(self, timeout: float) -> None:
        """Have no connection open until :meth:`resume`, as far as that is possible in *timeout* seconds."""
        ...

    def resume(self) -> None:
        """Go on after a fork, in the parent."""
        ...

    def retire(self) -> None:
        """Start nothing any more."""
        ...

    def stop(self, timeout: float, is_empty: Callable[[Mapping[bytes, int]], bool]) -> bool:
        """Drain what is there and stop; return whether everything is in the store."""
        ...
