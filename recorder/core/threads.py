"""Conversations of very many exchanges: what :func:`recorder.core.conversation.group` says, in few bytes for each.

An export of a whole store has to know of every exchange which conversation it is in and which one it extends, and must
not need more memory for a larger store than can be helped. So there is no object for an exchange here: ids and keys
are 16 bytes each in one long array, and what refers to an exchange is its number, in the order in which they were
sent. It takes about a hundred bytes for an exchange, and 16 for each message of its request. Pure.
"""

from __future__ import annotations

import hashlib
import sys
import uuid
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from recorder.core.conversation import Names, Turn

_SIZE: Final = 16
_NONE: Final = -1


class Placed(NamedTuple):
    """Where an exchange stands.

    :ivar id: its id, 16 bytes.
    :ivar conversation: id of its conversation; ``name`` as the user named it.
    :ivar parent: id of the exchange that it extends.
    :ivar extended_by: how many of the chosen exchanges extend it.
    :ivar chosen: it is one of those; else it comes before one of them in its conversation.
    """

    id: bytes
    conversation: str
    name: str | None
    parent: str | None
    extended_by: int
    chosen: bool = True


class _Table:
    """``16 bytes -> numbers``, in the order in which they were given; built once, in arrays.

    :param keys: 16 bytes for each number, in their order.
    """

    def __init__(self, keys: bytearray) -> None:
        self._keys = keys
        count = len(keys) // _SIZE
        self._mask = (1 << (2 * count).bit_length()) - 1
        self._first = array("i", [_NONE]) * (self._mask + 1)
        self._next = array("i", [_NONE]) * count
        for number in range(count - 1, -1, -1):
            slot = self._slot(self.key(number))
            self._next[number] = self._first[slot]
            self._first[slot] = number

    def key(self, number: int) -> bytes:
        """Return the key of a number."""
        return bytes(self._keys[number * _SIZE : (number + 1) * _SIZE])

    def _slot(self, key: bytes) -> int:
        slot = hash(key) & self._mask
        while self._first[slot] != _NONE and self.key(self._first[slot]) != key:
            slot = (slot + 1) & self._mask
        return slot

    def numbers(self, key: bytes) -> Iterator[int]:
        """Yield the numbers that have a key."""
        number = self._first[self._slot(key)]
        while number != _NONE:
            yield number
            number = self._next[number]


