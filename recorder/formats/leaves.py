"""The exchanges that training examples are made of: the leaves of the conversation tree.

A request repeats the whole conversation before it, so an exchange that another one extends is in that one already.
What counts is what can be an example: where the last answer of a conversation was cut, the answer before it is a leaf.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from recorder.core.conversation import Conversation, answer_keys, group, thread_keys, turn_of
from recorder.core.history_names import kept_history
from recorder.core.rebuilt import Place, Rebuilt
from recorder.formats.base import Noting, NotingChoices
from recorder.formats.openai_messages import NoPlaceError

#: What an exchange gives: the lines of its answers; NoPlaceError where it cannot be an example.
Lines = Callable[[Rebuilt], Sequence[str]]
_ELSEWHERE: Final = "an answer that nothing goes on from, where something goes on from another"


class Examples(list[str]):
    """The lines of the answers to one request.

    :ivar left_out: why those have none that have none, by their index.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left_out: dict[int, str] = {}


def leaf_lines(exchanges: Iterable[Rebuilt], conversation: Conversation | None, lines: Lines) -> Iterator[str]:
    """Yield the lines of every exchange that no other exchange with lines extends, directly or over others.

    Where the exchanges take note of what is left out (:class:`~recorder.formats.base.Noting`), they are told of each
    that cannot be an example, and is in none either, and of each of several answers to one request of which that is so
    (:class:`~recorder.formats.base.NotingChoices`). A line is held back until everything that extends its exchange has
    been seen: in a conversation without forks, one at a time.

    :param conversation: says which exchange extends which. Without it the exchanges say where they stand; where they
        do not, it is found from the messages, and the exchanges are kept in memory.
    """
    remaining = iter(exchanges)
    first = next(remaining, None)
    if first is None:
        return
    remaining = chain((first,), remaining)
    tree = _Tree(
        lines,
        exchanges.left_out if isinstance(exchanges, Noting) else lambda _: None,
        exchanges.choice_left_out if isinstance(exchanges, NotingChoices) else None,
    )
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
            kept=kept_history(one),
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

    def __init__(
        self, lines: Lines, left_out: Callable[[str], None], choice_left_out: Callable[[str, int, str], None] | None
    ) -> None:
        self._lines, self._left_out, self._choice_left_out = lines, left_out, choice_left_out
        self._parents: dict[str, str | None] = {}
        self._owed: Counter[str] = Counter()  # of each, how many of those that extend it are not settled
        self._held: dict[str, Sequence[str]] = {}
        self._reasons: dict[str, str] = {}  # why a held one has no lines
        self._covered: set[str] = set()
        self._choices: dict[str, dict[int, str]] = {}  # of those with several answers, which are in no line, and why
        self._keys: dict[str, dict[bytes, int]] = {}  # of the same, what begins what goes on from which
        self._from: dict[str, int] = {}  # of those that go on from the same, from which answer

    def take(self, rebuilt: Rebuilt, place: Place) -> Iterator[str]:
        """Take the next exchange; yield what nothing that is still to come can extend."""
        identity = rebuilt.id
        self._parents[identity] = place.parent
        self._owed[identity] += place.extended_by
        covered = identity in self._covered
        found = self._found(rebuilt)
        self._goes_on(rebuilt, place.parent)
        self._held[identity] = () if covered else found
        if covered:
            self._reasons.pop(identity, None)
        elif found:
            self._take_choices(rebuilt, found)
        if found or covered:
            self._cover(identity)
        settled: str | None = identity
        while settled is not None and settled in self._held and self._owed[settled] <= 0:
            yield from self._held.pop(settled)
            if settled in self._reasons:
                self._left_out(self._reasons.pop(settled))
            self._tell_choices(settled)
            self._from.pop(settled, None)
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
        for identity in [*self._choices]:
            self._tell_choices(identity)

    def _take_choices(self, rebuilt: Rebuilt, found: Sequence[str]) -> None:
        """Keep which of several answers have no line, and by what it is told which of them something goes on from."""
        choices = rebuilt.answer.choices
        if self._choice_left_out is None or len(choices) < 2:
            return
        self._choices[rebuilt.id] = dict(found.left_out) if isinstance(found, Examples) else {}
        keys = thread_keys(rebuilt.request_messages)
        if keys:
            made = answer_keys(rebuilt.request_messages, keys, rebuilt.answer_messages)
            indexes = (choice.index for choice in choices)
            self._keys[rebuilt.id] = {key: at for key, at in zip(made, indexes, strict=True) if key is not None}

    def _goes_on(self, rebuilt: Rebuilt, parent: str | None) -> None:
        """Keep from which of several answers an exchange goes on."""
        keys = self._keys.get(parent or "")
        for key in thread_keys(rebuilt.request_messages) if keys else ():
            if keys and key in keys:
                self._from[rebuilt.id] = keys[key]

    def _cover_choice(self, child: str, parent: str) -> None:
        """Take it that a line has an exchange that goes on from one of several answers: only that one is in it."""
        reasons = self._choices.get(parent)
        if reasons is None:
            return
        if parent not in self._covered:  # it loses its own lines
            for index in self._keys.get(parent, {}).values():
                reasons.setdefault(index, _ELSEWHERE)
        reasons.pop(self._from.get(child, -1), None)

    def _tell_choices(self, identity: str) -> None:
        self._keys.pop(identity, None)
        for choice, reason in sorted(self._choices.pop(identity, {}).items()):
            if self._choice_left_out is not None:
                self._choice_left_out(identity, choice, reason)

    def _found(self, rebuilt: Rebuilt) -> Sequence[str]:
        try:
            found = self._lines(rebuilt)
        except NoPlaceError as error:
            found = ()
            self._reasons[rebuilt.id] = str(error)
        return found

    def _cover(self, child: str) -> None:
        """Drop the lines of all that an exchange extends; of what is covered, they are dropped already."""
        identity = self._parents.get(child)
        while identity is not None:
            self._cover_choice(child, identity)
            if identity in self._covered:
                return
            self._covered.add(identity)
            if identity in self._held:
                self._held[identity] = ()
                self._reasons.pop(identity, None)
            child, identity = identity, self._parents.get(identity)
