"""Rows of messages, and finding them by their words: SQLite's FTS5, Postgres' tsvector.

Each message is stored once, as it stood in the first exchange that had it: a long conversation is sent again
with every request. What belongs to a row is decided by ``(started_ns, exchange)`` alone, so that the order in
which exchanges are projected does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Connection,
    Select,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    table,
    text,
)

from recorder.core.searching import Query, Term, text_of_words, words_of
from recorder.store.rows import batched
from recorder.store.tables import calls, exchanges, messages, messages_with_words

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

_AT_ONCE: Final = 500
_FREQUENT: Final = 2000  # messages with all the words: from here on the newest are looked at in their order
_VERY_FREQUENT: Final = 20_000  # from here on each of these is asked for by itself

# https://www.postgresql.org/docs/current/textsearch-limitations.html
_LAST_PLACE: Final = 16383
_MOST_PLACES: Final = 255  # of one word
_MOST_BYTES: Final = 900_000  # of a tsvector: it holds 1 MiB
_LONGEST_WORD: Final = 500  # characters; 2,046 bytes
_LONGEST_PHRASE: Final = 250  # words: of one that stands there more often than _MOST_PLACES, no longer one can be found


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message of a request or an answer, as it was in the first exchange that had it.

    :ivar key: of a request's message, its thread key (:mod:`recorder.core.conversation`); of an answer, one of its own,
        as of the last of several messages of the model.
    :ivar exchange: the first that sent it, or the one that got it as an answer.
    :ivar started_ns: when that exchange began.
    :ivar answered: 1 for an answer, 0 for a message of a request.
    :ivar place: its index in the request; of an answer, its choice.
    :ivar follows: thread key of the message before it.
    :ivar thread_key: of an answer, the key it has when it is sent back; None where it cannot be. Of the last of several
        messages of the model, the key that they have together; None of any other message of a request.
    :ivar rest: what else can be searched for: refusals, calls of tools and their results.
    :ivar finish: of an answer, its finish reason in the words of all dialects.
    """

    key: bytes
    exchange: bytes
    started_ns: int
    answered: int
    place: int
    follows: bytes | None
    thread_key: bytes | None
    role: str | None
    text: str | None
    reasoning: str | None
    rest: str | None
    finish: str | None

    @property
    def identity(self) -> bytes:
        """The thread key of a history that ends with it; of an answer that cannot be sent back, a key of its own."""
        return self.thread_key or self.key

    @property
    def searched(self) -> tuple[str | None, str | None, str | None]:
        """The texts in which words are looked for, the one to be shown first."""
        return self.text, self.rest, self.reasoning

    def precedes(self, other: MessageRow) -> bool:
        """Whether this one stands for the message rather than *other*, which has the same key."""
        return (self.started_ns, self.exchange) <= (other.started_ns, other.exchange)


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call of a tool in an answer.

    :ivar exchange: whose answer.
    :ivar place: its index among the calls of that choice.
    :ivar call_id: the provider's id of it.
    :ivar arguments: exactly as they came, however incomplete.
    :ivar complete: 1 where they parse and the call is known to be finished, else 0.
    """

    exchange: bytes
    choice: int
    place: int
    call_id: str | None
    name: str | None
    arguments: str
    complete: int


_FIELDS: Final = tuple(field.name for field in fields(MessageRow))
_values: Final = attrgetter(*_FIELDS)
_COLUMNS: Final = tuple(messages.c[name] for name in _FIELDS)


def store_messages(connection: Connection, rows: Sequence[MessageRow], folded: Sequence[bytes]) -> None:
    """Store rows where no earlier exchange has the message.

    Whoever calls has moved the checkpoint in the same transaction, so nobody else does this at the same time.

    :param folded: the exchanges that they were folded from: other answers of these are removed.
    """
    known = {key: (started_ns, exchange) for key, started_ns, exchange in _known(connection, rows)}
    new = {row.key: row for row in rows if (row.started_ns, row.exchange) <= known.get(row.key, _LAST)}
    for stored in stored_messages(connection, new.keys() & known.keys()):
        if new[stored.key] == stored:
            del new[stored.key]
    gone = [*(new.keys() & known.keys()), *_other_answers(connection, rows, folded)]
    on_sqlite = connection.dialect.name == "sqlite"
    _remove(connection, gone)
    if new:
        values = [dict(zip(_FIELDS, _values(row), strict=True)) for row in new.values()]
        if on_sqlite:
            connection.execute(insert(messages), values)
        else:
            words = ({"words": word_places(row.searched)} for row in new.values())
            connection.execute(insert(messages_with_words), [a | b for a, b in zip(values, words, strict=True)])
    if on_sqlite:
        for some in batched(list(new), _AT_ONCE):
            _index(connection, some, remove=False)


def remove_messages(connection: Connection, ids: Sequence[bytes]) -> None:
    """Remove the rows that stand with some exchanges, and the calls in their answers."""
    for some in batched(ids, _AT_ONCE):
        keys = connection.execute(select(messages.c.key).where(messages.c.exchange.in_(some))).scalars().all()
        _remove(connection, keys)
    store_calls(connection, (), ids)


def _remove(connection: Connection, keys: Sequence[bytes]) -> None:
    for some in batched(keys, _AT_ONCE):
        if connection.dialect.name == "sqlite":
            _index(connection, some, remove=True)
        connection.execute(delete(messages).where(messages.c.key.in_(some)))


def store_calls(connection: Connection, rows: Sequence[CallRow], folded: Sequence[bytes]) -> None:
    """Store the calls of exchanges in place of those that were there.

    :param folded: the exchanges that they were folded from.
    """
    for some in batched(folded, _AT_ONCE):
        connection.execute(delete(calls).where(calls.c.exchange.in_(some)))
    if rows:
        connection.execute(insert(calls), [asdict(row) for row in rows])


_LAST: Final = (1 << 63, b"")  # comes after every exchange


def _known(connection: Connection, rows: Sequence[MessageRow]) -> Iterator[Any]:
    c = messages.c
    for some in batched(rows, _AT_ONCE):
        keys = [row.key for row in some]
        yield from connection.execute(select(c.key, c.started_ns, c.exchange).where(c.key.in_(keys)))


def _other_answers(connection: Connection, rows: Sequence[MessageRow], folded: Sequence[bytes]) -> Iterator[bytes]:
    c, keys = messages.c, {row.key for row in rows}
    for some in batched(folded, _AT_ONCE):
        found = connection.execute(select(c.key).where(c.exchange.in_(some), c.answered == 1)).scalars()
        yield from (key for key in found if key not in keys)


def _index(connection: Connection, keys: Sequence[bytes], *, remove: bool) -> None:
    """Add rows to SQLite's full-text index, or remove them while they are still as they were added.

    https://sqlite.org/fts5.html#external_content_tables; in the order of their numbers, else each is written by itself.
    """
    into, first = ("message_index, rowid", "'delete', ?") if remove else ("rowid", "?")
    number: ColumnElement[int] = column("number", _selectable=messages)
    c = messages.c
    query = select(number, c.text, c.reasoning, c.rest).where(c.key.in_(keys)).order_by(number)
    values = [(row[0], *(_folded(field) for field in row[1:])) for row in connection.execute(query)]
    if values:
        connection.exec_driver_sql(
            f"INSERT INTO message_index ({into}, text, reasoning, rest) VALUES ({first}, ?, ?, ?)", values
        )


def _folded(field: Any) -> Any:
    """A text for SQLite's tokenizer: its words as they are compared, so that nothing depends on what that one knows."""
    return text_of_words(field) if isinstance(field, str) else field


