"""The standard streams of the process, which may be closed, full, or read by nobody any more."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from recorder.cli.failures import UNREACHABLE, Failed, Unheard

#: What a failed write to a stream means; None for nothing.
_Meaning = Callable[[OSError], Exception | None]

_ELSEWHERE: Final = "send it to a file or a pipe that takes it"


def guard() -> None:
    """Make standard output tell in one line that it cannot be written, and standard error never fail.

    :raises Failed: standard output is closed. Told before anything is done: the next file to be opened,
        a store above all, would get its number, and what is printed would be written into that file.
    """
    closed = [_is_closed(descriptor) for descriptor in range(3)]
    for _ in filter(None, closed):
        os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: that of a closed stream
    if closed[0]:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - for as long as the process lives
    if closed[1]:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - as above
    sys.stdout, sys.stderr = _guarded(sys.stdout, _unwritten), _guarded(sys.stderr, _nothing)
    if closed[1]:
        raise Failed(f"standard output is closed: {_ELSEWHERE}", UNREACHABLE)


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def _unwritten(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return Unheard()
    return Failed(f"standard output cannot be written ({error.strerror}): {_ELSEWHERE}", UNREACHABLE)


def _nothing(_: OSError) -> None:
    """There is nowhere to tell that standard error fails, and the exit code is that of what it was to tell."""


def _guarded(stream: Any, meaning: _Meaning) -> Any:
    """Return a text stream like *stream* whose failures have that meaning, and which fails no more than once."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    buffer: Any = stream.buffer
    if type(getattr(buffer, "raw", buffer)) is not io.FileIO:  # a console of Windows
        stream.reconfigure(errors="backslashreplace")
        return stream
    raw = _Descriptor(stream.fileno(), meaning)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",  # a narrow encoding is no reason to fail in the middle
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Descriptor(io.FileIO):
    """A standard stream that fails once: at exit the interpreter writes again what is still buffered."""

    def __init__(self, descriptor: int, meaning: _Meaning) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._meaning = meaning
        self._failed = False

    def write(self, data: Any) -> int:
        if not self._failed:
            try:
                return super().write(data)
            except OSError as error:
                self._failed = True
                failure = self._meaning(error)
                if failure is not None:
                    raise failure from error
        return memoryview(data).nbytes
