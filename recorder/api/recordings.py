"""What a player answers from: the exchanges of a store, as an index of requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recorder.api.reader import Reader
from recorder.clock import id_bytes
from recorder.core.events import Event
from recorder.core.exchange import fold
from recorder.core.matching import match_key
from recorder.replay.answers import Entry, Request


class Recordings:
    """The exchanges of a store, in the order in which they were recorded.

    :param reader: the store.
    :param exchanges: ids of the exchanges to take; all where it is None.
    """

    def __init__(self, reader: Reader, exchanges: Iterable[str] | None) -> None:
        self._reader = reader
        self._only = None if exchanges is None else {id_bytes(identity) for identity in exchanges}

    def entries(self) -> Iterator[Entry]:
        """Yield what the index holds of each exchange."""
        for identity in self._reader.exchange_ids():
            if self._only is not None and identity not in self._only:
                continue
            exchange = fold(self._reader.events(identity))
            if exchange is None or exchange.request is None:
                continue
            request = exchange.request
            key = match_key(request.method, request.url, request.payload, request.redacted)
            yield Entry(identity, key, request.redacted, request.method, request.url)

    def events(self, exchange: bytes) -> Iterable[Event]:
        """Return the events of an exchange."""
        return self._reader.events(exchange)

    def request(self, exchange: bytes) -> Request:
        """Return method, URL and payload of a recorded request."""
        folded = fold(self._reader.events(exchange))
        request = folded.request if folded is not None else None
        return (request.method, request.url, request.payload) if request is not None else ("", "", b"")
