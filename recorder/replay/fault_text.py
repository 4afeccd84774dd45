"""Faults as text, for command lines and headers: ``cut:after-events=3,how=reset``.

::

    fault    = one *( "+" one )                     one after the other
    one      = name [ ":" argument *( "," argument ) ]
    argument = [ name "=" ] value                   as a call of Python has them
    value    = JSON that begins with { [ or ", or anything without a comma or a plus

Names and arguments are those of :mod:`recorder.faults`; ``-`` and ``_`` are the same in them.
"""

from __future__ import annotations

import difflib
import inspect
import json
import re
from collections.abc import Callable
from typing import Any, Final

from recorder.errors import ConfigurationError
from recorder.replay import fault_names
from recorder.replay.faults import Fault, require_fault

_KNOWN: Final[dict[str, Callable[..., Fault]]] = {
    name: getattr(fault_names, name.replace("-", "_"))
    for name in (
        *("corrupt-gzip", "cut", "done-missing", "done-twice", "error-in-stream", "late", "malformed", "rechunk"),
        *("stall", "status", "unreachable"),
    )
}
_SHOWN: Final = 80
_NAME: Final = re.compile(r"\s*([A-Za-z][A-Za-z_-]*)\s*")
_ARGUMENT: Final = re.compile(r"\s*([A-Za-z][A-Za-z_-]*)\s*=")
_PLAIN: Final = re.compile(r"[^,+]*")
_SPACE: Final = re.compile(r"\s*")
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"-?[0-9]+\.[0-9]+")
_decode: Final = json.JSONDecoder().raw_decode


def from_text(text: str) -> Fault:
    """Return the fault that a text names, as ``status:503,retry-after=2`` or ``done-missing+rechunk:bytes``.

    :raises ConfigurationError: it names none; the message says what is wrong in it, and what there is.
    """
    reading = _Reading(text)
    faults = [reading.one()]
    while reading.follows("+"):
        faults.append(reading.one())
    reading.require_end()
    return faults[0] if len(faults) == 1 else fault_names.several(*faults)


def as_fault(value: object) -> Fault:
    """Return a fault that is one, or that a text names.

    :raises ConfigurationError: it is none.
    """
    return from_text(value) if isinstance(value, str) else require_fault(value)


class _Reading:
    """A text that is read from the left."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def one(self) -> Fault:
        found = _NAME.match(self._text, self._at)
        if found is None:
            raise self._wrong(f"a fault is missing at {self._rest()}", f"use one of {', '.join(_KNOWN)}")
        self._at = found.end()
        name = found[1].replace("_", "-").lower()
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise self._wrong(f"{name} is no fault", f"{meant}use one of {', '.join(_KNOWN)}")
        given = self._arguments(name) if self.follows(":") else {}
        wanted = inspect.signature(_KNOWN[name]).parameters
        missing = [each for each, one in wanted.items() if one.default is one.empty and each not in given]
        if missing:
            raise self._wrong(f"{name} says no {_told(missing[0])}", f"use {name}:{_told(missing[0])}=…")
        try:
            return _KNOWN[name](**given)
        except ConfigurationError as error:
            raise ConfigurationError(f"the fault {_shown(self._text)}: {error}") from None
        except RecursionError:
            raise ConfigurationError("the fault is nested too deeply: write less in it") from None

    def _arguments(self, name: str) -> dict[str, Any]:
        wanted = inspect.signature(_KNOWN[name]).parameters
        in_order = [each for each, one in wanted.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
        given: dict[str, Any] = {}
        while True:
            found = _ARGUMENT.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                argument = found[1].replace("-", "_").lower()
            elif not given and in_order:
                argument = in_order[0]
            else:
                raise self._wrong(f"{self._rest()} has no name in {name}", _usage(name))
            if argument not in wanted or argument in given:
                what = "is given twice" if argument in given else "is not known"
                raise self._wrong(f"{_told(argument)} {what} in {name}", _usage(name))
            given[argument] = self._value()
            if not self.follows(","):
                return given

    def _value(self) -> Any:
        start = self._skip_space()
        if self._text[start : start + 1] in ("{", "[", '"'):
            try:
                value, self._at = _decode(self._text, start)
            except (ValueError, RecursionError):
                raise self._wrong(f"{self._rest()} is no JSON", "write JSON, or a value without commas") from None
            return value
        found = _PLAIN.match(self._text, start)
        assert found is not None
        self._at = found.end()
        value = found[0].strip()
        if _INTEGER.fullmatch(value):
            return int(value)
        return float(value) if _DECIMAL.fullmatch(value) else value

    def follows(self, sign: str) -> bool:
        """Whether *sign* comes next; it is passed over then."""
        at = self._skip_space()
        if not self._text.startswith(sign, at):
            return False
        self._at = at + 1
        return True

    def require_end(self) -> None:
        """:raises ConfigurationError: there is more."""
        if self._skip_space() < len(self._text):
            raise self._wrong(
                f"nothing is known of {self._rest()}", "put + between faults and commas between arguments"
            )

    def _skip_space(self) -> int:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        return found.end()

    def _rest(self) -> str:
        rest = self._text[self._at :].strip()
        return _shown(rest) if rest else "its end"

    def _wrong(self, what: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(f"the fault {_shown(self._text)} cannot be read, {what}: {remedy}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def _told(argument: str) -> str:
    return argument.replace("_", "-")


def _usage(name: str) -> str:
    known = [_told(each) for each in inspect.signature(_KNOWN[name]).parameters]
    return f"use {', '.join(f'{each}=…' for each in known)}" if known else f"{name} takes nothing"
