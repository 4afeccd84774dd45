"""Exchanges that have to do with each other, found by index: what is needed to tell one conversation.

Nothing here decides which conversation an exchange is in: that does :func:`recorder.core.conversation.group`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, Select, Table, func, literal, or_, select

from recorder.clock import ID_SIZE
from recorder.core.events import SEALED_FORMAT
from recorder.store.rows import batched
from recorder.store.tables import Identity16, event_streams, exchanges, messages, openings

if TYPE_CHECKING:
    from sqlalchemy import CTE, ColumnElement

    from recorder.store.sql import SqlStore

_AT_ONCE: Final = 500
_SEVERAL: Final = 4  # ids of which one part is: more are not looked for


#: The dialect of an exchange whose payloads are sealed, in its row: nobody has looked.
SEALED: Final = "sealed"


class TurnRow(NamedTuple):
    """What threading needs of an exchange; the fields are those of :class:`~recorder.store.projected.ExchangeRow`."""

    id: bytes
    opening: bytes | None
    call: str | None
    attempt: int
    started_ns: int
    summary: str


_TURN: Final = tuple(exchanges.c[name] for name in TurnRow._fields)

#: Where the exchanges that are asked for stand, and by which column they are told.
_BY: Final[Mapping[str, ColumnElement[Any]]] = {
    "id": exchanges.c.id,
    "opening": exchanges.c.opening,
    "call": exchanges.c.call,
    "answer": messages.c.thread_key,
    "names": exchanges.c.goes_on_from,
}


def turns_by(what: str, connection: Connection, values: Iterable[Any]) -> Iterator[TurnRow]:
    """Yield exchanges by their ``id``, ``opening`` or ``call``, by the key that an ``answer`` of theirs has when it is
    sent back, or by that of what their requests name (``names``); one may come several times.
    """
    query = select(*_TURN)
    if what == "answer":
        query = query.join(messages, messages.c.exchange == exchanges.c.id).where(messages.c.answered == 1)
    for some in batched(list(values), _AT_ONCE):
        yield from _turns(connection, query.where(_BY[what].in_(some)))


def turns_extending(connection: Connection, values: Iterable[bytes]) -> Iterator[TurnRow]:
    """Yield the exchanges whose requests begin with the messages that one of these thread keys stands for.

    A message tells which one it follows, so there is a way from each of these keys to where such a request ends. Ways
    meet where the same was sent in one message and in several: a few others may be among those that are found.
    """
    asked = list(values)
    ends = set(asked)
    for some in batched(asked, _AT_ONCE):
        under = _under(select(_AFTER).where(messages.c.follows.in_(some), _SENT))
        ends.update(connection.execute(select(under.c.key)).scalars())
    # Not joined: Postgres cannot tell how many there are, takes them for many, and would read all exchanges.
    for some in batched(list(ends), _AT_ONCE):
        yield from _turns(connection, select(*_TURN).where(exchanges.c.thread_key.in_(some)))


_SENT: Final = messages.c.answered == 0
_AFTER: Final = func.coalesce(messages.c.thread_key, messages.c.key).label("key")  # of a history that ends with it


def _under(first: Select[Any]) -> CTE:
    """Return thread keys, and those of all histories that go on from them.

    :param first: the keys, called ``key``.
    """
    under = first.cte("under", recursive=True)
    return under.union(select(_AFTER).join(under, messages.c.follows == under.c.key).where(_SENT))


def turns_kept(connection: Connection, values: Iterable[bytes]) -> Iterator[TurnRow]:
    """Yield the exchanges whose answers, or the last items of whose answers, have these keys as requests name them,
    those that they go on from by names, and so on.

    One question climbs a conversation of any length; one for each exchange would not.
    """
    c = exchanges.c
    for some in batched(list(values), _AT_ONCE):
        given = or_(c.kept_as.in_(some), c.last_item.in_(some))
        chain = select(c.id, c.goes_on_from.label("named")).where(given).cte("chain", recursive=True)
        gives = or_(c.kept_as == chain.c.named, c.last_item == chain.c.named)
        yield from _turns_in(connection, chain.union(select(c.id, c.goes_on_from).join(chain, gives)))


def turns_going_on(connection: Connection, values: Iterable[bytes]) -> Iterator[TurnRow]:
    """Yield the exchanges whose requests name what has these keys, those that go on from them by names, and so on."""
    c = exchanges.c
    own = c.id, c.kept_as, c.last_item
    for some in batched(list(values), _AT_ONCE):
        chain = select(*own).where(c.goes_on_from.in_(some)).cte("chain", recursive=True)
        names = or_(c.goes_on_from == chain.c.kept_as, c.goes_on_from == chain.c.last_item)
        yield from _turns_in(connection, chain.union(select(*own).join(chain, names)))


def _turns_in(connection: Connection, chain: CTE) -> Iterator[TurnRow]:
    yield from _turns(connection, select(*_TURN).where(exchanges.c.id.in_(select(chain.c.id))))


def first_turns(connection: Connection, values: Iterable[bytes]) -> Iterator[TurnRow]:
    """Yield the first exchange that was sent in each of these openings."""
    c = exchanges.c
    for opening in values:
        yield from _turns(connection, select(*_TURN).where(c.opening == opening).order_by(c.started_ns, c.id).limit(1))


def openings_called(connection: Connection, names: Iterable[str]) -> Iterator[bytes]:
    """Yield the openings of which exchanges say that they have one of these names."""
    c = exchanges.c
    for some in batched(list(names), _AT_ONCE):
        yield from connection.execute(
            select(c.opening).where(c.opening_name.in_(some), c.opening.is_not(None)).distinct()
        ).scalars()


def _turns(connection: Connection, query: Select[Any]) -> Iterator[TurnRow]:
    for row in connection.execute(query):
        yield TurnRow(*row)


def openings_by(connection: Connection, what: str, values: Iterable[Any]) -> Iterator[Any]:
    """Yield the rows of openings by their ``id`` or ``name``."""
    for some in batched(list(values), _AT_ONCE):
        yield from connection.execute(select(openings).where(openings.c[what].in_(some)))


def openings_tagged(connection: Connection, piece: str) -> Iterator[Any]:
    """Yield the rows of the openings in whose tags, which are JSON, a piece of text stands."""
    place = func.instr if connection.dialect.name == "sqlite" else func.strpos
    yield from connection.execute(select(openings).where(place(openings.c.tags, piece) > 0))


def ids_with(connection: Connection, digits: str) -> set[bytes]:
    """Return ids of exchanges and of openings that begin or end with hexadecimal digits; where several do, some."""
    found: set[bytes] = set()
    if len(digits) >= 2 * ID_SIZE:  # no part
        return found
    for table, name in ((exchanges, "id"), (openings, "id"), (exchanges, "opening")):
        column = table.c[name]
        written = _digits(connection, table, name)
        part = or_(written.like(f"{digits}%"), written.like(f"%{digits}"))
        query = select(column).where(column.is_not(None), part).distinct().limit(_SEVERAL)
        found.update(one for one in connection.execute(query).scalars() if len(one) == ID_SIZE)
    return found


def streams_with(store: SqlStore, digits: str) -> list[bytes]:
    """Return event streams of any kind whose ids begin or end with hexadecimal digits: of several, two.

    Looks at every id.
    """
    streams = event_streams.c.stream
    with store.reading() as connection:
        written = _digits(connection, event_streams, "stream")
        part = or_(written.like(f"{digits}%"), written.like(f"%{digits}"))
        return list(connection.execute(select(streams).where(part).limit(2)).scalars())


def _digits(connection: Connection, table: Table, name: str) -> ColumnElement[str]:
    if connection.dialect.name == "sqlite":
        return func.lower(func.hex(table.c[name]))
    return func.encode(func.uuid_send(table.c[name]), "hex")


def instances_of(store: SqlStore, streams: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return, of those event streams that were opened, which process opened them."""
    c = event_streams.c
    found: dict[bytes, bytes] = {}
    with store.reading() as connection:
        for some in batched(list(streams), _AT_ONCE):
            rows = connection.execute(select(c.stream, c.instance).where(c.stream.in_(some)))
            found.update((stream, instance) for stream, instance in rows)
    return found


