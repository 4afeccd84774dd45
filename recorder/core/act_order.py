"""In which order things were done that journals tell of: what was placed, released, set and erased.

Clocks of processes differ, and one that ran fast is put right; so what was done last is not what has the latest time.
Within one journal the order is that of its events. Between journals it is the order of the ledger's leaves, which is
signed; where one of them has no leaf, the order in which the store took them; and only where it has not, the times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from recorder.core.events import Event

_LAST: Final = 1 << 63

#: Returns the number of the first leaf that seals a journal up to a version of it, None where there is none.
LeafOf: TypeAlias = Callable[[bytes, int], int | None]


class Act(NamedTuple):
    """Something that was done: an event of a journal.

    :ivar position: of the event in the store; None where it is in a spool alone.
    """

    journal: bytes
    version: int
    wall_ns: int
    position: int | None = None


def act_of(event: Event) -> Act:
    """Return what an event of a journal tells of as an :class:`Act`."""
    return Act(event.stream, event.version, event.wall_ns, event.position)


def ranks(acts: Iterable[Act], leaf_of: LeafOf) -> Mapping[tuple[bytes, int], int]:
    """Return which place each act has among them, by journal and version; the first has 0."""
    keys: dict[tuple[bytes, int], tuple[int, int, int, bytes, int]] = {}
    sealed: list[tuple[int, Act]] = []
    others: list[Act] = []
    for act in set(acts):
        leaf = leaf_of(act.journal, act.version)
        if leaf is None:
            others.append(act)
        else:
            sealed.append((leaf, act))
    reached: dict[bytes, tuple[int, int]] = {}  # of each journal: position and time that its next act is not before
    position = 0
    for leaf, act in sorted(sealed, key=lambda one: (one[0], one[1].version)):
        position = max(
            position, act.position or 0
        )  # a leaf counts for more: positions of sealed acts are made to agree
        keys[act.journal, act.version] = position, leaf, 0, act.journal, act.version
        reached[act.journal] = position, 0
    for act in sorted(others, key=lambda one: (one.journal, one.version)):
        at, wall = reached.get(act.journal, (0, 0))
        at, wall = max(at, _LAST if act.position is None else act.position), max(wall, act.wall_ns)
        keys[act.journal, act.version] = at, _LAST, wall, act.journal, act.version
        reached[act.journal] = at, wall
    return {place: rank for rank, place in enumerate(sorted(keys, key=lambda place: keys[place]))}


def in_order(events: Iterable[Event], leaf_of: LeafOf) -> list[Event]:
    """Return events of journals in the order in which what they tell of was done."""
    some = list(events)
    placed = ranks(map(act_of, some), leaf_of)
    return sorted(some, key=lambda event: placed[event.stream, event.version])
