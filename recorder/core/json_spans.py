"""Where the values of a JSON text stand, so that one can be replaced without touching another byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json import JSONDecoder
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = JSONDecoder()


@dataclass(frozen=True, slots=True)
class Span:
    """One value of a JSON text.

    :ivar path: names and indices from the root to it.
    :ivar named: it is a member of an object (else an element of an array).
    :ivar start: where it begins in the text.
    :ivar end: where it ends.
    :ivar value: the value.
    """

    path: tuple[str, ...]
    named: bool
    start: int
    end: int
    value: Any


def find_spans(text: str, selects: Callable[[Span], bool]) -> list[Span]:
    """Return the outermost values that *selects* picks, in the order of the text.

    :raises ValueError: *text* is not one JSON value.
    :raises RecursionError: it is nested too deeply for the decoder.
    """
    start = _skip(text, 0)
    spans = list(_walk(text, start, (), selects, named=False))
    if spans:
        *found, whole = spans
        if _skip(text, whole.end) != len(text):
            raise ValueError("more follows the JSON value")
        return [span for span in found if selects(span)]
    raise ValueError("no JSON value")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _walk(text: str, at: int, path: tuple[str, ...], selects: Callable[[Span], bool], *, named: bool) -> Iterator[Span]:
    """Yield the selected spans inside the value at *at*, and last the span of the value itself."""
    value, end = _DECODER.raw_decode(text, at)
    whole = Span(path, named, at, end, value)
    if not selects(whole) and isinstance(value, dict | list):
        at = _skip(text, at + 1)
        index = 0
        while text[at] not in "}]":
            name = str(index)
            if isinstance(value, dict):
                name, at = _DECODER.raw_decode(text, at)
                at = _skip(text, _skip(text, at) + 1)
            for span in _walk(text, at, (*path, name), selects, named=isinstance(value, dict)):
                if selects(span):
                    yield span
                at = span.end
            index += 1
            at = _skip(text, at)
            if text[at] == ",":
                at = _skip(text, at + 1)
    yield whole
