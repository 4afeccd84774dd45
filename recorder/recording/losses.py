"""What could not be written: the gaps that the exchanges are owed, and how many events they stand for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from recorder.clock import id_text
from recorder.core.journal_facts import EventsDroppedMeta
from recorder.recording.batches import events_left
from recorder.recording.lanes import Lanes
from recorder.recording.mover import Mover
from recorder.recording.reserve import Reserve
from recorder.recording.spool_file import HEADER_SIZE
from recorder.recording.streams import StreamWriter

_log = logging.getLogger("recorder")

#: Writes to the journal what was lost of an exchange.
Tell = Callable[[EventsDroppedMeta], None]
#: Is told of an exchange whose gap is written, and maybe its end.
Mended = Callable[[StreamWriter], None]


class Losses:
    """The losses of one recorder.

    :ivar events: that were lost so far; an end that is kept to be written later is not among them.
    """

    def __init__(self) -> None:
        self.events = 0
        self._owing: dict[StreamWriter, EventsDroppedMeta] = {}  # in the order in which they began to
        self._last_written: Lanes | None = None
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Return the number of exchanges with a loss of which nothing is written yet."""
        return len(self._owing)

    def note(self, writer: StreamWriter, reason: str) -> None:
        """Take note that something of a stream was lost."""
        with self._lock:
            events, size = writer.newly_lost()
            self.events += events
            told = self._of(writer, reason)
            told["events"] += events
            told["bytes"] = told.get("bytes", 0) + size

    def use_reserve(self, reserve: Reserve, spool: Lanes, *, interrupted: bool) -> None:
        """Give up what is held in memory and fits nowhere; make room for what tells of that, and of other losses.

        :param interrupted: a write of this thread is on hold, and nothing that is held can be taken back.
        """
        self._last_written = None if interrupted else spool
        self.give_up()  # before there is room, which would be filled with the first of it
        reserve.free()
        spool.start_over()

    def give_up(self) -> None:
        """Take note that what is held in memory is lost, where it cannot be written: when recording ends."""
        spool = self._last_written
        if spool is not None and not spool.flush():
            reason = spool.error or "the spool could not be written"
            for author in spool.give_up():
                if isinstance(author, StreamWriter):  # the journal has it once more
                    self.note(author, reason)

    def note_rest(self, writer: StreamWriter, reason: str) -> None:
        """Take note that what follows of a stream is missing, of which nobody knows how much it is."""
        with self._lock:
            self.events += 1
            self._of(writer, reason)

    def _of(self, writer: StreamWriter, reason: str) -> EventsDroppedMeta:
        fresh = EventsDroppedMeta(exchange=id_text(writer.id), events=0, reason=reason)
        return self._owing.setdefault(writer, fresh)

    def mend(self, tell: Tell, mended: Mended) -> None:
        """Write the gaps that are owed, as far as that is possible."""
        with self._lock:
            owing = list(self._owing)
        for writer in owing:
            if writer.mend():
                self._settle(writer, tell, mended)

    def _settle(self, writer: StreamWriter, tell: Tell, settled: Mended) -> None:
        with self._lock:
            told = self._owing.pop(writer, None)
        if told is not None and (told["events"] or "bytes" not in told):  # else only its end had to wait
            tell(told)
        settled(writer)

    def forgo(self, tell: Tell, settled: Mended) -> tuple[int, int]:
        """Give up what is owed; return how many events nothing tells of, and of how many exchanges they are."""
        self.give_up()
        with self._lock:
            owing = list(self._owing)
            unreported = sum(writer.forgo() for writer in owing)
            self.events += sum(writer.newly_lost()[0] for writer in owing)
        for writer in owing:
            self._settle(writer, tell, settled)
        return unreported, len(owing)

    def say_what_is_lost(self, unreported: int, owing: int, reason: str | Path) -> None:
        """Say how many events are lost, and whether the exchanges themselves tell of that.

        :param unreported: events of *owing* exchanges of which nothing tells.
        """
        if owing:
            told = "events of %d exchanges are lost, and there was no room to record that: %s"
            _log.critical("recorder: %d " + told, unreported, owing, reason)
        elif self.events:
            told = "events were lost; the exchanges say so: see gap_recorded"
            _log.warning("recorder: %d " + told, self.events)


def say_what_stays(left: int, directory: Path, spool: Lanes, mover: Mover) -> int:
    """Say what the store has not taken when recording ends; return how many events are lost, as their file is gone.

    :param left: bytes that the store does not have.
    """
    spool.check()
    if spool.removed is None:
        brings = "what can be read of them" if mover.damage else "them"
        why = f" ({mover.error})" if mover.error else ""
        told = "bytes stay in %s: `recorder recover` brings %s to the store%s"
        _log.error("recorder: %d " + told, left, directory, brings, why)
        return 0
    gone = [file for file in spool.files() if file.removed]
    lost = sum(events_left(file, mover.drained.get(file.id, HEADER_SIZE)) for file in gone)
    _log.critical("recorder: %d events are lost: the spool %s", lost, spool.removed)
    return lost
