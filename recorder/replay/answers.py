"""Which recorded exchange answers a request: strictly the one that was recorded for it.

The nth identical request gets the nth recorded answer, each once. What was never recorded is a miss:
it is raised, and remembered, so that a program which swallows the exception cannot hide it.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.core.matching import canonical_url, match_key
from recorder.core.tape import Tape, render
from recorder.errors import CassetteExhausted, CorruptRecording, NoMatchingExchange
from recorder.replay.nearest import Request, nearest

_SHOWN: Final = 5
_NONE: Final = -1


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


class _Index:
    """The recorded exchanges, by number, in the order in which they were made.

    In columns, and what has one key as a chain of numbers: without an object per exchange that the garbage
    collector has to visit, a large store does not slow the program's requests down.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.exchanges: list[bytes] = []
        self.keys: list[bytes] = []
        self.requests: list[str] = []  # method and URL
        self.redacted: list[tuple[str, ...]] = []
        requests: dict[str, str] = {}
        masked: dict[tuple[str, ...], tuple[str, ...]] = {}
        for exchange, key, redacted, method, url in entries:
            self.exchanges.append(exchange)
            self.keys.append(key)
            request = f"{method} {url}"
            self.requests.append(requests.setdefault(request, request))
            found = masked.get(redacted)
            if found is None:
                found = tuple(sorted(place for place in redacted if not place.startswith("header:")))
                masked[redacted] = found
            self.redacted.append(found)
        places = self.redacted
        self._first: dict[tuple[str, ...], dict[bytes, int]] = {found: {} for found in masked.values()}
        self._next = array("q", [_NONE]) * len(self.keys)
        for number in range(len(self.keys) - 1, -1, -1):
            first, key = self._first[places[number]], self.keys[number]
            self._next[number] = first.get(key, _NONE)
            first[key] = number

    def places(self) -> Iterable[tuple[str, ...]]:
        """Return every set of places that an exchange has redacted and that count."""
        return self._first

    def look(self, keys: dict[tuple[str, ...], bytes]) -> int | None:
        """Return what :meth:`take` would, and leave it."""
        number, _ = self._next_of(keys)
        return None if number == _NONE else number

    def _next_of(self, keys: dict[tuple[str, ...], bytes]) -> tuple[int, tuple[str, ...]]:
        left = [(self._first[places].get(key, _NONE), places) for places, key in keys.items()]
        return min((found for found in left if found[0] != _NONE), default=(_NONE, ()))

    def take(self, keys: dict[tuple[str, ...], bytes]) -> int | None:
        """Return the first exchange that is left under one of *keys*, and take it out; None where none is.

        :param keys: a request's key for each of :meth:`places`.
        """
        number, places = self._next_of(keys)
        if number == _NONE:
            return None
        following = self._next[number]
        if following == _NONE:
            del self._first[places][keys[places]]
        else:
            self._first[places][keys[places]] = following
        return number