def forget_messages(connection: Connection) -> None:
    """Remove every row, and whatever the index has beside them."""
    connection.execute(delete(messages))
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("INSERT INTO message_index (message_index) VALUES ('rebuild')")


def stored_messages(connection: Connection, keys: Iterable[bytes]) -> Iterator[MessageRow]:
    """Yield the rows with these keys."""
    for some in batched(list(keys), _AT_ONCE):
        for row in connection.execute(select(*_COLUMNS).where(messages.c.key.in_(some))):
            yield MessageRow(*row)


def sent_back(connection: Connection, keys: Iterable[bytes]) -> Iterator[bytes]:
    """Yield those of the keys that an answer has when it is sent back."""
    for some in batched(list(keys), _AT_ONCE):
        answered = messages.c.thread_key.in_(some), messages.c.answered == 1
        yield from connection.execute(select(messages.c.thread_key).where(*answered).distinct()).scalars()


def found_messages(
    connection: Connection, query: Query, restrict: Any, *, newest_first: bool, limit: int | None
) -> Iterator[tuple[MessageRow, Any]]:
    """Yield the messages that a query finds, each with the row of the first exchange that had it.

    An answer that was sent back is found as the answer.

    :param restrict: adds the conditions for their exchanges to a statement; None for none.
    :param newest_first: else the ones that fit best come first.
    """
    sqlite = connection.dialect.name == "sqlite"
    where = _on_sqlite if sqlite else _on_postgres
    found = where(connection, query, newest_first, restrict is not None)
    answers = messages.alias("answers")
    # Not EXISTS: Postgres would hash every answer of the store for it, however few messages are asked about.
    answer = answers.c.thread_key == func.coalesce(messages.c.thread_key, messages.c.key), answers.c.answered == 1
    again = select(answers.c.thread_key).where(*answer).limit(1).scalar_subquery()
    statement = found.where(or_(messages.c.answered == 1, again.is_(None)))
    if restrict is not None:
        statement = restrict(statement)
    # Postgres plans for a cursor as if few of the rows were fetched; where few are wanted, it knows better how many.
    streamed = {"stream_results": limit is None or limit > _AT_ONCE}
    with connection.execute(statement.limit(limit), execution_options=streamed) as rows:
        for row in rows:
            yield MessageRow(*row[: len(_COLUMNS)]), row[len(_COLUMNS) :]


#: Newest first, told by the message or by its exchange, which began at the same time.
_BY_MESSAGE: Final = (messages.c.started_ns.desc(), messages.c.exchange.desc(), messages.c.place)
_BY_EXCHANGE: Final = (exchanges.c.started_ns.desc(), exchanges.c.id.desc(), messages.c.place)


