"""Where some of the texts of a large JSON document stand, found without reading all of it in Python.

A place in a payload that was found by searching its bytes has no path yet. The decoder, which is written in C, makes a
value of the whole document; going through it for the few texts that are wanted takes a tenth of what
:func:`recorder.core.json_spans.find_spans` does, which knows of every value where it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from recorder.core.json_spans import Span, find_spans
from recorder.core.json_text import scan_value

#: Picks a text by the name of its member, or of the member in whose array it stands (else empty), and by itself.
Selects = Callable[[str, str], bool]
_Way = tuple[Any, ...]  # the way to a container: that to the one around it, and its name there

STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING: Final = re.compile(STRING, re.DOTALL)


def find_texts(text: str, starts: Iterable[int], selects: Selects) -> list[Span]:
    """Return the texts that *selects* picks, in the order of a JSON document.

    :param starts: where they are thought to begin, with their quotes. Where they are others, it only takes longer.
    :raises ValueError: *text* is not one JSON value.
    :raises RecursionError: it is nested too deeply for the decoder.
    """
    picked: list[tuple[_Way, bool, str, str]] = []
    _walk(json.loads(text), (), "", selects, picked)
    found = []
    for start in starts:
        if text[start : start + 1] != '"':
            break
        found.append((start, *scan_value(text, start)))
    if [value for _, value, _ in found] != [value for _, _, _, value in picked]:  # a name twice, written with escapes …
        return find_spans(text, lambda span: isinstance(span.value, str) and selects(_name_of(span), span.value))
    return [
        Span((*_path(way), step), named, start, end, value)
        for (start, value, end), (way, named, step, _) in zip(found, picked, strict=True)
    ]


def _walk(value: Any, way: _Way, name: str, selects: Selects, picked: list[tuple[_Way, bool, str, str]]) -> None:
    if type(value) is dict:
        for key, child in value.items():
            kind = type(child)
            if kind is str:
                if selects(key, child):
                    picked.append((way, True, key, child))
            elif kind is dict or kind is list:
                _walk(child, (way, key), key, selects, picked)
    elif type(value) is list:
        for index, child in enumerate(value):
            kind = type(child)
            if kind is str:
                if selects(name, child):
                    picked.append((way, False, str(index), child))
            elif kind is dict or kind is list:
                _walk(child, (way, str(index)), "", selects, picked)


def _path(way: _Way) -> list[str]:
    path = []
    while way:
        way, step = way
        path.append(step)
    return path[::-1]


def _name_of(span: Span) -> str:
    if span.named:
        return span.path[-1]
    return span.path[-2] if len(span.path) > 1 else ""


def strings_around(payload: bytes, wanted: Iterable[bytes]) -> Iterator[int]:
    """Yield where the strings begin that hold one of the *wanted*, if the payload is JSON; each once, in order."""
    done = 0
    for at in sorted(at for one in set(wanted) for at in _places(payload, one)):
        if at < done:
            continue
        start = payload.rfind(b'"', done, at)
        while start > 0 and _is_escaped(payload, start):
            start = payload.rfind(b'"', done, start)
        string = _STRING.match(payload, start) if start >= 0 else None
        if string is not None:
            done = string.end()
            yield start


def _places(payload: bytes, wanted: bytes) -> Iterator[int]:
    at = payload.find(wanted)
    while at >= 0:
        yield at
        at = payload.find(wanted, at + len(wanted))


def _is_escaped(payload: bytes, at: int) -> bool:
    """Whether an odd number of backslashes stands before a place."""
    first = at
    while payload[first - 1 : first] == b"\\":
        first -= 1
    return (at - first) % 2 == 1


def in_letters(payload: bytes, text: str, places: Iterable[int]) -> list[int]:
    """Return where places of a payload, which are counted in bytes and ascend, are in its text."""
    if len(text) == len(payload):
        return list(places)
    found, done, letters = [], 0, 0
    for place in places:
        letters += len(payload[done:place].decode("utf-8"))
        done = place
        found.append(letters)
    return found
