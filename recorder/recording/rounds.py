"""A thread that does its rounds while there is work, and sleeps until it is woken when there is none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

_log = logging.getLogger("recorder")

INTERVAL: Final = 0.02  # seconds between two rounds
_ROUNDS_TO_IDLE: Final = 50


class Rounds:
    """Calls a function every 20 ms from a daemon thread, started on first use.

    :param name: of the thread.
    :param work: one round; returns whether another one should follow soon. It must not raise.
    :param at_rest: called once when there has been no work for a second; it should return soon after the
        function that it is given says no. It must not raise.
    :param pulse: seconds after which one round is done even where nobody wakes it; None: never.
    :ivar idle: nobody is looking: :meth:`wake` has to be called for what is to be done now.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], bool],
        at_rest: Callable[[Callable[[], bool]], None] = lambda go_on: None,
        pulse: float | None = None,
    ) -> None:
        self._pulse = pulse
        self._name = name
        self._work = work
        self._at_rest = at_rest
        self._wakes: SimpleQueue[None] = SimpleQueue()  # which a signal handler can put into at any moment
        self._jobs: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._nudge, self._stop = threading.Event(), threading.Event()
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self.idle = True

    @property
    def started(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None

    def wake(self) -> None:
        """Say that there is work; never waits for a round that is under way."""
        self.idle = False
        if self._thread is None and not self._start():
            self.idle = True  # whoever comes next tries again
        self._wakes.put(None)

    def within(self, timeout: float, job: Callable[[], bool]) -> bool | None:
        """Have the thread do *job* next, and wait for that, but not longer than *timeout* seconds.

        :param job: must not raise; it is done later where it was not done in time. Where no thread runs, it is done
            here, however long it takes.
        :return: what it returns; None where it was not done in time.
        """
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return job()
        told: list[bool] = []
        done = threading.Event()
        self._jobs.put((lambda: told.append(job()), done))
        self._nudge.set()
        self.wake()
        return told[0] if done.wait(timeout) and told else None

    def _do_jobs(self) -> None:
        while not self._jobs.empty():
            job, done = self._jobs.get()
            try:
                job()
            finally:
                done.set()

    def _start(self) -> bool:
        with self._starting:
            if self._thread is not None or self._stop.is_set():
                return True
            # Kept before it runs: a signal handler that wakes meanwhile starts no second one.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # no thread is left, or the interpreter is shutting down
                _log.warning("recorder: no thread yet for %s: %s", self._name, error)
                self._thread = None
                return False
            return True

    def _run(self) -> None:
        empty = 0
        while not self._stop.is_set():
            empty = 0 if self._work() else empty + 1
            if empty > _ROUNDS_TO_IDLE:
                self._sleep_until_woken()
                empty = 0
            self._nudge.wait(INTERVAL)
            self._nudge.clear()
            self._do_jobs()  # which may stop it: then there is no further round
        self._do_jobs()

    def _sleep_until_woken(self) -> None:
        while not self._wakes.empty():
            self._wakes.get()
        self.idle = True
        # There may be work, or a job, that came between the last look and the flag.
        if not self._work() and not self._stop.is_set() and self._jobs.empty():
            self._at_rest(lambda: self._wakes.empty() and not self._stop.is_set())
            self._wait()
        self.idle = False

    def _wait(self) -> None:
        while True:
            try:
                self._wakes.get(timeout=self._pulse)
                return
            except Empty:
                if self._work():
                    return

    def stop(self, timeout: float) -> None:
        """Do no further round, and wait for one that is under way, but not longer than *timeout* seconds."""
        with self._starting:
            self._stop.set()
        self._nudge.set()
        self._wakes.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
