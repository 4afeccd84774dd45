"""How recording ends: the recorder is closed, or nobody holds it any more, or the program ends.

A recorder lives as long as anything that could still record: a session that it is mounted on holds it, and
so does a response in hand. When all of these are gone without ``close()``, nothing more can come, and
what a close does is done from a thread of its own: the drainer's threads end, the spool is drained or
left for recovery, and its lock is given back.
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from recorder.clock import id_bytes
from recorder.errors import RecorderError
from recorder.ledger.sealing_acts import seal_acts
from recorder.locations import cassette_path, spool_directory
from recorder.recording.program_end import LastingWritePath
from recorder.recording.recovery import recover
from recorder.recording.short_journal import note_recovered
from recorder.store import open_events
from recorder.store.base import EventLog
from recorder.store.sql import SqlStore

_log = logging.getLogger("recorder")

_PROJECTING_NS: Final = 500_000_000
_GRACE: Final = 0.1  # seconds for responses that are collected together with their recorder to tell their end


class Ending:
    """Ends one write path, whatever comes first.

    :param recorder: whose end is watched for; no reference to it is kept.
    :param path: what is closed.
    :param url: the store's URL.
    :param timeout: seconds that the store is given.
    :param last: what is done when everything is sealed, in so many seconds as are left of *timeout*.
    """

    def __init__(
        self, recorder: object, path: LastingWritePath, url: str, timeout: float, last: Callable[[float], None]
    ) -> None:
        self._path = path
        self._last = last
        self._url = url
        self._timeout = timeout
        self._thread: threading.Thread | None = None
        self._dropped = weakref.finalize(recorder, self._begin)
        self._dropped.atexit = False  # at exit there is time to wait for it
        atexit.register(self._at_exit)

    def close(self) -> None:
        """Bring everything to the store and stop recording; closing twice is fine.

        A signal handler may want that in the middle of a write: it is done when the write is over.
        """
        if not self._path.defers(self.close):
            self._end(self._path.close)

    def _end(self, end: Callable[[float], None]) -> None:
        self._dropped.detach()
        if not self._path.closed:
            clock = self._path.clock
            deadline = clock.monotonic_ns() + int(self._timeout * 1e9)
            try:
                end(self._timeout)
                self._last(max(deadline - clock.monotonic_ns(), 0) / 1e9)
                if not self._path.apart and self._path.reaches_store:
                    self._settle()
            finally:
                atexit.unregister(self._at_exit)

    def _settle(self) -> None:
        """Take over what forked children left, and bring the views up to date, for a moment.

        None of it has to succeed here: the next recorder does the one, whoever reads does the other.
        """
        if cassette_path(self._url) is not None and _removed(spool_directory(self._url)):
            return  # a cassette has no views, and nobody else has left anything
        path, bring_up_to_date = self._path, projecting()
        deadline = path.clock.monotonic_ns() + _PROJECTING_NS
        try:
            with closing(open_events(self._url)) as store:
                found = recover(spool_directory(self._url), store, path.clock, path.instance)
                note_recovered(store, path.clock, found)
                if found.instances:  # nobody else comes to sealing them: their spools are gone
                    seal_acts(store, path.clock, path.instance, [id_bytes(one) for one in found.instances])
                bring_up_to_date(store, lambda: path.clock.monotonic_ns() < deadline)
        except RecorderError as error:
            _log.info("recorder: the views were not brought up to date: %s", error)
        except Exception:  # noqa: BLE001 - a defect of ours must not reach the program, which is closing its recorder
            _log.exception("recorder: a defect in bringing the views up to date")

    def _begin(self) -> None:
        """Close from a thread: the garbage collector may be at work here, in a thread that holds any lock."""
        if self._path.closed:
            return
        thread = threading.Thread(target=self._close_dropped, name="recorder-ending", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread is left, or the interpreter is shutting down
            _log.warning("recorder: a Recorder was dropped without close(), and is not closed yet: %s", error)
            return
        self._thread = thread

    def _close_dropped(self) -> None:
        _log.warning("recorder: a Recorder was dropped without close(): what it recorded is brought to the store now")
        self._path.clock.sleep(_GRACE)
        self.close()

    def _at_exit(self) -> None:
        if self._thread is None:
            self._end(self._path.end)
        else:
            self._thread.join(self._timeout)


def _removed(directory: Path) -> bool:
    """Remove a folder if nothing is in it; return whether it is gone."""
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def projecting(**step: int) -> Callable[[EventLog, Callable[[], bool]], None]:
    """Return what brings a store's views up to date.

    What it needs is imported here, where that holds nobody up: not with recorder, which reads nothing by
    itself, and not in the drainer's thread, which would take the interpreter from the program's.

    :param step: ``at_once``, how many events of the feed make a step.
    """
    from recorder.projections.runner import project
    from recorder.store.projected import SqlProjected

    def bring_up_to_date(store: EventLog, go_on: Callable[[], bool]) -> None:
        if isinstance(store, SqlStore):
            project(store, SqlProjected(store), go_on=go_on, **step)

    return bring_up_to_date
