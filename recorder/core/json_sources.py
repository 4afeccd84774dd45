"""The text in which a value of a JSON document was written, cut out of the document.

What a decoder makes of a text has lost how it was written: ``2.50`` is 2.5, ``1.000000000000000001`` is 1.0, and the
layout is gone. Who has to give a value back as it came asks here. The values themselves are what is asked by: nothing
is kept but where they are, and nothing is looked for before somebody asks.

Between the values that lead to the one that is asked for, the text is skipped by the decoder that is written in C.
:mod:`recorder.core.json_spans` is for many values at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, Final, TypeVar, cast

from recorder.core.json_text import scan_value, sent_numbers

Name = str | int
Span = tuple[int, int]
_Value = TypeVar("_Value")
_Way = tuple[Any, Any, Name]  # an object or array, which stays alive so, the one that it is in, and its name there

_skip: Final = re.compile(r"[ \t\n\r]*").match


class Sources:
    """The texts of the values of one document.

    :param text: the document, or what gives it, which is asked where it is needed; bytes are UTF-8, with or without a
        byte order mark.
    :param root: what a decoder made of it, which nobody has changed since.
    :ivar asked: somebody has asked.
    """

    def __init__(self, text: str | bytes | Callable[[], str], root: Any) -> None:
        self.asked = False
        self._given = partial(text.decode, "utf-8-sig") if isinstance(text, bytes) else text
        self._root = root
        self._ways: dict[int, _Way] | None = None
        self._places: dict[int, Mapping[Name, Span]] = {}

    def text_of(self, holder: Any, name: Name) -> str | None:
        """Return the text of a member of an object, or of an element of an array.

        :param holder: the very object or array of the document, and no copy of it but a :class:`Sourced` one.
        :param name: the member's name, or the element's index.
        :returns: None where *holder* is none of the document's, or has none of that name.
        """
        self.asked = True
        if isinstance(holder, Sourced):
            holder = holder.read
        if self._ways is None:
            self._ways = _ways(self._root)
        if holder is not self._root and (id(holder) not in self._ways or self._ways[id(holder)][0] is not holder):
            return None
        place = self._children(holder, self._ways).get(name)
        return None if place is None else self.text[place[0] : place[1]]

    def exact(self, value: _Value) -> _Value:
        """Return a value of the document with its numbers as they were sent, see :func:`json_numbers.as_sent`.

        :param value: an object or an array as for :meth:`text_of`; others are returned as they are.
        :returns: the very same where it has no number that was written otherwise than Python does.
        """
        if not isinstance(value, dict | list) or not _has_float(value):
            return value
        held: Any = value.read if isinstance(value, Sourced) else value
        if held is self._root:
            self.asked = True
            return cast(_Value, sent_numbers(self.text, value))
        if self._ways is None:
            self._ways = _ways(self._root)
        way = self._ways.get(id(held))
        text = None if way is None or way[0] is not held else self.text_of(*way[1:])
        return value if text is None else cast(_Value, sent_numbers(text, value))

    @cached_property
    def text(self) -> str:
        """The document."""
        return self._given if isinstance(self._given, str) else self._given()

    def _children(self, holder: Any, ways: Mapping[int, _Way]) -> Mapping[Name, Span]:
        chain = [holder]
        while chain[-1] is not self._root and id(chain[-1]) not in self._places:
            chain.append(ways[id(chain[-1])][1])
        for one in reversed(chain):
            if id(one) not in self._places:
                start = _skip_to(self.text, 0)
                if one is not self._root:
                    _, around, name = ways[id(one)]
                    start = self._places[id(around)][name][0]
                self._places[id(one)], _ = _places_in(self.text, start)
        return self._places[id(holder)]


def _has_float(value: Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is float:
            return True
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
    return False


def _ways(root: Any) -> dict[int, _Way]:
    found: dict[int, _Way] = {}
    waiting = [root] if isinstance(root, dict | list) else []
    while waiting:
        one = waiting.pop()
        for name, inner in one.items() if isinstance(one, dict) else enumerate(one):
            if isinstance(inner, dict | list):
                found[id(inner)] = (inner, one, name)
                waiting.append(inner)
    return found


def _skip_to(text: str, at: int) -> int:
    found = _skip(text, at)
    return found.end() if found else at


def _places_in(
    text: str, at: int, arrays: dict[Name, Mapping[Name, Span]] | None = None
) -> tuple[dict[Name, Span], int]:
    """Return where the members of an object, or the elements of an array, stand in a text that a decoder has read.

    Of members of one name it is the last, as for decoders.

    :param at: where the object or the array begins.
    :param arrays: takes where the elements stand of each array among them, which would have to be read once more else.
    :returns: that, and where the object or the array ends.
    :raises StopIteration: there is none.
    """
    found: dict[Name, Span] = {}
    named = text[at : at + 1] == "{"
    at = _skip_to(text, at + 1)
    while text[at : at + 1] not in ("}", "]", ""):
        name: Name = len(found)
        if named:
            name, at = scan_value(text, at)
            at = _skip_to(text, _skip_to(text, at) + 1)
        if arrays is not None and text[at] == "[":
            arrays[name], end = _places_in(text, at)
        else:
            _, end = scan_value(text, at)
        found[name] = (at, end)
        at = _skip_to(text, end)
        if text[at : at + 1] == ",":
            at = _skip_to(text, at + 1)
    return found, at + 1


class Texts:
    """The texts of what is in an object, found where somebody asks for them.

    :param text: gives the text of the object, perhaps with spaces around it.
    """

    def __init__(self, text: Callable[[], str]) -> None:
        self._given = text
        self._arrays: dict[Name, Mapping[Name, Span]] = {}

    @cached_property
    def _text(self) -> str:
        return self._given()

    @cached_property
    def _places(self) -> Mapping[Name, Span]:
        found, _ = _places_in(self._text, _skip_to(self._text, 0), self._arrays)
        return found

    def inside(self, name: str) -> Texts:
        """Return those of a member that is an object."""
        return Texts(lambda: self._text[slice(*self._places[name])])

    def items(self, name: str) -> list[str]:
        """Return the text of each element of a member that is an array, in order."""
        return [self._text[start:end] for start, end in self._arrays[name].values()] if self._places else []


class Sourced(dict[str, Any]):
    """An object of a document, as any other, with the texts of what is in it.

    :ivar sources: those texts.
    :ivar read: the very object that a decoder made.
    """

    def __init__(self, read: Mapping[str, Any], sources: Sources) -> None:
        super().__init__(read)
        self.read = read
        self.sources = sources


def sourced(value: _Value, sources: Sources) -> _Value:
    """Return an object, or a list with its objects, as ones that bring their texts along: see :func:`sources_of`.

    :param sources: the texts of the document that it is of.
    """
    if isinstance(value, dict):
        return cast(_Value, Sourced(value, sources))
    if isinstance(value, list):
        return cast(_Value, [Sourced(one, sources) if isinstance(one, dict) else one for one in value])
    return value


def sources_of(value: Any) -> Sources | None:
    """Return the texts that an object brings along; None where it brings none."""
    return value.sources if isinstance(value, Sourced) else None