class Answers:
    """Answers requests from recorded exchanges. Thread-safe.

    :param entries: the recorded exchanges, in the order in which they were made.
    :param events: returns the events of one; raises CorruptRecording where they are not what was written.
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
        self._index = _Index(entries)
        self._played: set[bytes] = set()
        self._misses: list[NoMatchingExchange] = []
        self._refused: list[CorruptRecording] = []
        self._lock = threading.Lock()

    @property
    def misses(self) -> tuple[NoMatchingExchange, ...]:
        """The requests that no recording answered, in the order in which they were asked."""
        with self._lock:
            return tuple(self._misses)

    @property
    def refused(self) -> tuple[CorruptRecording, ...]:
        """Why recordings that would have answered were not played."""
        with self._lock:
            return tuple(self._refused)

    @property
    def unplayed(self) -> tuple[str, ...]:
        """Ids of the recorded exchanges that were not asked for."""
        with self._lock:
            return tuple(id_text(exchange) for exchange in self._index.exchanges if exchange not in self._played)

    def answer(self, method: str, url: str, body: bytes) -> Answer:
        """Return the next recorded answer to a request.

        :param url: after redaction.
        :param body: the payload, after redaction.
        :raises NoMatchingExchange: the request was never recorded.
        :raises CassetteExhausted: it was, but every answer has been given.
        :raises CorruptRecording: the recorded answer cannot be trusted.
        """
        return self._played_from(self._next(method, url, body))

    def known(self, method: str, url: str, body: bytes) -> Answer | None:
        """Return the next recorded answer to a request, as :meth:`answer` does; None, and no miss, where none is left.

        :raises CorruptRecording: the recorded answer cannot be trusted.
        """
        exchange = self._taken({places: match_key(method, url, body, places) for places in self._index.places()})
        return None if exchange is None else self._played_from(exchange)

    def _played_from(self, exchange: bytes) -> Answer:
        try:
            return Answer(exchange, render(self._events(exchange)))
        except CorruptRecording as error:
            with self._lock:
                self._refused.append(error)
            raise

    def refusal(self, method: str, url: str) -> Answer | None:
        """Return the next recorded answer to a request whose payload was never read, if no connection could be made.

        :param url: after redaction.
        """
        keys = {places: match_key(method, url, b"", places) for places in self._index.places()}
        with self._lock:
            number = self._index.look(keys)
        if number is None:
            return None
        tape = render(self._events(self._index.exchanges[number]))
        if tape.end != "request_failed" or tape.facts.get("phase") != "connect":
            return None
        return self.answer(method, url, b"")

    def _next(self, method: str, url: str, body: bytes) -> bytes:
        keys = {places: match_key(method, url, body, places) for places in self._index.places()}
        exchange = self._taken(keys)
        if exchange is not None:
            return exchange
        recorded = sum(map(self._index.keys.count, set(keys.values())))
        miss = self._exhausted(method, url, recorded) if recorded else self._missed(method, url, body)
        with self._lock:
            self._misses.append(miss)
        raise miss

    def _taken(self, keys: dict[tuple[str, ...], bytes]) -> bytes | None:
        """Take the next exchange under one of *keys*; None where none is left."""
        with self._lock:
            number = self._index.take(keys)
            if number is None:
                return None
            exchange = self._index.exchanges[number]
            self._played.add(exchange)
            return exchange

    def bypassed(self, method: str, url: str, failure: Exception | None = None) -> NoMatchingExchange:
        """Return the miss of an adapter that went past the recording: it is kept as one.

        :param url: after redaction.
        :param failure: what came of it; None where it was an answer.
        """
        told = f"{method} {canonical_url(url, self._hidden())}"
        came = "was answered" if failure is None else f"failed with {type(failure).__name__}"
        miss = NoMatchingExchange(
            f"{told} {came} by other means than the adapter's own connections, perhaps by the network: "
            "mount the adapter that sends",
            request=told,
        )
        with self._lock:
            self._misses.append(miss)
        return miss

    def _hidden(self) -> frozenset[str]:
        """Every place that some recording has redacted: no message shows what a live request has there."""
        return frozenset(place for places in self._index.places() for place in places)

    def _exhausted(self, method: str, url: str, recorded: int) -> NoMatchingExchange:
        url = canonical_url(url, self._hidden())
        times = "once" if recorded == 1 else f"{recorded} times"
        return CassetteExhausted(
            f"{method} {url} was recorded {times} and is asked for once more: record it again, or ask less often",
            request=f"{method} {url}",
        )

    def _missed(self, method: str, url: str, body: bytes) -> NoMatchingExchange:
        index, hidden = self._index, self._hidden()
        told = f"{method} {canonical_url(url, hidden)}"
        if not index.exchanges:
            return NoMatchingExchange(f"{told} was never recorded: the recording is empty", request=told)
        ranked = nearest(
            (method, url, body),
            index.requests,
            index.redacted,
            lambda number: self._request(index.exchanges[number]),
            hidden,
        )
        first, found = ranked[0]
        shown = "; ".join(found[:_SHOWN]) + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
        return NoMatchingExchange(
            f"{told} was never recorded; the nearest recording is {id_text(index.exchanges[first])}, "
            f"which differs (recorded != asked) in {shown or 'nothing that can be shown'}",
            request=told,
            nearest=[id_text(index.exchanges[one.number]) for one in ranked[:_SHOWN]],
            differences=found,
        )
