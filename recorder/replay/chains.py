"""Numbers of recordings under keys, the first that is left of them first."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from recorder.core.exchange import Request
from recorder.replay.markers import Marking

#: No number.
NONE: Final = -1

Places = tuple[str, ...]
#: The key of a request for each set of places that some recording has redacted.
Keys = Mapping[Places, bytes]


class Chains:
    """Numbers under keys, those of one key from the first to the last. What was taken is passed over.

    :param places: the sets of places that there are keys for.
    :param taken: 1 for each number that was taken, under whatever key.
    :param keeps: whether :meth:`last` will be asked for.
    """

    def __init__(self, places: Iterable[Places], taken: bytearray, *, keeps: bool) -> None:
        self._first: dict[Places, dict[bytes, int]] = {each: {} for each in places}
        self._last: dict[Places, dict[bytes, int]] = {each: {} for each in self._first if keeps}
        self._next = array("q", [NONE]) * len(taken)
        self._taken = taken

    def add(
        self, numbers: Iterable[int], places: Sequence[Places], keys: Sequence[bytes] | Mapping[int, bytes]
    ) -> None:
        """Add numbers, the last one first; none of their keys has any yet.

        :param places: of every number; *keys*: of every number that is added.
        """
        for number in numbers:
            first, key = self._first[places[number]], keys[number]
            self._next[number] = first.get(key, NONE)
            first[key] = number
            if self._last:
                self._last[places[number]].setdefault(key, number)

    def clear(self) -> None:
        """Take every number out."""
        for numbers in (*self._first.values(), *self._last.values()):
            numbers.clear()

    def first(self, keys: Keys) -> int:
        """Return the first number that is left under one of *keys*; -1 where none is."""
        found = NONE
        for places, key in keys.items():
            first = self._first[places]
            number = first.get(key, NONE)
            if number != NONE and self._taken[number]:
                number = self._pass_over(first, key, number)
            if number != NONE and (number < found or found == NONE):
                found = number
        return found

    def _pass_over(self, first: dict[bytes, int], key: bytes, number: int) -> int:
        while number != NONE and self._taken[number]:
            number = self._next[number]
        if number == NONE:
            del first[key]
        else:
            first[key] = number
        return number

    def has(self, places: Places, key: bytes) -> bool:
        """Whether a key has any number, taken or not, which :meth:`first` did not pass over yet."""
        return key in self._first[places]

    def members(self, places: Places, key: bytes, *, alone: bool) -> list[int]:
        """Return every number that is left under a key; none where there is but one, unless that counts *alone*."""
        number = self._first[places].get(key, NONE)
        if number == NONE or (self._next[number] == NONE and not alone):
            return []
        found = []
        while number != NONE:
            found.append(number)
            number = self._next[number]
        return found

    def last(self, keys: Keys) -> int:
        """Return the last number that was added under one of *keys*, taken or not; -1 where none was."""
        return max((self._last[places].get(key, NONE) for places, key in keys.items()), default=NONE)


class Preferred:
    """Chains of which one key may have recordings with several values at masked places: each value has a chain too.

    What a key's recordings had there is found out when a request first has that key.

    :param chains: all recordings by their keys.
    :param within: for the same by key and by what was there, empty yet.
    :param redacted: the places of every number.
    :param had: returns the fingerprint of what a recording had there, by its number.
    """

    def __init__(
        self,
        chains: Chains,
        within: Chains,
        redacted: Sequence[Places],
        had: Callable[[int], bytes],
        marking: Marking,
    ) -> None:
        self._chains = chains
        self._within = within
        self._redacted = redacted
        self._had = had
        self._marking = marking
        self._known: set[tuple[Places, bytes]] = set()
        self._keys: dict[int, bytes] = {}
        self.first, self.last = chains.first, chains.last

    def add(self, numbers: Iterable[int], keys: Sequence[bytes] | Mapping[int, bytes]) -> None:
        """Add numbers as :meth:`Chains.add` does."""
        self._chains.add(numbers, self._redacted, keys)

    def rewind(self) -> None:
        """Take every number out; what they had at masked places stays known."""
        self._chains.clear()
        self._within.clear()
        self._within.add(sorted(self._keys, reverse=True), self._redacted, self._keys)

    def same_first(self, keys: Keys, request: Request) -> int:
        """Return the first number that is left under one of *keys* and had the request's values; -1 where none is."""
        known, plain = self._by_values(keys, request)
        left = [each for each in (self._within.first(known), self._chains.first(plain)) if each != NONE]
        return min(left, default=NONE)

    def same_last(self, keys: Keys, request: Request) -> int:
        """Return the last number under one of *keys* that had the request's values, taken or not; -1 where none had."""
        known, plain = self._by_values(keys, request)
        return max(self._within.last(known), self._chains.last(plain))

    def _by_values(self, keys: Keys, request: Request) -> tuple[Keys, Keys]:
        """Return the keys by what the request has at masked places, and those under which nothing has to be told."""
        several = len(keys) > 1 and sum(self._chains.has(places, key) for places, key in keys.items()) > 1
        known, plain = {}, {}
        for places, key in keys.items():
            if places and ((places, key) in self._known or self._learn(places, key, alone=several)):
                known[places] = key + self._marking.live(request, places)
            else:
                plain[places] = key
        return known, plain

    def _learn(self, places: Places, key: bytes, *, alone: bool) -> bool:
        """Find out what a key's recordings had at *places*; of a single one only where it has to be told from others.

        :param alone: recordings with other places match too.
        """
        numbers = self._chains.members(places, key, alone=alone)
        if not numbers:
            return False
        found = {number: key + self._had(number) for number in numbers}
        self._keys |= found
        self._within.add(reversed(numbers), self._redacted, found)
        self._known.add((places, key))
        return True
