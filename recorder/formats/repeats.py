"""Messages that a request repeats: those of the exchange that it extends."""

from __future__ import annotations

from recorder.core.conversation import Conversation
from recorder.core.rebuilt import Rebuilt


class Repeats:
    """Tells of each exchange of a document, in order, how many messages it took over from the one that it extends.

    :param conversation: says which exchange extends which.
    """

    def __init__(self, conversation: Conversation | None) -> None:
        self._parents = conversation.parents if conversation else {}
        self._lengths: dict[str, int] = {}  # of each exchange, how many messages it has, its answer included

    def take(self, rebuilt: Rebuilt) -> int | None:
        """Take the next exchange; return how many. None where the one that it extends was not before it."""
        parent = self._parents.get(rebuilt.id)
        repeated = 0 if parent is None else self._lengths.get(parent)
        if self._parents:
            self._lengths[rebuilt.id] = len(rebuilt.request_messages) + 1
        return repeated
