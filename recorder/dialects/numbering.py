"""Which number a choice has, where several entries of one array give the same index.

The entries of an array of one object are choices side by side. Some gateways give all of them the index 0 (those that
join the answers of several requests): what would be merged under it are two answers, and of two messages one would be
lost. The first entry keeps its index; another one gets its place in the array, or the next number that is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Numbering:
    """The numbers of the choices of an answer."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}

    def number(self, index: int, nth: int, at: int, entries: Iterable[Any]) -> int:
        """Return the number of a choice; the same one for the same index and *nth*, from one array to the next.

        :param index: the index that its entry gives.
        :param nth: how many choices have it before, in the same array.
        :param at: the place of the entry in the array.
        :param entries: the array: what its entries give as their indexes is theirs.
        """
        known = self._numbers.get((index, nth))
        if known is None:
            taken = set(self._numbers.values())
            if nth:
                taken.update(
                    given for one in entries if isinstance(one, dict) and type(given := one.get("index")) is int
                )
            known = at if nth else index
            if known in taken:
                known = max(taken) + 1
            self._numbers[index, nth] = known
        return known
