"""The recorded exchanges by what they answer: under strict keys, and under those that rules give.

In columns, and what has one key as a chain of numbers: without an object per exchange that the garbage collector has to
visit, a large store does not slow the program's requests down.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from recorder.core.exchange import Request
from recorder.core.loosening import Loosening
from recorder.core.match_rules import Match
from recorder.core.matching import canonical_url, match_key
from recorder.replay.markers import Marking, in_payload, marked

_NONE: Final = -1

Places = tuple[str, ...]
#: The key of a request for each set of places that some recording has redacted.
Keys = Mapping[Places, bytes]


class Entry(NamedTuple):
    """One recorded exchange as the index knows it.

    :ivar exchange: 16-byte id.
    :ivar key: its :func:`~recorder.core.matching.match_key`.
    :ivar places: what was redacted in its request.
    """

    exchange: bytes
    key: bytes
    places: tuple[str, ...]
    method: str
    url: str


class Found(NamedTuple):
    """The recorded exchange that answers a request.

    :ivar repeated: it had been given already.
    """

    number: int
    repeated: bool


class Chains:
    """Numbers under keys, those of one key from the first to the last. What was taken is passed over.

    :param places: the sets of places that there are keys for.
    :param taken: 1 for each number that was taken, under whatever key.
    :param keeps: whether :meth:`last` will be asked for.
    """

    def __init__(self, places: Iterable[Places], taken: bytearray, *, keeps: bool) -> None:
        self._first: dict[Places, dict[bytes, int]] = {each: {} for each in places}
        self._last: dict[Places, dict[bytes, int]] = {each: {} for each in self._first if keeps}
        self._next = array("q", [_NONE]) * len(taken)
        self._taken = taken

    def add(
        self, numbers: Iterable[int], places: Sequence[Places], keys: Sequence[bytes] | Mapping[int, bytes]
    ) -> None:
        """Add numbers, the last one first; none of their keys has any yet.

        :param places: of every number; *keys*: of every number that is added.
        """
        for number in numbers:
            first, key = self._first[places[number]], keys[number]
            self._next[number] = first.get(key, _NONE)
            first[key] = number
            if self._last:
                self._last[places[number]].setdefault(key, number)

    def clear(self) -> None:
        """Take every number out."""
        for numbers in (*self._first.values(), *self._last.values()):
            numbers.clear()

    def first(self, keys: Keys) -> int:
        """Return the first number that is left under one of *keys*; -1 where none is."""
        found = _NONE
        for places, key in keys.items():
            first = self._first[places]
            number = first.get(key, _NONE)
            if number != _NONE and self._taken[number]:
                number = self._pass_over(first, key, number)
            if number != _NONE and (number < found or found == _NONE):
                found = number
        return found

    def _pass_over(self, first: dict[bytes, int], key: bytes, number: int) -> int:
        while number != _NONE and self._taken[number]:
            number = self._next[number]
        if number == _NONE:
            del first[key]
        else:
            first[key] = number
        return number

    def has(self, places: Places, key: bytes) -> bool:
        """Whether a key has any number, taken or not, which :meth:`first` did not pass over yet."""
        return key in self._first[places]

    def members(self, places: Places, key: bytes, *, alone: bool) -> list[int]:
        """Return every number that is left under a key; none where there is but one, unless that counts *alone*."""
        number = self._first[places].get(key, _NONE)
        if number == _NONE or (self._next[number] == _NONE and not alone):
            return []
        found = []
        while number != _NONE:
            found.append(number)
            number = self._next[number]
        return found

    def last(self, keys: Keys) -> int:
        """Return the last number that was added under one of *keys*, taken or not; -1 where none was."""
        return max((self._last[places].get(key, _NONE) for places, key in keys.items()), default=_NONE)


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
        left = [each for each in (self._within.first(known), self._chains.first(plain)) if each != _NONE]
        return min(left, default=_NONE)

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


class Index:
    """Finds the recorded exchange that answers a request. Thread-safe.

    Of those that match, the first that is left is taken, of those with the request's own values at masked places if
    there is one (:mod:`recorder.replay.markers`); where rules make more match than strictly do, those that
    strictly do come before the others. The keys that rules give are found out when a request needs them, of the
    recordings of one method and URL at a time: where nothing has changed, nothing is read for them.

    :param entries: the recorded exchanges, in the order in which they were made.
    :param match: the rules.
    :param read: returns a recorded request by the id of its exchange.
    :param key: of the fingerprints of this machine.
    :raises ConfigurationError: the rules' callable cannot be found.
    :ivar exchanges: ids by number; so are the others.
    :ivar requests: method and URL.
    :ivar redacted: the places that were redacted, as far as they count.
    """

    def __init__(
        self, entries: Iterable[Entry], match: Match, read: Callable[[bytes], Request], key: bytes | None = None
    ) -> None:
        self._loosening = None if match.is_strict else Loosening(match)
        self._repeats = match.allow_repeats
        self._read = read
        self._lock = threading.Lock()
        self.exchanges: list[bytes] = []
        self.requests: list[str] = []
        self.redacted: list[Places] = []
        self._strict_keys: list[bytes] = []
        self._places = self._fill(entries)
        self._taken = bytearray(len(self.exchanges))
        self._marking = Marking(key)
        self._strict = self._chains()
        self._joins = self._loosening is not None and self._loosening.reads_headers  # a strict key is not enough then
        self._exact = self._chains() if self._joins else self._strict
        self._loose = self._chains() if self._loosening else self._strict
        self._loose_keys: dict[int, bytes] = {}
        self._unread: dict[tuple[Places, str], array[int]] | None = None
        self.rewind()

    def _fill(self, entries: Iterable[Entry]) -> tuple[Places, ...]:
        """Take the entries in; return the sets of places."""
        counts = self._loosening.counts if self._loosening else _is_no_header
        requests: dict[str, str] = {}
        counted: dict[Places, Places] = {}
        for exchange, key, redacted, method, url in entries:
            self.exchanges.append(exchange)
            self._strict_keys.append(key)
            request = f"{method} {url}"
            self.requests.append(requests.setdefault(request, request))
            found = counted.get(redacted)
            if found is None:
                found = counted[redacted] = tuple(sorted(filter(counts, redacted)))
            self.redacted.append(found)
        return tuple(dict.fromkeys(counted.values()))

    def _chains(self) -> Preferred:
        chains, within = (Chains(self._places, self._taken, keeps=self._repeats) for _ in range(2))
        return Preferred(chains, within, self.redacted, self._had, self._marking)

    def _had(self, number: int) -> bytes:
        """Return the fingerprint of what a recording had at its masked places."""
        places = self.redacted[number]
        payload = self._read(self.exchanges[number]).payload if in_payload(places) else b""
        return marked(self.requests[number].partition(" ")[2], payload)

    @property
    def loosening(self) -> Loosening | None:
        """What applies the rules; None where they are strict."""
        return self._loosening

    @property
    def places(self) -> tuple[Places, ...]:
        """Every set of places that an exchange has redacted and that count."""
        return self._places

    @property
    def unplayed(self) -> list[bytes]:
        """Ids of the exchanges that were not taken."""
        with self._lock:
            return [exchange for exchange, taken in zip(self.exchanges, self._taken, strict=True) if not taken]

    def rewind(self) -> None:
        """Put every exchange back that was taken out."""
        with self._lock:
            self._taken[:] = bytes(len(self._taken))
            for chains in {id(each): each for each in (self._strict, self._exact, self._loose)}.values():
                chains.rewind()
            self._strict.add(range(len(self.exchanges) - 1, -1, -1), self._strict_keys)
            self._add(self._loose_keys)

    def take(self, request: Request) -> Found | None:
        """Return the first exchange that is left for a request, and take it out; None where none is.

        :param request: after redaction.
        :raises ConfigurationError: the rules' callable failed.
        """
        return self._find(request, taking=True)

    def look(self, request: Request) -> Found | None:
        """Return what :meth:`take` would, and leave it."""
        return self._find(request, taking=False)

    def _find(self, request: Request, *, taking: bool) -> Found | None:
        strict = self._keys_of(request)
        stages = [(self._strict, strict)]
        if self._loosening is not None:
            if not self._joins:
                with self._lock:
                    number = self._strict.same_first(strict, request)
                    if number != _NONE:
                        return self._found(number, taking=taking)
            loose = self._loose_keys_of(request)
            exact = {places: loose[places] + strict[places] for places in loose} if self._joins else strict
            stages = [(self._exact, exact), (self._loose, loose)]
        with self._lock:
            self._learn(request)
            number = next((n for n in self._in_turn(stages, request) if n != _NONE), _NONE)
            return None if number == _NONE else self._found(number, taking=taking)

    def _in_turn(self, stages: Sequence[tuple[Preferred, Keys]], request: Request) -> Iterator[int]:
        """Yield what may answer, the best first; -1 where that is none."""
        for same in (True, False):
            for chains, keys in stages:
                yield chains.same_first(keys, request) if same else chains.first(keys)
            if self._repeats:
                for chains, keys in stages:
                    yield chains.same_last(keys, request) if same else chains.last(keys)

    def _found(self, number: int, *, taking: bool) -> Found:
        repeated = bool(self._taken[number])
        self._taken[number] |= taking
        return Found(number, repeated=repeated)

    def recorded(self, request: Request) -> int:
        """Return how often a request was recorded."""
        if self._loosening is None:
            return sum(map(self._strict_keys.count, set(self._keys_of(request).values())))
        wanted = self._loose_keys_of(request)
        with self._lock:
            self._learn(request)
            return sum(wanted[self.redacted[number]] == key for number, key in self._loose_keys.items())

    def _keys_of(self, request: Request) -> dict[Places, bytes]:
        method, url, payload = request.method, request.url, request.payload
        return {places: match_key(method, url, payload, places) for places in self._places}

    def _loose_keys_of(self, request: Request) -> dict[Places, bytes]:
        assert self._loosening is not None
        return {places: self._loosening.key(request, places) for places in self._places}

    def _learn(self, request: Request) -> None:
        """Find out the keys of the recordings that may answer a request."""
        if self._loosening is None:
            return
        if self._unread is None:
            self._unread = self._by_url()
        for places in self._places:
            group = places, self._url_of(f"{request.method} {request.url}", places)
            numbers = self._unread.get(group)
            if numbers is None:
                continue
            loose = {n: self._loosening.key(self._read(self.exchanges[n]), places) for n in numbers}
            self._add(loose)
            self._loose_keys |= loose
            del self._unread[group]

    def _add(self, loose: dict[int, bytes]) -> None:
        """Add recordings under the keys that rules gave them."""
        if loose:
            numbers = sorted(loose, reverse=True)
            self._loose.add(numbers, loose)
            if self._joins:
                joined = {number: key + self._strict_keys[number] for number, key in loose.items()}
                self._exact.add(numbers, joined)

    def _by_url(self) -> dict[tuple[Places, str], array[int]]:
        found: dict[tuple[Places, str], array[int]] = {}
        urls: dict[tuple[Places, str], str] = {}
        for number, (request, places) in enumerate(zip(self.requests, self.redacted, strict=True)):
            url = urls.get((places, request))
            if url is None:
                url = urls[places, request] = self._url_of(request, places)
            found.setdefault((places, url), array("q")).append(number)
        return found

    def _url_of(self, request: str, places: Places) -> str:
        """Return what requests of one key have in common, at least."""
        if self._loosening is not None and self._loosening.match.custom is not None:
            return ""  # it may change the URL
        method, _, url = request.partition(" ")
        return f"{method.upper()} {canonical_url(url, places)}"


def _is_no_header(place: str) -> bool:
    return not place.startswith("header:")
