"""What a dead process left: found, drained, closed as ``process_died``.

A spool file whose lock is free has no owner any more, whatever its age. Recovery moves what is in it
to the store, appends ``process_died`` to every event stream that the process had not ended, and
removes the file. Running it twice, or in two processes, changes nothing more.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from recorder.clock import Clock, id_text
from recorder.core.chain import genesis, link
from recorder.core.codec import BROKEN_OFF_HEAD, broken_off_end
from recorder.core.events import Event, GapRecordedMeta, StreamOpened, meta_text
from recorder.errors import CorruptRecording, VersionConflict
from recorder.locks import LOCKS_DIRECTORIES, LockFile
from recorder.recording.batches import CONFLICTS, drain_file, read_batch
from recorder.recording.reserve import marked_closed, marker_of
from recorder.recording.salvage import salvage
from recorder.recording.spool_file import (
    HEADER_SIZE,
    SIZE_FIELD,
    SMALLEST_AHEAD,
    SUFFIX,
    SpoolHeader,
    read_at,
    read_header,
    read_records,
    spool_files,
)
from recorder.store.base import EventStore

_log = logging.getLogger("recorder")

DAMAGED: Final = ".damaged"
_ZEROS: Final = bytes(1024 * 1024)


@dataclass(slots=True)
class Recovered:
    """What a recovery did.

    :ivar events: events moved to the store.
    :ivar salvaged: those of them that stood behind damage.
    :ivar left: events that follow on lost ones, and stay in the files that were set aside.
    :ivar died: ids of the exchanges that were closed as ``process_died``.
    :ivar instances: recorder processes whose spools were taken over.
    :ivar damaged: spool files that could not be read whole; they were set aside as ``*.damaged``.
    """

    events: int = 0
    salvaged: int = 0
    left: int = 0
    died: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Orphan:
    path: Path
    header: SpoolHeader
    lock: LockFile
    damage: str | None = None

    @property
    def id(self) -> bytes:
        return self.header.spool

    @property
    def size(self) -> int:
        return os.fstat(self.lock.fd).st_size

    def read(self, start: int, size: int) -> bytes:
        return read_records(self.lock.fd, self.path, start, size)

    def rest(self, start: int) -> bytes:
        return read_at(self.lock.fd, self.path, start, self.size - start)

    def require_nothing_behind(self, end: int) -> None:
        """Look at what stands behind the last record.

        The last record of a file that was allocated ahead may be missing unnoticed: zeros follow it in any case.

        :raises CorruptRecording: something that no record and no append that was broken off there accounts for.
        """
        fd, path, size = self.lock.fd, self.path, self.size
        if size < SMALLEST_AHEAD and read_at(fd, path, end, SIZE_FIELD) == bytes(SIZE_FIELD):
            raise CorruptRecording(f"zeros stand at byte {end}, where a record must have been")
        at = end + broken_off_end(read_at(fd, path, end, BROKEN_OFF_HEAD), size - end)
        while at < size:
            block = read_at(fd, path, at, len(_ZEROS))
            if block != _ZEROS[: len(block)]:
                raise CorruptRecording(f"no record begins at byte {end}, but there is more behind it")
            at += len(block)


def set_aside(directory: Path) -> list[Path]:
    """Return what earlier recoveries and drainers kept there because the store could not take it, oldest first."""
    return sorted([*directory.glob(f"*{SUFFIX}{DAMAGED}"), *directory.glob(f"*{CONFLICTS}")])


def recover(directory: Path, store: EventStore, clock: Clock, instance: bytes) -> Recovered:
    """Drain and close what dead processes left in a spool directory.

    :param directory: the store's spool directory; it may be missing.
    :param store: open for writing.
    :param instance: id of the process that recovers, the author of the ``process_died`` events.
    :raises StoreError: the store failed; nothing is lost, a later recovery goes on from there.
    """
    done = Recovered()
    with ExitStack() as held:
        if not _take_turn(directory, held):
            return done  # another process is at it, or there is nothing
        for dead, orphans in _orphans(directory, held).items():
            for orphan in orphans:
                _drain(store, orphan, done)
            lost = next((f"the spool is damaged: {orphan.damage}" for orphan in orphans if orphan.damage), None)
            if not marker_of(directory, dead).exists():
                _close_streams(store, dead, "process_died", lost, clock, instance, done)
            done.instances.append(id_text(dead))
            for orphan in orphans:
                store.forget_spool(orphan.id)
                orphan.path.unlink(missing_ok=True)
        _end_closed(directory, store, clock, instance, done)
        _remove_unborn(directory)
    with suppress(OSError):  # others' files are in it
        directory.rmdir()
    return done


def _take_turn(directory: Path, held: ExitStack) -> bool:
    """Lock the directory: one process at a time recovers."""
    if not directory.is_dir():
        return False
    path, flags = (
        (directory, os.O_RDONLY) if LOCKS_DIRECTORIES else (directory / "recovery.lock", os.O_RDWR | os.O_CREAT)
    )
    try:
        turn = LockFile(path, flags=flags)
    except FileNotFoundError:
        return False
    held.callback(_let_go, turn)
    return turn.acquire(blocking=False)


def _let_go(lock: LockFile) -> None:
    lock.release()
    lock.close()


def _remove_unborn(directory: Path) -> None:
    """Remove files whose maker died before it had written their header: nothing was in them."""
    for path in directory.glob("*.new"):
        with suppress(FileNotFoundError):
            lock = LockFile(path, flags=os.O_RDWR)
            if lock.acquire(blocking=False):
                path.unlink()
                lock.release()
            lock.close()


def _orphans(directory: Path, held: ExitStack) -> dict[bytes, list[_Orphan]]:
    """Return the files of dead processes, oldest first, by instance; they stay locked while *held* is open.

    A process that dies between two looks may have one file whose lock was still held and one whose lock
    was free: such an instance is left for the next recovery, its older events have to be drained first.
    """
    found: defaultdict[bytes, list[_Orphan]] = defaultdict(list)
    for path in spool_files(directory):
        orphan = _take(path, held)
        if orphan is not None:
            found[orphan.header.instance].append(orphan)
    left = {header.instance for header in _headers(directory, but={o.path for each in found.values() for o in each})}
    return {dead: orphans for dead, orphans in found.items() if dead not in left}


def _headers(directory: Path, but: Iterable[Path]) -> list[SpoolHeader]:
    headers = []
    for path in spool_files(directory):
        if path not in but:
            with suppress(FileNotFoundError, CorruptRecording):
                headers.append(read_header(path))
    return headers


def _take(path: Path, held: ExitStack) -> _Orphan | None:
    """Lock a spool file that has no owner; None where it has one, is gone or is not one."""
    try:
        lock = LockFile(path, flags=os.O_RDWR)
    except FileNotFoundError:
        return None
    if not lock.acquire(blocking=False):
        lock.close()
        return None
    try:
        orphan = _Orphan(path, read_header(path), lock)
    except (FileNotFoundError, CorruptRecording) as error:
        if isinstance(error, CorruptRecording):
            _log.error("recorder: %s: left alone", error)
        _let_go(lock)
        return None
    held.callback(_let_go, lock)
    return orphan


def _drain(store: EventStore, orphan: _Orphan, done: Recovered) -> None:
    while True:
        start = _drained(store, orphan)
        try:
            moved = drain_file(store, orphan, start)
            done.events += moved.events
            orphan.require_nothing_behind(moved.end)
        except VersionConflict:
            if _drained(store, orphan) == start:
                raise
            continue  # its drainer process had one more batch under way
        except CorruptRecording as error:
            aside = orphan.path.with_suffix(SUFFIX + DAMAGED)
            with suppress(FileExistsError):
                os.link(orphan.path, aside)
            behind = salvage(store, orphan.rest(_drained(store, orphan)), orphan.header.instance)
            _log.error(
                "recorder: %s is damaged (%s): set aside as %s; of the events behind that place %d were brought to the "
                "store, %d that follow on what is lost are only there",
                orphan.path.name,
                error,
                aside.name,
                *behind,
            )
            done.damaged.append(str(aside))
            done.events += behind.brought
            done.salvaged += behind.brought
            done.left += behind.left
            orphan.damage = str(error)
        return


def _drained(store: EventStore, orphan: _Orphan) -> int:
    return max(store.drained(orphan.id), HEADER_SIZE)


def _close_streams(
    store: EventStore, dead: bytes, end: str, lost: str | None, clock: Clock, instance: bytes, done: Recovered
) -> None:
    unfinished = list(store.unfinished(dead))
    if unfinished:
        ends = [event for opened, last in unfinished for event in _ended(opened, last, end, lost, clock, instance)]
        store.append([], ends)
    if end == "process_died":
        done.died += [id_text(opened.stream) for opened, _ in unfinished]


def _ended(
    opened: StreamOpened, last: Event | None, end: str, lost: str | None, clock: Clock, instance: bytes
) -> Iterator[Event]:
    """Yield what closes a stream: its further events may have been lost, and then that is said first."""
    if lost is not None:
        now = clock.wall_ns()
        since = last.wall_ns if last is not None else now
        gap = GapRecordedMeta(events=0, bytes=0, from_ns=since, to_ns=now, reason=lost)
        last = _following(opened, last, "gap_recorded", gap, clock, instance)
        yield last
    yield _following(opened, last, end, {"found_by": id_text(instance)}, clock, instance)


def _end_closed(directory: Path, store: EventStore, clock: Clock, instance: bytes, done: Recovered) -> None:
    """Say what recorders could not write that were closed in good order; all their files are drained."""
    left = {header.instance for header in _headers(directory, but=())}
    for marker, closed in marked_closed(directory):
        if closed not in left:
            lost = "the recorder was closed while nothing could be written"
            _close_streams(store, closed, "recorder_closed", lost, clock, instance, done)
            marker.unlink(missing_ok=True)


def _following(
    opened: StreamOpened, last: Event | None, kind: str, facts: Mapping[str, Any], clock: Clock, instance: bytes
) -> Event:
    version = last.version + 1 if last is not None else 1
    now = clock.wall_ns(), clock.monotonic_ns()
    event = Event(opened.stream, version, kind, *now, instance, 0, meta_text(facts), None, b"")
    return event._replace(hash=link(last.hash if last is not None else genesis(opened.stream), opened.secret, event))


@dataclass(frozen=True, slots=True)
class _Left:
    """A spool file that is only looked at."""

    id: bytes
    path: Path
    fd: int

    def read(self, start: int, size: int) -> bytes:
        return read_records(self.fd, self.path, start, size)


@dataclass(slots=True)
class Spooled:
    """What lies in a spool directory and is not in the store yet: openings and events by stream."""

    openings: dict[bytes, StreamOpened] = field(default_factory=dict)
    events: dict[bytes, list[Event]] = field(default_factory=dict)


def read_spooled(directory: Path, store: EventStore) -> Spooled:
    """Return what a store's spools still hold, living owners' included; nothing is changed or locked."""
    found = Spooled()
    for path in spool_files(directory):
        try:
            header = read_header(path)
            with path.open("rb") as file:
                left = _Left(header.spool, path, file.fileno())
                start, end = -1, max(store.drained(header.spool), HEADER_SIZE)
                while end != start:
                    openings, events, end = read_batch(left, start := end)
                    found.openings.update((opened.stream, opened) for opened in openings)
                    for event in events:
                        found.events.setdefault(event.stream, []).append(event)
        except FileNotFoundError:
            continue  # drained and removed between the two looks
        except CorruptRecording as error:
            _log.warning("recorder: %s is damaged, what follows in it is not shown: %s", path.name, error)
    return found
