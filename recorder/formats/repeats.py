"""Messages that a request repeats: those of the exchange that it extends.

Where the provider keeps the history, a request names what it goes on from, and repeats nothing of it. One that names
items of answers by their ids repeats what was asked, as far as it sends it, and those items.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, TypeVar

from recorder.core.conversation import Conversation, thread_keys, turn_of
from recorder.core.history_alignment import Line
from recorder.core.history_names import kept_history
from recorder.core.kept_histories import KeptHistory
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
        self._asked: Recent[list[bytes]] = Recent()  # of those to whose answers others can refer by ids

    def take(self, rebuilt: Rebuilt) -> int | None:
        """Take the next exchange; return how many. None where the one that it extends was not before it."""
        parent = place_of(rebuilt, self._conversation).parent
        repeated = 0 if parent is None else self._lengths.get(parent)
        if repeated and _goes_on_by_name(rebuilt, self._answers.get(parent or "", ())):
            repeated = 0
        kept = kept_history(rebuilt)
        if repeated and _refers(kept):
            repeated = _referred(rebuilt, self._asked.get(parent or "", []))
        self._lengths[rebuilt.id] = len(rebuilt.request_messages) + 1
        if kept.gives:
            self._asked[rebuilt.id] = thread_keys(rebuilt.request_messages)[-1:]
        if kept.named is not None:
            self._answers[rebuilt.id] = _answers(rebuilt)
        return repeated


def repeated_of(rebuilt: Rebuilt, parent: Rebuilt) -> int:
    """Return how many of the first messages of a request are those of the exchange that it extends."""
    if _refers(kept_history(rebuilt)):
        return _referred(rebuilt, thread_keys(parent.request_messages)[-1:])
    return 0 if _goes_on_by_name(rebuilt, _answers(parent)) else len(parent.request_messages) + 1


def _refers(kept: KeptHistory) -> bool:
    return kept.refers is not None or kept.resends is not None


def _referred(rebuilt: Rebuilt, asked: Sequence[bytes]) -> int:
    """How many messages a request repeats that refers to an answer: what was asked, and what the model said to that.

    :param asked: the key of all that was asked; a request that does not begin with that may have what is nowhere else.
    """
    messages = rebuilt.request_messages
    keys = thread_keys(messages)
    size = keys.index(asked[0]) + 1 if asked and asked[0] in keys else 0
    while 0 < size < len(messages) and Line(b"", messages[size]).kind in ("answer", "reference"):
        size += 1
    return size


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
