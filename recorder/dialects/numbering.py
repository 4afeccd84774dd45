"""Which number a choice has: the one that its entry gives, as a number or as the text of one.

Several entries of one array may give the same index. They are choices side by side all the same: some gateways give
all of them the index 0 (those that join the answers of several requests), and what would be merged under it are two
answers; of two messages one would be lost. The first entry keeps its index; another one gets its place in the array, or
the next number that is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

#: No longer ones are indexes, whatever they are.
_DIGITS: Final = 9


def index_of(entry: Any) -> int | None:
    """Return the index that an entry gives, also one that it gives as a text; None where it gives none."""
    given = entry.get("index") if isinstance(entry, dict) else None
    if isinstance(given, str) and len(given) <= _DIGITS and given.isascii() and given.isdigit():
        return int(given)
    return given if type(given) is int else None


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
                taken.update(given for given in map(index_of, entries) if given is not None)
            known = at if nth else index
            if known in taken:
                known = max(taken) + 1
            self._numbers[index, nth] = known
        return known
