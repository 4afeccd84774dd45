"""What other processes have left unsealed: a recorder that has the key seals it for them, as long as it is in time.

Who records, places a hold or leaves an anchor where the key is not cannot seal that, and an event that is sealed more
than a minute late looks as if it was dated back. So a recorder looks a few times a minute for what was written to the
store since it has looked, whoever wrote it. What had waited for longer when it came is left to `recorder seal`.
"""

from __future__ import annotations

from typing import Final

from recorder.clock import Clock
from recorder.core.clock_bounds import SEAL_LAG_NS
from recorder.core.heads import Head
from recorder.store.base import EventLog, FeedCursor

_EVERY_NS: Final = 10_000_000_000
_MILLISECOND: Final = 1_000_000


class LeftByOthers:
    """Looks for it, for one sealer.

    :param clock: time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_ns = 0
        self._seen: FeedCursor | None = None

    def due(self, store: EventLog) -> list[Head]:
        """Return the heads of streams that nobody has sealed up to there, where it is time to look.

        :raises StoreError: the store failed; it is looked for again in the next round.
        """
        now = self._clock.monotonic_ns()
        if now < self._next_ns or store.ledger is None:
            return []
        found, self._seen = store.ledger.unsealed_since(self._just_before() if self._seen is None else self._seen)
        self._next_ns = now + _EVERY_NS
        return found

    def _just_before(self) -> bytes:
        """Return the least id (UUIDv7) of a stream that was opened so short a time ago that its seal comes in time."""
        opened_ms = max(self._clock.wall_ns() - SEAL_LAG_NS, 0) // _MILLISECOND
        return opened_ms.to_bytes(6) + bytes(10)
