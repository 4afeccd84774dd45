"""What a dead process left: found, drained, closed as ``process_died``.

A spool file whose lock is free has no owner any more, whatever its age. Recovery moves what is in it
to the store, appends ``process_died`` to every event stream that the process had not ended, and
removes the file. Running it twice, or in two processes, changes nothing more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recorder.clock import Clock, id_text
from recorder.core.events import SEALED_FORMAT, Event, StreamOpened
from recorder.core.journal_facts import ExchangeClosedMeta
from recorder.errors import CorruptRecording, VersionConflict
from recorder.locks import LOCKS_DIRECTORIES, LockFile
from recorder.recording.batches import CONFLICTS, move_batch, read_batch
from recorder.recording.closing import close_streams
from recorder.recording.orphans import Orphan, headers, let_go, take_orphans
from recorder.recording.reserve import marked_closed, marker_of
from recorder.recording.salvage import Salvage
from recorder.recording.spool_file import HEADER_SIZE, SUFFIX, read_header, read_records, spool_files
from recorder.store.base import EventLog, SpoolMark
from recorder.store.sql import SqlStore

_log = logging.getLogger("recorder")

DAMAGED: Final = ".damaged"


@dataclass(slots=True)
class Recovered:
    """What a recovery did.

    :ivar events: events moved to the store.
    :ivar salvaged: those of them that stood behind damage, or in a later file of that process.
    :ivar left: events that follow on lost ones, and stay in the files that were set aside.
    :ivar died: ids of the exchanges that were closed as ``process_died``.
    :ivar instances: recorder processes whose spools were taken over.
    :ivar damaged: spool files that could not be read whole, or hold events that follow on lost ones; they were
        set aside as ``*.damaged``.
    :ivar nobodys: those of them of which nothing tells whose they were: if its process had exchanges, these stay open.
    :ivar closed: how far the exchanges go that were closed, and those of which their process did not come to say it
        in its journal: for the journal of whoever recovers.
    """

    events: int = 0
    salvaged: int = 0
    left: int = 0
    died: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    nobodys: list[str] = field(default_factory=list)
    closed: list[ExchangeClosedMeta] = field(default_factory=list)


def set_aside(directory: Path) -> list[Path]:
    """Return what earlier recoveries and drainers kept there because the store could not take it, oldest first."""
    return sorted([*directory.glob(f"*{SUFFIX}{DAMAGED}"), *directory.glob(f"*{CONFLICTS}")])


def recover(directory: Path, store: EventLog, clock: Clock, instance: bytes) -> Recovered:
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
        found, nobodys = take_orphans(directory, held)
        for dead, orphans in found.items():
            lost = _move(store, dead, orphans, done)
            if not marker_of(directory, dead).exists():
                closed = close_streams(store, dead, "process_died", lost, clock, instance)
                done.died += closed.exchanges
                done.closed += closed.facts
                if closed.sealed:
                    _log.warning(
                        "recorder: %d exchanges of a process that died stay open: %s", closed.sealed, closed.fault
                    )
                    continue  # its files are what the next recovery finds it by
            done.instances.append(id_text(dead))
            _remove(store, orphans)
        for orphan in nobodys:
            done.nobodys.append(_keep(orphan, done))
        _remove(store, nobodys)
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
    held.callback(let_go, turn)
    return turn.acquire(blocking=False)


def _remove_unborn(directory: Path) -> None:
    """Remove files whose maker died before it had written their header: nothing was in them."""
    for path in directory.glob("*.new"):
        with suppress(FileNotFoundError):
            lock = LockFile(path, flags=os.O_RDWR)
            if lock.acquire(blocking=False):
                path.unlink()
                lock.release()
            lock.close()


def _move(store: EventLog, dead: bytes, orphans: Sequence[Orphan], done: Recovered) -> str | None:
    """Bring to the store what a dead process left; return what was lost of it, if anything was."""
    salvage = Salvage(store, dead)
    for orphan in orphans:
        if orphan.fault is not None:
            salvage.bring(orphan, HEADER_SIZE)  # how far it was drained is noted under an id that may not be its own
        elif salvage.begun or not _drain(store, orphan, salvage, done):
            salvage.bring(orphan, _drained(store, orphan))
    salvage.close()
    done.events += salvage.brought
    done.salvaged += salvage.behind
    done.left += salvage.left
    for orphan in orphans:
        if orphan.fault or orphan.damage or orphan.kept:
            _keep(orphan, done)
    if salvage.behind or salvage.left:
        told = "%d events behind what is lost were brought to the store, %d that follow on it are only in what is kept"
        _log.error("recorder: " + told, salvage.behind, salvage.left)
    damage = next((orphan.damage for orphan in orphans if orphan.damage), None)
    if damage is not None:
        return f"the spool is damaged: {damage}"
    waits = next((orphan.path.name for orphan in orphans if orphan.kept), None)
    return None if waits is None else f"events are missing that come before some in {waits}"


def _drain(store: EventLog, orphan: Orphan, salvage: Salvage, done: Recovered) -> bool:
    """Move what a file holds, batch by batch; return whether that went to its end without finding anything wrong."""
    start = _drained(store, orphan)
    if start > orphan.size:
        orphan.damage = f"it ends at byte {orphan.size}, and the store has it up to byte {start}"
        return True
    try:
        while True:
            openings, events, end = read_batch(orphan, start)
            if end == start:
                orphan.require_nothing_behind(end)
                return True
            before = salvage.count(events)
            if not salvage.fits(openings, events):
                return False
            try:
                moved = move_batch(store, orphan, openings, events, SpoolMark(orphan.id, start, end))
            except VersionConflict:
                salvage.forget()
                if _drained(store, orphan) == start:
                    raise
                start = _drained(store, orphan)  # its drainer process had one more batch under way
                continue
            if moved.conflicts:
                salvage.forget()
            done.events += salvage.count(events) - before
            start = end
    except CorruptRecording:  # it is read again, and told then
        return False


def _drained(store: EventLog, orphan: Orphan) -> int:
    return max(store.drained(orphan.id), HEADER_SIZE)


def _keep(orphan: Orphan, done: Recovered) -> str:
    """Set a file aside under another name, and return it; it is removed under its own when all is done."""
    aside = orphan.path.with_suffix(SUFFIX + DAMAGED)
    with suppress(FileExistsError):
        os.link(orphan.path, aside)
    damage = "; ".join(filter(None, (orphan.fault, orphan.damage)))
    why = f"is damaged ({damage})" if damage else "holds events that follow on others which are lost"
    _log.error("recorder: %s %s: set aside as %s", orphan.path.name, why, aside.name)
    done.damaged.append(str(aside))
    return str(aside)


def _remove(store: EventLog, orphans: Iterable[Orphan]) -> None:
    for orphan in orphans:
        if orphan.id:
            store.forget_spool(orphan.id)
        orphan.path.unlink(missing_ok=True)


def _end_closed(directory: Path, store: EventLog, clock: Clock, instance: bytes, done: Recovered) -> None:
    """Say what recorders could not write that were closed in good order; all their files are drained."""
    left = {header.instance for header in headers(directory, but=())}
    for marker, closed in marked_closed(directory):
        if closed not in left:
            lost = "the recorder was closed while nothing could be written"
            done.closed += close_streams(store, closed, "recorder_closed", lost, clock, instance).facts
            marker.unlink(missing_ok=True)


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
    """What lies in a spool directory and is not in the store yet: openings and events by stream.

    :ivar sealed: the openings, as they are stored, of those streams whose payloads are sealed.
    """

    openings: dict[bytes, StreamOpened] = field(default_factory=dict)
    events: dict[bytes, list[Event]] = field(default_factory=dict)
    sealed: dict[bytes, StreamOpened] = field(default_factory=dict)


def read_spooled(directory: Path, store: EventLog) -> Spooled:
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
    if isinstance(store, SqlStore):
        _unseal(found, store)
    return found


def _unseal(found: Spooled, store: SqlStore) -> None:
    """Unseal what can be unsealed here, as a store does with what is in it; the rest stays as it is stored."""
    sealed = {stream: opened for stream, opened in found.openings.items() if opened.format == SEALED_FORMAT}
    sealed |= store.sealed_among([stream for stream in found.events if stream not in found.openings])
    for stream, opened in sealed.items():
        shown, events = store.audited(opened, iter(found.events.get(stream, ())))
        assert shown is not None
        found.events[stream] = list(events)
        if stream in found.openings:
            found.openings[stream] = shown
    found.sealed = sealed
