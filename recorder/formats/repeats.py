"""Messages that a request repeats: those of the exchange that it extends.

Where the provider keeps the history, a request names what it goes on from, and repeats nothing of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, TypeVar

from recorder.core.conversation import Conversation, thread_keys, turn_of
from recorder.core.history_states import kept_history
from recorder.core.rebuilt import Rebuilt, place_of

_KEPT: Final = 10_000


_Told = TypeVar("_Told")


class Recent(dict[str, _Told]):
    """What is known of exchanges, of the last ten thousand: what is kept must not grow with a document."""

    def __setitem__(self, exchange: str, told: _Told) -> None:
        super().__setitem__(exchange, told)
        if len(self) > _KEPT:
            del self[next(iter(self))]


class Repeats:
    """Tells of each exchange of a document, in order, how many messages it took over from the one that it extends.

    :param conversation: says which exchange extends which; where there is none, the exchanges themselves do.
    """

    def __init__(self, conversation: Conversation | None) -> None:
        self._conversation = conversation
        self._lengths: Recent[int] = Recent()  # of each exchange, how many messages it has, its answer included
        self._answers: Recent[tuple[bytes, ...]] = Recent()  # of those that name what they go on from

    def take(self, rebuilt: Rebuilt) -> int | None:
        """Take the next exchange; return how many. None where the one that it extends was not before it."""
        parent = place_of(rebuilt, self._conversation).parent
        repeated = 0 if parent is None else self._lengths.get(parent)
        if repeated and _goes_on_by_name(rebuilt, self._answers.get(parent or "", ())):
            repeated = 0
        self._lengths[rebuilt.id] = len(rebuilt.request_messages) + 1
        if kept_history(rebuilt).named is not None:
            self._answers[rebuilt.id] = _answers(rebuilt)
        return repeated


def repeated_of(rebuilt: Rebuilt, parent: Rebuilt) -> int:
    """Return how many of the first messages of a request are those of the exchange that it extends."""
    return 0 if _goes_on_by_name(rebuilt, _answers(parent)) else len(parent.request_messages) + 1


def _goes_on_by_name(rebuilt: Rebuilt, answers: Collection[bytes]) -> bool:
    """Whether a request names what it goes on from, and does not send it.

    :param answers: the keys of the answers of the exchange that it extends; those of one that names nothing do not
        matter, as what is sent after something that is named never is what was said there from the beginning.
    """
    named = kept_history(rebuilt).named
    return named is not None and set(answers).isdisjoint(thread_keys(rebuilt.request_messages, named))


def _answers(rebuilt: Rebuilt) -> tuple[bytes, ...]:
    kept = kept_history(rebuilt)
    return turn_of(rebuilt.id, 0, rebuilt.request_messages, rebuilt.answer_messages, kept=kept).answers
