"""The reads of a tape, one after the other, and what they end with: the same for every library that reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from recorder.core.tape import NEVER, Read, Tape
from recorder.errors import RecordingEnded
from recorder.transports.failures import is_of_a_network, revive

_OVER = frozenset({"response_completed", "response_truncated"})
#: Failures of the protocol: who reads it says itself what is wrong.
SAID_ABOVE = frozenset({"malformed", "disconnected"})


class Reel:
    """What a recorded socket returned.

    :param tape: the recorded answer.
    :param note: is told of it where somebody reads on past the end of what was recorded.
    """

    def __init__(self, tape: Tape, note: Callable[[RecordingEnded], None] | None = None) -> None:
        self._tape = tape
        self._reads = deque(tape.reads)
        self._failed = False
        self._note = note

    @property
    def due_ns(self) -> int | None:
        """When the next read, or the end, came: nanoseconds after the request was sent, or ``NEVER``.

        None after a bare stop.
        """
        if self._reads:
            return self._reads[0].elapsed_ns
        if self._tape.silent:
            return NEVER
        return None if self._tape.end is None else self._tape.elapsed_ns

    @property
    def left_here(self) -> bool:
        """Whether the recorded program itself went away here: reading on raises RecordingEnded."""
        tape = self._tape
        if self._reads or self._failed:
            return False
        if tape.end not in ("response_failed", "request_failed"):
            return tape.end in ("consumer_closed", "consumer_abandoned")
        error = tape.facts.get("error")
        return error is not None and tape.facts.get("kind") not in SAID_ABOVE and not is_of_a_network(error)

    def take(self, size: int) -> bytes:
        """Return what the next read returned, or as much of it as fits; nothing where the peer had closed.

        :raises OSError: reading failed then.
        :raises RecordingEnded: it is not recorded what came then.
        """
        if not self._reads:
            try:
                return self._ended()
            except RecordingEnded as ended:
                self.note(ended)
                raise
        read = self._reads.popleft()
        if size < len(read.data):
            self._reads.appendleft(Read(read.data[size:], read.elapsed_ns))
        return read.data[:size]

    def note(self, ended: RecordingEnded) -> None:
        """Tell that somebody reads on where nothing is recorded."""
        if self._note is not None:
            self._note(ended)

    def _ended(self) -> bytes:
        tape = self._tape
        if tape.end in _OVER or self._failed:
            return b""  # of what comes after the whole response nothing is recorded: a failure is not invented
        if tape.end in ("response_failed", "request_failed"):
            self._failed = True
            error = tape.facts.get("error")
            if error is None or tape.facts.get("kind") in SAID_ABOVE:
                return b""  # who reads the protocol says itself what is wrong
            raise revive(error)
        ended = (tape.end or "the recording of it").replace("_", " ")
        raise RecordingEnded(f"the recording ends here ({ended}): what followed was never read by the recorded program")

    def stop(self) -> None:
        """Return no further read."""
        self._reads.clear()
