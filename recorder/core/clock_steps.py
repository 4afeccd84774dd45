"""Steps of a host's wall clock, seen in the times of the events of one recorder process.

Every event has two times: the wall clock's, which whoever owns the host can set, and the monotonic clock's, which
nobody can. Within one process their difference stays what it is: on Linux both run at the same, corrected rate, and
elsewhere they part by no more than the slew that is allowed here. So where the difference jumps, the wall clock was
set (or the machine slept, during which the monotonic clock of Linux stands still: that goes forward only).

Events may come in any order: readings are gathered by minutes of the monotonic clock, in each as *levels* of the
difference. The two clocks are not read in one moment; a process that is stopped in between makes a reading that fits
to nothing around it. Such a lone reading is no step, it is counted. Memory grows with minutes, not with events.

A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from recorder.core.seal_times import Untimely
from recorder.core.utc_text import rfc3339

#: Below this, a step is not told from a reading that was held up: a quarter of a second.
STEP_NS: Final = 250_000_000
#: The fastest that a clock is slewed: MAXFREQ of Linux, see adjtimex(2).
SLEW_PPM: Final = 500
_MINUTE: Final = 60_000_000_000
_MOST_LEVELS: Final = 1000  # of a minute: no clock is set more often, and whoever made them up is found by these


class Timed(Protocol):
    """What is looked at of an event."""

    @property
    def stream(self) -> bytes:
        """Its event stream, 16 bytes; with *version* its place."""
        ...

    @property
    def version(self) -> int:
        """See *stream*."""
        ...

    @property
    def instance(self) -> bytes:
        """The process that wrote it, 16 bytes."""
        ...

    @property
    def wall_ns(self) -> int:
        """What the wall clock said, UTC nanoseconds."""
        ...

    @property
    def mono_ns(self) -> int:
        """What the monotonic clock of the process said, nanoseconds."""
        ...


@dataclass
class _Level:
    """Readings of one minute whose differences are about the same."""

    offset: int
    first_mono: int
    last_mono: int
    stream: bytes
    version: int
    readings: int = 1

    @property
    def first_wall(self) -> int:
        return self.first_mono + self.offset

    def take(self, event: Timed) -> None:
        self.readings += 1
        if event.mono_ns < self.first_mono:
            self.first_mono, self.stream, self.version = event.mono_ns, event.stream, event.version
        elif event.mono_ns > self.last_mono:
            self.last_mono = event.mono_ns

    def as_json(self) -> list[Any]:
        return [self.offset, self.first_mono, self.last_mono, self.readings, self.stream.hex(), self.version]

    def join(self, other: _Level) -> None:
        self.readings += other.readings
        self.last_mono = max(self.last_mono, other.last_mono)
        if other.first_mono < self.first_mono:
            self.first_mono, self.stream, self.version = other.first_mono, other.stream, other.version


@dataclass(frozen=True)
class Step:
    """The wall clock was set while a recorder process ran.

    :ivar instance: the process, 16 bytes.
    :ivar by_ns: by how much; negative where it was set back.
    :ivar stream: of the first event after it, 16 bytes; ``version`` likewise.
    :ivar wall_ns: what that event says the time was.
    """

    instance: bytes
    by_ns: int
    stream: bytes
    version: int
    wall_ns: int

    def as_untimely(self) -> Untimely:
        """Return it as whoever checks reports it: kind ``clock``."""
        seconds = f"{abs(self.by_ns) / 1e9:,.3f} s"
        way = f"set back by {seconds}" if self.by_ns < 0 else f"set forward by {seconds}, or the host slept"
        told = f"the host's clock was stepped before this event, which says {rfc3339(self.wall_ns)}: {way}"
        return Untimely(self.stream, self.version, "wall_ns", "clock", told)


@dataclass
class ClockReadings:
    """Gathers the times of events; tells where a wall clock was stepped.

    :ivar step_ns: the smallest step that is told.
    :ivar slew_ppm: how far the two clocks may part, in millionths of the time that goes by.
    :ivar lone: readings that fit to nothing around them, known after :meth:`steps`.
    """

    step_ns: int = STEP_NS
    slew_ppm: int = SLEW_PPM
    lone: int = 0
    _minutes: dict[bytes, dict[int, list[_Level]]] = field(default_factory=dict)
    # What the event before had: almost always this one's, too.
    _instance: bytes = b""
    _minute: int = -1
    _level: _Level | None = None

    def take(self, event: Timed) -> None:
        """Take the times of an event; of any process, in any order."""
        minute = event.mono_ns // _MINUTE
        level = self._level
        if (
            level is None
            or minute != self._minute
            or event.instance != self._instance
            or not self._about(level, event.wall_ns - event.mono_ns)
        ):
            level = self._found(event, minute)
            self._instance, self._minute, self._level = event.instance, minute, level
            return
        level.take(event)

    def window(self) -> tuple[int, int]:
        """Return between which differences of its two clocks an event says nothing new, just after the last one."""
        offset = 0 if self._level is None else self._level.offset
        return offset - self.step_ns // 2, offset + self.step_ns // 2

    def merge(self, other: ClockReadings) -> None:
        """Take what another one gathered; of any processes."""
        for instance, minutes in other._minutes.items():
            mine = self._minutes.setdefault(instance, {})
            for minute, levels in minutes.items():
                known = mine.setdefault(minute, [])
                for level in levels:
                    same = next((one for one in known if self._about(one, level.offset)), None)
                    if same is None:
                        known.append(level)
                    else:
                        same.join(level)

    def as_json(self) -> list[list[Any]]:
        """Return what was gathered as JSON has it."""
        return [
            [
                instance.hex(),
                minute,
                one.offset,
                one.first_mono,
                one.last_mono,
                one.readings,
                one.stream.hex(),
                one.version,
            ]
            for instance, minutes in self._minutes.items()
            for minute, levels in minutes.items()
            for one in levels
        ]

    @classmethod
    def from_json(cls, told: list[list[Any]]) -> ClockReadings:
        """Return what :meth:`as_json` made this of."""
        made = cls()
        for instance, minute, offset, first, last, readings, stream, version in told:
            level = _Level(offset, first, last, bytes.fromhex(stream), version, readings)
            made._minutes.setdefault(bytes.fromhex(instance), {}).setdefault(minute, []).append(level)
        return made

    def _about(self, level: _Level, offset: int) -> bool:
        return -self.step_ns <= 2 * (offset - level.offset) <= self.step_ns

    def _found(self, event: Timed, minute: int) -> _Level:
        levels = self._minutes.setdefault(event.instance, {}).setdefault(minute, [])
        offset = event.wall_ns - event.mono_ns
        for level in levels:
            if self._about(level, offset):
                level.take(event)
                return level
        if len(levels) < _MOST_LEVELS:
            levels.append(_Level(offset, event.mono_ns, event.mono_ns, event.stream, event.version))
        return levels[-1]

    def steps(self) -> list[Step]:
        """Return every step that the readings show, by process and in the order of its time."""
        self.lone = 0
        return [step for instance in sorted(self._minutes) for step in self._steps_of(instance)]

    def _steps_of(self, instance: bytes) -> Iterator[Step]:
        levels = self._in_order(self._minutes[instance])
        if not levels:
            return
        last = since = levels[0]
        for at, level in enumerate(levels[1:], 1):
            if level.readings == 1 and self._held_up(last, level, levels[at + 1 :]):
                self.lone += 1
                continue
            # Against the reading before, and against the first since the last step: many small steps are one, too.
            from_last, from_first = level.offset - last.offset, level.offset - since.offset
            if abs(from_last) > self._allowed(last, level) or abs(from_first) > self._allowed(since, level):
                stepped = max(from_last, from_first, key=abs)
                yield Step(instance, stepped, level.stream, level.version, level.first_wall)
                since = level
            last = level

    def _in_order(self, minutes: dict[int, list[_Level]]) -> list[_Level]:
        kept = []
        for minute in sorted(minutes):
            for level in sorted(minutes[minute], key=lambda each: each.first_mono):
                inside = (one.first_mono < level.first_mono < one.last_mono for one in minutes[minute])
                if level.readings == 1 and any(inside):
                    self.lone += 1
                else:
                    kept.append(level)
        return kept

    def _held_up(self, before: _Level, lone: _Level, after: list[_Level]) -> bool:
        """Whether a single reading stands out between two that agree with each other and not with it."""
        return bool(after) and (
            abs(lone.offset - before.offset) > self._allowed(before, lone)
            and abs(after[0].offset - before.offset) <= self._allowed(before, after[0])
        )

    def _allowed(self, before: _Level, after: _Level) -> int:
        return self.step_ns + abs(after.first_mono - before.first_mono) * self.slew_ppm // 1_000_000
