"""The exchanges that training examples are made of: the leaves of the conversation tree.

A request repeats the whole conversation before it, so an exchange that another one extends is in that one already.
What counts is what can be an example: where the last answer of a conversation was cut, the answer before it is a leaf.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from recorder.core.conversation import Conversation, group, turn_of
from recorder.core.rebuilt import Rebuilt

#: What an exchange gives: the lines of its answers, none where it cannot be an example.
Lines = Callable[[Rebuilt], Sequence[str]]


def leaf_lines(exchanges: Iterable[Rebuilt], conversation: Conversation | None, lines: Lines) -> Iterator[str]:
    """Yield the lines of every exchange that no other exchange with lines extends, directly or over others.

    A line is held back until everything that extends its exchange has been seen: in a conversation without forks,
    one at a time.

    :param conversation: says which exchange extends which. Without it that is found from the messages: the exchanges
        are gone through twice, and those of a mere iterator are kept in memory.
    """
    if conversation is not None:
        parents = conversation.parents
    else:
        exchanges = exchanges if isinstance(exchanges, Collection) else list(exchanges)
        parents = _parents(exchanges)
    tree = _Tree(parents)
    for rebuilt in exchanges:
        yield from tree.take(rebuilt, lines)
    yield from tree.rest()


def _parents(exchanges: Iterable[Rebuilt]) -> dict[str, str]:
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
    return {child: parent for conversation in group(turns) for child, parent in conversation.parents.items()}


class _Tree:
    """Lines held back by the exchanges that extend theirs."""

    def __init__(self, parents: Mapping[str, str]) -> None:
        self._parents = parents
        self._owed = Counter(parents.values())  # of each, how many of those that extend it are not settled
        self._held: dict[str, Sequence[str]] = {}
        self._covered: set[str] = set()

    def take(self, rebuilt: Rebuilt, lines: Lines) -> Iterator[str]:
        """Take the next exchange; yield what nothing that is still to come can extend."""
        found = lines(rebuilt)
        if found:
            self._cover(rebuilt.id)
        self._held[rebuilt.id] = () if rebuilt.id in self._covered else found
        settled: str | None = rebuilt.id
        while settled is not None and settled in self._held and not self._owed[settled]:
            yield from self._held.pop(settled)
            settled = self._parents.get(settled)
            if settled is not None:
                self._owed[settled] -= 1

    def rest(self) -> Iterator[str]:
        """Yield what is left: something that extends it is in the conversation and not in the export."""
        for found in self._held.values():
            yield from found

    def _cover(self, identity: str) -> None:
        """Drop the lines of all that *identity* extends; what is covered, its own are already."""
        parent = self._parents.get(identity)
        while parent is not None and parent not in self._covered:
            self._covered.add(parent)
            if parent in self._held:
                self._held[parent] = ()
            parent = self._parents.get(parent)