class Threads:
    """The conversations of very many exchanges.

    :param turns: of every exchange, by their start and then their ids; the ids are UUIDs.
    :param openings: ``opening id -> name`` of the conversations that were opened.
    """

    def __init__(self, turns: Iterable[Turn], openings: Mapping[str, str | None]) -> None:
        self._ids, self._keys, self._bounds = bytearray(), bytearray(), array("q", [0])
        self._attempts, self._openings = array("i"), array("i")
        self._answers, self._answering = bytearray(), array("i")
        self._called, self._calling = bytearray(), array("i")
        known = dict(openings)
        numbers = {opening: number for number, opening in enumerate(known)}
        for number, turn in enumerate(turns):
            self._take(number, turn)
            if turn.opening is not None:
                known.setdefault(turn.opening, turn.name)
                numbers.setdefault(turn.opening, len(numbers))
            self._openings.append(_NONE if turn.opening is None else numbers[turn.opening])
        self._name_openings(known, numbers)
        self._by_id = _Table(self._ids)
        self._by_answer, self._by_call = _Table(self._answers), _Table(self._called)
        # Of each exchange: the conversation's number where it was opened, below -1; else that of the first exchange.
        self._homes = array("i", [_NONE]) * len(self)
        self._parents = array("i", [_NONE]) * len(self)
        self._ranks: dict[int, int] = {}
        self._group()

    def __len__(self) -> int:
        return len(self._ids) // _SIZE

    def _take(self, number: int, turn: Turn) -> None:
        self._ids += uuid.UUID(turn.id).bytes
        self._keys += b"".join(map(_sized, turn.keys))
        self._bounds.append(len(self._keys))
        self._attempts.append(max(0, min(turn.attempt, (1 << 31) - 1)))
        for key in turn.answers:
            self._answers += _sized(key)
            self._answering.append(number)
        if turn.call is not None:
            self._called += hashlib.blake2b(turn.call.encode("utf-8", "surrogatepass"), digest_size=_SIZE).digest()
            self._calling.append(number)

    def _name_openings(self, known: Mapping[str, str | None], numbers: Mapping[str, int]) -> None:
        """Openings of one name are one conversation."""
        names = Names((), known)
        homes: dict[str, int] = {}
        of_opening = [homes.setdefault(names.of(opening), len(homes)) for opening in numbers]
        self._named = [(identity, known[identity]) for identity in homes]
        for number, opening in enumerate(self._openings):
            if opening != _NONE:
                self._openings[number] = of_opening[opening]

    def _home(self, number: int) -> int:
        """The place of its conversation in an array that has one for each exchange, and for each that was opened."""
        home = self._homes[number]
        return home if home >= 0 else len(self) - 2 - home

    def _length(self, number: int) -> int:
        return self._bounds[number + 1] - self._bounds[number]

    def _keys_of(self, number: int) -> memoryview:
        return memoryview(self._keys)[self._bounds[number] : self._bounds[number + 1]]

    def _own(self, number: int) -> int | None:
        """The number of the conversation that was open, as it stands among the homes."""
        opening = self._openings[number]
        return None if opening == _NONE else -2 - opening

    def _group(self) -> None:
        leaders = array("i", range(len(self)))
        for at, number in enumerate(self._calling):
            key = self._by_call.key(at)
            first = min((self._calling[other] for other in self._by_call.numbers(key)), key=self._attempt_order)
            if first != number and self._keys_of(number) in (self._keys_of(first), b""):
                leaders[number] = first
        # Who is extended has fewer messages, so it has its place already; requests without any come last.
        for number in sorted(range(len(self)), key=lambda number: self._length(number) or sys.maxsize):
            leader = leaders[number]
            if self._homes[leader] == _NONE:
                self._place(leader)
            if self._homes[number] == _NONE:
                own = self._own(number)
                self._homes[number] = self._homes[leader] if own is None else own
                if self._homes[number] == self._homes[leader]:
                    self._parents[number] = self._parents[leader]

    def _attempt_order(self, number: int) -> tuple[int, int]:
        return self._attempts[number], number

    def _place(self, number: int) -> None:
        own, keys = self._own(number), self._keys_of(number)
        for end in range(len(keys), 0, -_SIZE):
            first, before = _NONE, _NONE
            for answer in self._by_answer.numbers(bytes(keys[end - _SIZE : end])):
                other = self._answering[answer]
                if self._homes[other] != _NONE and own in (None, self._homes[other]):
                    first = other if first == _NONE else first
                    before = other if other < number else before
            if first != _NONE:
                parent = first if before == _NONE else before
                self._parents[number] = parent
                self._homes[number] = self._homes[parent] if own is None else own
                return
        self._homes[number] = number if own is None else own

    def _id(self, number: int) -> str:
        return str(uuid.UUID(bytes=self._by_id.key(number)))

    def numbers(self, ids: Iterable[bytes]) -> array[int]:
        """Return the numbers of exchanges for :meth:`in_order`; an id that is not here has none."""
        return array("i", (number for identity in ids for number in self._by_id.numbers(identity)))

    def put_in_order(self, sent: Iterable[bytes]) -> None:
        """Have some exchanges come, within their conversations, in this order rather than in that of their times.

        :param sent: their ids; one that is not here is passed over.
        """
        numbers = self.numbers(sent)
        self._ranks |= dict(zip(numbers, sorted(numbers), strict=True))

    def in_order(self, chosen: array[int] | None = None, *, earlier: bool = False) -> Iterator[Placed]:
        """Yield exchanges conversation by conversation, each in the order in which it was sent.

        Conversations come in the order of the first exchange that is wanted of each. So the order is the same for whom
        only those are known that are wanted.

        :param chosen: numbers of those that are wanted, in any order; all where it is None.
        :param earlier: yield also those that come before one that is wanted, in its conversation.
        """
        wanted = range(len(self)) if chosen is None else chosen
        extended = array("i", [0]) * len(self)
        for number in wanted:
            if self._parents[number] != _NONE:
                extended[self._parents[number]] += 1
        size, ranks = len(self) + len(self._named), self._ranks
        began, ended = array("i", [_NONE]) * size, array("i", [_NONE]) * size
        for number in wanted:
            home = self._home(number)
            began[home] = number if began[home] == _NONE else min(began[home], number)
            ended[home] = max(ended[home], ranks.get(number, number))
        listed: Iterable[int] = wanted
        flags = bytearray(b"\1") * len(self)
        if earlier and chosen is not None:
            flags = bytearray(len(self))
            for number in chosen:
                flags[number] = 1
            listed = (number for number in range(len(self)) if ranks.get(number, number) <= ended[self._home(number)])

        def place(number: int) -> int:  # a number rather than a pair, which takes three times as much while sorting
            return began[self._home(number)] * len(self) + ranks.get(number, number)

        for number in array("i", sorted(listed, key=place)):
            home, parent = self._homes[number], self._parents[number]
            conversation, name = self._named[-2 - home] if home < 0 else (self._id(home), None)
            before = None if parent == _NONE else self._id(parent)
            yield Placed(self._by_id.key(number), conversation, name, before, extended[number], bool(flags[number]))


def _sized(key: bytes) -> bytes:
    """Return a key in 16 bytes, which it has but in a row that was damaged."""
    return key if len(key) == _SIZE else key.ljust(_SIZE, b"\0")[:_SIZE]
