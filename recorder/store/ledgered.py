"""The ledger in a store's own database: the Merkle tree over the heads of its event streams, and what was said of it.

Kept are the entries, and of the tree the hashes of complete subtrees, which never change: to append costs a few rows,
a root or a proof a few look-ups, however large the ledger is. Nothing is updated and nothing removed; triggers refuse
both. Who appends holds the ledger's lock up to the commit, so numbers have no gap, and an entry tells the one of the
same stream before it.

What is signed is no concern of the store: it keeps the notes as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Select, func, insert, select, text

from recorder.core import merkle
from recorder.core.heads import Head, Leaf, decode_entry, encode_entry, log_id
from recorder.errors import ConfigurationError, CorruptRecording, NotFound, VersionConflict
from recorder.store.base import Anchored, FeedCursor, Found, Grown
from recorder.store.checkpoints import insert_into
from recorder.store.rows import Row, batched
from recorder.store.tables import anchors, checkpoints, ledger, ledger_leaves, ledger_nodes
from recorder.store.unsealed import unsealed_heads

if TYPE_CHECKING:
    from recorder.store.sql import SqlStore

Made = TypeVar("Made")

_AT_ONCE: Final = 500  # values in one IN (…)
_ROWS_AT_ONCE: Final = 1000
_INSERT_LEAVES: Final = insert(ledger_leaves)
_INSERT_NODES: Final = insert(ledger_nodes)
_INSERT_NOTE: Final = text(
    "INSERT INTO checkpoints (size, note, made_ns) VALUES (:size, :note, :made_ns) ON CONFLICT DO NOTHING"
)

_leaf: Final = ledger_leaves.c
_node: Final = ledger_nodes.c


class SqlLedger:
    """The ledger of a store; see :class:`recorder.store.base.Ledger`.

    :param store: an open store; one opened for reading refuses what writes.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._log: bytes | None = None

    # Its name

    def origin(self) -> str | None:
        """Return the ledger's name; None where there is none: nothing is sealed then."""
        with self._store.reading() as connection:
            found: str | None = connection.execute(select(ledger.c.origin)).scalar()
        return found

    def found(self, origin: str) -> None:
        """Give the ledger its name, for good.

        :raises ConfigurationError: it has another one.
        """
        with self._store.writing(durable=True) as connection:
            self._store.lock_ledger(connection)
            known = connection.execute(select(ledger.c.origin)).scalar()
            if known is None:
                connection.execute(insert(ledger).values(number=1, origin=origin, log_id=log_id(origin)))
            elif known != origin:
                raise ConfigurationError(
                    f"the ledger of {self._store.name} has the name {known}, which stays: "
                    f"use the key of {known}, or give another store"
                )

    def _log_id(self, connection: Connection) -> bytes:
        if self._log is None:
            self._log = connection.execute(select(ledger.c.log_id)).scalar()
        if self._log is None:
            raise ConfigurationError(f"{self._store.name} has no ledger yet: run `recorder keys init`")
        return self._log

    # Leaves

    def size(self) -> int:
        """Return how many leaves there are."""
        with self._store.reading() as connection:
            return _size(connection)

    def append(self, heads: Sequence[Head], sealed_ns: int) -> list[Leaf]:
        """Commit heads as leaves in one transaction, in order, and return the leaves; see :meth:`grow`."""
        return self.grow(heads, sealed_ns, lambda found: None).leaves

    def grow(
        self,
        heads: Sequence[Head],
        sealed_ns: int,
        check: Callable[[Found], None],
        copies: Sequence[tuple[int, str]] = (),
    ) -> Grown:
        """Commit heads as leaves in one transaction, in order, where the ledger is found to be as it should be.

        What is sealed already at that length or a further one is passed over, whatever its hash. When this returns,
        the leaves survive a loss of power.

        :param sealed_ns: UTC nanoseconds.
        :param check: gets what there is, before anything is added; what it raises undoes all.
        :param copies: sizes and signed notes of checkpoints to be kept with them.
        :raises ConfigurationError: the ledger has no name yet.
        :raises StoreUnreachable: the engine did not answer, or refused; nothing is committed.
        :raises VersionConflict: there is another note of one of those sizes.
        """
        nodes: dict[tuple[int, int], bytes] = {}
        with self._store.writing(durable=True) as connection:
            self._store.lock_ledger(connection)
            log = self._log_id(connection)
            size, *checkpoint = connection.execute(_STATE).one()
            last = (checkpoint[0], checkpoint[1]) if checkpoint[0] is not None else None
            node = self._nodes_at(connection, nodes)
            # Of a tree that grows, the nodes that make its root are all that is needed of it.
            nodes |= _nodes(connection, _complete(size))
            check(Found(size, last, lambda some: merkle.root(some, node)))
            leaves = _new_leaves(heads, size, sealed_ns, self._last(connection, {head.stream for head in heads}))
            nodes |= self._insert(connection, size, [(leaf, encode_entry(log, leaf)) for leaf in leaves], node)
            for covered, note in copies:
                self._add_checkpoint(connection, covered, note, sealed_ns)

        def known_or_read(level: int, number: int) -> bytes:
            known = nodes.get((level, number))
            return self.node(level, number) if known is None else known

        return Grown(leaves, size + len(leaves), known_or_read)

    def take(self, start: int, entries: Sequence[bytes]) -> None:
        """Commit entries of a ledger of the same name as they are, for a copy.

        :param start: the number of the first; where the ledger has some of them already, those are passed over.
        :raises CorruptRecording: one is none.
        :raises VersionConflict: some before them are missing.
        """
        with self._store.writing(durable=True) as connection:
            self._store.lock_ledger(connection)
            log, size = self._log_id(connection), _size(connection)
            if start > size:
                raise VersionConflict(f"the ledger of {self._store.name} ends before leaf {start}")
            new = list(enumerate(entries, start))[size - start :]
            taken = [(decode_entry(log, number, entry), entry) for number, entry in new]
            self._insert(connection, size, taken, self._nodes_at(connection, _nodes(connection, _complete(size))))

    def _last(self, connection: Connection, streams: Iterable[bytes]) -> dict[bytes, tuple[int, int]]:
        """Return, of each stream that is sealed, the number of its last leaf plus 1, and the length there."""
        found: dict[bytes, tuple[int, int]] = {}
        store = self._store
        for some in batched(list(streams), _AT_ONCE):
            named = ", ".join(map(store.id_literal, some))
            newest = f"SELECT max(number) FROM ledger_leaves WHERE stream IN ({named}) GROUP BY stream"
            sql = (
                f"SELECT {store.id_out.format('stream')}, number, length FROM ledger_leaves WHERE number IN ({newest})"
            )
            rows = connection.exec_driver_sql(sql)
            found |= {bytes(stream): (number + 1, length) for stream, number, length in rows}
        return found

    def _insert(
        self, connection: Connection, size: int, leaves: Sequence[tuple[Leaf, bytes]], node: merkle.Node
    ) -> dict[tuple[int, int], bytes]:
        """Insert leaves with their entries, and return the nodes that the tree gains.

        :param node: of the tree as it is.
        """
        if not leaves:
            return {}
        rows = [
            {"number": leaf.number, "stream": leaf.head.stream, "length": leaf.head.length, "state": leaf.head.state}
            | {"entry": entry}
            for leaf, entry in leaves
        ]
        gained = list(merkle.appended(size, [merkle.leaf_hash(entry) for _, entry in leaves], node))
        connection.execute(_INSERT_LEAVES, rows)
        connection.execute(
            _INSERT_NODES,
            [{"level": level, "number": number, "hash": digest} for level, number, digest in gained],
        )
        return {(level, number): digest for level, number, digest in gained}

    def _nodes_at(self, connection: Connection, known: dict[tuple[int, int], bytes]) -> merkle.Node:
        """Return what reads nodes within a transaction.

        :param known: those that need not be read; gets the others.
        """

        def read(level: int, number: int) -> bytes:
            if (level, number) not in known:
                known.update(_nodes(connection, [(level, number)]))
            return self._present(known, level, number)

        return read

    def leaf(self, number: int) -> Leaf:
        """Return a leaf.

        :raises NotFound: there is none of that number.
        :raises CorruptRecording: its entry is not what was written.
        """
        with self._store.reading() as connection:
            entry = connection.execute(select(_leaf.entry).where(_leaf.number == number)).scalar()
            if entry is None:
                raise NotFound(f"the ledger of {self._store.name} has no leaf {number}")
            return decode_entry(self._log_id(connection), number, entry)

    def leaves(self, start: int, end: int) -> Iterator[Leaf]:
        """Yield the leaves from number *start* to before *end*, in order; those that are missing are left out."""
        yield from self._leaves(select(_leaf.number, _leaf.entry).where(_leaf.number >= start, _leaf.number < end))

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the entries from number *start* to before *end*, as they are stored."""
        query = select(_leaf.entry).where(_leaf.number >= start, _leaf.number < end).order_by(_leaf.number)
        yield from (row[0] for row in self._rows(query))

    def last_leaf(self, stream: bytes) -> Leaf | None:
        """Return the newest leaf of a stream."""
        query = select(_leaf.number, _leaf.entry).where(_leaf.stream == stream)
        with self._store.reading() as connection:
            row = connection.execute(query.order_by(_leaf.number.desc()).limit(1)).first()
            return None if row is None else decode_entry(self._log_id(connection), *row)

    def leaves_of(self, stream: bytes) -> Iterator[Leaf]:
        """Yield the leaves of a stream, the oldest first."""
        yield from self._leaves(select(_leaf.number, _leaf.entry).where(_leaf.stream == stream))

    def _leaves(self, query: Select[Any]) -> Iterator[Leaf]:
        with self._store.reading() as connection:
            log = connection.execute(select(ledger.c.log_id)).scalar() or b""
        for number, entry in self._rows(query.order_by(_leaf.number)):
            yield decode_entry(log, number, entry)

    def _rows(self, query: Select[Any]) -> Iterator[Row]:
        pieces = query.execution_options(yield_per=_ROWS_AT_ONCE)  # a server would send all rows at once otherwise
        with self._store.reading() as connection, connection.execute(pieces) as found:
            yield from found

    def unsealed(self, limit: int) -> list[Head]:
        """Return up to *limit* heads of streams that are further than their last leaf; looks at every stream."""
        return unsealed_heads(self._store, limit=limit)

    def unsealed_since(self, since: FeedCursor | bytes) -> tuple[list[Head], FeedCursor]:
        """Return the same of the streams that were written to since then, and what to ask from the next time."""
        end = self._store.feed_end()  # first: what comes meanwhile is looked at twice, and never missed
        return unsealed_heads(self._store, since=since), end

    def unsealed_of(self, instance: bytes) -> list[Head]:
        """Return the same of the streams that one recorder process opened."""
        return unsealed_heads(self._store, instance)

    # The tree

    def node(self, level: int, number: int) -> bytes:
        """Return the hash of the complete subtree over the ``2**level`` leaves from ``number * 2**level`` on.

        :raises CorruptRecording: it is not there.
        """
        return self._made(lambda node: node(level, number))

    def root(self, size: int) -> bytes:
        """Return the root of the tree of the first *size* leaves.

        :raises ValueError: *size* is negative.
        :raises CorruptRecording: nodes of it are missing: the ledger is smaller, or damaged.
        """
        return self._made(lambda node: merkle.root(size, node))

    def inclusion(self, number: int, size: int) -> list[bytes]:
        """Return the proof that a leaf is in the tree of the first *size* leaves, from below.

        :raises ValueError: it is not.
        """
        return self._made(lambda node: merkle.inclusion(number, size, node))

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of *old* leaves is the beginning of that of *new* leaves.

        :raises ValueError: *old* is larger.
        """
        return self._made(lambda node: merkle.consistency(old, new, node))

    def _made(self, make: Callable[[merkle.Node], Made]) -> Made:
        """Return what *make* makes of nodes; which ones it needs follows from sizes alone, so they are read at once."""
        places: list[tuple[int, int]] = []

        def noted(level: int, number: int) -> bytes:
            places.append((level, number))
            return merkle.EMPTY_ROOT

        make(noted)
        with self._store.reading() as connection:
            known = _nodes(connection, places)
        return make(lambda level, number: self._present(known, level, number))

    def _present(self, known: dict[tuple[int, int], bytes], level: int, number: int) -> bytes:
        if (level, number) not in known:
            raise CorruptRecording(
                f"node {number} of level {level} is missing from the ledger of {self._store.name}: restore a backup"
            )
        return known[level, number]

    # What was said of it

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Yield size and signed note of every checkpoint, the smallest first."""
        query = select(checkpoints.c.size, checkpoints.c.note).order_by(checkpoints.c.size)
        yield from ((size, note) for size, note in self._rows(query))

    def last_checkpoint(self) -> tuple[int, str] | None:
        """Return size and signed note of the largest checkpoint."""
        query = select(checkpoints.c.size, checkpoints.c.note).order_by(checkpoints.c.size.desc()).limit(1)
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row[0], row[1])

    def add_checkpoint(self, size: int, note: str, made_ns: int) -> None:
        """Keep a signed note; the same one again is passed over.

        :raises VersionConflict: there is another note of that size.
        """
        # Not durable: it is a copy of what is kept outside, which is made again where it is missing.
        with self._store.writing() as connection:
            self._add_checkpoint(connection, size, note, made_ns)

    def _add_checkpoint(self, connection: Connection, size: int, note: str, made_ns: int) -> None:
        if connection.execute(_INSERT_NOTE, {"size": size, "note": note, "made_ns": made_ns}).rowcount:
            return
        known = connection.execute(select(checkpoints.c.note).where(checkpoints.c.size == size)).scalar()
        if known != note:
            raise VersionConflict(f"{self._store.name} has another checkpoint of size {size}: see `recorder verify`")

    def anchors(self) -> Iterator[Anchored]:
        """Yield what was got from outside, in the order in which it came."""
        c = anchors.c
        query = select(c.id, c.size, c.anchor, c.made_ns, c.evidence).order_by(c.made_ns, c.id)
        yield from (Anchored(*row) for row in self._rows(query))

    def add_anchor(self, anchored: Anchored) -> None:
        """Keep what somebody outside gave; the same one again is passed over.

        :raises VersionConflict: there is another one with that id.
        """
        with self._store.writing(durable=True) as connection:
            values = anchored._asdict()
            connection.execute(insert_into(connection, anchors).values(values).on_conflict_do_nothing())
            row = connection.execute(
                select(*(anchors.c[name] for name in Anchored._fields)).where(anchors.c.id == anchored.id)
            ).one()
            if Anchored(*row) != anchored:
                raise VersionConflict(f"{self._store.name} has another anchor with the id {anchored.id.hex()}")


_largest: Final = select(checkpoints.c.size, checkpoints.c.note).order_by(checkpoints.c.size.desc()).limit(1).subquery()
#: One row: how many leaves there are, and size and note of the largest checkpoint, or None.
_STATE: Final = select(
    select(func.coalesce(func.max(_leaf.number) + 1, 0)).scalar_subquery(),
    select(_largest.c.size).scalar_subquery(),
    select(_largest.c.note).scalar_subquery(),
)


def _size(connection: Connection) -> int:
    last = connection.execute(select(func.max(_leaf.number))).scalar()
    return 0 if last is None else int(last) + 1


def _new_leaves(heads: Sequence[Head], size: int, sealed_ns: int, last: dict[bytes, tuple[int, int]]) -> list[Leaf]:
    """Return the leaves of heads that are further than what is sealed of their streams.

    :param size: how many leaves there are.
    :param last: of each stream that is sealed, the number of its last leaf plus 1, and the length there.
    """
    leaves: list[Leaf] = []
    for head in heads:
        before, length = last.get(head.stream, (0, 0))
        if head.length > length:
            leaves.append(Leaf(size + len(leaves), head, sealed_ns, before))
            last[head.stream] = leaves[-1].number + 1, head.length
    return leaves


def _complete(size: int) -> list[tuple[int, int]]:
    """Return which complete subtrees the tree of *size* leaves is made of."""
    return [(level, (size >> level) - 1) for level in range(size.bit_length()) if size >> level & 1]


def _nodes(connection: Connection, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    if not places:
        return {}
    # Not a comparison of pairs, for which SQLite reads the whole table. As text: to have it built takes ten times as
    # long as to run it.
    each = " OR ".join(f"(level = {level:d} AND number = {number:d})" for level, number in places)
    rows = connection.exec_driver_sql(f"SELECT level, number, hash FROM ledger_nodes WHERE {each}")
    return {(level, number): digest for level, number, digest in rows}
