"""An interrupt at any place where the interpreter takes one."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import cache
from types import CodeType, FrameType
from typing import Any


class Interrupt:
    """For :func:`sys.settrace`: raises KeyboardInterrupt at the n-th place of the code under test that can take one.

    The interpreter runs signal handlers when it begins a function, when it jumps back, and when a call has returned;
    nowhere between these. So a lock that ``with`` has taken is always given back, and no test may ask for more.

    :param after: the number of places to pass, and one.
    :param files: the ends of the names of the files with the code under test.
    """

    def __init__(self, after: int, files: tuple[str, ...]) -> None:
        self.left = after
        self._files = files

    def __call__(self, frame: FrameType, what: str, _: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.endswith(self._files):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if what == "opcode" and frame.f_lasti in _places(code):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


@cache
def _places(code: CodeType) -> frozenset[int]:
    return frozenset(_found(code))


def _found(code: CodeType) -> Iterator[int]:
    guards = _guards(code)
    called: int | None = None  # where the call is that has just returned
    for instruction in dis.get_instructions(code):
        at = instruction.offset
        if instruction.opname in {"RESUME", "JUMP_BACKWARD"}:
            yield at
        elif called is not None and guards.get(called) == guards.get(at):
            yield at  # the interpreter would raise at the call itself: only where that makes no difference
        called = at if instruction.opname.startswith("CALL") else None


def _guards(code: CodeType) -> dict[int, int]:
    """Return where the handler is of each instruction that has one."""
    entries = dis.Bytecode(code).exception_entries
    return {at: entry.target for entry in entries for at in range(entry.start, entry.end, 2)}
