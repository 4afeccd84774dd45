"""A socket that returns what a recorded one returned: the same reads, the same end.

The stock ``socket.SocketIO``, ``http.client`` and urllib3 sit on top of it, so that boundaries,
exceptions and their messages come out as they did, without imitating any of them.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any

from recorder.core.tape import Tape
from recorder.errors import RecordingEnded
from recorder.replay.pace import TIMED_OUT, Pace
from recorder.transports.reel import Reel


class RecordedSocket:
    """Stands where a connected socket stands, for http.client and urllib3.

    :ivar was_opened: a response is made of what is played.
    :param timed_out: what is said of a read that took longer than the timeout.
    """

    def __init__(self, timed_out: str = TIMED_OUT) -> None:
        self._timed_out = timed_out
        self._io_refs = 0  # SocketIO counts itself here
        self._closed = False
        self._timeout: float | None = None
        self._pair: tuple[socket.socket, socket.socket] | None = None
        self._grew = 0
        self._reel = Reel(Tape(end="response_completed"))
        self._pace: Pace | None = None
        self.was_opened = False

    def load(self, tape: Tape, pace: Pace, note: Callable[[RecordingEnded], None] | None = None) -> None:
        """Play *tape* from now on; *note* is told where somebody reads on past its end."""
        self._grew, self._reel, self._pace = tape.grew, Reel(tape, note), pace
        self.was_opened = False

    def makefile(self, mode: str = "r", buffering: int | None = None, **_: Any) -> io.BufferedReader:
        """Return a buffered file over the recorded reads.

        Redaction may have made the head longer than the read that brought it: the buffer grows by as
        much, so that the read still comes in one piece.
        """
        self.was_opened = True
        raw = socket.SocketIO(self, "r")  # type: ignore[arg-type]
        self._io_refs += 1
        return io.BufferedReader(raw, io.DEFAULT_BUFFER_SIZE + max(self._grew, 0))

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Fill *buffer* with what one read returned, or with its rest.

        :raises TimeoutError: it came later than the timeout allows.
        """
        view = memoryview(buffer).cast("B")
        due = self._reel.due_ns
        if self._pace is not None and due is not None:
            try:
                self._pace.wait(due, self._timeout, self._timed_out)
            except RecordingEnded as ended:
                self._reel.note(ended)
                raise
        data = self._reel.take(len(view))
        view[: len(data)] = data
        return len(data)

    def send(self, data: Any, flags: int = 0) -> int:
        """Take what a request sends."""
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Take what a request sends."""

    def settimeout(self, value: float | None) -> None:
        """Keep the timeout: no read waits longer for what was recorded."""
        self._timeout = value

    def gettimeout(self) -> float | None:
        """Return the timeout that was set."""
        return self._timeout

    def setsockopt(self, *args: Any) -> None:
        """Take a socket option; there is no socket to have it."""

    def shutdown(self, how: int) -> None:
        """Stop."""
        self._reel.stop()

    def fileno(self) -> int:
        """Return a descriptor that is never readable: urllib3 polls an idle connection for a hang-up."""
        if self._pair is None:
            self._pair = socket.socketpair()
        return self._pair[0].fileno()

    def _decref_socketios(self) -> None:
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed and self._io_refs <= 0:
            self._release()

    def close(self) -> None:
        """Close, once every file over it is closed."""
        self._closed = True
        if self._io_refs <= 0:
            self._release()

    def _release(self) -> None:
        if self._pair is not None:
            for end in self._pair:
                end.close()
            self._pair = None

    def __del__(self) -> None:
        """Close: a connection to a recording may just be forgotten, with its player."""
        self._release()
