"""The recorded exchanges by what they answer: under strict keys, and under those that rules give.

In columns, and what has one key as a chain of numbers: without an object per exchange that the garbage collector has to
visit, a large store does not slow the program's requests down.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from recorder.core.exchange import Request
from recorder.core.loosening import Loosening
from recorder.core.match_rules import Match
from recorder.core.matching import canonical_url, match_key

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

    def last(self, keys: Keys) -> int:
        """Return the last number that was added under one of *keys*, taken or not; -1 where none was."""
        return max((self._last[places].get(key, _NONE) for places, key in keys.items()), default=_NONE)


class Index:
    """Finds the recorded exchange that answers a request. Thread-safe.

    Of those that match, the first that is left is taken; where rules make more match than strictly do, those that
    strictly do come before the others. The keys that rules give are found out when a request needs them, of the
    recordings of one method and URL at a time: where nothing has changed, nothing is read for them.

    :param entries: the recorded exchanges, in the order in which they were made.
    :param match: the rules.
    :param read: returns a recorded request by the id of its exchange.
    :raises ConfigurationError: the rules' callable cannot be found.
    :ivar exchanges: ids by number; so are the others.
    :ivar requests: method and URL.
    :ivar redacted: the places that were redacted, as far as they count.
    """

    def __init__(self, entries: Iterable[Entry], match: Match, read: Callable[[bytes], Request]) -> None:
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

    def _chains(self) -> Chains:
        return Chains(self._places, self._taken, keeps=self._repeats)

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
                chains.clear()
            self._strict.add(range(len(self.exchanges) - 1, -1, -1), self.redacted, self._strict_keys)
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
        if not self._joins:
            with self._lock:
                number = self._strict.first(strict)
                if number != _NONE:
                    self._taken[number] |= taking
                    return Found(number, repeated=False)
        loose = exact = strict
        if self._loosening is not None:
            loose = self._loose_keys_of(request)
            exact = {places: loose[places] + strict[places] for places in loose} if self._joins else strict
        with self._lock:
            self._learn(request)
            number = self._exact.first(exact)
            if number == _NONE:
                number = self._loose.first(loose)
            if number != _NONE:
                self._taken[number] |= taking
                return Found(number, repeated=False)
            if self._repeats:
                number = self._exact.last(exact)
                number = self._loose.last(loose) if number == _NONE else number
        return None if number == _NONE else Found(number, repeated=True)

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
            self._loose.add(numbers, self.redacted, loose)
            if self._joins:
                joined = {number: key + self._strict_keys[number] for number, key in loose.items()}
                self._exact.add(numbers, self.redacted, joined)

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