def _select() -> Select[Any]:
    return select(*_COLUMNS, *exchanges.c).join(exchanges, exchanges.c.id == messages.c.exchange)


def _on_sqlite(connection: Connection, query: Query, newest_first: bool, filtered: bool) -> Select[Any]:
    index = table("message_index", column("rowid"), column("rank"))
    number: ColumnElement[int] = column("number", _selectable=messages)
    matches = text("message_index MATCH :words").bindparams(words=sqlite_words(query))
    if not newest_first:
        return _select().join(index, index.c.rowid == number).where(matches).order_by(index.c.rank)
    found = select(index.c.rowid).where(matches)
    if not any(term.prefix for term in query.wanted):  # to count what begins so takes as long as to find it
        # Whether a phrase stands in one message takes long to tell: all that its words stand in is looked up anew.
        each = not filtered and all(len(term.words) == 1 for term in query.wanted)
        most = _VERY_FREQUENT if each else _FREQUENT
        several = select(literal(1)).select_from(index).where(matches).limit(most).subquery()
        count = connection.execute(select(func.count()).select_from(several)).scalar() or 0
        if count < _FREQUENT:
            return _select().where(number.in_(found)).order_by(*_BY_MESSAGE)
        if count == _VERY_FREQUENT:
            one = exists().select_from(index).where(matches, index.c.rowid == number)
            return _select().where(one).order_by(*_BY_MESSAGE)
    # A plus keeps SQLite from an index. Here from looking up and sorting all that were found: it goes from the newest
    # on until there are enough. Below from asking of each message whether its exchange fits, instead of the reverse.
    among = literal_column("+message_rows.number").in_(found)
    if not filtered:
        return _select().where(among).order_by(*_BY_MESSAGE)
    own = messages.c.exchange == literal_column("+exchange_rows.id")
    return select(*_COLUMNS, *exchanges.c).join_from(exchanges, messages, own).where(among).order_by(*_BY_EXCHANGE)


def sqlite_words(query: Query) -> str:
    """Return a query as FTS5 takes it (https://sqlite.org/fts5.html#full_text_query_syntax)."""

    def told(term: Term) -> str:
        return f'"{" ".join(term.words)}"{"*" if term.prefix else ""}'

    wanted = " AND ".join(map(told, query.wanted))
    return f"({wanted})" + "".join(f" NOT {told(term)}" for term in query.unwanted)


def _on_postgres(_: Connection, query: Query, newest_first: bool, filtered: bool) -> Select[Any]:
    words: ColumnElement[Any] = column("words", _selectable=messages)
    asked = text("CAST(:asked AS tsquery)").bindparams(asked=postgres_words(query.wanted))
    found = _select().where(words.op("@@")(asked))
    if query.unwanted:
        # By itself: in one tsquery, the index would be read for all that is not wanted, and the server would think that
        # few are found, and sort them all, where it can go from the newest on until there are enough.
        left_out = text("CAST(:left_out AS tsquery)").bindparams(left_out=postgres_words(query.unwanted, any_of=True))
        found = found.where(not_(words.op("@@")(left_out)))
    if not newest_first:
        return found.order_by(func.ts_rank_cd(words, asked).desc(), messages.c.started_ns.desc())
    # An index has the exchanges of one model, say, by their age: no other ones are looked at.
    return found.order_by(*(_BY_EXCHANGE if filtered else _BY_MESSAGE))


def postgres_words(terms: Iterable[Term], *, any_of: bool = False) -> str:
    """Return terms as a tsquery (https://www.postgresql.org/docs/current/datatype-textsearch.html).

    :param any_of: of which one is enough; else all are wanted.
    """

    def told(term: Term) -> str:
        *before, last = term.words[:_LONGEST_PHRASE]
        prefix = term.prefix and len(term.words) <= _LONGEST_PHRASE
        words = [f"'{word[:_LONGEST_WORD]}'" for word in before]
        return "(" + " <-> ".join([*words, f"'{last[:_LONGEST_WORD]}'{':*' if prefix else ''}"]) + ")"

    return (" | " if any_of else " & ").join(map(told, terms))


def word_places(texts: Sequence[str | None]) -> str:
    """Return the words of some texts as a tsvector; a word at the end of one does not stand beside the next one's.

    What a tsvector cannot hold (1 MiB, 16,383 places) is left out: of very long messages the end is not found.
    """
    places: dict[str, list[str]] = {}
    at, size = 0, 0
    for field in texts:
        at += 2
        for _, _, word in words_of(field or ""):
            at += 1
            told = places.setdefault(word[:_LONGEST_WORD], [])
            if len(told) < _MOST_PLACES and at <= _LAST_PLACE:
                told.append(str(at))
                size += 2
            if len(told) <= 1:
                size += 4 * len(word[:_LONGEST_WORD]) + 8
            if size > _MOST_BYTES:
                return _as_text(places)
    return _as_text(places)


def _as_text(places: Mapping[str, Sequence[str]]) -> str:
    return " ".join(f"'{word}':{','.join(told)}" if told else f"'{word}'" for word, told in places.items())
