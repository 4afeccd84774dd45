"""One event stream being written: numbering, chaining, and what happens when a write fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Final

from recorder.clock import Clock
from recorder.core.chain import genesis
from recorder.core.codec import encode_opened
from recorder.core.events import TERMINAL_TYPES, GapRecordedMeta, StreamOpened, meta_text
from recorder.core.sealing import Opening, in_the_clear
from recorder.recording.held import Author, Receipt, Undo
from recorder.recording.spool import Spool

_REQUEST_SENT: Final = b"request_sent"
_RECORDER_CLOSED: Final = b"recorder_closed"
_GAP: Final = b"gap_recorded"
NOT_TOLD: Final = -1
_TERMINAL: Final = frozenset(name.encode() for name in TERMINAL_TYPES)

_End = tuple[bytes, int, bytes | None, bytes | None]


class StreamWriter:
    """Appends the events of one stream to the spool, each chained to the one before.

    An event that cannot be written takes no version: the chain stays whole, and as soon as the spool
    can be written again a ``gap_recorded`` in its place tells what is missing. The event that ends a
    stream is kept and written after the gap. Whatever an interrupt breaks off, it is settled whether the
    event is in the spool before the next one is given a version.

    :param stream: id of the stream.
    :param instance: id of the recorder process.
    :param secret: 32 random bytes, the source of the payload salts.
    :param opening: how it is opened: with payloads that are sealed, or in the clear.
    """

    def __init__(
        self,
        spool: Spool,
        clock: Clock,
        stream: bytes,
        instance: bytes,
        secret: bytes,
        opening: Opening = in_the_clear,
    ) -> None:
        self.id = stream
        self._spool = spool
        self._clock = clock
        opened, self._seal = opening(StreamOpened(stream, instance, secret))
        self._opening: bytes | None = encode_opened(opened)
        self._reached = (0, genesis(stream))  # one tuple: whoever takes no lock sees the two that belong together
        self._lock = threading.Lock()
        self._gap: GapRecordedMeta | None = None
        self._late_end: _End | None = None
        self._receipt = Receipt(b"", author=self)
        self._candidate: Receipt | None = None  # the receipt, while an event is being appended
        self._disowned = False
        self.ended = False  # an event that ends an exchange is in the spool
        self._lost = self._lost_bytes = 0
        self.number: int | None = None  # of the exchange in the journal
        self.told: int | None = None  # its length as the journal has it; None: the journal does not know it

    @property
    def begun(self) -> bool:
        """Whether anything of it was recorded, or lost."""
        return self._reached[0] > 0 or self._gap is not None or self._candidate is not None

    @property
    def is_open(self) -> bool:
        """Whether it was begun, and no end of it is recorded or owed."""
        return self.begun and not self.ended and self._late_end is None

    def write(self, type_name: bytes, flags: int = 0, meta: bytes | None = None, body: bytes | None = None) -> bool:
        """Record an event now; return whether it is safe."""
        if self._disowned:
            return True
        with self._lock:
            owing = self._candidate is not None or self._gap is not None or self._late_end is not None
            if not owing or self._pay():
                if self.ended and type_name == _RECORDER_CLOSED:
                    return True  # another thread was faster
                if self._append(type_name, flags, meta, body):
                    return True
            self._lose(type_name, flags, meta, body)
            return False

    def write_beside(
        self, spool: Spool | None, type_name: bytes, flags: int, meta: bytes | None, body: bytes | None
    ) -> bool:
        """Record an event in another spool, as an append to its own may be on hold; None: there is no other."""
        if spool is None:
            with self._lock:
                self._lose(type_name, flags, meta, body)
            return False
        own = self._spool
        try:
            self._spool = spool
            return self.write(type_name, flags, meta, body)
        finally:
            self._spool = own

    def offer(self, spool: Spool, type_name: bytes, meta: bytes) -> bool:
        """Record an event in a given spool; return whether it is safe. Where it is not, nothing counts as lost."""
        with self._lock:
            self._settle()
            self._spool = spool
            return self._append(type_name, 0, meta, None)

    def settled(self) -> int:
        """Return the number of events that are safe, whatever interrupted the last append."""
        with self._lock:
            self._settle()
            return self._reached[0]

    def reached(self) -> tuple[int, bytes] | None:
        """Return the number of events that are safe, and the hash of the last; None while one is being appended.

        Waits for nobody, and takes no lock: an interrupt may come between taking one by hand and giving it back.
        """
        reached = self._reached
        return reached if self._candidate is None else None

    def _append(
        self, type_name: bytes, flags: int, meta: bytes | None, body: bytes | None, owed: _End | None = None
    ) -> bool:
        (version, head), clock = self._reached, self._clock
        version += 1
        at = clock.wall_ns()
        digest, record = self._seal(head, version, type_name, at, clock.monotonic_ns(), flags, meta, body)
        if self._opening is not None:
            record = self._opening + record
        receipt, ends = self._receipt, type_name in _TERMINAL
        told = at, (type_name, flags, meta, body)
        receipt.record, receipt.safe, receipt.then = record, None, (version, digest, owed, ends, told)
        self._candidate = receipt
        try:
            safe = self._spool.append(record, sync=ends or type_name == _REQUEST_SENT, receipt=receipt)
        except BaseException:
            self._settle()
            raise
        if not safe:
            self._settle()
            return False
        self._reached, self._late_end = (version, digest), owed  # as _settle, which does it all again
        self.ended = self.ended or ends
        self._opening = self._gap = self._candidate = None  # where an interrupt leaves a part of it undone
        return True

    def _settle(self) -> None:
        """Count the event that was being appended if it is safe; an interrupt leaves this to the next call."""
        candidate = self._candidate
        if candidate is None:
            return
        safe = candidate.safe
        if safe is None:
            safe = self._spool.settle(candidate)
        if safe:  # an interrupt between these lines has them all done again
            version, head, self._late_end, ends, _ = candidate.then
            self._reached = (version, head)
            self.ended = self.ended or ends
            self._opening = self._gap = None
        self._candidate = None

    def _lose(self, type_name: bytes, flags: int, meta: bytes | None, body: bytes | None) -> None:
        gap = self._gap_from(self._clock.wall_ns())
        if type_name in _TERMINAL and self._late_end is None:
            self._late_end = (type_name, flags, meta, body)
        else:
            self._count(gap, len(body or b""))

    def _gap_from(self, at: int) -> GapRecordedMeta:
        """Return the gap that is owed, with a moment in it."""
        gap = self._gap
        if gap is None:
            reason = self._spool.error or "the spool cannot be written"
            gap = self._gap = GapRecordedMeta(events=0, bytes=0, from_ns=at, to_ns=at, reason=reason)
        gap["from_ns"], gap["to_ns"] = min(gap["from_ns"], at), max(gap["to_ns"], at)
        return gap

    def _count(self, gap: GapRecordedMeta, size: int) -> None:
        self._lost += 1
        self._lost_bytes += size
        gap["events"] += 1
        gap["bytes"] += size

    def undo(self, receipt: Receipt) -> Undo:
        """Return what is needed to take back what is being appended; a payload that is lost then is not kept."""
        at, (type_name, flags, meta, body) = receipt.then[-1]
        lost = type_name, flags, meta, body if type_name in _TERMINAL else None
        return Undo(self._reached[0], (self._reached, self._opening, self.ended), (at, lost, len(body or b"")))

    def take_back(self, undone: Sequence[Undo]) -> None:
        """Go back to before some events that are written nowhere after all, and owe the gap that tells of them."""
        self.rewind(undone[0])
        with self._lock:
            ends = [undo.what[1] for undo in undone if undo.what[1][0] in _TERMINAL]
            ends += [] if self._late_end is None else [self._late_end]
            self._late_end = ends[0] if ends else None  # one is enough
            for at, lost, size in (undo.what for undo in undone):
                gap = self._gap_from(at)
                if lost[0] == _GAP:  # what it told of is counted as lost already
                    told: GapRecordedMeta = json.loads(lost[2])
                    gap["events"] += told["events"]
                    gap["bytes"] += told["bytes"]
                    gap["from_ns"] = min(gap["from_ns"], told["from_ns"])
                elif lost is not self._late_end:
                    self._count(gap, size)
            self.told = None if self.told is None else NOT_TOLD

    def rewind(self, undo: Undo) -> None:
        """Go back to before an event that is written nowhere."""
        with self._lock:
            self._settle()
            self._reached, self._opening, self.ended = undo.state

    def answers_to(self, author: Author) -> None:
        """Have somebody else asked about what is appended, and told to take it back."""
        self._receipt.author = author

    def _pay(self) -> bool:
        """Write what is owed: the gap, and after it the end; return whether nothing is owed any more."""
        self._settle()
        if self._gap is not None and not self._append(_GAP, 0, meta_text(self._gap).encode(), None, self._late_end):
            return False
        return self._late_end is None or self._append(*self._late_end)

    def mend(self) -> bool:
        """Write the gap that is owed, if the spool allows; return whether nothing is owed."""
        with self._lock:
            return self._pay()

    def newly_lost(self) -> tuple[int, int]:
        """Return how many events, with how many bytes, were lost since this was last asked.

        An end that is kept is not lost.
        """
        lost, size, self._lost, self._lost_bytes = self._lost, self._lost_bytes, 0, 0
        return lost, size

    def forgo(self) -> int:
        """Give up what is owed; return how many events nothing tells of."""
        with self._lock:
            events = (self._gap["events"] if self._gap is not None else 0) + (self._late_end is not None)
            self._lost += self._late_end is not None
            self._gap = self._late_end = None
            return events

    def report_gap(self, reason: str) -> bool:
        """Record that from now on an unknown number of events is missing; return whether that is safe."""
        with self._lock:
            self._settle()
            if self._gap is None:
                now = self._clock.wall_ns()
                self._gap = GapRecordedMeta(events=0, bytes=0, from_ns=now, to_ns=now, reason=reason)
            return self._pay()

    def withdraw(self) -> bool:
        """Forget the stream, and whatever is told of it from now on, if nothing of it is in the spool; return whether.

        For a request that is refused because it cannot be recorded: it was never sent, so nothing is missing.
        """
        with self._lock:
            self._settle()
            if self._reached[0]:
                return False
            self._gap = self._late_end = None
            self._disowned = True
            return True

    def disown(self) -> None:
        """Write nothing more: after a fork the parent's streams belong to the parent.

        Its lock may be held for ever by a thread that the child does not have: it is not taken again.
        """
        self._disowned = True
