"""Between which times something was recorded, and how far that is proved.

An event says itself when it was (``wall_ns``), and whoever holds the key of the log can write there what he likes.
What bounds it is in the ledger:

* *Ceiling.* The event is sealed by a leaf, the leaf is in every checkpoint that is larger than its number, and a time
  stamp over such a checkpoint, made by somebody else, says that all of it was there at that time.
* *Floor.* The journal holds the digest of that time stamp (``anchored``), which nobody knows before it is made. What
  is sealed after that journal entry was sealed after the time stamp.

Between two time stamps stands the log's own clock (``sealed_ns``), which must go forward and agree with them. A
recorder seals within a second or so what it records: an event that says to be far older than its seal was written
later than it says, or lay in a spool, or was imported, or is of a time before the ledger. Whoever runs the audit says
what explains it (:class:`Late`): a journal, or its own age, which nothing proves. What is not explained, or is by
somebody who has not the ledger's key where that would have to sign it, is a finding, ``back_dated``.

No time stamp proves that there is no second history: two can be stamped at once.

A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal, NamedTuple

from recorder.core.clock_steps import Timed
from recorder.core.seal_times import SealedLeaf, SealTimes, Untimely
from recorder.core.utc_text import rfc3339

#: How long after an event its seal may come, in nanoseconds.
SEAL_LAG_NS: Final = 60_000_000_000
_SAY_WHY: Final = " (then whoever has the key can say why: `recorder seal --late`)"
_FOR_EVER: Final = 1 << 80  # nanoseconds that no clock shows


Kept = Literal["stamped", "unstamped", "unsealed"]


class Late(NamedTuple):
    """Why events of a stream were sealed long after the time that they say.

    :ivar told: in words, as a sentence's end.
    :ivar by: ``journal``: one tells so; ``age``: they say to be older than the ledger; ``nobody``: a journal tells so
        whose word it is not without a signature, so that it explains nothing.
    :ivar until: version of the last event that it is said of; None: it is said of all.
    """

    told: str
    by: Literal["journal", "age", "nobody"] = "journal"
    until: int | None = None

    def explains(self, version: int) -> bool:
        """Whether it explains that an event was sealed late."""
        return self.by != "nobody" and (self.until is None or version <= self.until)


_BROUGHT: Final = {"import": "it was imported", "copy": "it was copied from another store"}
_MILLISECOND: Final = 1_000_000


def reason_of(
    stream: bytes,
    began_ns: int | None,
    *,
    brought: Collection[str],
    died: bool,
    ended_elsewhere: bool,
    vouched: Late | None,
    unsigned: bool,
) -> Late | None:
    """Return the first that explains why a stream was sealed late; None where nothing does.

    :param stream: its id, a UUIDv7.
    :param began_ns: when the ledger was begun, UTC nanoseconds; None: that is not known.
    :param brought: ``import``, ``copy``: how it came here, as a journal says for which a key that counts has signed.
    :param died: its process did.
    :param ended_elsewhere: the journal of another process tells of it, too.
    :param vouched: what somebody with the ledger's key says.
    :param unsigned: a journal says that it was brought, and nobody has signed that.
    """
    for kind, told in _BROUGHT.items():
        if kind in brought:
            return Late(told)
    if died:
        return Late("its process had died")
    if ended_elsewhere:
        return Late("another process ended it")
    if began_ns is not None and int.from_bytes(stream[:6], "big") * _MILLISECOND < began_ns:
        return Late("it is older than the ledger", "age")
    if vouched is not None:
        return vouched
    if unsigned:
        return Late("a journal says that it was imported or copied, and no key of the ledger signed that", "nobody")
    return None


class Bounds:
    """Gathers how the events of a store are bounded in time: leaves first, then stream by stream.

    :param seals: with the time stamps.
    :param seal_lag_ns: how long after an event its seal may come.
    :ivar kept: number of events under a time stamp (``stamped``), sealed but under none yet (``unstamped``), and
        not sealed yet (``unsealed``).
    :ivar late: events that were sealed late, for a reason that a journal gives; ``older``: that say to be older than
        the ledger.
    :ivar found: whether anything was a finding.
    """

    def __init__(self, seals: SealTimes, *, seal_lag_ns: int = SEAL_LAG_NS) -> None:
        self.seals = seals
        self.seal_lag_ns = seal_lag_ns
        self.kept: dict[Kept, int] = {"stamped": 0, "unstamped": 0, "unsealed": 0}
        self.late = self.older = 0
        self.found = False

    def leaf(self, leaf: SealedLeaf) -> list[Untimely]:
        """Check the next leaf of the log, see :meth:`SealTimes.take`."""
        found = self.seals.take(leaf)
        self.found |= bool(found)
        return found

    def stream(self, leaves: Sequence[SealedLeaf], late_because: Late | None = None) -> StreamBounds:
        """Return what checks the events of one stream.

        :param leaves: that seal it, in the order of their numbers.
        :param late_because: what is said of why events of it were sealed late; None where nothing is.
        """
        return StreamBounds(self, leaves, late_because)


class StreamBounds:
    """Checks the times of the events of one stream; feed them in order.

    Of each leaf the first event that is wrong is a finding, of either kind: one story, told once.
    """

    def __init__(self, bounds: Bounds, leaves: Sequence[SealedLeaf], late_because: Late | None) -> None:
        self._bounds = bounds
        self._leaves = iter(leaves)
        self._late_because = late_because
        self._leaf: SealedLeaf | None = None  # that first seals the events up to _length
        self._length = 0
        self._earliest, self._latest = -_FOR_EVER, _FOR_EVER
        self._told: set[str] = set()
        self._kept: Kept = "unsealed"

    @property
    def window(self) -> tuple[int, int, int]:
        """Up to which version all events have the same bounds, and those: none of them needs :meth:`take` within."""
        return self._length, self._earliest, self._latest

    @property
    def kept(self) -> Kept:
        """What holds of the events up to that version."""
        return self._kept

    def passed(self, count: int) -> None:
        """Take note of events within :attr:`window`."""
        self._bounds.kept[self._kept] += count

    def take(self, event: Timed) -> Untimely | None:
        """Check one event.

        :returns: kinds ``back_dated`` (it says to be older than its seal allows) and ``clock`` (newer).
        """
        if event.version > self._length:
            self._enter(event.version)
        self._bounds.kept[self._kept] += 1
        if self._earliest <= event.wall_ns <= self._latest or self._leaf is None:
            return None
        return self._look(event, self._leaf)

    def _enter(self, version: int) -> None:
        """Go to the leaf that first seals an event."""
        self._told.clear()
        leaf = self._leaf = next((leaf for leaf in self._leaves if leaf.length >= version), None)
        if leaf is None:
            self._length, self._kept = _FOR_EVER, "unsealed"
            return
        bounds = self._bounds
        floor, ceiling = bounds.seals.floor(leaf.number), bounds.seals.ceiling(leaf.number)
        self._length = leaf.length
        self._kept = "unstamped" if ceiling is None else "stamped"
        self._earliest = (leaf.sealed_ns if floor is None else max(leaf.sealed_ns, floor.at)) - bounds.seal_lag_ns
        stamped = leaf.sealed_ns if ceiling is None else min(leaf.sealed_ns, ceiling.not_after_ns)
        self._latest = stamped + bounds.seals.apart_ns

    def _look(self, event: Timed, leaf: SealedLeaf) -> Untimely | None:
        bounds = self._bounds
        kind, late = "back_dated" if event.wall_ns < self._earliest else "clock", self._late_because
        if kind == "back_dated" and late is not None and late.explains(event.version):
            bounds.late += late.by == "journal"
            bounds.older += late.by == "age"
            return None
        bounds.found = True
        if kind in self._told:
            return None
        self._told.add(kind)
        told = f"says that it was {rfc3339(event.wall_ns)}, but {self._against(kind, leaf)}"
        return Untimely(event.stream, event.version, "wall_ns", kind, told)

    def _against(self, kind: str, leaf: SealedLeaf) -> str:
        """Return what the time of an event contradicts, and what follows."""
        seals = self._bounds.seals
        against = f"leaf {leaf.number}, the first that seals it, was sealed {rfc3339(leaf.sealed_ns)}"
        if kind == "back_dated":
            floor = seals.floor(leaf.number)
            if floor is not None and floor.at >= leaf.sealed_ns:
                against = f"it was sealed after a time stamp by {floor.by} of {rfc3339(floor.at)}"
            said = _SAY_WHY if self._late_because is None else f"; {self._late_because.told}"
            return f"{against}: it was written later than it says, or sealed late{said}"
        ceiling = seals.ceiling(leaf.number)
        if ceiling is not None and ceiling.not_after_ns <= leaf.sealed_ns:
            against = f"{ceiling.by} stamped it {rfc3339(ceiling.not_after_ns)}"
        return f"{against}: the clock of its host was ahead"
