"""What a dead process left: found, drained, closed as ``process_died``.

A spool file whose lock is free has no owner any more, whatever its age. Recovery moves what is in it
to the store, appends ``process_died`` to every event stream that the process had not ended, and
removes the file. Running it twice, or in two processes, changes nothing more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from recorder.clock import Clock, id_text
from recorder.core.chain import genesis, link
from recorder.core.codec import decode_records
from recorder.core.events import CONVERSATION_TYPES, Event, StreamOpened, meta_text
from recorder.errors import CorruptRecording
from recorder.locks import LockFile
from recorder.recording.drain import drain_file
from recorder.recording.spool import HEADER_SIZE, SUFFIX, SpoolHeader, read_header, spool_files
from recorder.store.base import EventStore

_log = logging.getLogger("recorder")


@dataclass(slots=True)
class Recovered:
    """What a recovery did.

    :ivar events: events moved to the store.
    :ivar died: ids of the exchanges that were closed as ``process_died``.
    :ivar instances: recorder processes whose spools were taken over.
    :ivar damaged: spool files that could not be read whole; they were set aside as ``*.damaged``.
    """

    events: int = 0
    died: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Orphan:
    path: Path
    header: SpoolHeader
    lock: LockFile

    @property
    def id(self) -> bytes:
        return self.header.spool

    @property
    def fd(self) -> int:
        return self.lock.fd


def recover(directory: Path, store: EventStore, clock: Clock, instance: bytes) -> Recovered:
    """Drain and close what dead processes left in a spool directory.

    :param directory: the store's spool directory; it may be missing.
    :param store: open for writing.
    :param instance: id of the process that recovers, the author of the ``process_died`` events.
    :raises StoreError: the store failed; nothing is lost, a later recovery goes on from there.
    """
    done = Recovered()
    if not directory.is_dir():
        return done
    with ExitStack() as held:
        turn = LockFile(directory / "recovery.lock")
        held.callback(turn.close)
        if not turn.acquire(blocking=False):
            return done  # another process is at it
        taken = [held.enter_context(_take(path)) for path in spool_files(directory)]
        orphans = [orphan for orphan in taken if orphan is not None]
        for orphan in orphans:
            _drain(store, orphan, done)
        for dead in sorted({orphan.header.instance for orphan in orphans}):
            _close_streams(store, dead, clock, instance, done)
            done.instances.append(id_text(dead))
        for orphan in orphans:
            store.forget_spool(orphan.id)
            orphan.path.unlink(missing_ok=True)
        _remove_unborn(directory)
    return done


def _remove_unborn(directory: Path) -> None:
    """Remove files whose maker died before it had written their header: nothing was in them."""
    for path in directory.glob("*.new"):
        with suppress(FileNotFoundError):
            lock = LockFile(path, flags=os.O_RDWR)
            if lock.acquire(blocking=False):
                path.unlink()
            lock.close()


@contextmanager
def _take(path: Path) -> Iterator[_Orphan | None]:
    """Hold a spool file that has no owner; None where it has one, is gone or is not one."""
    try:
        lock = LockFile(path, flags=os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        if not lock.acquire(blocking=False) or not path.exists():
            yield None
            return
        try:
            header = read_header(path)
        except CorruptRecording as error:
            _log.error("recorder: %s: left alone", error)
            yield None
            return
        yield _Orphan(path, header, lock)
    finally:
        lock.close()


def _drain(store: EventStore, orphan: _Orphan, done: Recovered) -> None:
    start = max(store.drained(orphan.id), HEADER_SIZE)
    try:
        _, moved = drain_file(store, orphan, start)
    except CorruptRecording as error:
        aside = orphan.path.with_suffix(SUFFIX + ".damaged")
        os.link(orphan.path, aside)
        _log.error("recorder: %s is damaged (%s): set aside as %s", orphan.path.name, error, aside.name)
        done.damaged.append(str(aside))
        return
    done.events += moved


def _close_streams(store: EventStore, dead: bytes, clock: Clock, instance: bytes, done: Recovered) -> None:
    for opened, last in store.unfinished(dead):
        if last is not None and last.type in CONVERSATION_TYPES:
            continue  # an opening of a conversation has no end
        event = _died(opened, last, clock, instance)
        store.append([], [event])
        done.died.append(id_text(opened.stream))


def _died(opened: StreamOpened, last: Event | None, clock: Clock, instance: bytes) -> Event:
    version = last.version + 1 if last is not None else 1
    event = Event(
        opened.stream,
        version,
        "process_died",
        clock.wall_ns(),
        clock.monotonic_ns(),
        instance,
        0,
        meta_text({"found_by": id_text(instance)}),
        None,
        b"",
    )
    return event._replace(hash=link(last.hash if last is not None else genesis(opened.stream), opened.secret, event))


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
            data = path.read_bytes()
        except (FileNotFoundError, CorruptRecording):
            continue  # drained and removed between the two looks, or not born yet
        start = max(store.drained(header.spool), HEADER_SIZE)
        for record, _ in decode_records(data, min(start, len(data))):
            if isinstance(record, StreamOpened):
                found.openings[record.stream] = record
            else:
                found.events.setdefault(record.stream, []).append(record)
    return found
