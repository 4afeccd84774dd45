"""Which recorded exchange answers a request: strictly the one that was recorded for it.

The nth identical request gets the nth recorded answer, each once. What was never recorded is a miss:
it is raised, and remembered, so that a program which swallows the exception cannot hide it.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.core.matching import canonical_url, differences, match_key
from recorder.core.tape import Tape, render
from recorder.errors import CassetteExhausted, NoMatchingExchange

_COMPARED: Final = 64  # recordings that a miss is compared with, those of its URL first
_SHOWN: Final = 5

Request = tuple[str, str, bytes]  # method, URL, payload


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


class Answer(NamedTuple):
    """The recorded exchange that answers a request."""

    exchange: bytes
    tape: Tape


class Answers:
    """Answers requests from recorded exchanges. Thread-safe.

    :param entries: the recorded exchanges, in the order in which they were made.
    :param events: returns the events of one.
    :param request: returns method, URL and payload of one, for the comparison after a miss.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        events: Callable[[bytes], Iterable[Event]],
        request: Callable[[bytes], Request],
    ) -> None:
        self._events = events
        self._request = request
        self._entries = list(entries)
        self._by_places: dict[tuple[str, ...], dict[bytes, deque[int]]] = {}  # numbers of what is left to give
        self._recorded: Counter[bytes] = Counter()
        for number, entry in enumerate(self._entries):
            places = tuple(sorted(place for place in entry.places if not place.startswith("header:")))
            self._by_places.setdefault(places, {}).setdefault(entry.key, deque()).append(number)
            self._recorded[entry.key] += 1
        self._played: set[bytes] = set()
        self._misses: list[NoMatchingExchange] = []
        self._lock = threading.Lock()

    @property
    def misses(self) -> tuple[NoMatchingExchange, ...]:
        """The requests that no recording answered, in the order in which they were asked."""
        with self._lock:
            return tuple(self._misses)

    @property
    def unplayed(self) -> tuple[str, ...]:
        """Ids of the recorded exchanges that were not asked for."""
        with self._lock:
            return tuple(id_text(entry.exchange) for entry in self._entries if entry.exchange not in self._played)

    def answer(self, method: str, url: str, body: bytes) -> Answer:
        """Return the next recorded answer to a request.

        :param url: after redaction.
        :param body: the payload, after redaction.
        :raises NoMatchingExchange: the request was never recorded.
        :raises CassetteExhausted: it was, but every answer has been given.
        """
        exchange = self._next(method, url, body)
        return Answer(exchange, render(self._events(exchange)))

    def _next(self, method: str, url: str, body: bytes) -> bytes:
        keys = {places: match_key(method, url, body, places) for places in self._by_places}
        with self._lock:
            left = [found for places, key in keys.items() if (found := self._by_places[places].get(key))]
            if left:
                exchange = self._entries[min(left, key=itemgetter(0)).popleft()].exchange
                self._played.add(exchange)
                return exchange
        recorded = sum(self._recorded[key] for key in set(keys.values()))
        miss = self._exhausted(method, url, recorded) if recorded else self._missed(method, url, body)
        with self._lock:
            self._misses.append(miss)
        raise miss

    def _exhausted(self, method: str, url: str, recorded: int) -> NoMatchingExchange:
        times = "once" if recorded == 1 else f"{recorded} times"
        return CassetteExhausted(
            f"{method} {url} was recorded {times} and is asked for once more: record it again, or ask less often",
            request=f"{method} {url}",
        )

    def _missed(self, method: str, url: str, body: bytes) -> NoMatchingExchange:
        asked = (method, url, body)
        wanted = canonical_url(url)
        same_url = [entry for entry in self._entries if canonical_url(entry.url) == wanted]
        compared: Sequence[Entry] = (same_url or self._entries)[-_COMPARED:]
        ranked = sorted(
            ((differences(self._request(entry.exchange), asked), entry) for entry in compared),
            key=lambda it: len(it[0]),
        )
        if not ranked:
            return NoMatchingExchange(
                f"{method} {url} was never recorded: the recording is empty", request=f"{method} {url}"
            )
        found, nearest = ranked[0]
        shown = "; ".join(found[:_SHOWN]) + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
        return NoMatchingExchange(
            f"{method} {url} was never recorded; the nearest recording is {id_text(nearest.exchange)}, "
            f"which differs (recorded != asked) in {shown}",
            request=f"{method} {url}",
            nearest=[id_text(entry.exchange) for _, entry in ranked[:_SHOWN]],
            differences=found,
        )
