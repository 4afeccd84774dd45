"""Whether the times in a bundle agree with each other: those of its events, and those at which they were sealed.

It is what ``recorder verify`` asks of a store, by the same rules: clocks of hosts that were set, leaves that go back,
and events that say to be older, or newer, than the leaf that first seals them allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from recorder.core.clock_bounds import Bounds, Late, StreamBounds
from recorder.core.clock_steps import ClockReadings
from recorder.core.seal_times import SealedLeaf, SealTimes, Untimely
from recorder.ledger.standalone.findings import Findings
from recorder.ledger.standalone.log import Sealed
from recorder.ledger.standalone.records import Entry
from recorder.ledger.standalone.streams import StreamSummary

_UNSEEN = "an earlier leaf of it is not here, which may have sealed it in time"


class Times:
    """Takes the events of all event streams, one stream after the other; then tells what is wrong with their times.

    :param seals: of the leaves.
    :param own: the leaves of each event stream that are here.
    :ivar late: of how many events something tells why they were sealed late, by that.
    :ivar excused: what is wrong, and no finding: the bundle was made when it did not have to bring what explains it.
    """

    def __init__(self, seals: SealTimes, own: Callable[[bytes], Sequence[Sealed]], findings: Findings) -> None:
        self._seals, self._own, self._findings = seals, own, findings
        self._clocks = ClockReadings()
        self._current: _OneStream | None = None
        self._is_recorded = True
        self._unexplained: list[StreamSummary] = []
        self.late: dict[str, int] = {}
        self.excused: list[str] = []

    def take(self, summary: StreamSummary, entry: Entry) -> None:
        """Take the next event of a stream; its journals need not be known yet."""
        if self._current is None or self._current.summary is not summary:
            self._current = _OneStream(summary, Bounds(self._seals), self._own(summary.stream), None)
            self._is_recorded = entry.type != "imported"  # else its clock is what a file told
        if self._is_recorded:
            self._clocks.take(entry)
        self._current.take(entry)

    def end(self) -> None:
        """Take note that this was the last event of a stream that is here."""
        current, self._current = self._current, None
        if current is None:
            return
        if any(one.kind == "back_dated" for one in current.found):
            self._unexplained.append(current.summary)
        else:
            for one in current.found:
                self._findings.untimely(one)

    def settle(
        self,
        late_because: Callable[[bytes, bytes], Late | None],
        again: Callable[[bytes], Iterable[Entry]],
        excused: bool,
    ) -> None:
        """Look once more at what was sealed late, now that all journals were read; then at the clocks of hosts.

        :param late_because: tells what is said of why a stream was sealed late, by its id and that of its process.
        :param again: reads a stream again.
        :param excused: nothing had to explain it when the bundle was made.
        """
        for summary in self._unexplained:
            late, bounds = late_because(summary.stream, summary.instance), Bounds(self._seals)
            stream = _OneStream(summary, bounds, self._own(summary.stream), late)
            for entry in again(summary.stream):
                stream.take(entry)
            for one in stream.found:
                if excused and one.kind == "back_dated":
                    self.excused.append(one.detail)
                else:
                    self._findings.untimely(one)
            if late is not None and bounds.late + bounds.older:
                self.late[late.told] = self.late.get(late.told, 0) + bounds.late + bounds.older
        for step in self._clocks.steps():
            self._findings.untimely(step.as_untimely())


class _OneStream:
    """Checks the events of one stream.

    Where an earlier leaf of it is not here, its first one that is need not be the one that first sealed them: no event
    up to there can be too old.
    """

    def __init__(self, summary: StreamSummary, bounds: Bounds, leaves: Sequence[Sealed], late: Late | None) -> None:
        self.summary = summary
        self.found: list[Untimely] = []
        sealed = [SealedLeaf(leaf.number, leaf.stream, leaf.length, leaf.sealed_ns) for leaf in leaves]
        hidden = 1 if leaves and leaves[0].before else 0
        self._upto = sealed[0].length if hidden else 0
        self._before: StreamBounds = Bounds(bounds.seals).stream(sealed[:hidden], Late(_UNSEEN))
        self._bounds = bounds.stream(sealed[hidden:], late)

    def take(self, entry: Entry) -> None:
        found = (self._before if entry.version <= self._upto else self._bounds).take(entry)
        if found is not None:
            self.found.append(found)
