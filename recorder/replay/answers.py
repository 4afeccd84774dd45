"""Which recorded exchange answers a request: strictly the one that was recorded for it, or one that rules allow.

The nth identical request gets the nth recorded answer, each once. What was never recorded is a miss:
it is raised, and remembered, so that a program which swallows the exception cannot hide it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.core.exchange import Headers, Request
from recorder.core.match_rules import Match
from recorder.core.matching import canonical_url
from recorder.core.tape import Tape, render
from recorder.errors import (
    CassetteExhausted,
    ConfigurationError,
    CorruptRecording,
    NoMatchingExchange,
    RecorderError,
    RecordingEnded,
)
from recorder.replay.faulting import Faulting
from recorder.replay.faults import Fault
from recorder.replay.index import Entry, Index
from recorder.replay.nearest import nearest

_SHOWN: Final = 5
_log = logging.getLogger("recorder")


class Answer(NamedTuple):
    """The recorded exchange that answers a request."""

    exchange: bytes
    tape: Tape


class Answers:
    """Answers requests from recorded exchanges. Thread-safe.

    :param entries: the recorded exchanges, in the order in which they were made.
    :param events: returns the events of one; raises CorruptRecording where they are not what was written.
    :param request: returns the request of one, for rules and for the comparison after a miss.
    :param match: the rules by which requests are compared.
    :param key: of the fingerprints of this machine; None where requests come with their markers.
    :param faults: gives the events as they are played, where something goes wrong in them.
    :param erased: tells how many exchanges were erased, for the message of a miss.
    :raises ConfigurationError: the rules' callable cannot be found.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        events: Callable[[bytes], Iterable[Event]],
        request: Callable[[bytes], Request],
        match: Match = Match.STRICT,
        key: bytes | None = None,
        faults: Faulting | None = None,
        erased: Callable[[], int] = lambda: 0,
    ) -> None:
        self.match = match
        self._erased = erased
        self._events = events
        self._faults = faults
        self._played = events if faults is None else faults.events
        self._request = request
        self._index = Index(entries, match, request, key)
        self._misses: list[NoMatchingExchange] = []
        self._refused: list[RecorderError] = []
        self._ended: list[RecordingEnded] = []
        self._late: Callable[[str], NoMatchingExchange] | None = None
        self._lock = threading.Lock()
        for name in match.masked_headers:
            _log.warning(
                "recorder: the matching rule headers=%r only says whether the header is there: its value is redacted, "
                "so that any equals any; compare a header that holds no credential",
                name,
            )

    @property
    def reads_headers(self) -> bool:
        """Whether headers have to be given with requests."""
        loosening = self._index.loosening
        return loosening is not None and loosening.reads_headers

    @property
    def misses(self) -> tuple[NoMatchingExchange, ...]:
        """The requests that no recording answered, in the order in which they were asked."""
        with self._lock:
            return tuple(self._misses)

    @property
    def refused(self) -> tuple[RecorderError, ...]:
        """Why recordings that would have answered were not played, and what a rule of the user failed with."""
        with self._lock:
            refused = tuple(self._refused)
        return refused if self._faults is None else (*refused, *self._faults.in_vain(self._index.unplayed))

    @property
    def ended(self) -> tuple[RecordingEnded, ...]:
        """Where somebody read on past the end of what was recorded."""
        with self._lock:
            return tuple(self._ended)

    def end(self, late: Callable[[str], NoMatchingExchange]) -> None:
        """Answer nothing any more.

        :param late: makes what is raised for a request that comes all the same, of its method and URL.
        """
        self._late = late

    def note_ended(self, ended: RecordingEnded) -> None:
        """Keep that somebody read on past the end of what was recorded."""
        with self._lock:
            self._ended.append(ended)

    @property
    def unplayed(self) -> tuple[str, ...]:
        """Ids of the recorded exchanges that were not asked for."""
        return tuple(map(id_text, self._index.unplayed))

    @property
    def requests(self) -> Sequence[str]:
        """Method and URL of every recorded request, as ``METHOD URL``, in the order in which they were made."""
        return self._index.requests

    def answer(
        self, method: str, url: str, body: bytes, headers: Headers = (), *, fault: Fault | None = None
    ) -> Answer:
        """Return the next recorded answer to a request.

        :param url: after redaction.
        :param body: the payload, after redaction.
        :param headers: the same, where :attr:`reads_headers`.
        :param fault: what goes wrong with this answer.
        :raises NoMatchingExchange: the request was never recorded.
        :raises CassetteExhausted: it was, but every answer has been given.
        :raises CorruptRecording: the recorded answer cannot be trusted.
        :raises ConfigurationError: the rules' callable failed, or the answer is not one that the fault can happen to.
        """
        asked = Request(method, url, headers, body)
        answer = self._known(asked, fault)
        if answer is None:
            raise self._miss(asked)
        return answer

    def known(self, method: str, url: str, body: bytes, headers: Headers = ()) -> Answer | None:
        """Return what :meth:`answer` does; None, and no miss, where no recorded answer is left.

        :raises CorruptRecording: the recorded answer cannot be trusted.
        :raises ConfigurationError: the rules' callable failed.
        """
        return self._known(Request(method, url, headers, body))

    def _known(self, asked: Request, fault: Fault | None = None) -> Answer | None:
        if self._late is not None:
            raise self._late(f"{asked.method} {canonical_url(asked.url, self._hidden())}")
        try:
            found = self._index.take(asked)
        except (ConfigurationError, CorruptRecording) as error:
            self._refuse(error)
            raise
        if found is None:
            return None
        exchange = self._index.exchanges[found.number]
        try:
            events = self._played(exchange)
            answer = Answer(exchange, render(events if fault is None else fault.apply(list(events))))
        except (CorruptRecording, ConfigurationError) as error:  # the fault cannot happen to this answer
            self._refuse(error)
            raise
        return None if found.repeated and is_broken_off(answer.tape) else answer

    def left(self, method: str, url: str, body: bytes, headers: Headers = ()) -> bool:
        """Whether :meth:`answer` has an answer to this request, which it leaves."""
        return self._index.look(Request(method, url, headers, body)) is not None

    def ever(self, method: str, url: str, body: bytes, headers: Headers = ()) -> bool:
        """Whether this request was recorded, its answers given or not."""
        return self._index.recorded(Request(method, url, headers, body)) > 0

    def rewind(self) -> None:
        """Have everything answered again from the beginning; misses stay."""
        self._index.rewind()

    def _refuse(self, error: RecorderError) -> None:
        with self._lock:
            self._refused.append(error)

    def refusal(self, method: str, url: str, headers: Headers = ()) -> Answer | None:
        """Return the next recorded answer to a request whose payload was never read, if no connection could be made.

        :param url: after redaction; *headers* as for :meth:`answer`.
        """
        try:
            found = self._index.look(Request(method, url, headers))
        except ConfigurationError:  # a callable may fail without the payload; with it, it is asked again
            return None
        if found is None:
            return None
        try:
            tape = render(self._played(self._index.exchanges[found.number]))
        except ConfigurationError:  # the fault cannot happen to it; with the payload, it is asked again
            return None
        if tape.end != "request_failed" or tape.facts.get("phase") != "connect":
            return None
        return self.answer(method, url, b"", headers)

    def bypassed(self, method: str, url: str, failure: Exception | None = None) -> NoMatchingExchange:
        """Return the miss of an adapter that went past the recording: it is kept as one.

        :param url: after redaction.
        :param failure: what came of it; None where it was an answer.
        """
        told = f"{method} {canonical_url(url, self._hidden())}"
        came = "was answered" if failure is None else f"failed with {type(failure).__name__}"
        return self.note_miss(
            f"{told} {came} by other means than the adapter's own connections, perhaps by the network: "
            "mount the adapter that sends",
            told,
        )

    def note_miss(self, told: str, request: str) -> NoMatchingExchange:
        """Return a miss that is told of in other words: it is kept as one.

        :param told: what is wrong and what to do.
        :param request: ``METHOD URL``, after redaction.
        """
        miss = NoMatchingExchange(told, request=request)
        with self._lock:
            self._misses.append(miss)
        return miss

    def note_refusal(self, error: RecorderError) -> None:
        """Keep why a request was not answered, besides a miss: leaving the player raises it."""
        self._refuse(error)

    def _hidden(self) -> frozenset[str]:
        """Every place that some recording has redacted: no message shows what a live request has there."""
        return frozenset(place for places in self._index.places for place in places)

    def _miss(self, asked: Request) -> NoMatchingExchange:
        try:
            recorded = self._index.recorded(asked)
        except ConfigurationError as error:  # of a callable that is not always the same
            self._refuse(error)
            raise
        miss = self._exhausted(asked, recorded) if recorded else self._missed(asked)
        with self._lock:
            self._misses.append(miss)
        return miss

    def _exhausted(self, asked: Request, recorded: int) -> NoMatchingExchange:
        told = f"{asked.method} {canonical_url(asked.url, self._hidden())}"
        times = "once" if recorded == 1 else f"{recorded} times"
        return CassetteExhausted(
            f"{told} was recorded {times} and is asked for once more{self._by_rules()}: record it again, ask less "
            "often, or allow_repeats",
            request=told,
        )

    def _missed(self, asked: Request) -> NoMatchingExchange:
        index, hidden = self._index, self._hidden()
        told = f"{asked.method} {canonical_url(asked.url, hidden)}"
        if not index.exchanges:
            empty = self._by_erasure() or ": the recording is empty"
            return NoMatchingExchange(f"{told} was never recorded{empty}", request=told)
        own = index.masked_by(asked)
        masked = {places: tuple(own.union(places)) for places in index.places}
        try:
            ranked = nearest(
                asked,
                index.requests,
                [masked[places] for places in index.redacted],
                lambda number: self._request(index.exchanges[number]),
                hidden,
                index.loosening,
            )
        except ConfigurationError as error:  # the callable takes no request with so much masked
            told_why = f"{told} was never recorded{self._by_rules()}; what differs cannot be told: {error}"
            return NoMatchingExchange(told_why, request=told)
        first, found = ranked[0]
        self._require_sound(index.exchanges[first])
        shown = "; ".join(found[:_SHOWN]) + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
        return NoMatchingExchange(
            f"{told} was never recorded{self._by_rules()}{self._by_erasure()}; "
            f"the nearest recording is {id_text(index.exchanges[first])}, "
            f"which differs (recorded != asked) in {shown or 'nothing that can be shown'}",
            request=told,
            nearest=[id_text(index.exchanges[one.number]) for one in ranked[:_SHOWN]],
            differences=found,
        )

    def _require_sound(self, exchange: bytes) -> None:
        """Refuse to name a recording that was changed: what differs may be what somebody has written into it.

        :raises CorruptRecording: it is not what was recorded.
        """
        try:
            for _ in self._events(exchange):
                pass
        except CorruptRecording as error:
            self._refuse(error)
            raise

    def _by_erasure(self) -> str:
        """What a miss says of exchanges that were erased: which requests they answered, nobody knows any more."""
        count = self._erased()
        if not count:
            return ""
        answer = "one exchange answers" if count == 1 else f"{count} exchanges answer"
        return f", or was erased ({answer} nothing any more)"

    def _by_rules(self) -> str:
        """What a miss says of the rules, where they are not strict."""
        return "" if self.match == Match.STRICT else f" (by the rules: {self.match})"


def is_broken_off(tape: Tape) -> bool:
    """Whether the recorded program itself broke its request off before anything came: there is nothing to play."""
    return tape.end == "request_failed" and "error" not in tape.facts
