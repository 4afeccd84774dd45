"""The recorded exchanges by what they answer: under strict keys, and under those that rules give.

In columns, and what has one key as a chain of numbers: without an object per exchange that the garbage collector has to
visit, a large store does not slow the program's requests down.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from recorder.core.exchange import Request
from recorder.core.loosening import Loosening
from recorder.core.match_rules import Match
from recorder.core.matching import match_key
from recorder.replay.chains import NONE, Chains, Keys, Places, Preferred
from recorder.replay.earlier import Earlier, is_no_header
from recorder.replay.markers import Marking, in_payload, marked


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
        self._earlier = Earlier(self.requests, self.redacted, lambda n: read(self.exchanges[n]), self._loosening)
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
        counts = self._loosening.counts if self._loosening else is_no_header
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
                    if number != NONE:
                        return self._found(number, taking=taking)
            loose = self._loose_keys_of(request)
            exact = {places: loose[places] + strict[places] for places in loose} if self._joins else strict
            stages = [(self._exact, exact), (self._loose, loose)]
        with self._lock:
            self._learn(request)
            number = next((n for n in self._in_turn(stages, request) if n != NONE), NONE)
            if number == NONE:
                number = self._of_before(request)
            return None if number == NONE else self._found(number, taking=taking)

    def _in_turn(self, stages: Sequence[tuple[Preferred, Keys]], request: Request) -> Iterator[int]:
        """Yield what may answer, the best first; -1 where that is none."""
        for same in (True, False):
            for chains, keys in stages:
                yield chains.same_first(keys, request) if same else chains.first(keys)
            if self._repeats:
                for chains, keys in stages:
                    yield chains.same_last(keys, request) if same else chains.last(keys)

    def _of_before(self, request: Request) -> int:
        """Return what was recorded before a rule by which the request is redacted; -1 where nothing of that is left."""
        numbers = self._earlier.numbers(request)
        left = next((number for number in numbers if not self._taken[number]), NONE)
        return numbers[-1] if left == NONE and numbers and self._repeats else left

    def _found(self, number: int, *, taking: bool) -> Found:
        repeated = bool(self._taken[number])
        self._taken[number] |= taking
        return Found(number, repeated=repeated)

    def recorded(self, request: Request) -> int:
        """Return how often a request was recorded."""
        if self._loosening is None:
            count = sum(map(self._strict_keys.count, set(self._keys_of(request).values())))
        else:
            wanted = self._loose_keys_of(request)
            with self._lock:
                self._learn(request)
                count = sum(wanted[self.redacted[number]] == key for number, key in self._loose_keys.items())
        with self._lock:
            return max(count, len(self._earlier.numbers(request)))

    def masked_by(self, request: Request) -> frozenset[str]:
        """Return the places that a request has redacted itself, which equal anything in any recording."""
        return self._earlier.places(request)

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
            group = places, self._earlier.url(f"{request.method} {request.url}", places)
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
                url = urls[places, request] = self._earlier.url(request, places)
            found.setdefault((places, url), array("q")).append(number)
        return found
