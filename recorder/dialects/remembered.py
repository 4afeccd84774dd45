"""What was read before: a request sends the whole history again, and most of it need not be read again.

Reading a message takes far longer than telling that it is the same one. Without this, a conversation of a thousand
turns is half a million messages to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeVar, cast

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

    def payload(self, payload: Any) -> Any:
        """Return a request's payload whose lists bring this along, for :func:`again`."""
        if not isinstance(payload, dict):
            return payload
        return {name: _Sent(value, self) if type(value) is list else value for name, value in payload.items()}

    def read(self, read: Callable[[_Value], _Made], value: _Value) -> _Made:
        """Return what *read* makes of a JSON value.

        :param read: a function of a module, which makes equal things of equal values.
        """
        place = read, repr(value)  # not the same for two JSON values, and quickly made
        found = self._new.get(place, _UNREAD)
        if found is _UNREAD:
            found = self._old.get(place, _UNREAD)
            found = read(value) if found is _UNREAD else found
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
    """A list of a payload, as any other, with what is remembered of its items."""

    def __init__(self, items: Iterable[Any], remembered: Remembered) -> None:
        super().__init__(items)
        self.remembered = remembered


class _Reading(Protocol):
    def __call__(self, read: Callable[[_Value], _Made], value: _Value, /) -> _Made: ...


def again(sent: list[Any]) -> _Reading:
    """Return what reads the items of a list of a request, or asks what is remembered: see :meth:`Remembered.read`."""
    return sent.remembered.read if isinstance(sent, _Sent) else _read


def _read(read: Callable[[_Value], _Made], value: _Value) -> _Made:
    return read(value)


def read_each(read: Callable[[dict[str, Any]], Message], messages: list[Any]) -> list[Message]:
    """Return what *read* makes of each object in a list of a request, in order; what is no object is left out."""
    reading = again(messages)
    return [reading(read, message) for message in messages if isinstance(message, dict)]