def heirs_of(connection: Connection, ids: Sequence[bytes], keys_of: Callable[[TurnRow], Sequence[bytes]]) -> set[bytes]:
    """Return the exchanges whose rows of messages have to be stored anew when those of some exchanges are removed.

    A message that several exchanges sent has its row with the first of them; the next one takes its place. To be called
    while these exchanges have rows of messages, and no thread keys any more.

    :param keys_of: returns the thread keys of the messages of an exchange's request.
    """
    c = messages.c
    alone: set[bytes] = set()
    heirs: set[bytes] = set()
    for some in batched(ids, _AT_ONCE):
        query = select(c.key, c.follows, _AFTER.label("ends")).where(c.exchange.in_(some), _SENT).order_by(c.place)
        for key, follows, ends in connection.execute(query).all():
            if follows in alone:
                alone.add(key)  # who sends what follows on it sends it too
                continue
            sending = None
            for sending in _sending(connection, ends):
                if _is_sent(follows, ends, keys_of(sending)):
                    heirs.add(sending.id)
                    break
            if sending is None:
                alone.add(ends)
    return heirs


def _sending(connection: Connection, key: bytes) -> Iterator[TurnRow]:
    """Yield the exchanges whose requests begin with the messages that a thread key stands for, the first one first, and
    others where ways meet: see :func:`turns_extending`.
    """
    c = exchanges.c
    under = _under(select(literal(key, Identity16()).label("key")))
    query = select(c.id).where(c.thread_key.in_(select(under.c.key))).order_by(c.started_ns, c.id)
    # Many may begin so, and nearly always the first one is what is looked for.
    with connection.execute(query, execution_options={"yield_per": _AT_ONCE}) as found:
        for identity in found.scalars():
            yield from _turns(connection, select(*_TURN).where(c.id == identity))


def _is_sent(follows: bytes | None, ends: bytes, keys: Sequence[bytes]) -> bool:
    """Whether a request has the message between two thread keys of its own."""
    place = keys.index(ends) if ends in keys else None
    return place is not None and (keys[place - 1] if place else None) == follows


def sealed_rows(store: SqlStore) -> list[bytes]:
    """Return the exchanges, and the openings of conversations, that have rows and whose payloads are sealed."""
    c, streams = exchanges.c, event_streams.c
    among = select(c.id).where(c.verdict == "unknown", c.dialect == SEALED)
    sealed = select(streams.stream).where(streams.stream == openings.c.id, streams.format == SEALED_FORMAT)
    unnamed = select(openings.c.id).where(openings.c.name.is_(None), sealed.exists())
    with store.reading() as connection:
        return [*connection.execute(among).scalars(), *connection.execute(unnamed).scalars()]
