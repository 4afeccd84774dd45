"""Anchoring while a program records: newest checkpoint first, beside everything else, again until it works.

Every anchor has a thread of its own, so that a slow one holds up no other. Only the newest checkpoint is anchored:
the log's tree grows, so what is proved of it is proved of all before. Whoever seals calls :meth:`Anchoring.offer`,
which does nothing but remember; what fails is told by :meth:`Anchoring.health` and tried again, ever more seldom.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recorder.clock import Clock
from recorder.errors import RecorderError
from recorder.ledger.anchors import Anchor
from recorder.ledger.anchors.base import checkpoint_of
from recorder.store.base import Anchored

_log: Final = logging.getLogger("recorder")
#: Seconds until the first and, doubled each time, until the last of further attempts.
RETRY_S: Final = (1.0, 300.0)
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """What was left outside of one checkpoint.

    :ivar anchor: name of the anchor.
    :ivar size: leaves of the checkpoint.
    :ivar root: root of its tree, 32 bytes.
    :ivar made_ns: when, UTC nanoseconds.
    :ivar evidence: what the anchor gave.
    """

    anchor: str
    size: int
    root: bytes
    made_ns: int
    evidence: bytes

    @property
    def facts(self) -> dict[str, Any]:
        """What the journal's event ``anchored`` says of it."""
        digest = hashlib.sha256(self.evidence).hexdigest()
        return {"anchor": self.anchor, "size": self.size, "root": self.root.hex(), "evidence_sha256": digest}

    def kept_as(self, identity: bytes) -> Anchored:
        """Return what the store keeps of it.

        :param identity: a new id, 16 bytes.
        """
        return Anchored(identity, self.size, self.anchor, self.made_ns, self.evidence)


#: Keeps a trace: in the table ``anchors`` and in the journal. What it raises is told, and all of it tried again.
Keep = Callable[[Trace], None]


@dataclass(frozen=True, slots=True)
class AnchorHealth:
    """How an anchor does.

    :ivar anchor: its name.
    :ivar size: leaves of the last checkpoint that was anchored there; None where none was.
    :ivar waiting_since_ns: when the oldest checkpoint was offered that is not anchored there, UTC nanoseconds; None
        where all are.
    :ivar failures: attempts that failed since the last that did not.
    :ivar error: what the last one failed with.
    """

    anchor: str
    size: int | None = None
    waiting_since_ns: int | None = None
    failures: int = 0
    error: str | None = None


def leave(anchor: Anchor, note: bytes, clock: Clock) -> Trace:
    """Leave a trace of a checkpoint, now.

    :param note: the signed note.
    :raises AnchorFailed: the anchor cannot be reached, or did not do what it should.
    """
    checkpoint = checkpoint_of(note)
    evidence = anchor.leave(note)
    return Trace(anchor.name, checkpoint.size, checkpoint.root, clock.wall_ns(), evidence)


class Anchoring:
    """Anchors what is offered, each anchor in its own time; safe to use from several threads and after a fork.

    :param anchors: where to.
    :param keep: keeps each trace; called in the threads of the anchors.
    :param clock: where time comes from.
    :param anchored: size of the last checkpoint by the name of the anchor, of earlier processes.
    :param retry_s: seconds until the first and until the last of further attempts.
    """

    def __init__(
        self,
        anchors: Sequence[Anchor],
        keep: Keep,
        clock: Clock,
        *,
        anchored: Mapping[str, int] | None = None,
        retry_s: tuple[float, float] = RETRY_S,
    ) -> None:
        sizes = anchored or {}
        self._clock = clock
        self._pid = os.getpid()
        self._made_of = [(one, keep, clock, sizes.get(one.name), retry_s) for one in anchors]
        self._beside = [_Beside(*each) for each in self._made_of]

    def offer(self, note: str) -> None:
        """Tell of the newest checkpoint; returns at once and never fails."""
        if os.getpid() != self._pid:  # the threads stayed with the parent
            self._pid, self._beside = os.getpid(), [_Beside(*each) for each in self._made_of]
        data = note.encode()
        for one in self._beside:
            one.offer(data)

    def health(self) -> tuple[AnchorHealth, ...]:
        """Return how each anchor does, in the order in which they were given."""
        return tuple(one.health() for one in self._beside)

    def close(self, patience_s: float) -> None:
        """Anchor what is not anchored yet, one attempt each, and end; closing twice is fine.

        :param patience_s: seconds to wait for that in all; what is not done then is told, and left undone.
        """
        if os.getpid() != self._pid:
            return
        for one in self._beside:
            one.end()
        deadline = self._clock.monotonic_ns() + int(patience_s * _SECOND)
        for one in self._beside:  # they are at work side by side
            one.join(max(deadline - self._clock.monotonic_ns(), 0) / _SECOND)
        if left := [one.name for one in self._beside if one.owes]:
            told = "recorder: the last checkpoint is not anchored at %s: the next recorder on this store does it"
            _log.warning(told, ", ".join(left))


