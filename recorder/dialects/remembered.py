"""What was read before: a request sends the whole history again, and most of it need not be read again.

Reading a message takes far longer than telling that it is the same one. Without this, a conversation of a thousand
turns is half a million messages to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol, TypeVar, cast

from recorder.core.json_sources import Sources, Texts, sourced
from recorder.core.messages import Message

_Value = TypeVar("_Value")
_Made = TypeVar("_Made")

_MOST: Final = 2 * 1024 * 1024  # characters of what was read: when there are more, what did not come again is dropped
_LARGEST: Final = 256 * 1024  # of more at once, reading takes no longer than its size accounts for
_BESIDE: Final = 1024  # bytes that a message takes beside its text, roughly
_UNREAD: Final = object()
_AS_TEXT: Final = "\0"  # nothing that ``repr`` gives begins so
_BY_TEXT: Final = object()  # what was read of a value depends on how the value was written


class Remembered:
    """What dialects read from parts of requests: of the last ones, as many as fit.

    Whoever asks gets what reading would give, and the very same object where a part comes again: nobody may change it.

    :param most: characters of JSON that are kept, twice.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most, self._size = most, 0
        self._new: dict[tuple[Any, str], Any] = {}
        self._old: dict[tuple[Any, str], Any] = {}

    def payload(self, payload: Any, text: bytes = b"") -> Any:
        """Return a request's payload whose lists bring this along: see :func:`sent`."""
        return sent(payload, text, self)

    def read(self, read: Callable[[_Value], _Made], value: _Value, text: Callable[[], str] | None = None) -> _Made:
        """Return what *read* makes of a JSON value.

        :param read: a function of a module, which makes equal things of equal values.
        :param text: gives the text of the value, where it is known; not asked for where nothing depends on it.
        """
        place = equal = read, repr(value)  # not the same for two JSON values, and quickly made
        found = self._found(equal)
        if found is _BY_TEXT and text is not None:
            place = read, _AS_TEXT + text()
            found = self._found(place)
        if found is _UNREAD or found is _BY_TEXT:
            sources = None if text is None else Sources(text, value)
            found = read(value if sources is None else sourced(value, sources))
            if sources is not None and sources.asked:  # how it was written tells it from equal ones
                self._keep(equal, _BY_TEXT)
                place = read, _AS_TEXT + sources.text
            if place is not equal or self._found(equal) is _UNREAD:
                self._keep(place, found)
        return cast(_Made, found)

    def _found(self, place: tuple[Any, str]) -> Any:
        found = self._new.get(place, _UNREAD)
        if found is _UNREAD and (found := self._old.get(place, _UNREAD)) is not _UNREAD:
            self._keep(place, found)
        return found

    def _keep(self, place: tuple[Any, str], made: Any) -> None:
        size = len(place[1])
        if size > _LARGEST:
            return
        self._new[place] = made
        self._size += size + _BESIDE
        if self._size > self._most:
            self._old, self._new, self._size = self._new, {}, 0


def sent(payload: Any, text: bytes, remembered: Remembered | None = None) -> Any:
    """Return a request's payload whose lists bring along what :func:`again` makes use of.

    :param text: of which a decoder made the payload: then dialects learn how the values in the items of the lists were
        written, see :class:`~recorder.core.json_sources.Sourced`. Empty where that is not known.
    :param remembered: what was read before; None for nothing.
    """
    if not isinstance(payload, dict):
        return payload
    return _listed(payload, Texts(partial(text.decode, "utf-8-sig")) if text else None, remembered, inner=True)


def _listed(
    value: dict[str, Any], texts: Texts | None, remembered: Remembered | None, *, inner: bool
) -> dict[str, Any]:
    """Return an object of a payload; *inner* ones too, since Code Assist wraps its requests once more."""
    made: dict[str, Any] = {}
    for name, held in value.items():
        if type(held) is list:
            made[name] = _Sent(held, remembered, None if texts is None else partial(texts.items, name))
        elif inner and type(held) is dict:
            made[name] = _listed(held, texts and texts.inside(name), remembered, inner=False)
        else:
            made[name] = held
    return made


class _Sent(list[Any]):
    """A list of a payload, as any other, with what is remembered of its items, and their texts."""

    def __init__(
        self, items: Iterable[Any], remembered: Remembered | None, texts: Callable[[], list[str]] | None
    ) -> None:
        super().__init__(items)
        self._remembered = remembered
        self._texts = texts
        self._known: dict[int, str] | None = None

    def read(self, read: Callable[[_Value], _Made], value: _Value) -> _Made:
        """Return what *read* makes of an item, or of a list of items."""
        text = None if self._texts is None else partial(self._text, self._texts, value)
        if self._remembered is not None:
            return self._remembered.read(read, value, text)
        return read(value if text is None else sourced(value, Sources(text, value)))

    def _text(self, texts: Callable[[], list[str]], value: Any) -> str:
        """Return the text of an item, or of a list of items; empty where it is no such thing."""
        if self._known is None:
            self._known = {id(item): text for item, text in zip(self, texts(), strict=True)}
        found = self._known.get(id(value), "")
        if isinstance(value, list) and not found:
            return f"[{','.join(self._known.get(id(one), '0') for one in value)}]"
        return found


class _Reading(Protocol):
    def __call__(self, read: Callable[[_Value], _Made], value: _Value, /) -> _Made: ...


def again(listed: list[Any]) -> _Reading:
    """Return what reads the items of a list of a request, or asks what is remembered: see :meth:`Remembered.read`."""
    return listed.read if isinstance(listed, _Sent) else _read


def _read(read: Callable[[_Value], _Made], value: _Value) -> _Made:
    return read(value)


def read_each(read: Callable[[dict[str, Any]], Message], messages: list[Any]) -> list[Message]:
    """Return what *read* makes of each object in a list of a request, in order; what is no object is left out."""
    reading = again(messages)
    return [reading(read, message) for message in messages if isinstance(message, dict)]
