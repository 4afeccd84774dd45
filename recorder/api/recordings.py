"""What a player answers from: the exchanges of a store, as an index of requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recorder.api.reader import Reader
from recorder.clock import asked_at, id_text
from recorder.core.events import Event
from recorder.core.exchange import Request, fold
from recorder.core.sent_order import BY_CLOCK
from recorder.errors import ChainBroken
from recorder.projections.rows import places_of_row
from recorder.replay.index import Entry
from recorder.store.erased import erased_streams, recorded_erasures


class Recordings:
    """The exchanges of a store, in the order in which they were recorded.

    :param reader: the store.
    :param exchanges: ids of the exchanges to take; all where it is None.
    """

    def __init__(self, reader: Reader, exchanges: Iterable[bytes] | None) -> None:
        self._reader = reader
        self._only = None if exchanges is None else frozenset(exchanges)

    def entries(self) -> Iterator[Entry]:
        """Yield what the index holds of each exchange, in the order in which the requests were sent."""
        rows = list(self._reader.requests())
        if any(identity[6] >> 4 != BY_CLOCK for identity, *_ in rows):
            rows.sort(key=lambda row: asked_at(row.id, row.started_ns))
        parsed: dict[str | None, tuple[str, ...]] = {None: ()}  # most recordings have redacted the same places
        for identity, key, text, method, url, _ in rows:
            if key is not None and (self._only is None or identity in self._only):
                places = parsed.get(text)
                if places is None:
                    places = parsed[text] = places_of_row(identity, text)
                yield Entry(identity, key, places, method, url)

    def erased(self) -> int:
        """Return how many exchanges were erased, and so answer nothing."""
        gone = erased_streams(self._reader.store)
        if gone:  # what was taken away without a record was not erased
            gone &= recorded_erasures(self._reader.store)
        kept = gone if self._only is None else gone & self._only
        return sum(key is None and identity in kept for identity, key, *_ in self._reader.requests()) if kept else 0

    def began_ns(self) -> int | None:
        """Return when the first of the requests was sent, in nanoseconds since 1970; None where there is none."""
        rows = self._reader.exchanges(newest_first=False)
        return next((row.started_ns for row in rows if self._only is None or row.id in self._only), None)

    def events(self, exchange: bytes) -> Iterable[Event]:
        """Return the events of an exchange.

        :raises ChainBroken: they are not what was written.
        """
        try:
            return self._reader.checked(exchange)
        except ChainBroken as error:
            name = id_text(exchange)
            told = f"the recording {name} is not what was written ({error}): see `recorder verify {name}`"
            raise ChainBroken(told, position=error.position) from None

    def request(self, exchange: bytes) -> Request:
        """Return a recorded request; an empty one where none is recorded."""
        folded = fold(_asking(self._reader.found_events(exchange)))
        request = folded.request if folded is not None else None
        return request if request is not None else Request("", "")


def _asking(events: Iterable[Event]) -> Iterator[Event]:
    """Yield what tells of the request: the answer is not read, unless the payload may come in the middle of it."""
    for event in events:
        yield event
        if event.type == "request_sent" and '"streamed"' not in (event.meta or ""):
            return
