"""The write path at the end of the program, which its other threads may outlive for a while.

When the functions of ``atexit`` are called, daemon threads go on: they send and read until the interpreter stops them,
and nothing is called after that. To close the write path then would leave unrecorded what they see. So:

======================  ===============================================================================================
the program has         its recording
======================  ===============================================================================================
no other thread         is closed; exchanges that have no end get ``recorder_closed``
others, and exchanges   goes on into its spool, after what is there was brought to the store. The process ends as if it
that have no end        were killed: recovery brings the rest, and ends as ``process_died`` what had no end
others, and none        is closed; what one of them sends after that goes into a spool of its own, which is recovery's
======================  ===============================================================================================
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final

from recorder.errors import RecordingError, StoreError
from recorder.recording.spool_file import HEADER_SIZE
from recorder.recording.streams import StreamWriter
from recorder.recording.unended import Unfinished
from recorder.recording.write_path import WritePath

_log = logging.getLogger("recorder")

#: What the names of a recorder's own threads begin with.
_OWN: Final = ("recorder-upkeep", "recorder-drainer", "recorder-store-watch", "recorder-ending", "recorder-anchor-")
_LEFT: Final = "until it is gone, what it records stays in %s: `recorder recover` brings it to the store"


class LastingWritePath(WritePath):
    """A write path that can end with the program; the parameters are those of :class:`WritePath`."""

    def __init__(self, *given: Any, **options: Any) -> None:
        self._given, self._options = given, options
        self._gone = False  # what is begun now is the successor's
        self._successor: WritePath | None = None
        super().__init__(*given, **options)

    def end(self, timeout: float) -> None:
        """Bring everything to the store, as the program ends; what other threads record is kept until they stop.

        :param timeout: seconds that the store is given.
        """
        with self._opening:
            lasting = _others_live() and self._unended.any_open
            self._gone = not lasting
        if lasting:
            self._leave(timeout)
        else:
            self.close(timeout)

    def _leave(self, timeout: float) -> None:
        _log.warning("recorder: the program ends while a thread of it is recorded: " + _LEFT, self._directory)
        self._keep_up()
        there = {file.id: file.size for file in self._spool.files()}

        def is_there(drained: Mapping[bytes, int]) -> bool:
            kept = {file.id for file in self._spool.files()}  # what is drained whole is removed
            return all(drained.get(key, HEADER_SIZE) >= size or key not in kept for key, size in there.items())

        self._mover.leave(timeout, is_there)

    def begin(self, exchange: Unfinished) -> tuple[WritePath, StreamWriter]:
        """Return who writes the stream of *exchange*, and where: see :meth:`current`."""
        with self._opening:
            if not self._gone:
                return super().begin(exchange)
        return self.current().begin(exchange)

    def current(self) -> WritePath:
        """Return the write path for what begins now: when this one ended with the program, its successor.

        :raises RecordingError: there can be none, and what is not recorded must not happen.
        """
        if not self._gone or self._successor is not None:
            return self._successor or self
        with self._opening:
            if self._successor is None:
                self._successor = self._succeeded()
            return self._successor

    def _succeeded(self) -> WritePath:
        """Return what records into a spool that is left to recovery; this one where there can be none."""
        options = self._options
        if options["durability"] == "batched":  # nobody would write what is held in memory
            options = options | {"durability": "delivered"}
        try:
            successor = _Successor(*self._given, **options)
        except StoreError as error:
            if self.must_record:
                raise RecordingError(f"the request was not sent because it cannot be recorded: {error}") from None
            _log.critical("recorder: the program ends, and what it still sends is not recorded: %s", error)
            self._gone = False  # said once; this one is closed
            return self
        successor.succeed(self)
        _log.warning("recorder: a request is sent after the end of the program: " + _LEFT, self._directory)
        return successor


class _Successor(WritePath):
    """The write path of a process that ends, and in which no thread can be started: all it writes is recovery's."""

    def succeed(self, before: LastingWritePath) -> None:
        """Begin after another one."""
        self._begin_anew(before._journal.left())
        self._upkeep.stop(0)
        self._mover.retire()
        if before._mover.error is not None:
            self._mover.start_failed(before._mover.error)


def _others_live() -> bool:
    """Whether any thread lives but this one and those of recorders, whoever started it."""
    own = {each.ident for each in threading.enumerate() if each.name.startswith(_OWN)} | {threading.get_ident()}
    return not own.issuperset(sys._current_frames())
