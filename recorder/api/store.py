"""Store: the reading side, for scripts and notebooks."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from recorder.api.erasures import Erasures
from recorder.api.homes import whole
from recorder.api.reader import Reader
from recorder.api.threaded import Found, Threaded
from recorder.clock import id_bytes, id_text
from recorder.core.conversation import Conversation, Relation
from recorder.core.events import Event
from recorder.core.exchange import fold
from recorder.core.history import relate
from recorder.core.json_text import present
from recorder.core.messages import NOT_AS_WRITTEN, Anomaly
from recorder.core.rebuilt import Rebuilt
from recorder.core.searching import Query, parse_query, passage
from recorder.dialects.rebuild import rebuild
from recorder.dialects.remembered import Remembered
from recorder.errors import ChainBroken, NotFound
from recorder.locations import as_url
from recorder.projections.rows import listed, turn_of_row
from recorder.store.filtered import ExchangeFilter, any_of
from recorder.store.projected import ExchangeRow
from recorder.store.searched import MessageRow

if TYPE_CHECKING:
    from recorder.api.bundling import Begin, Bundled, BundleSelection

_ASKED_FOR: Final = 5000  # exchanges that a statement names; of more, many of those found are among them
_FIRST: Final = 64  # exchanges that are looked at before it is known whether more are wanted


class ExchangeFilters(TypedDict, total=False):
    """Which exchanges are wanted; what is left out, or None, does not restrict.

    ``conversation`` is an id, a name, or a part of an id; ``model`` the one that answered; ``verdict`` and ``status``
    how it ended; ``since_ns`` (started at or after) and ``until_ns`` (before) UTC nanoseconds; ``tool`` the name of one
    that the answer calls; ``finish`` a finish reason in the words of all dialects; ``tags`` those that its conversation
    has, all of them. Of all but times and tags there may be several values, in a list: any of these.
    """

    conversation: str | Collection[str] | None
    model: str | Collection[str] | None
    verdict: str | Collection[str] | None
    status: int | Collection[int] | None
    since_ns: int | None
    until_ns: int | None
    tool: str | Collection[str] | None
    finish: str | Collection[str] | None
    tags: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A conversation in a list.

    :ivar exchanges: ids of its exchanges in the order in which they were sent.
    :ivar first_ns: when the first was sent, or the conversation opened: UTC nanoseconds.
    :ivar last_ns: when the last was sent.
    """

    id: str
    name: str | None
    tags: Mapping[str, str]
    exchanges: tuple[str, ...]
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation with its exchanges rebuilt.

    :ivar parents: ``exchange id -> id of the exchange whose messages its request extends``, or whose answer it names.
    """

    id: str
    name: str | None
    tags: Mapping[str, str]
    exchanges: list[Rebuilt] = field(default_factory=list)
    parents: Mapping[str, str] = field(default_factory=dict)

    def relations(self) -> dict[str, Relation]:
        """Return what each exchange is to those before it, by id, and what the program changed in the history."""
        return relate(self.exchanges)


class Store:
    """A store, opened for reading; nothing in it is ever changed. A context manager.

    It shows what was there when it was opened, or at the last :meth:`refresh`.

    :param url: or the path of a SQLite store; ``RECORDER_STORE`` where it is left out, else ``sqlite:///recorder.db``.
    :raises StoreError: the store cannot be read.
    """

    def __init__(self, url: str | os.PathLike[str] | None = None) -> None:
        self.reader = Reader(as_url(url))
        self.threaded = Threaded(self.reader)
        self.erasures = Erasures(self.reader)

    def refresh(self) -> None:
        """Look again at what was recorded since."""
        self.reader.refresh()
        self.threaded.refresh()
        self.erasures = Erasures(self.reader)

    def exchanges(self, *, limit: int | None = None, **filters: Unpack[ExchangeFilters]) -> Iterator[dict[str, Any]]:
        """Yield one object per exchange, newest first, as ``recorder list --json`` prints it.

        :param limit: how many at most.
        :param filters: see :class:`ExchangeFilters`.
        :raises NotFound: there is no such conversation, or several.
        """
        _check_names(filters)
        return (line for _, line in self.timed(limit, **filters))

    def timed(self, limit: int | None, **filters: Unpack[ExchangeFilters]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield what :meth:`exchanges` does, after the time by which ``since_ns`` and ``until_ns`` choose it.

        Of an imported one of which nothing tells when it was sent, that is when it was imported first.
        """
        rows, several = islice(self.selected(**filters), limit), _FIRST
        while some := list(islice(rows, several)):
            ids = [id_text(row.id) for row in some]
            for row, (home, thread) in zip(some, self.threaded.places(ids), strict=True):
                spooled = {"spooled": True} if self.reader.is_spooled(row.id) else {}
                named = {"conversation_name": thread.name} if thread is not None and thread.name is not None else {}
                yield row.started_ns, {**self.erasures.listed(listed(row)), "conversation": home, **named, **spooled}
            several *= 2

    def selected(self, **filters: Unpack[ExchangeFilters]) -> Iterator[ExchangeRow]:
        """Yield the rows of the exchanges that fit, newest first.

        :param filters: see :class:`ExchangeFilters`.
        :raises NotFound: there is no such conversation, or several.
        """
        _check_names(filters)
        which, wanted = self._selected(filters)
        if wanted is not None and len(wanted) <= _ASKED_FOR:
            which, wanted = replace(which, ids=frozenset(map(id_bytes, wanted))), None
        kept = None if wanted is None else frozenset(wanted)
        for row in self.reader.exchanges(which):
            if kept is None or id_text(row.id) in kept:
                yield row

    def _selected(self, filters: ExchangeFilters) -> tuple[ExchangeFilter, list[str] | None]:
        """The filter of rows, and the ids that the conversations leave over, the newest first; None for all."""
        fields: dict[str, Any] = dict(filters)
        homes = self.homes(fields.pop("conversation", None), fields.pop("tags", None))
        return ExchangeFilter(**fields), None if homes is None else self.threaded.members(homes)

    def homes(self, conversation: str | Collection[str] | None, tags: Mapping[str, str] | None) -> list[str] | None:
        """Return the ids of the conversations that fit filters; None where these do not restrict.

        :raises NotFound: there is no such conversation, or several.
        """
        homes: list[str] | None = None
        if conversation is not None:
            homes = list(dict.fromkeys(whole(self, self.resolve(one)).id for one in any_of(conversation)))
        if tags:
            tagged = self.threaded.tagged(tags)
            homes = tagged if homes is None else [home for home in homes if home in tagged]
        return homes

    def search(
        self, query: str, *, newest_first: bool = True, limit: int | None = None, **filters: Unpack[ExchangeFilters]
    ) -> Iterator[dict[str, Any]]:
        """Yield the messages in which words stand, as ``recorder search --json`` prints them.

        Each message is found once, in the exchange that sent or answered it first.

        :param query: words that are all wanted, ``"side by side"``, ``-unwanted``, ``pre*``.
        :param newest_first: else those that fit best come first.
        :param limit: how many at most.
        :param filters: see :class:`ExchangeFilters`.
        :raises ValueError: the query wants no word.
        :raises NotFound: there is no such conversation, or several.
        """
        _check_names(filters)
        asked = parse_query(query)
        which, wanted = self._selected(filters)
        found = self._found_in(asked, which, wanted, newest_first=newest_first, limit=limit)
        hits = (_hit(asked, message, exchange) for message, exchange in islice(found, limit))
        return hits if limit is None else iter(list(hits))  # nothing is left half read when the store is closed

    def _found_in(
        self,
        asked: Query,
        which: ExchangeFilter,
        wanted: Sequence[str] | None,
        *,
        newest_first: bool,
        limit: int | None,
    ) -> Iterator[tuple[MessageRow, ExchangeRow]]:
        """Yield what is found in the exchanges that are wanted, which are sorted by their age; None for all."""
        if wanted is None:
            yield from self.reader.search(asked, which, newest_first=newest_first, limit=limit)
        elif len(wanted) > _ASKED_FOR:
            kept = frozenset(wanted)
            for found in self.reader.search(asked, which, newest_first=newest_first):
                if id_text(found[1].id) in kept:
                    yield found
        else:
            # Where some of the newest are enough, it takes longer to name all to the store than to look at these.
            first = _FIRST if newest_first and limit is not None else len(wanted)
            for some in (wanted[:first], wanted[first:]):
                if some:
                    named = replace(which, ids=frozenset(map(id_bytes, some)))
                    yield from self.reader.search(asked, named, newest_first=newest_first, limit=limit)

    def exchange(self, identity: str | Found) -> Rebuilt:
        """Return an exchange, rebuilt from its events.

        :param identity: its id, or a part of it that no other has; or what :meth:`resolve` returned.
        :raises NotFound: there is none, or several.
        """
        found = self._found(identity)
        if found.kind != "exchange":
            raise NotFound(f"{found.id} is a conversation, not an exchange: show it, or name one of its exchanges")
        return self.rebuilt(found.id)

    def rebuilt(self, identity: str, remembered: Remembered | None = None) -> Rebuilt:
        """Return an exchange, rebuilt from its events.

        :param identity: its whole id.
        :param remembered: what was read of others, for whoever reads many.
        :raises NotFound: nothing is stored of it.
        """
        events = list(self.reader.events(id_bytes(identity)))
        exchange = fold(events)
        if exchange is None:
            raise NotFound(f"no events are stored of {identity}")
        exchange = self.erasures.named(exchange)
        try:
            self.reader.check(exchange.stream, events)
        except ChainBroken as error:
            broken = Anomaly(NOT_AS_WRITTEN, str(error))
            exchange = replace(exchange, anomalies=(broken, *exchange.anomalies))
        return rebuild(exchange, remembered)

    def events(self, identity: str) -> Iterator[Event]:
        """Yield the events of an exchange in order; those that are only in a spool have no position.

        :param identity: its id, or a part of it that no other has; also that of a conversation's opening.
        :raises NotFound: there is none, or several.
        """
        return self.reader.events(id_bytes(self.resolve(identity).id))

    def members(self, names: Iterable[str]) -> set[bytes]:
        """Return the ids of the exchanges that *names* stand for, as bytes; a conversation stands for all of its.

        :raises NotFound: one of them stands for nothing, or for several things.
        """
        found = [self.resolve(name) for name in names]
        return {id_bytes(exchange) for one in found for exchange in self.exchanges_of(one)}

    def exchanges_of(self, found: Found) -> tuple[str, ...]:
        """Return the ids of the exchanges that *found* stands for: its own, or those of a conversation, in order.

        :raises NotFound: there is no such conversation.
        """
        return (found.id,) if found.kind == "exchange" else self.threaded.sent(found.id).exchanges

    def conversations(self) -> list[ConversationSummary]:
        """Return every conversation, the one with the newest exchange first."""
        started = {id_text(row.id): row.started_ns for row in self.reader.exchanges()}
        opened = {id_text(row.id): row.first_ns for row in self.reader.openings().values()}
        found = [self._summary(thread, started, opened) for thread in self.threaded.every.values()]
        return sorted(found, key=lambda one: (one.last_ns, one.id), reverse=True)

    def conversation(self, identity: str | Found) -> ConversationView:
        """Return a conversation with its exchanges; for an exchange's id the one it belongs to.

        :param identity: id or name, or a part of the id that no other has; or what :meth:`resolve` returned.
        :raises NotFound: there is none, or several.
        """
        found = self._found(identity)
        home = found.id if found.kind == "conversation" else self.conversation_of(found.id)[0]
        thread = self.threaded.sent(home)
        remembered = Remembered()
        exchanges = [self.rebuilt(exchange, remembered) for exchange in thread.exchanges]
        return ConversationView(thread.id, thread.name, self.threaded.tags(home), exchanges, thread.parents)

    def outline(self, found: Found) -> Conversation:
        """Return a conversation without reading its exchanges: their ids, and which extends which.

        :param found: what :meth:`resolve` returned.
        :raises NotFound: there is no such conversation.
        """
        return self.threaded.sent(found.id)

    def conversation_of(self, exchange: str) -> tuple[str, str | None]:
        """Return the id of the conversation that an exchange belongs to, and of the exchange it goes on from."""
        return self.threaded.place(exchange)

    def resolve(self, text: str) -> Found:
        """Return what *text* names: a whole id, else a conversation's name, else a part of an id, from either end.

        What it returns names that one thing and nothing else; its id may be another conversation's name. An
        exchange goes before the conversation that it began and that has its id.

        :raises NotFound: nothing goes by it, or several things do.
        :raises PayloadsSealed: nothing that can be read goes by it, and names cannot be read.
        """
        return self.threaded.resolve(text)

    def find(self, text: str) -> Found | None:
        """Return what *text* names, as :meth:`resolve` does; None where nothing goes by it.

        :raises NotFound: several things go by it.
        """
        return self.threaded.find(text)

    def _found(self, identity: str | Found) -> Found:
        return identity if isinstance(identity, Found) else self.resolve(identity)

    def _summary(
        self, thread: Conversation, started: Mapping[str, int], opened: Mapping[str, int]
    ) -> ConversationSummary:
        """Return a conversation as it is listed.

        :param started: when each exchange of the store did.
        :param opened: when each opening was written.
        """
        times = [started[exchange] for exchange in thread.exchanges if exchange in started]
        times += [opened[thread.id]] if thread.id in opened else []
        first, last = min(times, default=0), max(times, default=0)
        return ConversationSummary(thread.id, thread.name, self.threaded.tags(thread.id), thread.exchanges, first, last)

    def bundle(
        self,
        out: str | os.PathLike[str],
        *,
        withhold: Sequence[str] = (),
        replace: bool = False,
        begin: Begin = lambda _: lambda _: None,
        **selection: Unpack[BundleSelection],
    ) -> Bundled:
        """Put evidence into one zip file that anybody can verify with Python alone.

        :param out: the file to write.
        :param withhold: exchanges, or conversations, of which no payload is given.
        :param replace: overwrite the file where it exists.
        :param begin: is told how many exchanges will be read; what it returns is told of each.
        :param selection: exactly one, see :class:`~recorder.api.bundling.BundleSelection`.
        :raises NotFound: there is no such thing.
        :raises ConfigurationError: the file is there already or cannot be written, or something is not sealed yet.
        """
        from recorder.api.bundling import make_bundle, select  # they read stores

        wanted = select(self, selection)
        return make_bundle(self, Path(out), wanted, withhold=withhold, replace=replace, begin=begin)

    def close(self) -> None:
        """Release the store; closing twice is fine."""
        self.reader.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _check_names(filters: ExchangeFilters) -> None:
    unknown = sorted(filters.keys() - ExchangeFilters.__annotations__.keys())
    if unknown:
        raise TypeError(f"no filter is called {unknown[0]!r}: use {', '.join(ExchangeFilters.__annotations__)}")


def _hit(query: Query, message: MessageRow, exchange: ExchangeRow) -> dict[str, Any]:
    shown = listed(exchange)
    named = turn_of_row(exchange, shown["id"]).name
    pieces = passage(query, message.searched)
    return present(
        exchange=shown["id"],
        conversation=shown.get("conversation"),
        conversation_name=named,
        started_at=shown.get("started_at"),
        status=shown.get("status"),
        model=shown.get("model"),
        verdict=shown["verdict"],
        side="answered" if message.answered else "sent",
        place=message.place,
        role=message.role,
        finish=message.finish,
        passage=[{"text": text, **({"found": True} if hit else {})} for text, hit in pieces],
    )
