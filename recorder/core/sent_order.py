"""In which order exchanges of a conversation were sent, where a clock was set back between them, too.

The ids that one process makes have the order in which it made them, whatever its wall clock says. What a request
repeats of an answer was answered before. Between processes nothing but wall clocks tells; where that of one process
went back, what it had sent before that is taken to be no later than what it sent after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final, NamedTuple

#: Version of a UUID whose first 48 bits are Unix milliseconds (RFC 9562 §5.7): of one process they have its order.
BY_CLOCK: Final = 7


class Sent(NamedTuple):
    """An exchange.

    :ivar wall_ns: when it began by the clock of its process, UTC nanoseconds.
    :ivar instance: id of that process; None where it is not known.
    """

    id: bytes
    wall_ns: int
    instance: bytes | None = None


def sent_order(exchanges: Iterable[Sent], follows: Iterable[tuple[bytes, bytes]] = ()) -> list[bytes]:
    """Return the ids of exchanges in the order in which they were sent.

    :param follows: pairs of ids: the second goes on from the first; others than those of *exchanges* are passed over.
    """
    some = list(exchanges)
    walls = {one.id: one.wall_ns for one in some}
    processes: dict[bytes, list[bytes]] = {}
    for one in some:
        if one.instance is not None and one.id[6] >> 4 == BY_CLOCK:
            processes.setdefault(one.instance, []).append(one.id)
    after: dict[bytes, set[bytes]] = {identity: set() for identity in walls}
    for ids in processes.values():
        ids.sort()
        for before, later in pairwise(ids):
            after[before].add(later)
        for place in range(len(ids) - 2, -1, -1):
            walls[ids[place]] = min(walls[ids[place]], walls[ids[place + 1]])
    for before, later in follows:
        if before in walls and later in walls and before != later:
            after[before].add(later)
    return _sorted(walls, after)


def _sorted(walls: dict[bytes, int], after: dict[bytes, set[bytes]]) -> list[bytes]:
    """Return what has times and must come after other things: the earliest first of what may come next."""
    awaited = dict.fromkeys(walls, 0)
    for some in after.values():
        for one in some:
            awaited[one] += 1
    ready = [(walls[one], one) for one, count in awaited.items() if not count]
    heapify(ready)
    waiting = sorted(((wall, one) for one, wall in walls.items()), reverse=True)  # for what goes round in a circle
    found: dict[bytes, None] = {}
    while len(found) < len(walls):
        while not ready and waiting[-1][1] in found:
            waiting.pop()
        _, one = heappop(ready) if ready else waiting.pop()
        if one in found:
            continue
        found[one] = None
        for later in after[one]:
            awaited[later] -= 1
            if not awaited[later]:
                heappush(ready, (walls[later], later))
    return list(found)
