"""What was read before: a request sends the whole history again, and most of it need not be read again.

Reading a message takes far longer than telling that it is the same one. Without this, a conversation of a thousand
turns is half a million messages to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeVar, cast

from recorder.core.json_sources import places_in, sourced
from recorder.core.messages import Message

_Value = TypeVar("_Value")
_Made = TypeVar("_Made")

_MOST: Final = 2 * 1024 * 1024  # characters of what was read: when there are more, what did not come again is dropped
_LARGEST: Final = 256 * 1024  # of more at once, reading takes no longer than its size accounts for
_BESIDE: Final = 1024  # bytes that a message takes beside its text, roughly
_UNREAD: Final = object()


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
        """Return a request's payload whose lists bring this along, for :func:`again`.

        :param text: of which a decoder made it: then what is read of the items of its lists is exact, see
            :class:`~recorder.core.json_sources.Sourced`.
        """
        if not isinstance(payload, dict):
            return payload
        document = text.decode("utf-8-sig")
        return self._object(payload, document, len(document) - len(document.lstrip(" \t\r\n")), inner=True)

    def _object(self, value: dict[str, Any], document: str, at: int, *, inner: bool) -> dict[str, Any]:
        """Return an object of a payload; *inner* ones too, since Code Assist wraps its requests once more."""
        places = places_in(document, at) if document else {}
        made: dict[str, Any] = {}
        for name, held in value.items():
            start, _ = places.get(name, (0, 0))
            if type(held) is list:
                held = _Sent(held, self, document, start)
            elif inner and type(held) is dict:
                held = self._object(held, document, start, inner=False)
            made[name] = held
        return made

    def read(self, read: Callable[[_Value], _Made], value: _Value, text: str | None = None) -> _Made:
        """Return what *read* makes of a JSON value.

        :param read: a function of a module, which makes equal things of equal values.
        :param text: in which the value came, where that is known.
        """
        place = read, repr(value) if text is None else text  # not the same for two JSON values, and quickly made
        found = self._new.get(place, _UNREAD)
        if found is _UNREAD:
            found = self._old.get(place, _UNREAD)
            found = read(sourced(value, text)) if found is _UNREAD else found
            self._keep(place, found)
        return cast(_Made, found)

    def _keep(self, place: tuple[Any, str], made: Any) -> None:
        size = len(place[1])
        if size > _LARGEST:
            return
        self._new[place] = made
        self._size += size + _BESIDE
        if self._size > self._most:
            self._old, self._new, self._size = self._new, {}, 0


class _Sent(list[Any]):
    """A list of a payload, as any other, with what is remembered of its items and where they stand.

    :param document: the text of the payload; empty where it is not known.
    :param start: where the list begins in it.
    """

    def __init__(self, items: Iterable[Any], remembered: Remembered, document: str, start: int) -> None:
        super().__init__(items)
        self._remembered = remembered
        self._place = document, start
        self._texts: dict[int, str] | None = None

    def read(self, read: Callable[[_Value], _Made], value: _Value) -> _Made:
        """Return what *read* makes of an item, or of a list of items."""
        if self._texts is None:
            document, start = self._place
            known = zip(self, places_in(document, start).values(), strict=True) if document else ()
            self._texts = {id(item): document[first:end] for item, (first, end) in known}
        text = self._texts.get(id(value))
        if isinstance(value, list) and all(id(item) in self._texts for item in value):
            text = f"[{','.join(self._texts[id(item)] for item in value)}]"
        return self._remembered.read(read, value, text)


class _Reading(Protocol):
    def __call__(self, read: Callable[[_Value], _Made], value: _Value, /) -> _Made: ...


def again(sent: list[Any]) -> _Reading:
    """Return what reads the items of a list of a request, or asks what is remembered: see :meth:`Remembered.read`."""
    return sent.read if isinstance(sent, _Sent) else _read


def _read(read: Callable[[_Value], _Made], value: _Value) -> _Made:
    return read(value)


def read_each(read: Callable[[dict[str, Any]], Message], messages: list[Any]) -> list[Message]:
    """Return what *read* makes of each object in a list of a request, in order; what is no object is left out."""
    reading = again(messages)
    return [reading(read, message) for message in messages if isinstance(message, dict)]
