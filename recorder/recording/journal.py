"""The journal: the event stream of a recorder process, which says what other streams there are.

It begins with ``instance_started``, and says of every exchange that it begins, with a gapless number, before anything
of that is recorded, and how long it was when it had ended. So an exchange that is missing from a store leaves a hole
that can be seen (docs/design.md, docs/format.md).

Whatever is to be said is put into a queue, and whoever comes first writes what is in there, in order, while the
others wait at most for that. What cannot be written stays there, and is said later: nothing of the program depends
on it, but that a request is not sent where what is not recorded must not happen. A signal handler, or a finalizer,
may come in the middle of that: what it has to say stays in the queue until the write goes on that it interrupted. The
number of an exchange is given in one step that nothing can interrupt: a ``defaultdict`` that counts.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from recorder.clock import Clock, id_text
from recorder.core.events import meta_text
from recorder.core.journal_facts import EventsDroppedMeta, PreviousJournal
from recorder.core.journal_text import closed_text, opened_text
from recorder.recording.held import Receipt, Undo
from recorder.recording.spool import Spool
from recorder.recording.streams import NOT_TOLD, StreamWriter
from recorder.recording.surroundings import clock_facts, started_facts

PULSE: Final = 60  # seconds between two samples of the clock
_SLACK_NS: Final = 1_000_000_000
LIMIT: Final = 50_000  # entries that wait to be written; an outage that is longer is told of as such
_OPENED: Final = b"exchange_opened"
_CLOSED: Final = b"exchange_closed"
_get_ident = threading.get_ident

#: Chooses where an entry goes; None where nothing can be written just now.
Place = Callable[[], Spool | None]


class _Entry:
    """Something to be said.

    :ivar text: makes its facts when it is written; None for those of an exchange.
    :ivar exchange: the one that begins or has ended.
    :ivar length: of that, as it is said.
    """

    __slots__ = ("exchange", "kind", "length", "text")

    def __init__(
        self, kind: bytes, text: Callable[[], bytes] | None = None, exchange: StreamWriter | None = None
    ) -> None:
        self.kind = kind
        self.text = text
        self.exchange = exchange
        self.length: int | None = None


class Journal:
    """What one recorder process says of its event streams.

    Nothing is written before the first thing is said, or :meth:`begin` is called.

    :param writer: of the stream whose id is that of the process.
    :param place: chooses the spool that the current thread can write to, in the middle of whatever it may be.
    :param configuration: how the process was set up.
    :param kept: False where no journal is kept: everything that is said is forgotten.
    :param previous: the journal of the process that this one was forked from.
    :param on_hold: tells how many writes of the current thread are interrupted by what it does now.
    """

    def __init__(
        self,
        writer: StreamWriter,
        place: Place,
        clock: Clock,
        configuration: Mapping[str, Any],
        *,
        kept: bool = True,
        previous: PreviousJournal | None = None,
        on_hold: Callable[[], int] = lambda: 0,
    ) -> None:
        self.kept = kept
        self._on_hold = on_hold
        self._writer = writer
        writer.answers_to(self)
        self._place = place
        self._clock = clock
        self._configuration = configuration
        self._previous = previous
        self._lock = threading.RLock()
        self._paying: set[int] = set()  # threads that write, or wait to
        self._numbers: defaultdict[bytes, int] = defaultdict(itertools.count(1).__next__)
        self._exchanges = 0
        self._trying: tuple[_Entry, int] | None = None  # what is being written, and the version that it gets
        self._unsaid = 0  # entries that there was no room for
        self._begun = self._stopping = False
        self._sample_at = 0
        self._owed = deque([_Entry(b"instance_started", self._started), _Entry(b"clock_sampled", self._sampled)])

    @property
    def owing(self) -> bool:
        """Whether something that was said is not written yet."""
        return self._begun and bool(self._owed or self._unsaid)

    def begin(self, previous: PreviousJournal | None = None) -> bool:
        """Write the beginning, whether or not anything else will be said; return whether it is safe.

        :param previous: the newest other journal of the store, where it is known.
        """
        if not self.kept:
            return True
        self._previous = previous or self._previous
        self._begun = True
        return self.pay()

    def opened(self, writer: StreamWriter) -> bool:
        """Say that an exchange begins, and give it its number; return whether that is safe."""
        if not self.kept or self._stopping:
            return True
        writer.told = NOT_TOLD
        entry = _Entry(_OPENED, exchange=writer)
        if not self._put(entry):
            writer.told = None
            return False
        if self.pay():
            return True
        for other in list(self._owed):  # who came before has the numbers before
            if other.kind is _OPENED and other.exchange is not None:
                self._number(other.exchange)
            if other is entry:
                break
        return False

    def closed(self, writer: StreamWriter) -> bool:
        """Say how far an exchange was recorded when it had ended; return whether that is safe.

        To be called after each event from the end on; said is what is new of it.
        """
        if writer.told is None or not self.kept or self._stopping:
            return True
        return self._put(_Entry(_CLOSED, exchange=writer)) and self.pay()

    def _number(self, writer: StreamWriter) -> int:
        number = writer.number
        if number is None:
            number = writer.number = self._numbers[writer.id]
        return number

    def _text(self, entry: _Entry) -> bytes | None:
        """Return the facts of an entry; None where there is nothing to say any more."""
        if entry.text is not None:
            return entry.text()
        writer = entry.exchange
        assert writer is not None
        if entry.kind is _OPENED:
            return opened_text(writer.id, self._number(writer))
        reached = writer.reached()
        if reached is None or reached[0] == writer.told or writer.number is None:
            return None  # who is appending to it now says it; or it is said; or an interrupt kept it from beginning
        entry.length, head = reached
        return closed_text(writer.id, writer.number, entry.length, head)

    def _note(self, entry: _Entry) -> None:
        """Take note that an entry is written."""
        if entry.kind is _OPENED:
            self._exchanges += 1
        elif entry.exchange is not None:
            entry.exchange.told = entry.length
            self._numbers.pop(entry.exchange.id, None)

    def tell(self, kind: str, facts: Mapping[str, Any]) -> bool:
        """Say something else; return whether that is safe.

        :param kind: the type of the event.
        :param facts: see :mod:`recorder.core.journal_facts`.
        """
        if not self.kept or self._stopping:
            return True
        text = meta_text(facts).encode()
        return self._put(_Entry(kind.encode(), lambda: text)) and self.pay()

    def written(self, writer: StreamWriter, kind: str) -> bool:
        """Say how far a stream goes that is no exchange; return whether that is safe."""
        reached = writer.reached()
        if reached is None or not reached[0]:
            return True
        length, head = reached
        facts = {"stream": id_text(writer.id), "length": length, "head": head.hex(), "kind": kind}
        return self.tell("stream_written", facts)

    def dropped(self, facts: EventsDroppedMeta) -> None:
        """Say that events of an exchange are lost."""
        self.tell("events_dropped", facts)

    def sample(self) -> bool:
        """Say how the machine's clock is kept, where the last time is a minute ago; return whether it was said."""
        if not self._begun or self._stopping or self._clock.monotonic_ns() < self._sample_at:
            return False
        self._sample_at = self._clock.monotonic_ns() + PULSE * 1_000_000_000 - _SLACK_NS
        return self._put(_Entry(b"clock_sampled", self._sampled)) and self.pay()

    def stop(self) -> bool:
        """Say that the process stops, as the last thing; return whether everything is safe."""
        if not self._begun:
            return True
        if not self._stopping:
            self._owed.extend((_Entry(b"clock_sampled", self._sampled), _Entry(b"instance_stopped", lambda: b"{}")))
            self._stopping = True
        return self.pay()

    def undo(self, receipt: Receipt) -> Undo:
        """Return what is needed to take back the entry that is being written."""
        assert self._trying is not None
        return self._writer.undo(receipt)._replace(what=self._trying[0])

    def take_back(self, undone: Sequence[Undo]) -> None:
        """Owe some entries again, which are written nowhere after all."""
        with self._lock:
            self._writer.rewind(undone[0])
            self._trying = None
            for entry in reversed([undo.what for undo in undone]):
                self._owed.appendleft(entry)
                if entry.kind is _OPENED:
                    self._exchanges -= 1
                elif entry.exchange is not None:
                    entry.exchange.told = NOT_TOLD

    def left(self) -> PreviousJournal | None:
        """Return how far it was written, for the journal of a forked child; None where nothing is.

        Asked in the child: a thread that it does not have may have been in the middle of a write.
        """
        reached = self._writer.reached()
        if reached is None or not reached[0]:
            return None
        return PreviousJournal(stream=id_text(self._writer.id), length=reached[0], head=reached[1].hex())

    def _put(self, entry: _Entry) -> bool:
        if len(self._owed) >= LIMIT:
            self._unsaid += 1
            return False
        self._owed.append(entry)
        self._begun = True
        return True

    def pay(self) -> bool:
        """Write what is owed; return whether nothing is any more."""
        if not self._begun or not (self._owed or self._unsaid):
            return True
        thread, paying = _get_ident(), self._paying
        if thread in paying:
            return False  # the write that this interrupts goes on with it
        try:
            paying.add(thread)
            if self._on_hold():
                return self._paid_at_once()
            with self._lock:
                return self._write_owed()
        finally:
            paying.discard(thread)

    def _paid_at_once(self) -> bool:
        """Write what is owed, unless another thread does: it may wait for what the write holds that is on hold here."""
        lock = self._lock
        try:
            return lock.acquire(blocking=False) and self._write_owed()
        finally:
            if lock._is_owned():  # type: ignore[attr-defined]  # an interrupt may come right after it was acquired
                lock.release()

    def _write_owed(self) -> bool:
        owed = self._owed
        while owed:
            if not self._is_written(owed[0]):
                return False
            owed.popleft()
            if self._unsaid and not owed:
                dropped = EventsDroppedMeta(events=self._unsaid, reason="the journal could not be written")
                text, self._unsaid = meta_text(dropped).encode(), 0
                owed.append(_Entry(b"events_dropped", lambda text=text: text))  # type: ignore[misc]  # its default
        return True

    def _is_written(self, entry: _Entry) -> bool:
        """Write an entry unless that was done before an interrupt; return whether it is safe."""
        trying = self._trying
        if trying is None or trying[0] is not entry:
            self._trying = trying = (entry, self._writer.settled() + 1)
        elif self._writer.settled() >= trying[1]:
            return True
        if (text := self._text(entry)) is None:
            return True
        spool = self._place()
        if spool is None or not self._writer.offer(spool, entry.kind, text):
            return False
        self._note(entry)
        return True

    def _started(self) -> bytes:
        return meta_text(started_facts(self._configuration, self._previous)).encode()

    def _sampled(self) -> bytes:
        self._sample_at = self._clock.monotonic_ns() + PULSE * 1_000_000_000 - _SLACK_NS
        return meta_text(clock_facts(self._exchanges)).encode()
