"""What a copy brings beside the events: what an erasure has left of payloads, and the ledger of the whole store.

The ledger comes only with everything else: a part of a store does not hold what its leaves tell of. It comes entry by
entry, so that numbers, roots and proofs are the same, and what was signed stays true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, func, or_, select

from recorder.errors import VersionConflict
from recorder.store.checkpoints import insert_into
from recorder.store.rows import batched
from recorder.store.tables import checkpoints, erased_payloads

if TYPE_CHECKING:
    from recorder.store.sql import SqlStore

_ENTRIES: Final = 2000  # in one transaction
_STREAMS: Final = 200  # in one statement


@dataclass(frozen=True, slots=True)
class LedgerCopy:
    """A ledger that is to be copied as it stood before the events were.

    :ivar origin: its name; None where there is none, and nothing to copy.
    :ivar size: how many leaves it had.
    """

    origin: str | None
    size: int


def compare_ledgers(source: SqlStore, target: SqlStore) -> LedgerCopy:
    """Make sure that the target's ledger is the beginning of the source's, or the other way round.

    To be called before the events are copied: whatever the leaves up to this size tell of is there by now.

    :raises VersionConflict: the target has another ledger.
    """
    ours, theirs = source.ledger, target.ledger
    found = LedgerCopy(ours.origin(), ours.size())
    other = theirs.origin()
    if found.origin is None or other is None:
        return found
    common = min(found.size, theirs.size())
    if other != found.origin or ours.root(common) != theirs.root(common):
        told = f"the ledger {other}" if other != found.origin else "another ledger of the same name"
        raise VersionConflict(
            f"{target.name} holds {told}, to which that of {source.name} cannot be added. Nothing was copied: "
            "give another store, or filters, with which events come without the ledger"
        )
    return found


def carry_ledger(source: SqlStore, target: SqlStore, copied: LedgerCopy) -> int:
    """Bring to the target what it lacks of a ledger, of its checkpoints and anchors; return the number of leaves.

    To be called after the events were copied.
    """
    if copied.origin is None:
        return 0
    ours, theirs = source.ledger, target.ledger
    theirs.found(copied.origin)
    before = theirs.size()
    for start in range(before, copied.size, _ENTRIES):
        theirs.take(start, list(ours.entries(start, min(start + _ENTRIES, copied.size))))
    _carry_checkpoints(source, target, copied.size)
    for anchored in ours.anchors():
        if anchored.size <= copied.size:
            theirs.add_anchor(anchored)
    return max(copied.size - before, 0)


def _carry_checkpoints(source: SqlStore, target: SqlStore, size: int) -> None:
    query = select(checkpoints).where(checkpoints.c.size <= size).order_by(checkpoints.c.size)
    with source.reading() as connection:
        for row in connection.execute(query):
            target.ledger.add_checkpoint(row.size, row.note, row.made_ns)


def held_though_erased(source: SqlStore, target: SqlStore) -> list[bytes]:
    """Return the ids of the event streams that the target holds, with content that the source has erased."""
    counted = select(erased_payloads.c.stream, func.count()).group_by(erased_payloads.c.stream)
    with source.reading() as connection:
        gone: dict[bytes, int] = dict(map(tuple, connection.execute(counted)))
    if not gone:
        return []
    with target.reading() as connection:
        there: dict[bytes, int] = dict(map(tuple, connection.execute(counted)))
    some = [stream for stream, count in gone.items() if there.get(stream, 0) < count]
    return sorted(one for part in batched(some, _STREAMS) for one in target.heads(part))


def carry_erased(source: SqlStore, target: SqlStore, after: Mapping[bytes, int]) -> None:
    """Bring to the target what an erasure has left of payloads, before the events come that lack them.

    :param after: by stream the last version that the target has: what was copied before the erasure stays there.
    """
    for some in batched(list(after), _STREAMS):
        found = _erased(source, some, after)
        if found:
            with target.writing() as connection:
                insert = insert_into(connection, erased_payloads).on_conflict_do_nothing()
                connection.execute(insert, found)


def _erased(source: SqlStore, streams: Sequence[bytes], after: Mapping[bytes, int]) -> list[dict[str, object]]:
    c = erased_payloads.c
    beyond = [and_(c.stream == stream, c.version > after[stream]) for stream in streams]
    with source.reading() as connection:
        return [dict(row._mapping) for row in connection.execute(select(erased_payloads).where(or_(*beyond)))]
