"""The projections' tables: caches of what the events say, kept up to date by recorder.projections.

They can be dropped at any time (:meth:`SqlProjected.drop_all`) and are then built again from events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import Connection, Select, Table, delete, func, select

from recorder.clock import ID_SIZE, id_or_digits
from recorder.core.searching import Query
from recorder.errors import CorruptRecording
from recorder.store.base import FeedCursor
from recorder.store.checkpoints import checkpoint_of, insert_into, move_checkpoint
from recorder.store.filtered import ExchangeFilter, restricted, restricted_messages
from recorder.store.linked import LinkRow, store_links
from recorder.store.related import (
    TurnRow,
    first_turns,
    ids_with,
    openings_by,
    openings_called,
    openings_tagged,
    turns_by,
    turns_extending,
    turns_going_on,
    turns_kept,
)
from recorder.store.searched import (
    CallRow,
    MessageRow,
    forget_messages,
    found_messages,
    sent_back,
    store_calls,
    store_messages,
    stored_messages,
)
from recorder.store.sql import SqlStore
from recorder.store.tables import caches, exchanges, messages, openings, projection_checkpoints

_ROWS_AT_ONCE: Final = 1000

Digest: TypeAlias = bytes  # in ExchangeRow the word bytes is a column


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """One exchange, folded. ``None`` says that it is not known.

    :ivar id: its event stream.
    :ivar opening: the opening of a conversation in which it was sent.
    :ivar opening_name: what it says that this conversation is called.
    :ivar thread_key: that of its request's last message (:mod:`recorder.core.conversation`).
    :ivar goes_on_from: the key of what its request names where the provider keeps the history
        (:mod:`recorder.core.kept_histories`): an answer, an item of one, or a conversation of the provider's;
        else that of the answer whose calls it sends back one by one, if they were made together.
    :ivar kept_as: the key of its answer, as requests name it; ``last_item``: that of the last item of its answer.
    :ivar call: id shared by the exchanges of one send; ``attempt`` counts within it.
    :ivar bytes: body bytes received, in ``chunks`` pieces.
    :ivar duration_ns: from the request to the end; ``first_chunk_ns``: to the first chunk.
    :ivar finish: the finish reasons of its answers in the words of all dialects, commas between them.
    :ivar tools: names of the tools that its answers call, each in a line that is ended.
    :ivar input_tokens: and the others: what the provider counted.
    :ivar match_key: 32 bytes under which replay finds it; ``match_places``: JSON, the places where a
        redaction marker matches anything.
    :ivar last_version: version of the last event that was folded.
    :ivar summary: JSON for views.
    """

    id: bytes
    opening: bytes | None
    opening_name: str | None
    thread_key: bytes | None
    goes_on_from: bytes | None
    kept_as: bytes | None
    last_item: bytes | None
    call: str | None
    attempt: int
    started_ns: int
    method: str
    url: str
    status: int | None
    model: str | None
    verdict: str
    chunks: int
    bytes: int
    duration_ns: int | None
    first_chunk_ns: int | None
    dialect: str
    finish: str | None
    tools: str | None
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    cache_written_tokens: int | None
    reasoning_tokens: int | None
    match_key: Digest | None
    match_places: str | None
    last_version: int
    summary: str


class RequestRow(NamedTuple):
    """What replay needs to know of an exchange; the fields are those of :class:`ExchangeRow`."""

    id: bytes
    match_key: bytes | None
    match_places: str | None
    method: str
    url: str
    started_ns: int


@dataclass(frozen=True, slots=True)
class OpeningRow:
    """One opening of a conversation; openings of one name are one conversation. ``tags`` is JSON."""

    id: bytes
    name: str | None
    tags: str
    first_ns: int
    last_ns: int


_TURNS: Final[Mapping[str, Callable[[Connection, Iterable[Any]], Iterator[TurnRow]]]] = {
    "first": first_turns,
    "begins": turns_extending,
    "kept": turns_kept,
    "going_on": turns_going_on,
}

AnyRow = TypeVar("AnyRow", TurnRow, OpeningRow)
RowType = TypeVar("RowType", ExchangeRow, OpeningRow, RequestRow)

_TABLE_OF: Final[dict[type, Table]] = {ExchangeRow: exchanges, RequestRow: exchanges, OpeningRow: openings}


class SqlProjected:
    """The tables of the projections, in a store's own database.

    :param store: an open store; one opened for reading refuses :meth:`commit` and :meth:`drop_all`.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._lists_are_indexed = store.lists_are_indexed

    def checkpoint(self, name: str) -> FeedCursor:
        """Return how far a projection has read the feed; the feed's beginning for a new one."""
        with self._store.reading() as connection:
            return checkpoint_of(connection, name)

    def commit(
        self,
        name: str,
        before: FeedCursor,
        after: FeedCursor,
        *,
        exchanges: Sequence[ExchangeRow] = (),
        openings: Sequence[OpeningRow] = (),
        messages: Sequence[MessageRow] = (),
        calls: Sequence[CallRow] = (),
        links: Sequence[LinkRow] = (),
    ) -> bool:
        """Store rows (new ones, or in place of those with the same key) and move the checkpoint, in one transaction.

        Of a message, the row of the first exchange that has it stays. At the feed's beginning nothing that
        was there of messages before is kept.

        :param before: where the checkpoint was when the work began.
        :returns: False when another process has moved it meanwhile; then nothing is stored.
        :raises StoreUnreachable: the store is read-only, or did not take it.
        """
        with self._store.writing() as connection:
            if not move_checkpoint(connection, name, before, after):
                return False
            if before == FeedCursor():
                forget_messages(connection)
            folded = [row.id for row in exchanges]
            store_messages(connection, messages, folded)
            store_calls(connection, calls, folded)
            store_links(connection, links)
            store_rows(connection, exchanges)
            store_rows(connection, openings)
        return True

    def exchange(self, identity: bytes) -> ExchangeRow | None:
        """Return one exchange."""
        found = list(self._all(ExchangeRow, select(exchanges).where(exchanges.c.id == identity)))
        return found[0] if found else None

    def exchanges(
        self, which: ExchangeFilter | None = None, *, limit: int | None = None, newest_first: bool = True
    ) -> Iterator[ExchangeRow]:
        """Yield exchanges by the time at which they started."""
        order = (exchanges.c.started_ns, exchanges.c.id)
        query = restricted(select(exchanges), which or ExchangeFilter(), self._lists_are_indexed)
        query = query.order_by(*(column.desc() if newest_first else column for column in order))
        yield from self._all(ExchangeRow, query.limit(limit))

    def requests(self) -> Iterator[RequestRow]:
        """Yield what replay needs to know of every exchange, in the order of their ids."""
        columns = (exchanges.c[name] for name in RequestRow._fields)
        yield from self._all(RequestRow, select(*columns).order_by(exchanges.c.id))

    def openings(self) -> Iterator[OpeningRow]:
        """Yield every opening of a conversation, in the order of their ids."""
        yield from self._all(OpeningRow, select(openings).order_by(openings.c.id))

    def turns(self, what: str, values: Iterable[Any]) -> list[TurnRow]:
        """Return what threading needs of some exchanges; one may be there several times.

        :param what: what *values* are: the ``id``, ``opening`` or ``call`` of exchanges; ``first``: openings, of which
            the first exchange is wanted; ``answer``: keys that their answers have when they are sent back;
            ``begins``: thread keys of what their requests begin with; ``names``: keys of what their requests name;
            ``kept``: keys of their answers, as requests name them, and with these exchanges all those that they go on
            from by names, and so on; ``going_on``: keys of what their requests name, and with these all that go on
            from those by names, and so on.
        """
        found = _TURNS.get(what) or partial(turns_by, what)
        with self._store.reading() as connection:
            rows = list(found(connection, values))
        return _checked(exchanges, rows)

    def openings_by(self, what: str, values: Iterable[Any]) -> list[OpeningRow]:
        """Return the openings with some ids or names.

        :param what: ``id`` or ``name``; ``tags``: each value is a piece of text that stands in them.
        """
        with self._store.reading() as connection:
            if what == "tags":
                rows = [OpeningRow(*row) for piece in values for row in openings_tagged(connection, piece)]
            else:
                rows = [OpeningRow(*row) for row in openings_by(connection, what, values)]
        return _checked(openings, rows)

    def openings_called(self, names: Iterable[str]) -> set[bytes]:
        """Return the openings of which exchanges say that they have one of these names."""
        with self._store.reading() as connection:
            return set(openings_called(connection, names))

    def ids_with(self, digits: str) -> set[bytes]:
        """Return the ids of exchanges and openings that begin or end with hexadecimal digits; of many, some."""
        with self._store.reading() as connection:
            return ids_with(connection, digits)

    def messages(self, keys: Iterable[bytes]) -> Iterator[MessageRow]:
        """Yield the messages with these keys."""
        with self._store.reading() as connection:
            yield from stored_messages(connection, keys)

    def search(
        self, query: Query, which: ExchangeFilter, *, newest_first: bool = True, limit: int | None = None
    ) -> Iterator[tuple[MessageRow, ExchangeRow]]:
        """Yield the messages that a query finds, each once: in the first exchange that had it."""
        with self._store.reading() as connection:
            lists = self._lists_are_indexed
            restrict = None if which == ExchangeFilter() else partial(restricted_messages, which=which, lists=lists)
            found = found_messages(connection, query, restrict, newest_first=newest_first, limit=limit)
            yield from ((message, ExchangeRow(*exchange)) for message, exchange in found)

    def sent_back(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those of the keys of messages that stored answers have when they are sent back."""
        with self._store.reading() as connection:
            return set(sent_back(connection, keys))

    def counts(self) -> tuple[int, int]:
        """Return the number of exchanges and of openings."""
        number = select(func.count()).select_from
        both = select(number(exchanges).scalar_subquery(), number(openings).scalar_subquery())
        with self._store.reading() as connection:
            row = connection.execute(both).one()
        return int(row[0]), int(row[1])

    def drop_all(self) -> None:
        """Empty every table, checkpoints included: what others have folded before then is not stored any more."""
        with self._store.writing() as connection:
            if connection.dialect.name == "postgresql":
                # Every commit touches the checkpoint first, so that none is between this and the deleting.
                connection.exec_driver_sql(f"LOCK TABLE {projection_checkpoints.name} IN EXCLUSIVE MODE")
            for table in caches.tables.values():
                if table is not messages:
                    connection.execute(delete(table))
            forget_messages(connection)

    def _all(self, kind: type[RowType], query: Select[Any]) -> Iterator[RowType]:
        pieces = query.execution_options(yield_per=_ROWS_AT_ONCE)  # a server would send all rows at once otherwise
        with self._store.reading() as connection, connection.execute(pieces) as found:
            for row in found:
                if len(row[0]) != ID_SIZE:
                    raise damaged_row(_TABLE_OF[kind].name, row[0], "id")
                yield kind(*row)


def _checked(table: Table, rows: list[AnyRow]) -> list[AnyRow]:
    for row in rows:
        if len(row.id) != ID_SIZE:
            raise damaged_row(table.name, row.id, "id")
    return rows


def damaged_row(table: str, identity: Digest, column: str) -> CorruptRecording:
    """Return the error for a row that holds what no projection writes; the events are what counts."""
    return CorruptRecording(
        f"the row of {id_or_digits(identity)} in {table} is damaged ({column}): run `recorder db rebuild`"
    )


def store_rows(connection: Connection, rows: Sequence[ExchangeRow] | Sequence[OpeningRow]) -> None:
    """Store rows, new ones or in place of those with the same id."""
    if not rows:
        return
    table = _TABLE_OF[type(rows[0])]
    insert = insert_into(connection, table)
    keys = {column.name for column in table.primary_key}
    changed = {column.name: insert.excluded[column.name] for column in table.c if column.name not in keys}
    statement = insert.on_conflict_do_update(index_elements=sorted(keys), set_=changed)
    values = attrgetter(*(names := [field.name for field in fields(rows[0])]))  # astuple copies every value
    connection.execute(statement, [dict(zip(names, values(row), strict=True)) for row in rows])
