"""Exchanges as they begin and end, whichever process records them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from recorder.api.reader import Reader
from recorder.clock import id_text
from recorder.core.events import EXCHANGE_ENDS, Event
from recorder.core.json_text import present
from recorder.projections.rows import exchange_row, kind_of, listed, opening_row, tags_of_row, turn_of_row
from recorder.store.filtered import ExchangeFilter, any_of
from recorder.store.projected import ExchangeRow, OpeningRow

_AT_ONCE: Final = 1024  # events of the feed
_ASKING: Final = frozenset({"imported", "request_sent", "request_body_sent"})


@dataclass(frozen=True, slots=True)
class Followed:
    """Which exchanges are followed.

    :ivar which: the fields of an exchange; what only its end tells keeps its beginning back.
    :ivar conversations: name of the conversation that the program had opened, or a part of its id; any of these, or all
        where there is none.
    :ivar tags: tags that it gave that conversation, all of them.
    """

    which: ExchangeFilter
    conversations: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def beginnings(self) -> bool:
        """Whether the beginning of an exchange can tell that it is one of them."""
        which = self.which
        return which.verdict is None and which.status is None and which.finish is None and which.tool is None


class Following:
    """Follows a store from the moment at which this is made.

    :param reader: the store.
    :param followed: what is told; all where it is left out.
    :raises StoreError: the store cannot be read.
    """

    def __init__(self, reader: Reader, followed: Followed | None = None) -> None:
        self._store = reader.store
        self._reader = reader
        self._followed = followed or Followed(ExchangeFilter())
        self._cursor = self._store.feed_end()
        self._began: set[bytes] = set()  # told by last(); their events may come again
        self._ended: set[bytes] = set()

    def last(self, count: int) -> list[dict[str, Any]]:
        """Return what is known of the last exchanges, the newest last; to be called before :meth:`changes`."""
        self._reader.refresh()
        found = (row for row in self._reader.exchanges(self._followed.which) if self._is_followed(row))
        rows = list(islice(found, count))
        self._began = {row.id for row in rows}
        self._ended = {row.id for row in rows if _is_over(row)}
        return [_change(row, ended=_is_over(row)) for row in reversed(rows)]

    def changes(self) -> Iterator[dict[str, Any]]:
        """Yield what began and what ended since the last time, in the order of the feed.

        :raises StoreUnreachable: the store is not there any more.
        """
        self._store.check_present()
        while True:
            events, self._cursor = self._store.feed(self._cursor, _AT_ONCE)
            if not events:
                return
            for event in events:
                yield from self._change_of(event)

    def _change_of(self, event: Event) -> Iterator[dict[str, Any]]:
        begins = event.version == 1 and kind_of(event) == "exchange" and event.stream not in self._began
        ends = event.type in EXCHANGE_ENDS and event.stream not in self._ended
        if not (begins and self._followed.beginnings) and not ends:
            return
        found = self._store.found_events(event.stream)
        first = next(found)
        if kind_of(first) != "exchange":
            return  # a journal whose process died: it may be long
        events = [first, *found]
        if begins:
            row = exchange_row([one for one in events if one.type in _ASKING] or events[:1])
        elif event.version == next(one.version for one in events if one.type in EXCHANGE_ENDS):
            row = exchange_row(events)
        else:
            return  # the consumer's end after the server's, or the other way round: it is told already
        if self._followed.which.selects(row) and self._is_followed(row):
            yield _change(row, ended=not begins)

    def _is_followed(self, row: ExchangeRow) -> bool:
        followed = self._followed
        if not followed.conversations and not followed.tags:
            return True
        opening = self._opening(row.opening)
        if opening is None:
            return False
        named = not followed.conversations or any(_is_called(opening, one) for one in followed.conversations)
        return named and dict(followed.tags).items() <= tags_of_row(opening).items()

    def _opening(self, identity: bytes | None) -> OpeningRow | None:
        events: Sequence[Event] = list(self._reader.found_events(identity)) if identity is not None else ()
        return opening_row(events) if events else None


def _is_called(opening: OpeningRow, conversation: str) -> bool:
    """Whether a text is the name of a conversation, or a part of its id."""
    digits, whole = conversation.replace("-", "").lower(), opening.id.hex()
    return conversation == opening.name or (digits != "" and (whole.startswith(digits) or whole.endswith(digits)))


def _is_over(row: ExchangeRow) -> bool:
    """Whether it ended; what was imported is over, though nothing may tell how long it took."""
    return row.duration_ns is not None or "imported_at" in listed(row)


def _change(row: ExchangeRow, *, ended: bool) -> dict[str, Any]:
    shown = listed(row)
    named = turn_of_row(row, id_text(row.id)).name
    told = present(**shown, conversation_name=named)
    if not ended:
        for name in ("verdict", "chunks", "bytes", "duration_ms", "first_chunk_ms", "dialect", "status"):
            told.pop(name, None)
    return {"state": "ended" if ended else "began", **told}


def followed(
    *, conversation: str | Collection[str] | None = None, tags: dict[str, str] | None = None, **filters: Any
) -> Followed:
    """Return what :meth:`recorder.Store.exchanges` would be given, for following."""
    conversations = () if conversation is None else any_of(conversation)
    return Followed(replace(ExchangeFilter(), **filters), conversations, tuple((tags or {}).items()))
