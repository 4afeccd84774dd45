"""The exchanges that training examples are made of: the leaves of the conversation tree.

A request repeats the whole conversation before it, so an exchange that another one extends is in that one already.
What counts is what can be an example: where the last answer of a conversation was cut, the answer before it is a leaf.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from recorder.core.conversation import Conversation, group, turn_of
from recorder.core.rebuilt import Place, Rebuilt
from recorder.formats.base import Noting
from recorder.formats.openai_messages import NoPlaceError

#: What an exchange gives: the lines of its answers; NoPlaceError where it cannot be an example.
Lines = Callable[[Rebuilt], Sequence[str]]


def leaf_lines(exchanges: Iterable[Rebuilt], conversation: Conversation | None, lines: Lines) -> Iterator[str]:
    """Yield the lines of every exchange that no other exchange with lines extends, directly or over others.

    Where the exchanges take note of what is left out (:class:`~recorder.formats.base.Noting`), they are told of each
    that cannot be an example, and is in none either. A line is held back until everything that extends its exchange has
    been seen: in a conversation without forks, one at a time.

    :param conversation: says which exchange extends which. Without it the exchanges say where they stand; where they
        do not, it is found from the messages, and the exchanges are kept in memory.
    """
    remaining = iter(exchanges)
    first = next(remaining, None)
    if first is None:
        return
    remaining = chain((first,), remaining)
    tree = _Tree(lines, exchanges.left_out if isinstance(exchanges, Noting) else lambda _: None)
    if conversation is None and first.place is not None:
        for rebuilt in remaining:
            yield from tree.take(rebuilt, rebuilt.place or Place())
        return
    if conversation is None:
        kept = list(remaining)
        places = _places(kept)
        remaining = iter(kept)
    else:
        places = _counted(conversation)
    for rebuilt in remaining:
        yield from tree.take(rebuilt, places.get(rebuilt.id) or Place())
    yield from tree.rest()


def _places(exchanges: Iterable[Rebuilt]) -> dict[str, Place]:
    turns = (
        turn_of(
            one.id,
            one.exchange.started_ns,
            one.request_messages,
            one.answer_messages,
            call=one.exchange.call,
            attempt=one.exchange.attempt,
            opening=one.exchange.conversation,
            name=one.exchange.conversation_name,
        )
        for one in exchanges
    )
    return {exchange: place for conversation in group(turns) for exchange, place in _counted(conversation).items()}


def _counted(conversation: Conversation) -> dict[str, Place]:
    """Where each exchange of a conversation stands that extends another one or is extended."""
    parents = conversation.parents
    extended = Counter(parents.values())
    return {one: Place(parent=parents.get(one), extended_by=extended[one]) for one in {*parents, *extended}}


class _Tree:
    """Lines held back by the exchanges that extend theirs; nothing is kept of what is settled."""

    def __init__(self, lines: Lines, left_out: Callable[[str], None]) -> None:
        self._lines, self._left_out = lines, left_out
        self._parents: dict[str, str | None] = {}
        self._owed: Counter[str] = Counter()  # of each, how many of those that extend it are not settled
        self._held: dict[str, Sequence[str]] = {}
        self._reasons: dict[str, str] = {}  # why a held one has no lines
        self._covered: set[str] = set()

    def take(self, rebuilt: Rebuilt, place: Place) -> Iterator[str]:
        """Take the next exchange; yield what nothing that is still to come can extend."""
        identity = rebuilt.id
        self._parents[identity] = place.parent
        self._owed[identity] += place.extended_by
        covered = identity in self._covered
        found = self._found(rebuilt)
        self._held[identity] = () if covered else found
        if covered:
            self._reasons.pop(identity, None)
        if found or covered:
            self._cover(place.parent)
        settled: str | None = identity
        while settled is not None and settled in self._held and self._owed[settled] <= 0:
            yield from self._held.pop(settled)
            if settled in self._reasons:
                self._left_out(self._reasons.pop(settled))
            del self._owed[settled]
            self._covered.discard(settled)
            settled = self._parents.pop(settled)
            if settled is not None:
                self._owed[settled] -= 1

    def rest(self) -> Iterator[str]:
        """Yield what is left: something that extends it is in the conversation and not in the export."""
        for found in self._held.values():
            yield from found
        for reason in self._reasons.values():
            self._left_out(reason)

    def _found(self, rebuilt: Rebuilt) -> Sequence[str]:
        try:
            found = self._lines(rebuilt)
        except NoPlaceError as error:
            found = ()
            self._reasons[rebuilt.id] = str(error)
        return found

    def _cover(self, identity: str | None) -> None:
        """Drop the lines of an exchange and of all that it extends; what is covered, its own are already."""
        while identity is not None and identity not in self._covered:
            self._covered.add(identity)
            if identity in self._held:
                self._held[identity] = ()
                self._reasons.pop(identity, None)
            identity = self._parents.get(identity)
