"""How long a program waits for a spool that cannot be written, and when it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from recorder.clock import Clock

_log = logging.getLogger("recorder")

_CALM: Final = 30_000_000_000  # nanoseconds after a wait in which a spool that is in and out of trouble waits no more


class SpoolOutage:
    """That a spool cannot be written.

    :param wait: seconds for which the first failing write of an outage is tried again.
    :ivar error: why it cannot be written, or None.
    :ivar lasts: there is an error, or only less could be written since than what had failed.
    """

    def __init__(self, directory: Path, clock: Clock, wait: float) -> None:
        self._directory = directory
        self._clock = clock
        self._wait = wait
        self._waited: tuple[int, int] | None = None  # when the last wait ended, and the size of what failed
        self.error: str | None = None
        self.lasts = False

    def passes(self, error: OSError, size: int, again: Callable[[], object]) -> bool:
        """Wait for a write to succeed that has failed, unless that was done a moment ago; return whether it did.

        :param size: of what is to be written.
        :param again: tries it again.
        """
        now = self._clock.monotonic_ns()
        reason = f"{self._directory}: {error.strerror}"
        if self.error is not None or (self._waited is not None and now < self._waited[0] + _CALM):
            self.error, self.lasts = reason, True
            return False  # what is small may fit in between: the program is not held up again for that
        deadline = now + int(self._wait * 1e9)
        while self._clock.monotonic_ns() < deadline:
            self._clock.sleep(0.01)
            with suppress(OSError):
                again()
                return True
        self.error, self._waited, self.lasts = reason, (self._clock.monotonic_ns(), size), True
        _log.critical("recorder: the spool %s: events are being lost until it can be written", self.error)
        return False

    def wrote(self, size: int) -> None:
        """Take note that something of *size* bytes could be written."""
        self.error = None
        if self._waited is None or size >= self._waited[1]:
            told, self._waited, self.lasts = self._waited is not None, None, False
            if told:
                _log.warning("recorder: the spool %s can be written again", self._directory)

    def forget(self) -> None:
        """Begin anew, in a forked child."""
        self.error, self._waited, self.lasts = None, None, False
