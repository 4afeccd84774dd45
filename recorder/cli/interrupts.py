"""An interrupt (SIGINT) where nothing has to be put in order: the process ends at once and says nothing.

An interrupt is heeded as soon as this module is there, so it imports only what Python itself has loaded by then:
of the module ``signal`` the part in C. The rest makes enumerations, and in Python 3.11 an interrupt that comes then
is a RuntimeError.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False  # typing takes longer than everything else here
if TYPE_CHECKING:
    from typing import Any, Final

INTERRUPTED: Final = 130


def leave_at_once() -> None:
    """From here on an interrupt ends the process, with exit code 130.

    The exception that Python makes of it otherwise is for code that has something to put in order. Out
    of an import, or while the interpreter winds up, it comes as a traceback, or is swallowed with a
    notice. Where interrupts are ignored, as in the background of a shell, they stay ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _set(_leave)


def raise_again() -> None:
    """From here on an interrupt is the exception again, where :func:`leave_at_once` had changed that."""
    if signal.getsignal(signal.SIGINT) is _leave:
        _set(signal.default_int_handler)


class leaving_at_once:  # noqa: N801 - used as a function is
    """Inside, an interrupt ends the process; afterwards it is again what it was before."""

    def __enter__(self) -> None:
        self._before = signal.getsignal(signal.SIGINT)
        leave_at_once()

    def __exit__(self, *_: object) -> None:
        if signal.getsignal(signal.SIGINT) is not self._before:
            _set(self._before)


def _set(handler: Any) -> None:
    try:  # noqa: SIM105 - contextlib takes too long to be imported here
        signal.signal(signal.SIGINT, handler)
    except ValueError:  # signals are of the main thread; in another one a command leaves them as they are
        pass


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
