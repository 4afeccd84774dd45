"""An interrupt (SIGINT) where nothing has to be put in order: the process ends at once and says nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

INTERRUPTED: Final = 130


def leave_at_once() -> None:
    """From here on an interrupt ends the process, with exit code 130.

    The exception that Python makes of it otherwise is for code that has something to put in order. Out
    of an import, or while the interpreter winds up, it comes as a traceback, or is swallowed with a
    notice. Where interrupts are ignored, as in the background of a shell, they stay ignored.
    """
    if threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _leave)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Inside, an interrupt ends the process; afterwards it is the exception again."""
    before = signal.getsignal(signal.SIGINT)
    leave_at_once()
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
