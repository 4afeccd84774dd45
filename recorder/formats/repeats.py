"""Messages that a request repeats: those of the exchange that it extends."""

from __future__ import annotations

from typing import Final

from recorder.core.conversation import Conversation
from recorder.core.rebuilt import Rebuilt, place_of

_KEPT: Final = 10_000


class Recent(dict[str, int]):
    """Numbers by exchange, of the last ten thousand: what is kept must not grow with a document."""

    def __setitem__(self, exchange: str, number: int) -> None:
        super().__setitem__(exchange, number)
        if len(self) > _KEPT:
            del self[next(iter(self))]


class Repeats:
    """Tells of each exchange of a document, in order, how many messages it took over from the one that it extends.

    :param conversation: says which exchange extends which; where there is none, the exchanges themselves do.
    """

    def __init__(self, conversation: Conversation | None) -> None:
        self._conversation = conversation
        self._lengths = Recent()  # of each exchange, how many messages it has, its answer included

    def take(self, rebuilt: Rebuilt) -> int | None:
        """Take the next exchange; return how many. None where the one that it extends was not before it."""
        parent = place_of(rebuilt, self._conversation).parent
        repeated = 0 if parent is None else self._lengths.get(parent)
        self._lengths[rebuilt.id] = len(rebuilt.request_messages) + 1
        return repeated
