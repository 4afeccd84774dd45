"""Objects of Python in YAML, as PyYAML's unsafe dumper writes them: what they hold, and nothing is ever called.

A request whose body was a file or an iterator has an object there in the cassettes of VCR.py. Of those that hold bytes
and are known, these bytes are the value; of one that names something to call, its arguments are. What is left is told
apart from a mapping that somebody wrote, as nothing of it was ever sent.
"""

from __future__ import annotations

import re
from typing import Any, Final

from recorder.formats.importing.values import PythonObject

_OBJECT: Final = re.compile(r"tag:yaml\.org,2002:python/object(?P<called>/apply|/new)?:(?P<name>.*)", re.DOTALL)
#: As their arguments: a file's are its state, of which the content is the first.
_FILES: Final = frozenset({"_io.BytesIO", "io.BytesIO", "_io.StringIO", "io.StringIO"})
_ITERATORS: Final = frozenset({"builtins.iter", "__builtin__.iter"})
_ARRAYS: Final = frozenset({"builtins.bytearray", "__builtin__.bytearray"})


def value_of(value: Any, tag: str) -> Any:
    """Return what a list or a mapping with a tag stands for; itself, where the tag names no object of Python."""
    told = _OBJECT.match(tag)
    if told is None:
        return value
    held = _held(told["name"], value)
    if held is not None:
        return held
    if told["called"]:
        if isinstance(value, dict):
            value = value.get("args", value)
        if isinstance(value, list) and len(value) == 1:
            return value[0]
    return PythonObject(value) if isinstance(value, dict) else value


def _held(name: str, value: Any) -> bytes | str | None:
    """Return the content of an object that holds some; None where it is none that is known."""
    if name in _FILES:
        state = value.get("state") if isinstance(value, dict) else None
        return _one(state[:1] if isinstance(state, list) else None)
    arguments = value.get("args") if isinstance(value, dict) else value
    if name in _ITERATORS and isinstance(arguments, list) and len(arguments) == 1:
        return _joined(arguments[0])
    if name in _ARRAYS and isinstance(arguments, list):
        return _array(arguments)
    return None


def _one(values: Any) -> bytes | str | None:
    return values[0] if isinstance(values, list) and values and isinstance(values[0], bytes | str) else None


def _joined(pieces: Any) -> bytes | None:
    """What an iterator would have given, one after the other."""
    if not isinstance(pieces, list) or not all(isinstance(one, bytes | str) for one in pieces):
        return None
    return b"".join(one.encode("utf-8", "replace") if isinstance(one, str) else one for one in pieces)


def _array(arguments: list[Any]) -> bytes | str | None:
    """The bytes of an array: none, some, or a text of which each character is one."""
    if not arguments:
        return b""
    first = _one(arguments)
    if isinstance(first, str) and arguments[1:] == ["latin-1"]:
        try:
            return first.encode("latin-1")
        except UnicodeEncodeError:
            return None
    return first if isinstance(first, bytes) and len(arguments) == 1 else None