class _Beside:
    """One anchor and its thread, which is started by the first checkpoint."""

    def __init__(
        self, anchor: Anchor, keep: Keep, clock: Clock, anchored: int | None, retry_s: tuple[float, float]
    ) -> None:
        self._anchor, self._keep, self._clock, self._retry_s = anchor, keep, clock, retry_s
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._newest: bytes | None = None  # offered, and not anchored
        self._health = AnchorHealth(anchor.name, anchored)
        self._due_ns = 0
        self._ending = self._given_up = False

    def offer(self, note: bytes) -> None:
        with self._changed:
            if self._ending:
                return
            since = self._health.waiting_since_ns
            self._newest = note
            self._told(waiting_since_ns=self._clock.wall_ns() if since is None else since)
            if self._thread is None:
                name = f"recorder-anchor-{self._anchor.name.partition(':')[0]}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def health(self) -> AnchorHealth:
        with self._changed:
            return self._health

    @property
    def name(self) -> str:
        return self._anchor.name

    @property
    def owes(self) -> bool:
        with self._changed:
            return self._newest is not None

    def end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        if self._thread is None:
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._given_up = True
            self._anchor.give_up()

    def _told(self, **changed: Any) -> None:
        have = self._health
        values = {name: getattr(have, name) for name in AnchorHealth.__slots__} | changed
        self._health = AnchorHealth(**values)

    def _run(self) -> None:
        while (note := self._next()) is not None:
            self._attempt(note)
            with self._changed:
                if self._given_up or (self._ending and self._newest in (None, note)):
                    return

    def _next(self) -> bytes | None:
        """Return the checkpoint that is due, as soon as one is; None at the end."""
        with self._changed:
            while not self._ending:
                left = (self._due_ns - self._clock.monotonic_ns()) / _SECOND
                if self._newest is not None and left <= 0:
                    break
                self._changed.wait(left if self._newest is not None else None)
            return self._newest

    def _attempt(self, note: bytes) -> None:
        try:
            trace = leave(self._anchor, note, self._clock)
            self._keep(trace)
        except Exception as error:  # noqa: BLE001 - whatever an anchor or a store raises, it is told and tried again
            self._failed(error)
            return
        with self._changed:
            self._due_ns = self._clock.monotonic_ns() + int(self._anchor.every_s * _SECOND)
            if self._newest == note:
                self._newest = None
            since = None if self._newest is None else self._clock.wall_ns()
            self._told(size=trace.size, waiting_since_ns=since, failures=0, error=None)

    def _failed(self, error: Exception) -> None:
        told = str(error) if isinstance(error, RecorderError) else f"{type(error).__name__}: {error}"
        first, last = self._retry_s
        with self._changed:
            failures = self._health.failures + 1
            wait = min(first * 2 ** min(failures - 1, 30), last)
            self._due_ns = self._clock.monotonic_ns() + int(wait * _SECOND)
            self._told(failures=failures, error=told)
        if failures == 1 and not self._given_up:
            _log.warning("%s; recording goes on, it is tried again", told)
