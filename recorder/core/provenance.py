"""Where in a recording a part of a message came from: bytes, chunks, times."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from recorder.core.exchange import Chunk
from recorder.core.messages import Ranges


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a part.

    :ivar ranges: ``(first byte, byte after the last)`` in the decoded body: whole events, lines or frames.
    :ivar first_chunk: number of the first chunk that has a byte of them, from 1; None where the content coding does
        not let it be told.
    :ivar last_chunk: number of the last one.
    :ivar first_ns: when the first arrived, nanoseconds from the request.
    :ivar last_ns: when the last arrived.
    """

    ranges: Ranges
    first_chunk: int | None = None
    last_chunk: int | None = None
    first_ns: int | None = None
    last_ns: int | None = None


class Arrivals:
    """When which byte of a decoded body arrived.

    :param chunks: the chunks of the body.
    :param ends: how much of the decoded body was there after each; None where that is not known.
    :param origin_ns: the monotonic clock when the request was sent; None where the times of the chunks are not known.
    """

    def __init__(self, chunks: Sequence[Chunk], ends: Sequence[int] | None, origin_ns: int | None) -> None:
        self._chunks = chunks
        self._ends = ends
        self._origin_ns = origin_ns

    def of(self, ranges: Ranges) -> Provenance | None:
        """Return where *ranges* came from; None where there are none."""
        if not ranges:
            return None
        if not self._ends:
            return Provenance(ranges)
        last = len(self._ends) - 1
        first = min(bisect_right(self._ends, ranges[0][0]), last)
        final = min(bisect_left(self._ends, ranges[-1][1]), last)
        if self._origin_ns is None:
            return Provenance(ranges, first + 1, final + 1)
        origin_ns = self._origin_ns
        times = (self._chunks[at].mono_ns - origin_ns for at in (first, final))
        return Provenance(ranges, first + 1, final + 1, *times)
