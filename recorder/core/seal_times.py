"""The times of the ledger's leaves: do they go forward, and do they agree with the time stamps of others?

What a leaf was made after and before is proved by time stamps over checkpoints, see
:mod:`recorder.core.clock_bounds`; what the log's own clock says of it has to lie in between.

A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Final, NamedTuple

from recorder.core.utc_text import rfc3339

#: How far the clocks of two hosts may be apart, in nanoseconds.
APART_NS: Final = 2_000_000_000


class Untimely(NamedTuple):
    """What is wrong with a time; whoever checks makes a finding of it.

    :ivar stream: whose time it is, 16 bytes; *version*: up to which event, or of which.
    :ivar field: the time that is wrong: ``wall_ns`` or ``sealed_ns``.
    :ivar kind: ``clock`` or ``back_dated``.
    :ivar detail: one sentence.
    """

    stream: bytes
    version: int
    field: str
    kind: str
    detail: str


class SealedLeaf(NamedTuple):
    """What bounds need of a leaf of the ledger.

    :ivar number: from 0.
    :ivar stream: the event stream whose head it seals, 16 bytes.
    :ivar length: events of the stream up to that head.
    :ivar sealed_ns: when, by the clock of whoever sealed it, UTC nanoseconds.
    """

    number: int
    stream: bytes
    length: int
    sealed_ns: int


class TimeStamp(NamedTuple):
    """A time stamp over a checkpoint that was verified against a root which the auditor trusts.

    :ivar size: leaves of the checkpoint.
    :ivar not_before_ns: the earliest time at which it was made: its time less its accuracy, UTC nanoseconds.
    :ivar not_after_ns: the latest time at which it was made.
    :ivar by: who made it, for people.
    :ivar known_in: number of the leaf that seals the journal's event with its digest; None where there is none.
    """

    size: int
    not_before_ns: int
    not_after_ns: int
    by: str
    known_in: int | None = None


class Floor(NamedTuple):
    """What a leaf was certainly made after: the time stamp ``at``, made by ``by``, whose digest ``leaf`` seals."""

    leaf: int
    at: int
    by: str


class SealTimes:
    """Checks the times of the leaves against each other and against time stamps.

    :param stamps: verified time stamps, in any order.
    :param apart_ns: how far the clocks of hosts, and of whoever stamps, may be apart.
    """

    def __init__(self, stamps: Iterable[TimeStamp] = (), *, apart_ns: int = APART_NS) -> None:
        self.apart_ns = apart_ns
        by_size = sorted(stamps, key=lambda each: each.size)
        self.newest = by_size[-1] if by_size else None
        self._sizes = [one.size for one in by_size]
        self._ceilings = list(accumulate(reversed(by_size), _earlier))[::-1]
        known = [Floor(one.known_in, one.not_before_ns, one.by) for one in by_size if one.known_in is not None]
        known.sort()
        self._known_in = [one.leaf for one in known]
        self._floors = list(accumulate(known, _later))
        self._latest: SealedLeaf | None = None

    def floor(self, number: int) -> Floor | None:
        """Return what a leaf was certainly made after: the newest time stamp that an earlier leaf knows of."""
        at = bisect_left(self._known_in, number)
        return self._floors[at - 1] if at else None

    def ceiling(self, number: int) -> TimeStamp | None:
        """Return the earliest time stamp over a checkpoint that holds a leaf."""
        at = bisect_right(self._sizes, number)
        return self._ceilings[at] if at < len(self._ceilings) else None

    def take(self, leaf: SealedLeaf) -> list[Untimely]:
        """Check the next leaf of the log; they come in the order of their numbers.

        :returns: what is wrong with its time, kinds ``clock`` and ``back_dated``.
        """
        found = []
        before = self._latest
        if before is not None and leaf.sealed_ns < before.sealed_ns - self.apart_ns:
            told = f"leaf {before.number}, before it, was sealed {rfc3339(before.sealed_ns)}"
            found.append(self._finding(leaf, "back_dated", told))
        if before is None or leaf.sealed_ns > before.sealed_ns:
            self._latest = leaf
        floor, ceiling = self.floor(leaf.number), self.ceiling(leaf.number)
        if floor is not None and leaf.sealed_ns < floor.at - self.apart_ns:
            told = (
                f"leaf {floor.leaf}, before it, holds the digest of a time stamp by {floor.by} of {rfc3339(floor.at)}"
            )
            found.append(self._finding(leaf, "back_dated", told))
        if ceiling is not None and leaf.sealed_ns > ceiling.not_after_ns + self.apart_ns:
            told = f"{ceiling.by} stamped it {rfc3339(ceiling.not_after_ns)}, which is earlier"
            found.append(self._finding(leaf, "clock", told))
        return found

    @staticmethod
    def _finding(leaf: SealedLeaf, kind: str, against: str) -> Untimely:
        told = f"leaf {leaf.number} says that it was sealed {rfc3339(leaf.sealed_ns)}, but {against}"
        return Untimely(leaf.stream, leaf.length, "sealed_ns", kind, told)


def _earlier(one: TimeStamp, other: TimeStamp) -> TimeStamp:
    return other if other.not_after_ns <= one.not_after_ns else one


def _later(one: Floor, other: Floor) -> Floor:
    return other if other.at >= one.at else one
