"""Which exchanges a command is about, as conditions of a statement and of a row; several values are any of these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Select, Text, cast, false, func, literal_column, or_
from sqlalchemy.dialects.postgresql import ARRAY, array

from recorder.store.tables import exchanges, messages

if TYPE_CHECKING:
    from recorder.store.projected import ExchangeRow

_EQUAL: Final = ("opening", "call", "model", "status", "verdict", "method")  # fields that restrict by equality


@dataclass(frozen=True, slots=True)
class ExchangeFilter:
    """Which exchanges to list; a field that is None does not restrict.

    Of ``model``, ``status``, ``verdict``, ``tool`` and ``finish``, several values may be given: any of these.

    :ivar ids: of some exchanges; a statement takes some thousands.
    :ivar url: a part of the URL.
    :ivar tool: name of a tool that it calls; ``finish``: one of its finish reasons.
    :ivar since_ns: started at or after; ``until_ns``: before.
    """

    opening: bytes | None = None
    call: str | None = None
    model: str | Collection[str] | None = None
    status: int | Collection[int] | None = None
    verdict: str | Collection[str] | None = None
    method: str | None = None
    url: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    tool: str | Collection[str] | None = None
    finish: str | Collection[str] | None = None
    ids: frozenset[bytes] | None = None

    def selects(self, row: ExchangeRow) -> bool:
        """Whether *row*, wherever it comes from, is one of them."""
        return (
            all(value is None or getattr(row, name) in any_of(value) for name, value in self._equal())
            and (self.ids is None or row.id in self.ids)
            and (self.url is None or self.url in row.url)
            and (self.tool is None or any(f"\n{tool}\n" in f"\n{row.tools or ''}" for tool in any_of(self.tool)))
            and (self.finish is None or any(one in (row.finish or "").split(",") for one in any_of(self.finish)))
            and (self.since_ns is None or row.started_ns >= self.since_ns)
            and (self.until_ns is None or row.started_ns < self.until_ns)
        )

    def _equal(self) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in _EQUAL)


def any_of(value: Any) -> tuple[Any, ...]:
    """Return the values of a filter that takes one or several."""
    return tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)


#: The lists of words that a row holds, as the indexes of Postgres have them.
_LISTS: Final[dict[str, ColumnElement[Any]]] = {
    "tools": literal_column(f"string_to_array({exchanges.name}.tools, '\n')"),
    "finish": literal_column(f"string_to_array({exchanges.name}.finish, ',')"),
}


def restricted(query: Select[Any], which: ExchangeFilter, lists: bool) -> Select[Any]:
    """Return a statement about exchanges with the conditions for those that are wanted.

    :param lists: the store has the indexes of lists of words.
    """
    c = exchanges.c
    for field in _EQUAL:
        value = getattr(which, field)
        if value is not None:
            wanted = any_of(value)
            query = query.where(c[field] == wanted[0] if len(wanted) == 1 else c[field].in_(wanted))
    if which.url:
        # Not LIKE, which tells upper from lower case on one engine and not on the other.
        query = query.where(func.replace(c.url, which.url, "") != c.url)
    if which.tool is not None:
        query = query.where(_has_any(_has_tool, which.tool, lists))
    if which.finish is not None:
        query = query.where(_has_any(_has_finish, which.finish, lists))
    if which.ids is not None:
        query = query.where(c.id.in_(which.ids))
    return query.where(*_within(c.started_ns, which))


def _has_any(has: Callable[[str, bool], ColumnElement[bool]], value: Any, lists: bool) -> ColumnElement[bool]:
    return or_(false(), *(has(one, lists) for one in any_of(value)))


def _has_tool(tool: str, lists: bool) -> ColumnElement[bool]:
    if lists and tool and "\n" not in tool:
        return _has_word("tools", tool)
    called = func.coalesce("\n" + exchanges.c.tools, "")
    return func.replace(called, f"\n{tool}\n", "") != called


def _has_finish(finish: str, lists: bool) -> ColumnElement[bool]:
    if lists and finish:
        return _has_word("finish", finish)
    return ("," + exchanges.c.finish + ",").contains(f",{finish},", autoescape=True)


def _has_word(name: str, word: str) -> ColumnElement[bool]:
    """Whether a list has a word, for Postgres, which has an index of them and so knows how frequent they are."""
    return _LISTS[name].op("@>", is_comparison=True)(cast(array([word]), ARRAY(Text)))


def restricted_messages(query: Select[Any], which: ExchangeFilter, lists: bool) -> Select[Any]:
    """As :func:`restricted`; a message began with its exchange, and an index may have it by that time."""
    return restricted(query, which, lists).where(*_within(messages.c.started_ns, which))


def _within(started_ns: ColumnElement[int], which: ExchangeFilter) -> Iterator[ColumnElement[bool]]:
    if which.since_ns is not None:
        yield started_ns >= which.since_ns
    if which.until_ns is not None:
        yield started_ns < which.until_ns
