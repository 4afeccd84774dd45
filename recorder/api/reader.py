"""The reading side: a store, its projections, and what still lies in its spools on this machine."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Container, Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from recorder.core.chain import check
from recorder.core.events import Event, StreamOpened
from recorder.core.searching import Query
from recorder.errors import ChainBroken
from recorder.locations import absolute_url, spool_directory
from recorder.recording.recovery import Spooled, read_spooled
from recorder.store import open_store
from recorder.store.erased import erased_of, recorded_erasures
from recorder.store.filtered import ExchangeFilter
from recorder.store.linked import LinkRow, links_of_exchange, links_of_thing
from recorder.store.projected import ExchangeRow, OpeningRow, RequestRow, SqlProjected
from recorder.store.searched import MessageRow
from recorder.store.urls import parse_url

if TYPE_CHECKING:
    from recorder.projections.runner import Rows

#: What is said of content that is gone without an erasure on record.
TAKEN_AWAY: Final = "what was said in it was taken away without a record: nobody says who did it, or why"

_log = logging.getLogger("recorder.sealed")


class Reader:
    """Reads committed events first, then those that only a spool holds. Changes nothing.

    What the projections do not have yet is folded here, so that a view never lags behind.

    :param url: the store's URL.
    :raises StoreError: the store cannot be read.
    """

    def __init__(self, url: str) -> None:
        parse_url(url, cassettes=True)  # one message for a wrong one, whoever is given it
        self.url = absolute_url(url)
        self.store = open_store(self.url, write=False)
        self.projected = SqlProjected(self.store)
        self.spooled = Spooled()
        self._warned = False
        self._recorded = frozenset[bytes]()
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def refresh(self) -> None:
        """Look again at what is new."""
        # The spool first: what is drained between the two looks is then seen twice rather than never.
        self.spooled = read_spooled(spool_directory(self.url), self.store)
        self.__dict__.pop("fresh", None)
        self.__dict__.pop("_fresh_messages", None)

    @cached_property
    def fresh(self) -> Rows:
        """The rows of what no projection has stored yet; they count rather than stored ones with the same ids."""
        # Made when it is first asked for: an audit must get to events that no fold can read.
        known: Rows | None = self.__dict__.get("_fresh_messages")
        return known or self._folded(messages=False)

    @cached_property
    def _fresh_messages(self) -> Rows:
        return self._folded(messages=True)

    def _folded(self, *, messages: bool) -> Rows:
        from recorder.projections.runner import unprojected  # what rebuilds: only where a fold is asked for

        rows = unprojected(self.store, self.projected, messages=messages)
        for stream in self.spooled.events:
            if self._is_closed(stream):
                rows.fold_sealed(self.with_spooled(stream, self.store.stored_events(stream)))
            else:
                rows.fold(self.found_events(stream))
        if (fault := self.fault) is not None and not self._warned:
            self._warned = True
            _log.warning("recorder: some of what was said is sealed, and is not shown: %s", fault)
        return rows

    @property
    def fault(self) -> str | None:
        """Why something that was read so far is sealed and could not be unsealed here; None where that did not come."""
        unsealing = self.store.__dict__.get("unsealing")  # where nothing is sealed there is none
        return None if unsealing is None else unsealing.fault

    def _is_closed(self, stream: bytes) -> bool:
        """Whether what a spool holds of a stream is sealed, and its key is not here."""
        opened = self.spooled.sealed.get(stream)
        return opened is not None and self.store.unsealing.keys(opened) is None

    def events(self, stream: bytes) -> Iterator[Event]:
        """Yield the events of a stream in order; those that only a spool holds have no position.

        :raises PayloadsSealed: what was said is sealed, and its key is not here.
        """
        if self._is_closed(stream):
            raise self.store.unsealing.refusal(stream)
        stored = self.store.events(stream)
        return self.with_spooled(stream, stored) if stream in self.spooled.events else stored

    def found_events(self, stream: bytes) -> Iterator[Event]:
        """Yield the events of a stream in order, those that nobody here can read as being of type ``code N``."""
        found = self.with_spooled(stream, self.store.found_events(stream))
        return (event._replace(meta=None, body=None) for event in found) if self._is_closed(stream) else found

    def opening(self, stream: bytes) -> StreamOpened | None:
        """Return the opening of a stream."""
        return self.store.opening(stream) or self.spooled.openings.get(stream)

    def checked(self, stream: bytes) -> list[Event]:
        """Return the events of a stream, each of which is what was written, as far as its chain tells.

        :raises ChainBroken: one was changed, or is missing before the last one.
        """
        events = list(self.events(stream))
        self.check(stream, events)
        return events

    def check(self, stream: bytes, events: Iterable[Event]) -> None:
        """Check events of a stream by its chain, and where payloads were erased by what is left of these.

        :raises ChainBroken: one was changed, or is missing before the last one; or payloads were taken away, and no
            journal says who erased them.
        """
        left = erased_of(self.store, stream)
        check(self.opening(stream), events, left)
        if left and not self.tells_erased(stream):
            raise ChainBroken(TAKEN_AWAY)

    def tells_erased(self, stream: bytes) -> bool:
        """Whether a journal tells that an event stream was erased; without it, what is gone was taken away."""
        if stream not in self._recorded:
            self._recorded = recorded_erasures(self.store)  # it may have been erased just now
        return stream in self._recorded

    def _spooled_after(self, stream: bytes, version: int) -> Iterator[Event]:
        for event in self.spooled.events.get(stream, ()):
            if event.version > version:
                version = event.version
                yield event

    def walk(self) -> Iterator[tuple[StreamOpened | None, Iterator[Event]]]:
        """Yield every stream with its events, for audits: each event of the store is read once."""
        known = set()
        for opening, events in self.store.walk():
            if opening is not None:
                known.add(opening.stream)
            yield opening, events if opening is None else self.with_spooled(opening.stream, events)
        for stream, opened in self.spooled.openings.items():
            if stream not in known and self.store.opening(stream) is None:
                yield opened, self._spooled_after(stream, 0)

    def with_spooled(self, stream: bytes, stored: Iterable[Event]) -> Iterator[Event]:
        """Yield the events of a stream that the store has, and then those that only a spool holds."""
        version = 0
        for event in stored:
            version = event.version
            yield event
        yield from self._spooled_after(stream, version)

    def requests(self) -> Iterator[RequestRow]:
        """Yield what replay needs to know of every exchange, in the order of their ids."""
        # Ids of one process sort in the order in which its requests were sent; its wall clock may step.
        fresh = self.fresh.exchanges
        stored = (row for row in self.projected.requests() if row.id not in fresh)
        rows = (RequestRow(*(getattr(row, name) for name in RequestRow._fields)) for row in fresh.values())
        return heapq.merge(stored, sorted(rows))

    def exchange(self, identity: bytes) -> ExchangeRow | None:
        """Return the row of an exchange."""
        return self.fresh.exchanges.get(identity) or self.projected.exchange(identity)

    def exchanges(self, which: ExchangeFilter | None = None, *, newest_first: bool = True) -> Iterator[ExchangeRow]:
        """Yield the rows of exchanges by the time at which they started."""
        stored = self.projected.exchanges(which, newest_first=newest_first)
        fresh = sorted(
            (row for row in self.fresh.exchanges.values() if which is None or which.selects(row)),
            key=_age,
            reverse=newest_first,
        )
        known = self.fresh.exchanges
        return heapq.merge((row for row in stored if row.id not in known), fresh, key=_age, reverse=newest_first)

    def search(
        self, query: Query, which: ExchangeFilter, *, newest_first: bool = True, limit: int | None = None
    ) -> Iterator[tuple[MessageRow, ExchangeRow]]:
        """Yield the messages that a query finds, each once: in the first exchange that had it.

        :param newest_first: else those that fit best come first, after those that no index has yet.
        :param limit: how many are wanted at most; there may be more.
        """
        rows = self._fresh_messages
        fresh = rows.messages or {}
        answers = {row.thread_key for row in fresh.values() if row.answered}

        def current(found: tuple[MessageRow, ExchangeRow]) -> bool:
            message, exchange = found
            newer = fresh.get(message.key)
            return not (
                exchange.id in rows.exchanges
                or (newer is not None and newer.precedes(message))
                or (not message.answered and message.identity in answers)
            )

        found = sorted(self._found_fresh(query, which, answers), key=_newest)
        stored = self.projected.search(query, which, newest_first=newest_first, limit=None if rows.exchanges else limit)
        kept = filter(current, stored)
        return heapq.merge(found, kept, key=_newest) if newest_first else chain(found, kept)

    def _found_fresh(
        self, query: Query, which: ExchangeFilter, answers: Container[bytes | None]
    ) -> Iterator[tuple[MessageRow, ExchangeRow]]:
        rows = self._fresh_messages
        found = {
            key: row
            for key, row in (rows.messages or {}).items()
            if which.selects(rows.exchanges[row.exchange])
            and (row.answered or row.identity not in answers)
            and query.selects(row.searched)
        }
        sent = [row for row in found.values() if not row.answered]
        again = self.projected.sent_back(row.identity for row in sent)
        earlier = {
            row.key
            for row in self.projected.messages(row.key for row in sent)
            if row.exchange not in rows.exchanges and row.precedes(found[row.key])
        }
        for key, row in found.items():
            if row.answered or not (row.identity in again or key in earlier):
                yield row, rows.exchanges[row.exchange]

    def openings(self) -> dict[bytes, OpeningRow]:
        """Return every opening of a conversation."""
        return {row.id: row for row in self.projected.openings()} | self.fresh.openings

    def openings_by(self, what: str, values: Iterable[Any]) -> dict[bytes, OpeningRow]:
        """Return the openings with some ids or names.

        :param what: ``id`` or ``name``; ``tags``: each value is a piece of JSON that stands in their tags.
        """
        asked, fresh = list(values), self.fresh.openings
        found = {row.id: row for row in self.projected.openings_by(what, asked) if row.id not in fresh}
        for row in fresh.values():
            told = getattr(row, what)
            if any(value in told for value in asked) if what == "tags" else told in asked:
                found[row.id] = row
        return found

    def links_of_thing(self, kind: str, identity: str) -> list[LinkRow]:
        """Return the links of something outside, ``order`` and what it is called, the oldest first."""
        return self._links(links_of_thing(self.store, kind, identity), kind=kind, id=identity)

    def links_of_exchange(self, exchange: bytes) -> list[LinkRow]:
        """Return what an exchange led to, the oldest first."""
        return self._links(links_of_exchange(self.store, exchange), exchange=exchange)

    def _links(self, stored: Iterable[LinkRow], **equal: Any) -> list[LinkRow]:
        fresh = self.fresh.links
        found = [row for row in stored if row.stream not in fresh]
        found += (row for row in fresh.values() if all(getattr(row, name) == value for name, value in equal.items()))
        return sorted(found, key=lambda row: (row.at_ns, row.stream))

    def is_spooled(self, identity: bytes) -> bool:
        """Whether part of an exchange is only in a spool."""
        if identity not in self.spooled.events:
            return False
        last = self.store.head(identity)
        return any(True for _ in self._spooled_after(identity, last.version if last else 0))

    def close(self) -> None:
        """Release the store."""
        self.store.close()


def _newest(found: tuple[MessageRow, ExchangeRow]) -> tuple[int, int, int]:
    message, _ = found
    return -message.started_ns, -int.from_bytes(message.exchange), message.place


def _age(row: ExchangeRow) -> tuple[int, bytes]:
    return row.started_ns, row.id
