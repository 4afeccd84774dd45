"""Which conversation exchanges are in, and from whom each goes on: the rules of :mod:`recorder.core.conversation`.

Whom an exchange goes on from does not depend on where that one is, but within a conversation that the user opened. So
first those are linked that were sent in none, and stand where their links lead; then the others, each to one that
stands with it. It takes a few look-ups for each exchange, whatever is named or sent how often.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, MutableSequence, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from recorder.core.conversation import Turn

_NONE: Final = -1


class Grouping:
    """Exchanges by their numbers, in the order in which they were sent.

    :param turns: in that order.
    :param own: of each the id of the conversation that the user had opened.
    :ivar homes: ids of the conversations in which they are.
    """

    def __init__(self, turns: Sequence[Turn], own: Sequence[str | None]) -> None:
        self.turns = turns
        self._giving: dict[bytes, list[int]] = {}
        for number, turn in enumerate(turns):
            for key in turn.given:
                self._giving.setdefault(key, []).append(number)
        self._leaders = self._led()
        self._links = [_NONE] * len(turns)
        self.homes = [home or "" for home in own]
        led = [number for number, leader in enumerate(self._leaders) if leader == number]
        self._link([number for number in led if own[number] is None])
        self._settle()
        for number, leader in enumerate(self._leaders):  # of one call, but sent in different conversations
            if self.homes[number] != self.homes[leader]:
                self._leaders[number] = number
        self._link([number for number in led if own[number] is not None], within=True)

    def parent(self, number: int) -> int | None:
        """Return from whom an exchange goes on."""
        link = self._links[self._leaders[number]]
        return None if link == _NONE else link

    def _led(self) -> list[int]:
        """With whom each stands: the first of its call where it asked the same, else itself."""
        turns = self.turns
        first: dict[str | None, int] = {}
        for number in sorted(range(len(turns)), key=lambda number: (turns[number].attempt, number)):
            first.setdefault(turns[number].call, number)
        leaders = [number if turn.call is None else first[turn.call] for number, turn in enumerate(turns)]
        return [
            leader if leader == number or turns[number].chain in (turns[leader].chain, ()) else number
            for number, leader in enumerate(leaders)
        ]

    def _link(self, numbers: Iterable[int], *, within: bool = False) -> None:
        for number in numbers:
            self._links[number] = self._from(number, within=within)
        cut_circles(self._links, self._leaders)

    def _from(self, number: int, *, within: bool) -> int:
        """From whom an exchange goes on: by the longest key the last that was sent before it, else the first."""
        turn = self.turns[number]
        for key in reversed(turn.chain):
            giving = self._giving.get(key, ())
            place = bisect_left(giving, number)
            later = range(place, len(giving)) if key != turn.kept.joins else ()
            for other in map(giving.__getitem__, chain(range(place - 1, -1, -1), later)):
                if other != number and not (within and self.homes[other] != self.homes[number]):
                    return other
        return _NONE

    def _settle(self) -> None:
        """Have those that were sent in no opened conversation stand where those stand from whom they go on."""
        first: dict[bytes | None, int] = {}  # that goes on from none, by what it names and nobody gave
        for number, turn in enumerate(self.turns):
            if self._leaders[number] == number and self._links[number] == _NONE:
                named = turn.kept.tells
                if named is not None and (named == turn.kept.joins or named not in self._giving):
                    first.setdefault(named, number)
        for number in range(len(self.turns)):
            path, at = [], number
            while not self.homes[at]:
                path.append(at)
                after = self._leaders[at] if self._leaders[at] != at else self._links[at]
                after = first.get(self.turns[at].kept.tells, at) if after == _NONE else after
                if after == at:
                    self.homes[at] = self.turns[at].id
                at = after
            for one in path:
                self.homes[one] = self.homes[at]


def cut_circles(links: MutableSequence[int], leaders: Sequence[int]) -> None:
    """Take away the link of the first leader of each circle.

    :param links: of each number to another one; below 0 where it has none.
    :param leaders: whose link counts for each number; its own where it is its own leader.
    """
    done = bytearray(len(links))  # 1 for those on the way that is gone just now
    for number in range(len(links)):
        at = number
        while at >= 0 and not done[at]:
            done[at] = 1
            at = leaders[at] if leaders[at] != at else links[at]
        met, at = (at if at >= 0 and done[at] == 1 else _NONE), number
        while at >= 0 and done[at] == 1:
            done[at] = 2
            at = leaders[at] if leaders[at] != at else links[at]
        if met != _NONE:
            _cut_first(links, leaders, met)


def _cut_first(links: MutableSequence[int], leaders: Sequence[int], start: int) -> None:
    """Cut the circle that an exchange is in."""
    first, at = len(links), start
    while at != start or first == len(links):
        if leaders[at] == at:
            first = min(first, at)
            at = links[at]
        else:
            at = leaders[at]
    links[first] = _NONE
