"""Events in a cassette: what a recorder writes to, where its store is the path of a ``.jsonl`` file.

Theory of operation: what is recorded is appended as lines, each batch in one write, so that a process which is killed
leaves in the file whatever it had drained, the exchange that it was in included; the rest is in its spool beside the
file, which the next recorder on it, or ``recorder recover``, brings here. When recording ends, the file is written
again with its exchanges in their order, and replaced at once.

Several processes may record into one cassette: each takes the lock of its folder for a batch, and first reads again
what others have added. No lock file is left beside a file that is kept in git. What git or an editor puts in the
file's place meanwhile is read like that too; what this recorder has written and is not there any more is written again.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from recorder.clock import id_text
from recorder.core.cassette_lines import (
    end_line,
    event_line,
    more_line,
    opening_line,
)
from recorder.core.events import (
    JOURNAL_TYPES,
    LINK_TYPES,
    TERMINAL_TYPES,
    TYPE_CODES,
    Event,
    StreamOpened,
    stream_kind,
)
from recorder.errors import ConfigurationError, StoreUnreachable, UnknownEventType, VersionConflict
from recorder.store.base import SpoolMark
from recorder.store.cassette_file import (
    NO_RULES,
    Rules,
    Written,
    append,
    content,
    events_of,
    locked,
    make_folder,
    read_file,
    replace,
    require_sound,
)

_Signature = tuple[int, int, int]  # inode, size, time of change


@dataclass(slots=True)
class _Stream:
    opened: StreamOpened
    events: list[Event] = field(default_factory=list)
    sealed: bool = False  # its end line is in the file, or has to be: that is all there is of it

    @property
    def is_ended(self) -> bool:
        return any(event.type in TERMINAL_TYPES for event in reversed(self.events))

    @property
    def is_exchange(self) -> bool:
        return bool(self.events) and stream_kind(self.events[0].type) == "exchange"

    @property
    def is_whole(self) -> bool:
        return self.sealed or self.is_ended or not self.is_exchange


class CassetteStore:
    """An :class:`~recorder.store.base.EventLog` in a file for git; made with the first event.

    :param path: the file, absolute.
    :param rules: what its first line says, where it is made; a file that is there keeps its own.
    :param sync: what is appended survives a loss of power, not only the death of the process.
    :raises StoreUnreachable: it cannot be read.
    :raises ConfigurationError: it is no cassette, or of a newer version.
    :raises CorruptRecording: its lines are not what was written.
    """

    def __init__(self, path: Path, rules: Rules = NO_RULES, *, sync: bool = False) -> None:
        self._path = path
        self._rules = rules
        self._sync = sync
        self._thread_lock = threading.RLock()
        self._lock = locked(path)
        self._streams: dict[bytes, _Stream] = {}
        self._own: set[bytes] = set()  # streams of which this object has written something
        self._drained: dict[bytes, int] = {}
        self._signature: _Signature | None = None
        self._recording = False  # the file's first line says that something is being recorded
        self._appendable = False  # lines can be appended to the file as it is
        self._behind = False  # what this object has written is not there any more
        self._current: bytes | None = None  # whose events the file's last lines are
        if self._look() is not None:
            self._load(first=True)

    @property
    def name(self) -> str:
        """The path, for people."""
        return str(self._path)

    # Reading

    def _load(self, *, first: bool = False) -> None:
        signature = self._look()  # before it is read: what others add meanwhile is read the next time
        found = read_file(self._path)
        require_sound(self._path, found)
        if not first and (others := set(found.redact) - set(self._rules.redact)):
            raise ConfigurationError(
                f"{self._path}, line 1: it has the redaction rule {min(others)!r} by now, which what is being recorded "
                "does not follow: put the file back as it was"
            )
        self._rules = Rules(found.match, found.redact)
        streams = {
            stream: _Stream(block.opening[0], events_of(self._path, block), block.end is not None)
            for stream, block in found.blocks.items()
        }
        self._recording, self._behind = found.recording, False
        self._appendable = found.recording and not found.is_torn and all(one.events for one in streams.values())
        for stream, known in self._streams.items():
            there = streams.get(stream)
            if there is None and not known.events:
                streams[stream] = known
            elif stream in self._own and (there is None or len(there.events) < len(known.events)):
                streams[stream], self._behind, self._appendable = known, True, False
        self._streams, self._current, self._signature = streams, None, signature

    def _look(self) -> _Signature | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnreachable(f"the cassette {self._path} cannot be read ({error.strerror})") from error
        return found.st_ino, found.st_size, found.st_mtime_ns

    def check_present(self) -> None:
        """Do nothing: a cassette that was removed is made again, with all that this recorder knows of it."""

    def drained(self, spool: bytes) -> int:
        """Return the offset up to which a spool has been drained; what is drained twice is passed over."""
        return self._drained.get(spool, 0)

    def forget_spool(self, spool: bytes) -> None:
        """Drop the bookkeeping of a spool whose file is gone."""
        self._drained.pop(spool, None)

    def _seen(self) -> dict[bytes, _Stream]:
        """Return what the file holds by now, and what was opened here."""
        with self._thread_lock:
            there = self._look()
            if there is not None and there != self._signature:
                self._load()
            return self._streams

    def opening(self, stream: bytes) -> StreamOpened | None:
        """Return the opening of a stream, or None."""
        found = self._seen().get(stream)
        return None if found is None else found.opened

    def openings(self) -> Iterator[StreamOpened]:
        """Yield every opening, in the order of their ids."""
        return (found.opened for _, found in sorted(self._seen().items(), key=itemgetter(0)))

    def events(self, stream: bytes, *, after: int = 0) -> Iterator[Event]:
        """Yield the events of a stream in order, from the version after *after*."""
        found = self._seen().get(stream)
        yield from found.events[after:] if found is not None else ()

    def found_events(self, stream: bytes) -> Iterator[Event]:
        """Yield the events of a stream in order."""
        return self.events(stream)

    def found_among(self, streams: Sequence[bytes]) -> Iterator[Event]:
        """Yield the events of each of the given streams, stream by stream."""
        for stream in streams:
            yield from self.events(stream)

    def head(self, stream: bytes) -> Event | None:
        """Return the last event of a stream, or None."""
        return self.heads([stream]).get(stream)

    def heads(self, streams: Sequence[bytes]) -> dict[bytes, Event]:
        """Return the last event of each of the given streams that has one."""
        seen = self._seen()
        return {stream: seen[stream].events[-1] for stream in streams if stream in seen and seen[stream].events}

    def unfinished(self, instance: bytes | None = None) -> Iterator[tuple[StreamOpened, Event | None]]:
        """Yield each exchange's stream that has no end yet, with its last event.

        :param instance: only the streams that this recorder process opened.
        """
        for found in list(self._seen().values()):
            mine = instance is None or found.opened.instance == instance
            if mine and (not found.events or (found.is_exchange and not found.is_ended)):
                yield found.opened, found.events[-1] if found.events else None

    def unfinished_journals(self, instance: bytes | None = None) -> Iterator[tuple[StreamOpened, Event | None]]:
        """Yield nothing: a cassette holds no journal."""
        del instance
        return iter(())

    @property
    def ledger(self) -> None:
        """None: what is in git is not sealed here."""

    def counts(self) -> tuple[int, int]:
        """Return the number of events and of event streams."""
        seen = self._seen()
        return sum(len(one.events) for one in seen.values()), len(seen)

    # Writing

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock, and know what the file holds."""
        make_folder(self._path)
        with self._thread_lock, self._lock:
            there = self._look()
            if there is None:
                self._recording = self._appendable = False
                self._behind = bool(self._own)
            elif there != self._signature:
                self._load()
            yield

    def append(
        self, openings: Sequence[StreamOpened], events: Sequence[Event], *marks: SpoolMark, synced: bool = True
    ) -> None:
        """Add openings and events, in order.

        Where they come from no spool, they are all that there is of their streams for now.

        :raises VersionConflict: another event holds that version, one before it is missing, or a mark does not
            follow on; nothing is added.
        :raises UnknownEventType: an event is of a type that has no code; nothing is added.
        :raises StoreUnreachable: the file did not take it.
        """
        with self._alone():
            self._check_marks(marks)
            new, told = self._news(openings, events)
            if told:
                self._write(new, told, seal=not marks)
            for stream, opened in new.items():
                self._streams.setdefault(stream, _Stream(opened))
            for mark in marks:
                self._drained[mark.spool] = mark.end

    def _check_marks(self, marks: Sequence[SpoolMark]) -> None:
        for mark in marks:
            if self._drained.get(mark.spool, mark.start) not in (mark.start, mark.end):
                raise VersionConflict(f"a spool is drained up to another place than byte {mark.start}")

    def _news(
        self, openings: Sequence[StreamOpened], events: Sequence[Event]
    ) -> tuple[dict[bytes, StreamOpened], list[Event]]:
        """Return the openings and the events that are not here yet."""
        new: dict[bytes, StreamOpened] = {}
        for opened in openings:
            there = self._streams.get(opened.stream)
            known = new.get(opened.stream) if there is None else there.opened
            if known is not None and known != opened:
                raise VersionConflict(f"{self.name} has {id_text(opened.stream)} opened otherwise")
            if known is None:
                new[opened.stream] = opened
        told: list[Event] = []
        hashed: dict[bytes, list[bytes]] = {}  # by stream and version
        for event in events:
            if event.type not in TYPE_CODES:
                raise UnknownEventType(f"an event is of type {event.type!r}, which this version of recorder has not")
            if event.type in JOURNAL_TYPES or event.type in LINK_TYPES:
                raise UnknownEventType(
                    f"an event is of type {event.type!r}, which is for stores: a cassette holds none"
                )
            hashes = hashed.get(event.stream)
            if hashes is None:
                if event.stream not in new and event.stream not in self._streams:
                    raise VersionConflict(f"{self.name} has no opening of {id_text(event.stream)}")
                there = self._streams.get(event.stream)
                hashes = hashed[event.stream] = [one.hash for one in there.events] if there is not None else []
            if event.version == len(hashes) + 1:
                told.append(event)
                hashes.append(event.hash)
            elif not 0 < event.version <= len(hashes) or hashes[event.version - 1] != event.hash:
                raise VersionConflict(f"{self.name} cannot take version {event.version} of {id_text(event.stream)}")
        return new, told

    def _write(self, new: dict[bytes, StreamOpened], told: Sequence[Event], *, seal: bool) -> None:
        touched = {event.stream: _Stream(new[event.stream]) for event in told if event.stream in new}
        touched |= {event.stream: self._streams[event.stream] for event in told if event.stream in self._streams}
        reopened = {stream for stream, one in touched.items() if one.sealed}  # by a late gap, mostly
        if not self._appendable or reopened:
            self._replace(recording=True, but=reopened)
        grown = {stream: _Stream(one.opened, list(one.events), seal) for stream, one in touched.items()}
        lines = []
        for event in told:
            one = grown[event.stream]
            if not one.events:
                lines.append(opening_line(one.opened, event))
            elif event.stream != self._current:
                lines.append(more_line(event.stream))
            self._current = event.stream
            one.events.append(event)
            lines.append(event_line(event, one.opened, one.events[0]))
        for stream, one in sorted(grown.items()):
            if one.is_whole:
                one.sealed = True
                lines.append(end_line(stream, one.events[-1].hash))
                self._current = None  # an end line is followed by nobody's events
        self._signature = None  # if that fails, some of it may be there: it is read again
        append(self._path, b"".join(lines), sync=self._sync)
        self._signature = self._look()
        self._streams |= grown
        self._own |= grown.keys()

    def _replace(self, *, recording: bool, but: Container[bytes] = ()) -> None:
        """Write the file again.

        :param but: event streams of which more is about to come, though they have ended.
        """
        told = [one for one in self._streams.values() if one.events]
        sealed = [not recording or (one.is_whole and one.opened.stream not in but) for one in told]
        streams = (Written(one.opened, one.events, ends) for one, ends in zip(told, sealed, strict=True))
        replace(self._path, content(streams, self._rules, recording=recording))
        for one, ends in zip(told, sealed, strict=True):
            one.sealed = ends
        self._recording = self._appendable = recording
        self._behind, self._current, self._signature = False, None, self._look()

    def settle(self, *, abandoned: bool = False) -> bool:
        """Write the file as it stays, if nothing of it is being recorded any more; return whether that was done.

        :param abandoned: nothing is, though exchanges may have no end: nobody is left who could record it.
        :raises StoreUnreachable: it cannot be written.
        """
        if self._look() is None and not self._own:
            return False
        with self._alone():
            runs = not abandoned and any(one.events and not one.is_whole for one in self._streams.values())
            if self._behind or (self._recording and not runs):
                self._replace(recording=runs)
                return True
        return False

    def let_go(self) -> None:
        """Do nothing: between two calls nothing is open."""

    def close(self) -> None:
        """Write the file as it stays; closing twice is fine."""
        self.settle()
