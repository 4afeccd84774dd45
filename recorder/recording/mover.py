"""What the write path needs of whatever brings a spool to the store, and what it tells of how that goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from recorder.core.receipts import Receipt
from recorder.ledger.sealer import Sealing
from recorder.recording.lanes import Lanes
from recorder.store.base import EventLog

if TYPE_CHECKING:
    from recorder.ledger.anchoring import AnchorHealth


#: Nanoseconds for which what is in the store may wait to be sealed. It is due within a second, and what fails is tried
#: again every five: by then that is no moment's trouble.
SEALING_BOUND: Final = 30_000_000_000


@dataclass(frozen=True, slots=True)
class Health:
    """How recording is doing.

    :ivar ok: nothing fails and nothing was lost.
    :ivar store_error: why the store cannot be written, or how long it has not answered (from ten seconds on); or None.
    :ivar spool_error: why the spool cannot be written, or read on, or None.
    :ivar pending_bytes: bytes in the spool that the store does not have yet.
    :ivar drained_events: events that this process has moved to the store, each counted once.
    :ivar lost_events: events that could be written nowhere; each loss is in a ``gap_recorded``. An end that is
        kept to be written later is not among them.
    :ivar unreported_gaps: event streams with a loss whose ``gap_recorded`` could not be written yet.
    :ivar conflicts: events set aside in ``*.conflicts`` files, because the store has others in their place.
    :ivar sealing_error: why what is in the store has not been sealed for 30 seconds, though the store has a ledger, or
        None. What fails for a shorter time is told by ``sealing``.
    :ivar sealing: how sealing is doing, where the store has a ledger.
    :ivar anchors: how each anchor is doing that was offered a checkpoint.
    """

    ok: bool
    store_error: str | None
    spool_error: str | None
    pending_bytes: int
    drained_events: int
    lost_events: int
    unreported_gaps: int
    conflicts: int
    sealing_error: str | None = None
    sealing: Sealing = field(default_factory=Sealing)
    anchors: tuple[AnchorHealth, ...] = ()


class Mover(Protocol):
    """What brings the spool to the store: a thread or a process."""

    drained: dict[bytes, int]
    events: int
    conflicts: int

    @property
    def error(self) -> str | None:
        """Why the store does not take what is in the spool, or None; as of this moment."""
        ...

    @property
    def damage(self) -> str | None:
        """Which spool files cannot be read on, and where; or None."""
        ...

    @property
    def damaged_lanes(self) -> frozenset[int]:
        """The lanes that they are in."""
        ...

    @property
    def sealing(self) -> Sealing:
        """How sealing is doing."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nobody is looking into the spool, so that :meth:`wake` has to be called."""
        ...

    def adopt(self, store: EventLog, dead: Sequence[bytes] = ()) -> None:
        """Take a store that is open already.

        :param dead: recorders that died, and of which it may hold more than is sealed.
        """
        ...

    def seal(self, stream: bytes, timeout: float) -> Receipt:
        """Bring all that is in the spool to the store, seal it, and return the proof for a stream.

        :param timeout: seconds.
        :raises ConfigurationError: the store has no ledger, or its key is not here.
        :raises StoreError: the store, or what is outside of it, fails; or it takes too long.
        :raises NotFound: nothing of the stream was recorded.
        """
        ...

    def inherited(self) -> EventLog | None:
        """Return the store that a forked child must neither use nor close."""
        ...

    def start_failed(self, reason: str) -> None:
        """Take note that the store could not be opened."""
        ...

    def wake(self) -> None:
        """Say that there is something in the spool; never waits."""
        ...

    def drain(self, timeout: float | None = None, *, apart: bool = False) -> bool:
        """Move what is there now, where that can be done from here; *apart*: from a thread, waiting *timeout* at most.

        :param timeout: seconds.
        """
        ...

    def pause(self, timeout: float) -> bool:
        """Have no connection open until :meth:`resume`; return whether that was possible in *timeout* seconds."""
        ...

    def resume(self) -> None:
        """Go on after a fork, in the parent."""
        ...

    def retire(self) -> None:
        """Start nothing any more."""
        ...

    def leave(self, timeout: float, is_there: Callable[[Mapping[bytes, int]], bool]) -> None:
        """Drain what is there and stop, for a spool that goes on being written until its process is gone.

        :param is_there: tells from :attr:`drained` whether all that was to be drained is in the store.
        """
        ...

    def stop(self, timeout: float, is_empty: Callable[[Mapping[bytes, int]], bool]) -> bool:
        """Drain what is there and stop; return whether everything is in the store."""
        ...


def health_of(spool: Lanes, mover: Mover, *, lost_events: int, unreported_gaps: int) -> Health:
    """Return how the recording is doing that goes through a spool and what moves it to the store."""
    spool.check()
    store_error, conflicts = mover.error, mover.conflicts
    spool_error = spool.error or spool.sync_error or spool.removed or mover.damage
    sealing = mover.sealing
    sealing_error = _overdue(sealing)
    return Health(
        ok=not (store_error or spool_error or lost_events or conflicts or sealing_error),
        store_error=store_error,
        spool_error=spool_error,
        pending_bytes=spool.pending(mover.drained),
        drained_events=mover.events,
        lost_events=lost_events,
        unreported_gaps=unreported_gaps,
        conflicts=conflicts,
        sealing_error=sealing_error,
        sealing=sealing,
    )


def _overdue(sealing: Sealing) -> str | None:
    """Return why what is in the store has waited for too long to be sealed; None where it has not."""
    if sealing.lag_ns <= SEALING_BOUND:
        return None
    return f"nothing has been sealed for {sealing.lag_ns // 1_000_000_000} s: {sealing.error or 'it is not known why'}"
