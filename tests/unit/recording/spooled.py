"""A process's spool, streams written to it, and what drains it, also into a store that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from recorder.clock import SystemClock
from recorder.core.events import Event, StreamOpened
from recorder.recording.drain import Drainer
from recorder.recording.spool import Spool
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from recorder.store.base import EventStore, SpoolMark

CLOCK = SystemClock()


class Recording:
    """A process's spool, and streams written to it."""

    def __init__(self, directory: Path, spool: Spool | None = None) -> None:
        self.instance = CLOCK.new_id()
        self.spool = spool or Spool(directory, self.instance, CLOCK, durability="delivered", wait=0.0)

    @classmethod
    def at(cls, spool: Spool) -> Recording:
        """Streams written to a spool that is there already."""
        return cls(spool.directory, spool)

    def stream(self) -> StreamWriter:
        return StreamWriter(self.spool, CLOCK, CLOCK.new_id(), self.instance, CLOCK.secret(32))

    def exchange(self, *, end: bool = True, chunks: int = 2, size: int = 10) -> StreamWriter:
        writer = self.stream()
        writer.write(b"request_sent", 0, b"{}", b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(chunks):
            writer.write(b"chunk_received", 3, None, b"x" * size)
        if end:
            writer.write(b"response_completed")
        return writer

    def die(self) -> None:
        """Let go of everything, as the kernel does for a process that was killed."""
        self.spool.close(drained=False)


class Failing:
    """A store whose appends fail while it is told to."""

    def __init__(self, store: object, error: Exception | None = None) -> None:
        self._store = store
        self.error = error

    def append(self, *arguments: object, **options: object) -> None:
        if self.error is not None:
            raise self.error
        self._store.append(*arguments, **options)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._store.close()  # type: ignore[attr-defined]
        if self.error is not None:
            raise self.error

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


class Watched:
    """A store that tells of what it is given before it takes it."""

    def __init__(self, store: EventStore, tell: Callable[[Sequence[Event]], None]) -> None:
        self._store = store
        self._tell = tell

    def append(
        self, openings: Sequence[StreamOpened], events: Sequence[Event], *marks: SpoolMark, synced: bool = True
    ) -> None:
        self._tell(events)
        self._store.append(openings, events, *marks, synced=synced)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def drainer_of(recording: Recording, url: str) -> Drainer:
    return Drainer(recording.spool, lambda: open_store(url, write=True), CLOCK)
