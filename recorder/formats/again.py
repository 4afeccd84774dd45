"""What was made of messages that come again: a request sends the whole history, and each message is made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from recorder.core.messages import Message

_Made = TypeVar("_Made")

_MOST: Final = 2048  # messages: when there are more, those that did not come again are dropped
_LARGEST: Final = 4096  # of something larger, making it takes no longer than its size accounts for


class Again(Generic[_Made]):
    """Makes something of messages, and gives it again for the very same ones: of the last short ones, it is kept.

    Whoever reads many exchanges gives messages that come again as the same objects
    (:mod:`recorder.dialects.remembered`); of others, each is made anew.

    :param make: what is made of a message; nobody may change it.
    :param size: how large that is.
    """

    def __init__(self, make: Callable[[Message], _Made], size: Callable[[_Made], int]) -> None:
        self._make, self._size = make, size
        # With the messages, so that no other one can have the number of one that is gone.
        self._new: dict[int, tuple[Message, _Made]] = {}
        self._old: dict[int, tuple[Message, _Made]] = {}

    def __call__(self, message: Message) -> _Made:
        """Return what is made of a message."""
        number = id(message)
        found = self._new.get(number)
        if found is None:
            found = self._old.get(number) or (message, self._make(message))
            if self._size(found[1]) <= _LARGEST:
                self._keep(number, found)
        return found[1]

    def _keep(self, number: int, found: tuple[Message, _Made]) -> None:
        if len(self._new) >= _MOST:
            self._old, self._new = self._new, {}
        self._new[number] = found
