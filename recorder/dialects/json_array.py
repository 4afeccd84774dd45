"""Reads a JSON array whose values arrive one after the other, each as soon as it has come.

So does Google stream where nobody asked for server-sent events: ``[{…}``, ``,``, ``{…}``, ``]``. A JSON document
that is no array is one value.
"""

from __future__ import annotations

import re
from typing import Final

from recorder.core.json_text import parse_json
from recorder.core.messages import Answer
from recorder.dialects.reading import Fold

_OUTSIDE: Final = re.compile(rb'["\[\]{},]')
_INSIDE: Final = re.compile(rb'["\\]')
#: White space of JSON, and the bytes of a byte order mark; no value begins or ends with any of them.
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"


class ArrayReader:
    """Reads a JSON array value by value, or one JSON document.

    The end of an array says no more than the end of an event stream does: its values say whether the answer is
    finished (``whole`` is None). An array that is cut keeps the values before the cut, and is not whole. A document
    is whole where nothing is missing and nothing follows; several of them are read like the values of an array.

    :param shape: ``json``.
    """

    def __init__(self, shape: str, fold: Fold) -> None:
        self._shape = shape
        self._fold = fold
        self._buffer = bytearray()  # from where the value that has not ended yet may begin
        self._base = 0  # where the buffer begins in the body
        self._at = 0  # where reading goes on in the buffer
        self._in_string = False
        self._depth = 0
        self._outer = 0  # the depth of the values: 1 in an array
        self._values = 0
        self._broken = False
        self._ended = False  # the array is closed

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._buffer += data
        while not self._ended:
            found = (_INSIDE if self._in_string else _OUTSIDE).search(self._buffer, self._at)
            if found is None:
                self._at = max(self._at, len(self._buffer))
                return
            self._at = found.end()
            mark = found.group()
            if mark == b"\\":
                self._at += 1
            elif mark == b'"':
                self._in_string = not self._in_string
            else:
                self._mark(mark)

    def close(self) -> Answer:
        """Take the end of the body and return what it says."""
        rest = bytes(self._buffer).strip(_BLANK)
        if rest:
            kind = "after_document" if self._ended or (self._values and not self._outer) else "document_unparsed"
            place = (self._base, self._base + len(self._buffer))
            self._fold.note(kind, rest.decode("utf-8", "replace"), place)
        return self._fold.answer(self._shape, whole=self._whole(not rest), tail=len(rest))

    def _whole(self, nothing_left: bool) -> bool | None:
        if self._broken or not nothing_left or not (self._ended if self._outer else self._values):
            return False
        return None if self._outer or self._values > 1 else True

    def _mark(self, mark: bytes) -> None:
        if mark == b",":
            if self._depth == self._outer == 1:
                self._value(before=1)
        elif mark in b"[{":
            if mark == b"[" and not (self._depth or self._outer or self._values):
                self._outer = 1
                self._forget()
            self._depth += 1
        else:
            self._depth = max(0, self._depth - 1)
            if self._depth < self._outer:
                self._value(before=1)
                self._ended = True
            elif self._depth == self._outer:
                self._value(before=0)

    def _value(self, *, before: int) -> None:
        """Take the value that ends at the place that was reached, or *before* it."""
        held = bytes(self._buffer[: self._at - before])
        text = held.strip(_BLANK)
        start = self._base + len(held) - len(held.lstrip(_BLANK))
        self._forget()
        if not text:
            return
        place = (start, start + len(text))
        self._values += 1
        try:
            value = parse_json(text)
        except ValueError as error:
            self._broken = True
            self._fold.lose("value_unparsed", str(error), place)
            return
        self._fold.source = text, value
        self._fold.take(value, place)

    def _forget(self) -> None:
        del self._buffer[: self._at]
        self._base += self._at
        self._at = 0
