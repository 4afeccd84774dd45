"""Recordings that were made before a rule of redaction: in them stands in the clear what is a marker by now.

A marker equals any value at its place, whichever side has it. The keys of recordings know the markers of the recording;
here, where no key has answered, the places of the request's own markers are masked in the recordings too. So a
recording that was made before a rule answers as one that was made by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from recorder.core.exchange import Request
from recorder.core.loosening import Loosening
from recorder.core.marker_places import marker_places
from recorder.core.matching import canonical_url, match_key


class Earlier:
    """Finds these recordings.

    :param requests: ``METHOD URL`` of every recording; *redacted*: the places that each has redacted, as far as they
        count.
    :param read: returns the request of a recording by its number.
    :param loosening: applies the rules; None where they are strict.
    """

    def __init__(
        self,
        requests: Sequence[str],
        redacted: Sequence[tuple[str, ...]],
        read: Callable[[int], Request],
        loosening: Loosening | None,
    ) -> None:
        self._requests = requests
        self._redacted = redacted
        self._read = read
        self._loosening = loosening
        self._keys: dict[tuple[int, frozenset[str]], bytes] = {}

    def places(self, request: Request) -> frozenset[str]:
        """Return the places of a request's markers, as far as they count."""
        counts = self._loosening.counts if self._loosening else is_no_header
        return frozenset(filter(counts, marker_places(request)))

    def numbers(self, request: Request) -> list[int]:
        """Return the recordings that match with what the request has redacted masked, in the order of their numbers.

        :raises ConfigurationError: the rules' callable failed.
        """
        own = self.places(request)
        if not own and not request.payload.startswith(b"--"):
            return []  # nothing is masked that was not; keys in a store may be of before forms were compared by parts
        found: list[int] = []
        told = f"{request.method} {request.url}"
        asked: dict[tuple[str, ...], tuple[str, bytes]] = {}
        for number, redacted in enumerate(self._redacted):
            masked = own.union(redacted)
            known = asked.get(redacted)
            if known is None:
                known = asked[redacted] = self.url(told, masked), self._key(request, masked)
            if self.url(self._requests[number], masked) == known[0] and self._key_of(number, own) == known[1]:
                found.append(number)
        return found

    def _key_of(self, number: int, own: frozenset[str]) -> bytes:
        key = self._keys.get((number, own))
        if key is None:
            masked = own.union(self._redacted[number])
            key = self._keys[number, own] = self._key(self._read(number), masked)
        return key

    def _key(self, request: Request, places: Iterable[str]) -> bytes:
        if self._loosening is not None:
            return self._loosening.key(request, places)
        return match_key(request.method, request.url, request.payload, places)

    def url(self, request: str, places: Iterable[str]) -> str:
        """Return what requests of one key have in common, at least."""
        if self._loosening is not None and self._loosening.match.custom is not None:
            return ""  # it may change the URL
        method, _, url = request.partition(" ")
        return f"{method.upper()} {canonical_url(url, places)}"


def is_no_header(place: str) -> bool:
    """Whether a place is elsewhere than in a header."""
    return not place.startswith("header:")
