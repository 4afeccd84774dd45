"""The ledger's rows as they are stored, whatever is wrong with them: for audits, which read each once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import NamedTuple

from recorder.store.rows import Row
from recorder.store.sql import SnapshotRows, SqlStore


class LeafRow(NamedTuple):
    """A row of ``ledger_leaves``: the columns beside the entry are for look-ups, and must say what it says."""

    number: int
    stream: bytes
    length: int
    state: int
    entry: bytes


class LedgerRows:
    """What one snapshot has of the ledger.

    :param rows: runs a query in the snapshot.
    """

    def __init__(self, store: SqlStore, rows: SnapshotRows) -> None:
        self._store, self._run = store, rows
        self._reading = ExitStack()

    def _rows(self, sql: str) -> Iterator[Row]:
        return self._reading.enter_context(closing(self._run(sql)))

    def close(self) -> None:
        """End what is being read, before the snapshot ends."""
        self._reading.close()

    def named(self) -> tuple[str, bytes] | None:
        """Return the ledger's name and the id that is stored beside it; None where it has none."""
        return next(((row[0], row[1]) for row in self._rows("SELECT origin, log_id FROM ledger")), None)

    def size(self) -> int:
        """Return one more than the number of the last leaf."""
        last = next(iter(self._rows("SELECT max(number) FROM ledger_leaves")), (None,))[0]
        return 0 if last is None else int(last) + 1

    def leaves(self) -> Iterator[LeafRow]:
        """Yield the leaves in the order of their numbers."""
        key = self._store.id_out.format("stream")
        sql = f"SELECT number, {key}, length, state, entry FROM ledger_leaves ORDER BY number"
        yield from (LeafRow(*row) for row in self._rows(sql))

    def levels(self) -> list[int]:
        """Return the levels of which there are nodes."""
        return [row[0] for row in self._rows("SELECT DISTINCT level FROM ledger_nodes ORDER BY level")]

    def nodes(self, level: int) -> Iterator[tuple[int, bytes]]:
        """Yield number and hash of the nodes of a level, in order."""
        sql = f"SELECT number, hash FROM ledger_nodes WHERE level = {int(level)} ORDER BY number"
        yield from ((row[0], row[1]) for row in self._rows(sql))

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Yield size and note of the checkpoints, the smallest first."""
        yield from ((row[0], row[1]) for row in self._rows("SELECT size, note FROM checkpoints ORDER BY size"))
