"""The exchanges that have not ended yet."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Protocol

from recorder.errors import RecordingError
from recorder.recording.streams import StreamWriter

_log = logging.getLogger("recorder")


class Unfinished(Protocol):
    """An exchange that may still be open when its recorder is closed."""

    def recorder_closed(self) -> None:
        """Record that what follows is not recorded, unless the exchange has ended."""
        ...


class Unended:
    """Those of one recorder, whether or not anybody still holds them."""

    def __init__(self) -> None:
        self._exchanges: weakref.WeakSet[Unfinished] = weakref.WeakSet()
        self._writers: set[StreamWriter] = set()
        self._lock = threading.RLock()

    def add(self, exchange: Unfinished, writer: StreamWriter) -> None:
        """Take note of an exchange, and of who writes its stream."""
        with self._lock:
            self._exchanges.add(exchange)
            self._writers.add(writer)

    @property
    def any_open(self) -> bool:
        """Whether any of them may still record something before its end."""
        return any(writer.is_open or not writer.begun for writer in self._writers.copy())

    def discard(self, writer: StreamWriter) -> None:
        """Take note that a stream has ended."""
        self._writers.discard(writer)

    def end(self) -> None:
        """Have those that somebody still holds record that what follows is not recorded."""
        with self._lock:
            exchanges = list(self._exchanges)
        for exchange in exchanges:
            try:
                exchange.recorder_closed()
            except RecordingError as error:
                _log.error("recorder: the end of an exchange could not be recorded: %s", error)

    def end_dropped(
        self, write: Callable[[StreamWriter, bytes], None], forget: Callable[[StreamWriter], object]
    ) -> None:
        """End the streams of exchanges that the garbage collector is at just now: they come too late for that.

        :param write: records an event.
        :param forget: takes a stream back of which nothing is recorded.
        """
        for writer in self._writers.copy():
            if not writer.begun:  # an interrupt may have come between its announcement and its first event
                forget(writer)
            elif writer.is_open:
                try:
                    write(writer, b"recorder_closed")
                except RecordingError as error:
                    _log.error("recorder: the end of an exchange could not be recorded: %s", error)
