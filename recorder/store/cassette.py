"""Events in a cassette: what a recorder writes to, where its store is the path of a ``.jsonl`` file.

Theory of operation: what is recorded is appended as lines, each batch in one write, so that a process which is killed
leaves in the file whatever it had drained, the exchange that it was in included; the rest is in its spool beside the
file, which the next recorder on it, or ``recorder recover``, brings here. When recording ends, the file is written
again with its exchanges in their order, and replaced at once.

Several processes may record into one cassette: each takes the lock of its folder for a batch, and first reads again
what others have added. No lock file is left beside a file that is kept in git.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from recorder.clock import id_text
from recorder.core.cassette_lines import (
    end_line,
    event_line,
    more_line,
    opening_line,
)
from recorder.core.events import CONVERSATION_TYPES, TERMINAL_TYPES, TYPE_CODES, Event, StreamOpened
from recorder.errors import StoreUnreachable, UnknownEventType, VersionConflict
from recorder.store.base import SpoolMark
from recorder.store.cassette_file import (
    NO_RULES,
    Rules,
    Written,
    content,
    events_of,
    locked,
    read_file,
    replace,
    require_sound,
)

_Signature = tuple[int, int, int]  # inode, size, time of change


@dataclass(slots=True)
class _Stream:
    opened: StreamOpened
    events: list[Event] = field(default_factory=list)
    sealed: bool = False  # its end line is in the file

    @property
    def is_ended(self) -> bool:
        return any(event.type in TERMINAL_TYPES for event in reversed(self.events))

    @property
    def is_whole(self) -> bool:
        return self.is_ended or not self.is_exchange

    @property
    def is_exchange(self) -> bool:
        return bool(self.events) and self.events[0].type not in CONVERSATION_TYPES


class CassetteStore:
    """An :class:`~recorder.store.base.EventLog` in a file for git; made with the first event.

    :param path: the file, absolute.
    :param rules: what its first line says, where it is made; a file that is there keeps its own.
    :raises StoreUnreachable: it cannot be read.
    :raises ConfigurationError: it is no cassette, or of a newer version.
    :raises CorruptRecording: its lines are not what was written.
    """

    def __init__(self, path: Path, rules: Rules = NO_RULES) -> None:
        self._path = path
        self._rules = rules
        self._thread_lock = threading.RLock()
        self._lock = locked(path)
        self._streams: dict[bytes, _Stream] = {}
        self._drained: dict[bytes, int] = {}
        self._signature: _Signature | None = None
        self._recording = False  # the file's first line says that something is being recorded
        self._current: bytes | None = None  # whose events the file's last lines are
        if path.exists():
            self._load()

    @property
    def name(self) -> str:
        """The path, for people."""
        return str(self._path)

    # Reading

    def _load(self) -> None:
        found = read_file(self._path)
        require_sound(self._path, found)
        self._rules = Rules(found.match, found.redact)
        streams = {
            stream: _Stream(block.opening[0], events_of(self._path, block), block.end is not None)
            for stream, block in found.blocks.items()
        }
        # What others have written is in the file; what was only opened here is not.
        self._streams = {**{k: v for k, v in self._streams.items() if not v.events}, **streams}
        self._recording = found.recording and not found.is_torn
        self._current, self._signature = None, self._look()

    def _look(self) -> _Signature | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnreachable(f"the cassette {self._path} cannot be read: {error.strerror}") from error
        return found.st_ino, found.st_size, found.st_mtime_ns

    def check_present(self) -> None:
        """Do nothing: a cassette that was removed is made again, with all that this recorder knows of it."""

    def drained(self, spool: bytes) -> int:
        """Return the offset up to which a spool has been drained; what is drained twice is passed over."""
        return self._drained.get(spool, 0)

    def forget_spool(self, spool: bytes) -> None:
        """Drop the bookkeeping of a spool whose file is gone."""
        self._drained.pop(spool, None)

    def opening(self, stream: bytes) -> StreamOpened | None:
        """Return the opening of a stream, or None."""
        found = self._streams.get(stream)
        return None if found is None else found.opened

    def openings(self) -> Iterator[StreamOpened]:
        """Yield every opening, in the order of their ids."""
        return (self._streams[stream].opened for stream in sorted(self._streams))

    def events(self, stream: bytes, *, after: int = 0) -> Iterator[Event]:
        """Yield the events of a stream in order, from the version after *after*."""
        found = self._streams.get(stream)
        yield from found.events[after:] if found is not None else ()

    def found_events(self, stream: bytes) -> Iterator[Event]:
        """Yield the events of a stream in order."""
        return self.events(stream)

    def head(self, stream: bytes) -> Event | None:
        """Return the last event of a stream, or None."""
        found = self._streams.get(stream)
        return found.events[-1] if found is not None and found.events else None

    def heads(self, streams: Sequence[bytes]) -> dict[bytes, Event]:
        """Return the last event of each of the given streams that has one."""
        return {stream: head for stream in streams if (head := self.head(stream)) is not None}

    def unfinished(self, instance: bytes | None = None) -> Iterator[tuple[StreamOpened, Event | None]]:
        """Yield each exchange's stream that has no end yet, with its last event.

        :param instance: only the streams that this recorder process opened.
        """
        for found in list(self._streams.values()):
            mine = instance is None or found.opened.instance == instance
            if mine and not found.is_ended and (found.is_exchange or not found.events):
                yield found.opened, found.events[-1] if found.events else None

    def counts(self) -> tuple[int, int]:
        """Return the number of events and of event streams."""
        return sum(len(one.events) for one in self._streams.values()), len(self._streams)

    # Writing

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock, and know what the file holds."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._thread_lock, self._lock:
            there = self._look()
            if there is not None and there != self._signature:
                self._load()
            elif there is None:
                self._recording = False
            yield

    def append(self, openings: Sequence[StreamOpened], events: Sequence[Event], *marks: SpoolMark) -> None:
        """Add openings and events, in order.

        :raises VersionConflict: another event holds that version, one before it is missing, or a mark does not
            follow on; nothing is added.
        :raises UnknownEventType: an event is of a type that has no code; nothing is added.
        :raises StoreUnreachable: the file did not take it.
        """
        with self._alone():
            self._check_marks(marks)
            new, told = self._news(openings, events)
            if told:
                self._write(new, told)
            for stream, opened in new.items():
                self._streams.setdefault(stream, _Stream(opened))
            for event in told:
                self._streams[event.stream].events.append(event)
            for mark in marks:
                self._drained[mark.spool] = mark.end
            self._seal({event.stream for event in told})

    def _check_marks(self, marks: Sequence[SpoolMark]) -> None:
        for mark in marks:
            if self._drained.get(mark.spool, mark.start) != mark.start:
                raise VersionConflict(f"a spool is drained up to another place than byte {mark.start}")

    def _news(
        self, openings: Sequence[StreamOpened], events: Sequence[Event]
    ) -> tuple[dict[bytes, StreamOpened], list[Event]]:
        """Return the openings and the events that are not here yet."""
        new: dict[bytes, StreamOpened] = {}
        for opened in openings:
            known = self.opening(opened.stream) or new.get(opened.stream)
            if known is not None and known != opened:
                raise VersionConflict(f"{self.name} has another opening of {id_text(opened.stream)}")
            if known is None:
                new[opened.stream] = opened
        told: list[Event] = []
        hashed: dict[bytes, list[bytes]] = {}  # by stream and version
        for event in events:
            if event.type not in TYPE_CODES:
                raise UnknownEventType(f"an event is of type {event.type!r}, which this version of recorder has not")
            hashes = hashed.get(event.stream)
            if hashes is None:
                if event.stream not in new and event.stream not in self._streams:
                    raise VersionConflict(f"{self.name} has no opening of {id_text(event.stream)}")
                hashes = hashed[event.stream] = [one.hash for one in self.events(event.stream)]
            if event.version == len(hashes) + 1:
                told.append(event)
                hashes.append(event.hash)
            elif not 0 < event.version <= len(hashes) or hashes[event.version - 1] != event.hash:
                raise VersionConflict(f"{self.name} cannot take version {event.version} of {id_text(event.stream)}")
        return new, told

    def _write(self, new: dict[bytes, StreamOpened], told: Sequence[Event]) -> None:
        reopened = {event.stream for event in told if event.stream in self._streams}
        reopened = {stream for stream in reopened if self._streams[stream].sealed}  # by a late gap, mostly
        if not self._recording or reopened:
            self._replace(recording=True, but=reopened)
        lines = []
        first: dict[bytes, Event] = {}
        for event in told:
            stream = self._streams.get(event.stream)
            opened = stream.opened if stream is not None else new[event.stream]
            began = stream.events[0] if stream is not None and stream.events else first.get(event.stream)
            if began is None:
                began = first[event.stream] = event
                lines.append(opening_line(opened, event))
            elif event.stream != self._current:
                lines.append(more_line(event.stream))
            self._current = event.stream
            lines.append(event_line(event, opened, began))
        self._append(b"".join(lines))

    def _seal(self, touched: set[bytes]) -> None:
        """Write the end lines of exchanges that have ended."""
        ended = [stream for stream in sorted(touched) if self._streams[stream].is_whole]
        if ended:
            self._append(b"".join(end_line(stream, self._streams[stream].events[-1].hash) for stream in ended))
        for stream in ended:
            self._streams[stream].sealed = True
            self._current = None if self._current == stream else self._current

    def _append(self, data: bytes) -> None:
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(fd, left) :]
            finally:
                os.close(fd)
        except OSError as error:
            self._signature = None  # some of it may be there: read it again
            raise StoreUnreachable(f"the cassette {self.name} cannot be written: {error.strerror}") from error
        self._signature = self._look()

    def _replace(self, *, recording: bool, but: Container[bytes] = ()) -> None:
        """Write the file again.

        :param but: event streams of which more is about to come, though they have ended.
        """
        told = [one for one in self._streams.values() if one.events]
        for one in told:
            one.sealed = not recording or (one.is_whole and one.opened.stream not in but)
        streams = (Written(one.opened, one.events, one.sealed) for one in told)
        replace(self._path, content(streams, self._rules, recording=recording))
        self._recording, self._current, self._signature = recording, None, self._look()

    def settle(self) -> None:
        """Write the file as it stays, if nothing of it is being recorded any more."""
        if not self._path.exists():
            return
        with self._alone():
            if self._recording and not any(True for _ in self.unfinished()):
                self._replace(recording=False)

    def let_go(self) -> None:
        """Do nothing: between two calls nothing is open."""

    def close(self) -> None:
        """Write the file as it stays; closing twice is fine."""
        self.settle()
