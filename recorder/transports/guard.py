"""The border at which a transport tells the write path what it saw.

Recording must never break what it records: whatever goes wrong on our side of this border is our
defect, and the program's request goes on as if nobody were looking. So everything that a transport
does for the recording's sake is done inside a :class:`Guard`, the one place that stops any exception
of ours. It is not silent: the defect is logged, the exchange gets a ``gap_recorded`` and its
recording ends. Under ``on_failure="raise"`` it surfaces as a RecordingError instead.

What the program itself raises there is not ours to stop: an interrupt, or what its signal handler
raises, which may be at any moment, so also in the middle of our code.

The log gets the stack and the class of the exception, not its message: that may quote a header.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Any, Final, Protocol

from recorder.errors import RecordingError

_log = logging.getLogger("recorder")

#: Whose code runs inside a guard because we call it.
_OURS: Final = frozenset(
    {"recorder", "requests", "urllib3", "httpx", "httpx2", "aiohttp", *sys.stdlib_module_names} - {"__main__"}
)

#: A ``__del__`` that does nothing, called without arguments. It is none of Python's functions: in these the interpreter
#: may call a signal handler, and what that raises is lost in a ``__del__``, a program's own timeout for one.
NO_END: Final[Any] = dict


class Guarded(Protocol):
    """What a guard needs of the recording that it guards."""

    @property
    def must_record(self) -> bool:
        """Whether what is not recorded must not happen."""
        ...

    def give_up(self, reason: str) -> None:
        """Record nothing more but that the rest is missing."""
        ...


class Guard:
    """A context manager, for use again and again: what is raised inside does not come out.

    :param recording: what to give up after a defect; None where nothing has been begun yet.
    :param must_record: as :attr:`Guarded.must_record`, where there is no recording.
    """

    __slots__ = ("_must_record", "_recording")

    def __init__(self, recording: Guarded | None, *, must_record: bool = False) -> None:
        self._recording = recording
        self._must_record = recording.must_record if recording is not None else must_record

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception) or isinstance(error, RecordingError):
            return False  # nothing; an interrupt of the program; or what on_failure="raise" asks for
        if _is_of_the_program(error):
            return False
        self._report(error, "the exchange is not recorded any further")
        if self._recording is not None:
            with Guard(None, must_record=self._must_record):
                self._recording.give_up(f"a defect of recorder: {type(error).__name__}")
        if self._must_record:
            raise RecordingError("the exchange cannot be recorded: a defect of recorder, see the log") from None
        return True

    @staticmethod
    def _report(error: Exception, consequence: str) -> None:
        stack = "".join(traceback.format_tb(error.__traceback__))
        _log.error("recorder: a defect, %s: %s\n%s", consequence, type(error).__qualname__, stack)


def _is_of_the_program(error: Exception) -> bool:
    """Whether the program raised *error*, from code that we did not call: a signal handler, or a thread's interrupt."""
    if not _is_ours(type(error).__module__):
        return True
    trace = error.__traceback__
    while trace is not None and (trace := trace.tb_next) is not None:  # the first is where the guard stands
        if not _is_ours(trace.tb_frame.f_globals.get("__name__")):
            return True
    return False


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and (module.partition(".")[0] in _OURS or module.startswith("namedtuple_"))
