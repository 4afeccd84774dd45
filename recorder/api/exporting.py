"""What an export is made of: exchanges, read one at a time, as often as a format wants to see them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple, TypeAlias, Unpack

from recorder.api.store import ExchangeFilters, Store
from recorder.api.threaded import Found
from recorder.clock import id_bytes, id_text
from recorder.core.conversation import Conversation
from recorder.core.events import Event
from recorder.core.exchange import fold
from recorder.core.history import History
from recorder.core.rebuilt import Place, Rebuilt
from recorder.core.threads import Threads
from recorder.dialects.rebuild import rebuild
from recorder.dialects.remembered import Remembered
from recorder.errors import ChainBroken, CorruptRecording, NotFound, RedactionRefused, UnknownEventType
from recorder.projections.rows import turn_of_row

#: Ids of exchanges and where they stand, the same whenever it is called.
Places = Callable[[], Iterator[tuple[str, Place | None]]]
_As: TypeAlias = Callable[[Rebuilt], Rebuilt]


class Chosen(NamedTuple):
    """Exchanges of several conversations.

    :ivar places: which, conversation by conversation.
    :ivar size: how many they are.
    :ivar walk: these, and those that come before one of them in its conversation; the last says of each whether it is
        one of these.
    """

    places: Places
    size: int
    walk: Callable[[], Iterator[tuple[str, Place, bool]]]


class Exchanges:
    """Exchanges of a store, rebuilt whenever they are iterated, one at a time; none of them is kept.

    :param store: an open store.
    :param places: which exchanges, in order.
    :param made: what is done to each before it is yielded; None for nothing.
    """

    def __init__(self, store: Store, places: Places, made: _As | None = None) -> None:
        self._store, self._places, self._made = store, places, made

    def __iter__(self) -> Iterator[Rebuilt]:
        remembered = Remembered()
        for identity, place in self._places():
            rebuilt = self._rebuilt(identity, remembered)
            if place is not None:
                rebuilt = replace(rebuilt, place=place)
            yield rebuilt if self._made is None else self._made(rebuilt)

    def _rebuilt(self, identity: str, remembered: Remembered) -> Rebuilt:
        try:
            return self._store.rebuilt(identity, remembered)
        except UnknownEventType:
            # Of a newer recorder: what can be read of it is exported, and it keeps no other from being exported.
            exchange = fold(list(self._store.reader.found_events(id_bytes(identity))))
            if exchange is None:
                raise
            return rebuild(exchange, remembered)

    def changed(self) -> Iterator[tuple[str, str]]:
        """Yield the id of each exchange that is not as it was written, with what its hash chain says."""
        reader = self._store.reader
        for identity, _ in self._places():
            stream = id_bytes(identity)
            try:
                reader.check(stream, reader.events(stream))
            except ChainBroken as error:
                yield identity, str(error)
            except UnknownEventType:  # nobody here can check it, which is not to say that it was changed
                continue


class Compared(Exchanges):
    """Exchanges that were chosen, each with what it is to those before it in its conversation.

    It is what the whole conversation says, chosen or not: an answer that was not chosen was given all the same. Those
    are read besides, one at a time. Where one of them cannot be, nobody looks from there on.

    :param store: an open store.
    :param chosen: which exchanges.
    :param made: what is done to each before it is yielded; *unchosen* to those that are only looked at.
    """

    def __init__(self, store: Store, chosen: Chosen, made: _As | None = None, unchosen: _As | None = None) -> None:
        super().__init__(store, chosen.places, made)
        self._walk, self._unchosen = chosen.walk, unchosen

    def __iter__(self) -> Iterator[Rebuilt]:
        home, history, remembered = None, History(), Remembered()
        looking = True
        for identity, place, chosen in self._walk():
            if place.conversation != home:
                home, history, looking = place.conversation, History(), True
            if not chosen:
                looking = looking and self._looked_at(identity, history, remembered)
                continue
            rebuilt = replace(self._rebuilt(identity, remembered), place=place)
            rebuilt = rebuilt if self._made is None else self._made(rebuilt)
            if looking and rebuilt.place is not None:
                rebuilt = replace(rebuilt, place=replace(rebuilt.place, relation=history.take(rebuilt)))
            yield rebuilt

    def _looked_at(self, identity: str, history: History, remembered: Remembered) -> bool:
        try:
            rebuilt = self._rebuilt(identity, remembered)
            history.take(rebuilt if self._unchosen is None else self._unchosen(rebuilt))
        except (CorruptRecording, RedactionRefused):  # nobody asked for it, so it stops nothing
            return False
        return True


def of_conversation(store: Store, found: Found) -> tuple[Conversation, Places]:
    """Return the conversation that *found* is, or that its exchange is in, and the exchanges that it stands for.

    :raises NotFound: there is no such conversation.
    """
    if found.kind == "conversation":
        thread = store.outline(found)
        return thread, lambda: ((one, None) for one in thread.exchanges)
    home, parent = store.conversation_of(found.id)
    parents = {} if parent is None else {found.id: parent}
    name = store.rebuilt(found.id).exchange.conversation_name
    count = len(store.threaded.conversation(home).exchanges)
    one = Conversation(home, name, (found.id,), parents, one_of=count if count > 1 else None)
    return one, lambda: iter([(found.id, None)])


def threads_of(store: Store, filters: ExchangeFilters) -> Threads:
    """Return which conversation each exchange that can fit is in, in few bytes for each.

    :raises NotFound: there is no such conversation, or several.
    """
    homes = store.homes(filters.get("conversation"), filters.get("tags"))
    if homes is not None:
        threads = Threads(*store.threaded.turns(homes))
        threads.put_in_order(id_bytes(one) for home in homes for one in store.threaded.sent(home).exchanges)
        return threads
    openings = {id_text(row.id): row.name for row in store.reader.openings().values()}
    rows = store.reader.exchanges(newest_first=False)
    return Threads((turn_of_row(row, id_text(row.id)) for row in rows), openings)


def of_filters(store: Store, **filters: Unpack[ExchangeFilters]) -> Chosen:
    """Return the exchanges that fit, all without filters.

    They come conversation by conversation, in the order of the first of each that fits, each in the order in which it
    was sent.

    :param filters: see :class:`~recorder.api.store.ExchangeFilters`.
    :raises NotFound: nothing fits, or there is no such conversation.
    """
    threads = threads_of(store, filters)
    chosen: array[int] | None = None
    if any(value not in (None, {}) for value in filters.values()):
        chosen = threads.numbers(row.id for row in store.selected(**filters))
    if not (len(threads) if chosen is None else len(chosen)):
        raise NotFound("nothing is recorded that fits, so nothing is exported: see `recorder list`")
    return _chosen(threads, chosen)


def of_ids(store: Store, ids: Iterable[bytes]) -> Chosen:
    """Return exchanges by their ids, conversation by conversation, within each in the same order."""
    threads, asked = threads_of(store, {}), list(ids)
    threads.put_in_order(asked)
    return _chosen(threads, threads.numbers(asked))


def _chosen(threads: Threads, chosen: array[int] | None) -> Chosen:
    count = len(threads) if chosen is None else len(chosen)

    def walk(*, earlier: bool = True) -> Iterator[tuple[str, Place, bool]]:
        for one in threads.in_order(chosen, earlier=earlier):
            yield id_text(one.id), Place(one.conversation, one.name, one.parent, one.extended_by), one.chosen

    return Chosen(lambda: ((identity, place) for identity, place, _ in walk(earlier=False)), count, walk)


def events_of(store: Store, places: Places) -> Iterator[Iterable[Event]]:
    """Yield the events of exchanges, after those of the openings of their conversations; an event that nobody here
    can read is of type ``code N``.

    :param places: which exchanges, conversation by conversation, with where they stand.
    """
    named: dict[str | None, list[bytes]] = {}
    openings = store.reader.openings()
    for identity, row in sorted(openings.items()):
        named.setdefault(row.name, []).append(identity)
    home: str | None = None
    for exchange, place in places():
        if place is not None and place.conversation is not None and place.conversation != home:
            home = place.conversation
            own = [id_bytes(home)] if place.name is None else named.get(place.name, [])
            for opening in own:
                if opening in openings:
                    yield store.reader.found_events(opening)
        yield store.reader.found_events(id_bytes(exchange))
