"""Forms as readers read them: where the fields of an ``application/x-www-form-urlencoded`` text are.

Readers are lenient, and so is this: a line end after the form, blanks in it, ``;`` between fields (HTML 4, B.2.2), a
line for each field (``text/plain``, as in HTML, "Plain text form data"). A value runs to the next ``&``, for a ``;`` or
a line end may be part of it; so a field may begin inside the value of another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

#: A form without any leniency.
FORM: Final = re.compile(r"[^=&\s{\[\"\x00-\x20]+=[^&\s\x00-\x20]*(&[^=&\s\x00-\x20]+=[^&\s\x00-\x20]*)*")
_NAME: Final = re.compile(r"(?:\A|(?<=[&;\r\n]))([^=&;\r\n]+)=")


class Field(NamedTuple):
    """One field of a form.

    :ivar name: decoded, without blanks around it.
    :ivar start: where its value begins in the text; *end*: where that ends, line ends after it not included.
    """

    name: str
    start: int
    end: int


def fields_of(text: str) -> Iterator[Field]:
    """Yield the fields of a text that may be a form, in order."""
    for found in _NAME.finditer(text):
        end = text.find("&", found.end())
        value = text[found.end() : len(text) if end < 0 else end].rstrip("\r\n")
        yield Field(unquote_plus(found[1]).strip(), found.end(), found.end() + len(value))


def names_of(field: str) -> Set[str]:
    """Return what a field may be called: ``a[b]`` is ``b`` too."""
    return {field, *re.split(r"[\[\]]", field)} - {""}


def with_values(text: str, value_of: Callable[[str, str], str | None]) -> str:
    """Return a form with other values.

    :param value_of: returns the value for a field, from its name and the value that it has; None: the same.
    """
    pieces, done = [], 0
    for name, start, end in fields_of(text):
        if start < done or start == end:
            continue  # inside a value that was replaced
        other = value_of(name, text[start:end])
        if other is not None:
            pieces += [text[done:start], other]
            done = end
    return "".join([*pieces, text[done:]]) if pieces else text
