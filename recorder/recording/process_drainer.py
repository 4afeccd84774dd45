"""The recorder's side of a drainer process: starts it, watches it, starts it again when it dies."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from recorder.clock import Clock
from recorder.core.receipts import Receipt, from_json
from recorder.errors import (
    ConfigurationError,
    CorruptRecording,
    LedgerConflict,
    NotFound,
    RecorderError,
    StoreError,
    StoreUnreachable,
    VersionConflict,
)
from recorder.ledger.sealer import Sealing
from recorder.recording.store_outage import say_failing, say_well
from recorder.store.base import EventLog

_log = logging.getLogger("recorder")

_MODULE: Final = "recorder.recording.drainer_process"
_LONGEST_WAIT: Final = 5.0  # seconds between two starts of a drainer that dies
_LOOK_EVERY: Final = 0.01  # seconds
_REFUSALS: Final = {
    kind.__name__: kind
    for kind in (ConfigurationError, CorruptRecording, LedgerConflict, NotFound, StoreUnreachable, VersionConflict)
}


class ProcessDrainer:
    """Has a process drain the spool of this one.

    :param orders: what the process gets on standard input, see :mod:`~recorder.recording.drainer_process`.
    :param signed: is told of each checkpoint that was signed.
    :ivar drained: how far the store has each file, by id, as the process last said.
    :ivar events: moved so far.
    :ivar conflicts: events set aside, because the store has others in their place.
    :ivar error: why the store does not take them, or None.
    """

    def __init__(
        self, orders: Mapping[str, Any], clock: Clock, signed: Callable[[str], None] = lambda note: None
    ) -> None:
        self._orders = dict(orders)
        self._clock = clock
        self._signed = signed
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._moved_before = self._refused_before = 0  # by processes that died
        self.drained: dict[bytes, int] = {}
        self.events = 0
        self.conflicts = 0
        self.error: str | None = None
        self.damage: str | None = None
        self.damaged_lanes: frozenset[int] = frozenset()
        self.sealing = Sealing()
        self.idle = True
        self._asking = threading.Lock()  # one question at a time: answers come in order
        self._question: bytes | None = None  # which a process that is started anew is asked again
        self._answers: SimpleQueue[Mapping[str, Any]] = SimpleQueue()

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        process = self._process
        return process.pid if process is not None else None

    def adopt(self, store: EventLog, dead: Sequence[bytes] = ()) -> None:
        """Close a store that was opened here: the process opens its own, and seals what dead recorders left."""
        self._orders["dead"] = [instance.hex() for instance in dead]
        try:
            store.close()
        except RecorderError as error:
            _log.info("recorder: the store was not closed in good order: %s", error)

    def inherited(self) -> EventLog | None:
        """Return None: there is no store in this process."""
        return None

    def start_failed(self, reason: str) -> None:
        """Take note that the store could not be opened; the process tries again."""
        self.error = reason
        self.wake()

    def wake(self) -> None:
        """Start the process on first use; never waits for it."""
        self.idle = False
        with self._lock:
            if self._thread is not None or self._stopping.is_set():
                return
            # Kept before it runs: a signal handler that wakes meanwhile starts no second one.
            self._thread = threading.Thread(target=self._watch, name="recorder-drainer-watch", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # no thread is left, or the interpreter is shutting down
                _log.warning("recorder: no drainer process yet: %s", error)
                self._thread = None
                self.idle = True

    def drain(self, timeout: float | None = None, *, apart: bool = False) -> bool:
        """Do nothing: the process drains."""
        return False

    def _watch(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            started = self._clock.monotonic_ns()
            self._run_once()
            if self._stopping.is_set():
                return
            _log.warning("recorder: the drainer process ended: %s", self.error or "it is started again")
            lived = (self._clock.monotonic_ns() - started) / 1e9
            pause = 0.1 if lived > _LONGEST_WAIT else min(pause * 2, _LONGEST_WAIT)
            self._stopping.wait(pause)

    def _run_once(self) -> None:
        try:
            process = self._start()
        except OSError as error:
            self.error = f"the drainer process cannot be started: {error.strerror}"
            return
        self._moved_before, self._refused_before = self.events, self.conflicts
        with process:
            if process.stdout is not None:
                for line in process.stdout:
                    self._heard(json.loads(line))
        if process.returncode:
            self.error = f"the drainer process ended with code {process.returncode}"

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        with self._lock:
            process = subprocess.Popen(
                [sys.executable, "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C at the terminal is for the program, which then tells it to stop
            )
            self._process = process
            self._say(json.dumps(self._orders).encode())
            if self._question is not None:
                self._say(self._question)
            if self._stopping.is_set():
                self._say(b"stop")
        return process

    def _say(self, line: bytes) -> None:
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.closed:
            try:
                os.write(process.stdin.fileno(), line + b"\n")
            except OSError as error:
                _log.info("recorder: the drainer process does not listen: %s", error.strerror)

    def seal(self, stream: bytes, timeout: float) -> Receipt:
        """Have the process bring all that is in the spool to the store, seal it, and return the proof for a stream.

        :param timeout: seconds.
        :raises ConfigurationError: the store has no ledger, or its key is not here.
        :raises StoreError: the store, or what is outside of it, fails; or it takes too long.
        :raises NotFound: nothing of the stream was recorded.
        """
        self.wake()
        with self._asking:
            while not self._answers.empty():
                self._answers.get()  # of a question that nobody waited for
            with self._lock:
                self._question = f"seal {stream.hex()} {timeout:g}".encode()
                self._say(self._question)
            try:
                answer = self._answers.get(timeout=timeout)
                while answer["asked"] != stream.hex():  # of a process that died after it had answered: the next one did
                    answer = self._answers.get(timeout=timeout)
            except Empty:
                raise StoreUnreachable(f"nothing could be sealed within {timeout:g} s") from None
            finally:
                self._question = None
        if "receipt" in answer:
            return from_json(answer["receipt"])
        raise _REFUSALS.get(answer["refused"], StoreError)(answer["because"])

    def _heard(self, report: Mapping[str, Any]) -> None:
        if "signed" in report:
            self._signed(report["signed"])
            return
        if "asked" in report:
            self._answers.put(report)
            return
        self._heard_error(report["error"])
        if "drained" not in report:
            return
        self.sealing = Sealing(**report.get("sealing", {}))
        self._orders["brought"] = report.get("brought") or self._orders.get("brought")
        self.damage = report["damage"]
        self.damaged_lanes = frozenset(report["damaged_lanes"])
        self.drained = {bytes.fromhex(name): offset for name, offset in report["drained"].items()}
        self.events = self._moved_before + report["events"]
        self.conflicts = self._refused_before + report["conflicts"]

    def _heard_error(self, error: str | None) -> None:
        if self.error is None and error is not None:
            say_failing(error)
        elif self.error is not None and error is None:
            say_well()
        self.error = error

    def pause(self, timeout: float) -> bool:
        """Return True: the store is open in the drainer's process only."""
        return True

    def resume(self) -> None:
        """Nothing to do."""

    def retire(self) -> None:
        """Start no process any more."""
        self._stopping.set()

    def leave(self, timeout: float, is_there: Callable[[Mapping[bytes, int]], bool]) -> None:
        """Wait for the process, which ends with this one, and is not started again."""
        self._stopping.set()
        deadline, thread = self._clock.monotonic_ns() + int(timeout * 1e9), self._thread
        while thread is not None and not is_there(self.drained) and self._clock.monotonic_ns() < deadline:
            thread.join(_LOOK_EVERY)
            thread = thread if thread.is_alive() else None

    def stop(self, timeout: float, is_empty: Callable[[Mapping[bytes, int]], bool]) -> bool:
        """Have the process drain what is there and end; return whether everything is in the store.

        :param timeout: seconds after which it is ended; what is left is recovery's.
        :param is_empty: tells from :attr:`drained` whether nothing is left in the spool.
        """
        self._stopping.set()
        with self._lock:
            self._say(b"stop")
            process, thread = self._process, self._thread
        if thread is None:
            return is_empty(self.drained)
        thread.join(timeout)
        if thread.is_alive() and process is not None:
            process.terminate()
            thread.join(1.0)
        return self.error is None and is_empty(self.drained)
