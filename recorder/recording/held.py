"""What durability ``batched`` holds in memory, and what becomes of it where it can be written nowhere.

Its records count as safe: the streams go on behind them. So whoever wrote one has to be told when it turns out that
no disk takes it: the stream goes back to where it was before, and tells the loss in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import Any, Final, NamedTuple, Protocol

BUFFER_LIMIT: Final = 8 * 1024 * 1024  # bytes of records


class Undo(NamedTuple):
    """What the author of a record needs to take it back.

    :ivar version: how many events of its stream there are without it.
    :ivar state: of the stream before it.
    :ivar what: was to be recorded.
    """

    version: int
    state: Any
    what: Any


class Author(Protocol):
    """Whoever has a record written, and is told of it if that fails after all."""

    def undo(self, receipt: Receipt) -> Undo:
        """Return what is needed to take a record back; asked while that is being appended."""
        ...

    def take_back(self, undone: Sequence[Undo]) -> None:
        """Go back to before some records, in their order: they are written nowhere, nor is what came after them."""
        ...


class Receipt:
    """What became of one record, whatever interrupts its append.

    :ivar safe: whether it is in the spool; None while that is not settled.
    :ivar then: what its author has to take note of when it is.
    :ivar author: who takes it back if it is held in memory and can be written nowhere; None: nobody.
    """

    __slots__ = ("author", "record", "safe", "then")

    def __init__(self, record: bytes, then: Any = None, author: Author | None = None) -> None:
        self.record = record
        self.safe: bool | None = None
        self.then = then
        self.author = author


class Held:
    """Records in the order in which they were appended, which no file has yet.

    :ivar size: of them all, in bytes.
    """

    __slots__ = ("_entries", "size")

    def __init__(self, entries: Sequence[tuple[bytes, Author | None, Undo | None]] = (), size: int = 0) -> None:
        self._entries = list(entries)
        self.size = size

    def recount(self) -> None:
        """Count again, after an interrupt that may have come in the middle of :meth:`add`."""
        self.size = sum(len(record) for record, _, _ in self._entries)

    def add(self, receipt: Receipt) -> None:
        """Hold a record."""
        author = receipt.author
        self._entries.append((receipt.record, author, None if author is None else author.undo(receipt)))
        self.size += len(receipt.record)

    def ends_with(self, record: bytes) -> bool:
        """Whether that very record was the last to come."""
        return bool(self._entries) and self._entries[-1][0] is record

    def first(self, limit: int) -> list[bytes]:
        """Return the oldest records, as many as *limit* bytes hold, and one at least."""
        sizes = accumulate(len(record) for record, _, _ in self._entries)
        count = sum(1 for _ in takewhile(lambda size: size <= limit, sizes))
        return [record for record, _, _ in self._entries[: max(count, 1)]]

    def after(self, size: int) -> Held:
        """Return what remains when the oldest are written, which have *size* bytes."""
        ends = accumulate(len(record) for record, _, _ in self._entries)
        count = sum(1 for _ in takewhile(lambda end: end <= size, ends))
        return Held(self._entries[count:], self.size - size)

    def undone(self) -> list[tuple[Author, Undo]]:
        """Return what is needed to take each record back, oldest first."""
        return [(author, undo) for _, author, undo in self._entries if author is not None and undo is not None]
