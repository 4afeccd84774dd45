"""Conversations of very many exchanges: what :func:`recorder.core.conversation.group` says, in few bytes for each.

An export of a whole store has to know of every exchange which conversation it is in and which one it extends, and must
not need more memory for a larger store than can be helped. So there is no object for an exchange here: ids and keys
are 16 bytes each in one long array, and what refers to an exchange is its number, in the order in which they were
sent. It takes about a hundred bytes for an exchange, and 16 for each message of its request. Pure.
"""

from __future__ import annotations

import hashlib
import uuid
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from recorder.core.conversation import Names, Turn
from recorder.core.grouping import cut_circles

_SIZE: Final = 16
_NONE: Final = -1
_ANSWER: Final = 1
_JOINED: Final = 2
_REFERRED: Final = 3


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
    :ivar slots: as many keys have room.
    """

    def __init__(self, keys: bytearray) -> None:
        self._keys = keys
        count = len(keys) // _SIZE
        self.slots = 1 << (2 * count).bit_length()
        self._mask = self.slots - 1
        self._first = array("i", [_NONE]) * self.slots
        self._next = array("i", [_NONE]) * count
        for number in range(count - 1, -1, -1):
            slot = self.slot(self.key(number))
            self._next[number] = self._first[slot]
            self._first[slot] = number

    def key(self, number: int) -> bytes:
        """Return the key of a number."""
        return bytes(self._keys[number * _SIZE : (number + 1) * _SIZE])

    def slot(self, key: bytes) -> int:
        """Return a number below :attr:`slots` that no other key here has."""
        slot = hash(key) & self._mask
        while self._first[slot] != _NONE and self.key(self._first[slot]) != key:
            slot = (slot + 1) & self._mask
        return slot

    def numbers(self, key: bytes) -> Iterator[int]:
        """Yield the numbers that have a key."""
        number = self._first[self.slot(key)]
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
        self._names = bytearray()  # what kind of thing it names, whose key is its first one, or its last
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
        self._links = array("i", [_NONE]) * len(self)
        self._ranks: dict[int, int] = {}
        self._group()

    def __len__(self) -> int:
        return len(self._ids) // _SIZE

    def _take(self, number: int, turn: Turn) -> None:
        self._ids += uuid.UUID(turn.id).bytes
        self._keys += b"".join(map(_sized, turn.chain))
        self._names.append(_kind(turn))
        self._bounds.append(len(self._keys))
        self._attempts.append(max(0, min(turn.attempt, (1 << 31) - 1)))
        for key in turn.given:
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

    def _keys_of(self, number: int) -> memoryview:
        return memoryview(self._keys)[self._bounds[number] : self._bounds[number + 1]]

    def _named_by(self, number: int) -> bytes:
        keys = self._keys_of(number)
        return bytes(keys[-_SIZE:] if self._names[number] == _REFERRED else keys[:_SIZE])

    def _group(self) -> None:
        leaders = self._led()
        own = array("i", (_NONE if opening == _NONE else -2 - opening for opening in self._openings))
        self._homes = own[:]
        led = bytearray(leader == number for number, leader in enumerate(leaders))
        self._link(bytearray(led[number] and home == _NONE for number, home in enumerate(own)))
        cut_circles(self._links, leaders)
        self._settle(leaders)
        for number, leader in enumerate(leaders):  # of one call, but sent in different conversations
            if self._homes[number] != self._homes[leader]:
                leaders[number] = number
        self._link(bytearray(led[number] and home != _NONE for number, home in enumerate(own)), within=True)
        cut_circles(self._links, leaders)
        for number, leader in enumerate(leaders):
            self._links[number] = self._links[leader]

    def _led(self) -> array[int]:
        leaders = array("i", range(len(self)))
        for at, number in enumerate(self._calling):
            key = self._by_call.key(at)
            first = min((self._calling[other] for other in self._by_call.numbers(key)), key=self._attempt_order)
            if first != number and self._keys_of(number) in (self._keys_of(first), b""):
                leaders[number] = first
        return leaders

    def _attempt_order(self, number: int) -> tuple[int, int]:
        return self._attempts[number], number

    def _link(self, asked: bytearray, *, within: bool = False) -> None:
        """Link those that are asked for, each to whom it goes on from."""
        last = array("i", [_NONE]) * self._by_answer.slots  # answer with a key, of those that were given before
        before = array("i", [_NONE]) * len(self._answering)
        at = 0
        for number, is_asked in enumerate(asked):
            if is_asked:
                self._links[number] = self._from(number, last, before, within=within)
            while at < len(before) and self._answering[at] == number:
                slot = self._by_answer.slot(self._by_answer.key(at))
                before[at], last[slot] = last[slot], at
                at += 1

    def _from(self, number: int, last: array[int], before: array[int], *, within: bool) -> int:
        keys, home = self._keys_of(number), self._homes[number]
        for end in range(len(keys), 0, -_SIZE):
            key = bytes(keys[end - _SIZE : end])
            at = last[self._by_answer.slot(key)]
            while at != _NONE:
                other = self._answering[at]
                if not within or self._homes[other] == home:
                    return other
                at = before[at]
            if end == _SIZE and self._names[number] == _JOINED:
                break
            for other in map(self._answering.__getitem__, self._by_answer.numbers(key)):
                if other > number and (not within or self._homes[other] == home):
                    return other
        return _NONE

    def _settle(self, leaders: array[int]) -> None:
        """Have those that were sent in no opened conversation stand where those stand from whom they go on."""
        first: dict[bytes, int] = {}  # that goes on from none, by what it names and nobody gave
        for number, kind in enumerate(self._names):
            if kind and leaders[number] == number and self._links[number] == _NONE:
                named = self._named_by(number)
                if kind == _JOINED or next(self._by_answer.numbers(named), None) is None:
                    first.setdefault(named, number)
        path = array("i")
        for number in range(len(self)):
            at = number
            while self._homes[at] == _NONE:
                path.append(at)
                after = leaders[at] if leaders[at] != at else self._links[at]
                if after == _NONE:
                    after = first.get(self._named_by(at), at) if self._names[at] else at
                if after == at:
                    self._homes[at] = at
                at = after
            while path:
                self._homes[path.pop()] = self._homes[at]

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
            if self._links[number] != _NONE:
                extended[self._links[number]] += 1
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
            home, parent = self._homes[number], self._links[number]
            conversation, name = self._named[-2 - home] if home < 0 else (self._id(home), None)
            before = None if parent == _NONE else self._id(parent)
            yield Placed(self._by_id.key(number), conversation, name, before, extended[number], bool(flags[number]))


def _kind(turn: Turn) -> int:
    kept = turn.kept
    if kept.tells is None:
        return 0
    return _JOINED if kept.tells == kept.joins else _REFERRED if kept.tells == kept.refers else _ANSWER


def _sized(key: bytes) -> bytes:
    """Return a key in 16 bytes, which it has but in a row that was damaged."""
    return key if len(key) == _SIZE else key.ljust(_SIZE, b"\0")[:_SIZE]
