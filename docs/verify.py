#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verifies evidence bundles of recorder with nothing but Python 3.9 or newer: nothing is installed, nothing is sent.

    python verify.py evidence.zip --key FINGERPRINT

Get the fingerprint from whoever signs, by another way than the bundle. Whoever made the bundle could also have changed
this file: take it from the project (docs/verify.py) where that matters. Of recorder 0.1.0.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import math
import os
import re
import struct
import sys
import uuid
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple, Protocol

# --------------------------------------------------------------------------------------------------------------
# ed25519
#
# Ed25519 signatures are verified here with nothing but integers (RFC 8032 §5.1.7).
#
# Verifying a recording must need nothing that has to be installed. Signing is left to a library: it has to keep a
# secret, and this code does not run in constant time.
#
# Strict, so that a signature has one form and a key means one thing:
#
# - S must be below the group's order (§5.1.7, step 1), and the encodings of A and R canonical: a y below the field's
#   prime, and no sign on an x of 0 (§5.1.3).
# - The equation is the one without the cofactor, [S]B = R + [k]A, as OpenSSL and Go have it. R is compared as bytes
#   with what the other side of the equation encodes to, which leaves no room for another encoding of it.
# - A key of small order is refused: for such a one there are signatures that fit many messages.
# --------------------------------------------------------------------------------------------------------------


_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_D2: Final = 2 * _D % _P
_ROOT_OF_MINUS_1: Final = pow(2, (_P - 1) // 4, _P)
_BASE_Y: Final = 4 * pow(5, -1, _P) % _P

#: Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z.
_Point = tuple[int, int, int, int]
_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether *signature* is that of *message* by the key *public*.

    :param public: 32 bytes.
    :param signature: 64 bytes.
    """
    if len(signature) != 64:
        return False
    point = _decoded(public)
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or scalar >= _ORDER or _is_small(point):
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    factor = int.from_bytes(hashed, "little") % _ORDER
    x, y, z, t = point
    return _encoded(_sum_of_multiples(scalar, factor, (_P - x, y, z, _P - t))) == signature[:32]


def is_sound(public: bytes) -> bool:
    """Return whether *public* is a key that :func:`verify` can accept a signature of."""
    point = _decoded(public)
    return point is not None and not _is_small(point)


def _decoded(encoded: bytes) -> _Point | None:
    """Return the point that 32 bytes stand for; None where they stand for none (§5.1.3)."""
    if len(encoded) != 32:
        return None
    number = int.from_bytes(encoded, "little")
    return _with_y(number & (1 << 255) - 1, number >> 255)


def _with_y(y: int, sign: int) -> _Point | None:
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    square = v * x * x % _P
    if square == -u % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
    elif square != u:
        return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _encoded(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _is_small(point: _Point) -> bool:
    """Return whether the point's order divides the cofactor, 8."""
    x, y, z, _ = _doubled(_doubled(_doubled(point)))
    return x == 0 and y == z


def _added(first: _Point, second: _Point) -> _Point:
    """Return the sum (§5.1.4; complete: it holds for all points)."""
    x1, y1, z1, t1 = first
    x2, y2, z2, t2 = second
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = t1 * _D2 % _P * t2 % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _doubled(point: _Point) -> _Point:
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h = a + b
    e = h - (x + y) * (x + y) % _P
    g = a - b
    f = 2 * z * z % _P + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiples(point: _Point) -> list[_Point]:
    """Return the point times 0 to 15."""
    found = [_NEUTRAL, point]
    while len(found) < 16:
        found.append(_added(found[-1], point))
    return found


@cache
def _multiples_of_base() -> list[_Point]:
    base = _with_y(_BASE_Y, 0)
    assert base is not None
    return _multiples(base)


def _sum_of_multiples(scalar: int, factor: int, point: _Point) -> _Point:
    """Return [scalar]B + [factor]point, four bits of both at a time (Straus)."""
    of_base, of_point = _multiples_of_base(), _multiples(point)
    total = _NEUTRAL
    for shift in range(252, -1, -4):
        if total is not _NEUTRAL:
            total = _doubled(_doubled(_doubled(_doubled(total))))
        if digit := scalar >> shift & 15:
            total = _added(total, of_base[digit])
        if digit := factor >> shift & 15:
            total = _added(total, of_point[digit])
    return total


# --------------------------------------------------------------------------------------------------------------
# authority
#
# On whose word something was erased, as its record tells it and as all that shows it says it.
#
# Keeps to the standard library and to the syntax of Python 3.9: it is a part of the stand-alone verifier.
# --------------------------------------------------------------------------------------------------------------


_OTHERS = {"approved_by": "approved by", "vouched_by": "vouched for by"}


def on_whose_word(record: Mapping[str, Any]) -> str:
    """Return who erased something, who approved of it and vouches for it, what it overrode, and the ground.

    :param record: facts of a ``payload_erased``; the text is as safe to show as they are.
    """
    told = [f"by {record.get('by', 'nobody who is named')}"]
    told += (f"{word} {record[name]}" for name, word in _OTHERS.items() if name in record)
    over = record.get("overrides")
    if isinstance(over, list) and over:
        told.append(f"in spite of {', '.join(map(str, over))}")
    return f"{', '.join(told)}: {record.get('ground', 'no ground is told')}"


# --------------------------------------------------------------------------------------------------------------
# link_words
#
# What is said of a link, an order say, by all that shows one: the tag that went with it, and its exchange's seal.
#
# A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
# --------------------------------------------------------------------------------------------------------------


TAG_SIZE = 20  # characters
_DEEPEST = 100
_UNITS = ((3_600_000_000_000, "h"), (60_000_000_000, "min"), (1_000_000_000, "s"))


def tag_of(leaf_hash: bytes) -> str:
    """Return the tag of the leaf with that hash: its first 100 bits in base32 (RFC 4648), in lower case."""
    return base64.b32encode(leaf_hash)[:TAG_SIZE].decode().lower()


def tag_told(tag: str, leaf: int | None, of: str = "") -> str:
    """Return what is known of a tag; the text is as safe to show as the tag is.

    :param leaf: number of the leaf whose hash begins so; None: none that is here.
    :param of: id of what that leaf seals, where that is not what the link rests on.
    """
    if leaf is None:
        return f"{tag}, which no seal here has"
    other = f", which seals something else than the link rests on: {of}" if of else ""
    return f"{tag}, of the seal at leaf {leaf}{other}"


def seal_told(lead_ns: int | None) -> str:
    """Return whether what a link rests on was sealed before it, and by how long, by the clock of whoever sealed.

    :param lead_ns: from the seal to the link, nanoseconds; None: it is not sealed.
    """
    if lead_ns is None:
        return "not sealed"
    return f"sealed {_span(lead_ns)} before the link" if lead_ns >= 0 else f"sealed {_span(-lead_ns)} AFTER the link"


def facts_told(facts: object) -> Iterator[tuple[str, str]]:
    """Yield the facts of a link as names and texts, neither of them safe to show as it is."""
    for name, value in facts.items() if isinstance(facts, Mapping) else ():
        told = value if isinstance(value, str) else json.dumps(showable(value), ensure_ascii=False)
        yield str(name), told


def showable(value: Any) -> Any:
    """Return a value of JSON as one that can be written again; in the place of one nested very deeply, a text."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in _inner(one)]
        if not level:
            return _finite(value)
    return "(nested too deeply to be shown)"


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _finite(value: Any) -> Any:
    """Return a value of JSON with numbers that JSON does not have (NaN) as their names."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return json.dumps(value) if isinstance(value, float) and not math.isfinite(value) else value


def _span(nanoseconds: int) -> str:
    for size, unit in _UNITS:
        if nanoseconds >= size:
            return f"{nanoseconds / size:,.2f} {unit}"
    return f"{nanoseconds / 1_000_000:,.3f} ms"


# --------------------------------------------------------------------------------------------------------------
# key_spelling
#
# The ways in which people write the fingerprint of a key down, read to them or copied out of something.
#
# A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
# --------------------------------------------------------------------------------------------------------------


FINGERPRINT_SIZE = 64  # hexadecimal digits
_LABEL = re.compile(r"(?<![0-9a-z])(?:fingerprint|sha-?256)(?![0-9a-z])|(?<![0-9a-z])0x", re.ASCII)
_APART = re.compile(r"[\s:;,.=\-\u2010-\u2015'\"\u2018-\u201f]")
_WHOLE = re.compile(f"(?:[0-9a-f]{{{FINGERPRINT_SIZE}}})+")
_GROUP = re.compile("[0-9A-Fa-f]{2,}")


def fingerprints_in(text: str) -> list[str]:
    """Return the fingerprints that a text is, each as 64 digits in lower case; none where it is something else.

    Capitals, blanks, colons, hyphens and quotation marks between the digits make no difference, nor do the words
    ``fingerprint`` and ``SHA256`` before them, or ``0x``.
    """
    digits = _APART.sub("", _LABEL.sub("", text.lower()))
    if not _WHOLE.fullmatch(digits):
        return []
    return [digits[at : at + FINGERPRINT_SIZE] for at in range(0, len(digits), FINGERPRINT_SIZE)]


def groups_joined(arguments: Iterable[str], option: str) -> list[str]:
    """Return arguments of a command line with a fingerprint that had no quotation marks made one argument.

    :param option: before a fingerprint, as ``--key``. What follows on it is joined while it is groups of digits and
        there are less than 64; so nothing else, a file for example, is taken for a part of it.
    """
    joined: list[str] = []
    wanted = 0  # digits that may still follow
    after_option = False
    for argument in arguments:
        told = argument[len(option) + 1 :] if argument.startswith(f"{option}=") else argument if after_option else ""
        if told:
            wanted = FINGERPRINT_SIZE - len(told) if _GROUP.fullmatch(told) else 0
            joined.append(argument)
        elif _GROUP.fullmatch(argument) and len(argument) <= wanted:
            wanted -= len(argument)
            joined[-1] += f" {argument}"
        else:
            wanted = 0
            joined.append(argument)
        after_option = argument == option
    return joined


# --------------------------------------------------------------------------------------------------------------
# utc_text
#
# A time as text, as everything that recorder writes has it.
#
# A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
# --------------------------------------------------------------------------------------------------------------


def rfc3339(wall_ns: int) -> str:
    """Return nanoseconds since 1970 as UTC text with nine decimals (RFC 3339)."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"  # noqa: UP017 - for 3.9


# --------------------------------------------------------------------------------------------------------------
# seal_times
#
# The times of the ledger's leaves: do they go forward, and do they agree with the time stamps of others?
#
# What a leaf was made after and before is proved by time stamps over checkpoints, see
# :mod:`recorder.core.clock_bounds`; what the log's own clock says of it has to lie in between.
#
# A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
# --------------------------------------------------------------------------------------------------------------


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


# --------------------------------------------------------------------------------------------------------------
# clock_steps
#
# Steps of a host's wall clock, seen in the times of the events of one recorder process.
#
# Every event has two times: the wall clock's, which whoever owns the host can set, and the monotonic clock's, which
# nobody can. Within one process their difference stays what it is: on Linux both run at the same, corrected rate, and
# elsewhere they part by no more than the slew that is allowed here. So where the difference jumps, the wall clock was
# set (or the machine slept, during which the monotonic clock of Linux stands still: that goes forward only).
#
# Events may come in any order: readings are gathered by minutes of the monotonic clock, in each as *levels* of the
# difference. The two clocks are not read in one moment; a process that is stopped in between makes a reading that fits
# to nothing around it. Such a lone reading is no step, it is counted. Memory grows with minutes, not with events.
#
# A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
# --------------------------------------------------------------------------------------------------------------


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


# --------------------------------------------------------------------------------------------------------------
# clock_bounds
#
# Between which times something was recorded, and how far that is proved.
#
# An event says itself when it was (``wall_ns``), and whoever holds the key of the log can write there what he likes.
# What bounds it is in the ledger:
#
# * *Ceiling.* The event is sealed by a leaf, the leaf is in every checkpoint that is larger than its number, and a time
#   stamp over such a checkpoint, made by somebody else, says that all of it was there at that time.
# * *Floor.* The journal holds the digest of that time stamp (``anchored``), which nobody knows before it is made. What
#   is sealed after that journal entry was sealed after the time stamp.
#
# Between two time stamps stands the log's own clock (``sealed_ns``), which must go forward and agree with them. A
# recorder seals within a second or so what it records: an event that says to be far older than its seal was written
# later than it says, or lay in a spool, or was imported, or is of a time before the ledger. Whoever runs the audit says
# what explains it (:class:`Late`): a journal, or its own age, which nothing proves. What is not explained, or is by
# somebody who has not the ledger's key where that would have to sign it, is a finding, ``back_dated``.
#
# No time stamp proves that there is no second history: two can be stamped at once.
#
# A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
# --------------------------------------------------------------------------------------------------------------


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


# --------------------------------------------------------------------------------------------------------------
# container
#
# The zip file of a bundle, in its only allowed form: each of its bytes follows from the files in it, or is checked.
#
# A zip has slack: comments, extra fields, dates, gaps between members, second headers that contradict the first, names
# that stand there twice. So this reads no zip in general. It takes a directory, makes from it the headers that there
# must be, and compares them with those that are there; and the last member, ``bundle.sha256``, is the SHA-256 of every
# byte before it, since deflate can say one thing in several ways.
# --------------------------------------------------------------------------------------------------------------


SEAL_NAME = "bundle.sha256"
MAX_MEMBERS = 65_000
MAX_NAME = 160
MAX_UNPACKED = 64 << 30
_PIECE = 1 << 16
_STORED, _DEFLATED = 0, 8
_DATE = 0x0021  # 1980-01-01, the first day that a zip can name
_MADE_BY = 0x0314  # Unix, for the file's mode
_MODE = 0o100644 << 16
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class Damaged(Exception):  # noqa: N818 - what it tells, not what it is
    """The file is no bundle, or not the one that was made; its text says where."""


class Member(NamedTuple):
    """One file of the zip; *start* is where its packed bytes begin."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int


def local_header(name: str, method: int, crc: int, packed: int, size: int) -> bytes:
    """Return what stands before a member's bytes (PKWARE APPNOTE 4.3.7)."""
    text = name.encode("ascii")
    return _LOCAL.pack(b"PK\3\4", 20, 0, method, 0, _DATE, crc, packed, size, len(text), 0) + text


def central_header(name: str, method: int, crc: int, packed: int, size: int, offset: int) -> bytes:
    """Return a member's line of the directory (4.3.12); *offset* is that of its local header."""
    text = name.encode("ascii")
    fields = (20, 0, method, 0, _DATE, crc, packed, size, len(text), 0, 0, 0, 0, _MODE, offset)
    return _CENTRAL.pack(b"PK\1\2", _MADE_BY, *fields) + text


def end_record(members: int, size: int, offset: int) -> bytes:
    """Return the last bytes of the zip (4.3.16): how many members, and where their directory stands."""
    return _END.pack(b"PK\5\6", 0, 0, members, members, size, offset, 0)


class Container:
    """The members of a bundle.

    :param file: opened for reading bytes; it must be seekable.
    :raises Damaged: anything in it is not as it has to be.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.members: dict[str, Member] = {}
        directory_at = self._read_directory()
        self._check_order(directory_at)
        self._check_seal()

    def _read_directory(self) -> int:
        total = self._file.seek(0, 2)
        tail = self._bytes(max(0, total - _END.size), _END.size)
        if len(tail) < _END.size or tail[:4] != b"PK\5\6":
            raise Damaged("the file does not end as a bundle does: it is cut off, something was added, or it is none")
        count, size, offset = map(int, _END.unpack(tail)[4:7])
        if tail != end_record(count, size, offset) or offset + size + _END.size != total:
            raise Damaged("the end of the zip is not in its only allowed form")
        if count > MAX_MEMBERS or size > count * (_CENTRAL.size + MAX_NAME):
            raise Damaged("the directory of the zip is larger than that of a bundle can be")
        found = self._bytes(offset, size)
        at = 0
        for _ in range(count):
            at = self._take(found, at)
        if at != len(found):
            raise Damaged("the directory of the zip has bytes that belong to no file")
        return offset

    def _take(self, directory: bytes, at: int) -> int:
        """Take one line of the directory; return where the next begins."""
        if len(directory) - at < _CENTRAL.size:
            raise Damaged("the directory of the zip is cut off")
        fields = _CENTRAL.unpack_from(directory, at)
        method, crc, packed, size, length, offset = fields[4], *fields[7:11], fields[16]
        end = at + _CENTRAL.size + length
        text = directory[at + _CENTRAL.size : end]
        name = text.decode("ascii", "replace")
        if length > MAX_NAME or not _NAME.fullmatch(name):
            raise Damaged("the zip has a file whose name no bundle has")
        if directory[at:end] != central_header(name, method, crc, packed, size, offset):
            raise Damaged(f"{name}: its line in the directory of the zip is not in the only allowed form")
        if name in self.members:
            raise Damaged(f"{name} is there twice")
        if method != (_STORED if name == SEAL_NAME else _DEFLATED) or (method == _STORED and packed != size):
            raise Damaged(f"{name} is not packed as it has to be")
        header = local_header(name, method, crc, packed, size)
        if self._bytes(offset, len(header)) != header:
            raise Damaged(f"{name}: what stands before it is not what the directory of the zip says")
        self.members[name] = Member(name, method, crc, packed, size, offset + len(header))
        return int(end)

    def _check_order(self, directory_at: int) -> None:
        names = list(self.members)
        if names[-1:] != [SEAL_NAME] or names[:-1] != sorted(names[:-1]):
            raise Damaged(f"the files are not in the order of their names, with {SEAL_NAME} at the end")
        if sum(member.size for member in self.members.values()) > MAX_UNPACKED:
            raise Damaged("unpacked, the files would be larger than those of a bundle can be")
        at = 0
        for member in self.members.values():
            header = len(local_header(*member[:5]))
            if member.start != at + header:
                raise Damaged(f"{member.name} does not begin where the file before it ends")
            at = member.start + member.packed
        if at != directory_at:
            raise Damaged("there are bytes between the last file and the directory of the zip")

    def _check_seal(self) -> None:
        sealed = self.members[SEAL_NAME]
        end = sealed.start - len(local_header(*sealed[:5]))
        digest = hashlib.sha256()
        for piece in self._pieces(0, end):
            digest.update(piece)
        if self._bytes(sealed.start, sealed.size) != digest.hexdigest().encode() + b"\n":
            raise Damaged("the bytes of the file are not those that were written: its SHA-256 is another one")
        if zlib.crc32(digest.hexdigest().encode() + b"\n") != sealed.crc:
            raise Damaged(f"{SEAL_NAME} fails its checksum")

    def _bytes(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def _pieces(self, offset: int, end: int) -> Iterator[bytes]:
        while offset < end:
            piece = self._bytes(offset, min(_PIECE, end - offset))
            if not piece:
                raise Damaged("the file became shorter while it was read")
            yield piece
            offset += len(piece)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in *folder*, in order."""
        return [name for name in self.members if name.startswith(folder + "/")]

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes, in pieces of at most 64 KiB.

        :raises Damaged: they are not what the directory of the zip says.
        """
        member = self.members[name]
        unpacker = zlib.decompressobj(-15)
        size, crc = 0, 0
        for packed in self._pieces(member.start, member.start + member.packed):
            rest = packed
            while rest or not packed:
                try:
                    piece = unpacker.decompress(rest, _PIECE)
                except zlib.error:
                    raise Damaged(f"{name} cannot be unpacked") from None
                rest = unpacker.unconsumed_tail
                size, crc = size + len(piece), zlib.crc32(piece, crc)
                if size > member.size or unpacker.unused_data:
                    raise Damaged(f"{name} is not as large as the directory of the zip says")
                if piece:
                    yield piece
        # What is left in the unpacker once it has been given everything.
        while not unpacker.eof:
            piece = unpacker.decompress(b"", _PIECE)
            size, crc = size + len(piece), zlib.crc32(piece, crc)
            if not piece or size > member.size:
                break
            yield piece
        if not unpacker.eof or size != member.size or crc != member.crc:
            raise Damaged(f"{name} is not what the directory of the zip says: cut off, or another checksum")

    def read(self, name: str, limit: int) -> bytes:
        """Return a member's bytes.

        :raises Damaged: there is no such member, or it is larger than *limit*.
        """
        member = self.members.get(name)
        if member is None:
            raise Damaged(f"{name} is missing")
        if member.size > limit:
            raise Damaged(f"{name} is larger than {limit:,} bytes")
        return b"".join(self.chunks(name))


# --------------------------------------------------------------------------------------------------------------
# tree
#
# The tree of the ledger (RFC 9162): roots from leaves, inclusion and consistency.
#
# Nothing that is said beside a proof is believed: which hashes a path must have, and on which side, follows from
# numbers and sizes that a signature covers.
# --------------------------------------------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The whole subtrees that a tree of some size consists of, the largest first; leaves are added at its right.

    :param size: leaves of the tree so far; each of its binary ones is a whole subtree.
    :param hashes: the hashes of these, the largest first.
    :raises ValueError: there are more or fewer hashes than subtrees.
    """

    def __init__(self, size: int, hashes: Sequence[bytes]) -> None:
        if len(hashes) != bin(size).count("1"):
            raise ValueError("these are not the subtrees of a tree of that size")
        self.size = size
        self._hashes: list[bytes] = list(hashes)

    def append(self, hashed: bytes) -> None:
        """Add a leaf by its hash."""
        full = self.size
        while full & 1:
            hashed = node_hash(self._hashes.pop(), hashed)
            full >>= 1
        self._hashes.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        if not self._hashes:
            return hashlib.sha256(b"").digest()
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root


def includes(number: int, size: int, hashed: bytes, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether *path* proves that the leaf *number* of a tree has this hash (RFC 9162, 2.1.3.2)."""
    if not 0 <= number < size:
        return False
    at, last = number, size - 1
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            hashed = node_hash(sibling, hashed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and hashed == root


def extends(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether *path* proves that the tree of *new* leaves goes on from that of *old* (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    hashes = list(path)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


# --------------------------------------------------------------------------------------------------------------
# notes
#
# What is signed in a bundle: checkpoints (C2SP tlog-checkpoint in a signed note) and the manifest (DSSE).
#
# A signature proves who signed only to somebody who knows the key from elsewhere. The keys that lie in a bundle say
# which signature is by whom, and no more; which of them are trusted is asked of whoever verifies.
# --------------------------------------------------------------------------------------------------------------


_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")
_SIGNED = re.compile("— ([^ ]+) ([A-Za-z0-9+/=]+)")
_SIZE = re.compile("0|[1-9][0-9]{0,18}")
_MOST_SIGNATURES = 16
_PROOF_BEGINS = "c2sp.org/tlog-proof@v1"
STATEMENT_TYPE = "application/vnd.in-toto+json"


class Key(NamedTuple):
    """A public key of a ledger, with the line of text (vkey) that it was written as."""

    name: str
    id: bytes
    public: bytes
    text: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the line, in hexadecimal: what people compare."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Checkpoint(NamedTuple):
    """What a ledger says of itself, and the keys whose signature under it was verified.

    :ivar digest: SHA-256 of the whole note, which anchors outside name.
    """

    origin: str
    size: int
    root: bytes
    signers: tuple[Key, ...]
    note: str
    digest: bytes


class Proof(NamedTuple):
    """That a leaf is in the tree of a checkpoint (C2SP tlog-proof).

    :ivar entry: the leaf, where it is not among those of the range; else empty.
    """

    number: int
    path: tuple[bytes, ...]
    note: str
    entry: bytes


def unbase64(text: str) -> bytes:
    """Return what *text* stands for.

    :raises ValueError: it is not exactly the base64 of something.
    """
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    if base64.b64encode(found).decode() != text:
        raise ValueError("not base64 in its only form")
    return found


def parse_vkey(text: str) -> Key:
    """Return the key that a line stands for.

    :raises ValueError: it is not NAME+ID+BASE64, or its id is another one.
    """
    match = _VKEY.fullmatch(text)
    encoded = unbase64(match[3]) if match else b""
    if match is None or len(encoded) != 33 or encoded[0] != 1:
        raise ValueError("not the public key of a ledger: NAME+8 HEXADECIMAL DIGITS+BASE64")
    key_id = hashlib.sha256(match[1].encode() + b"\n" + encoded).digest()[:4]
    if key_id.hex() != match[2]:
        raise ValueError(f"the public key of {match[1]} is miscopied: its id is {key_id.hex()}")
    return Key(match[1], key_id, encoded[1:], text)


def parse_checkpoint(data: bytes, keys: Sequence[Key]) -> Checkpoint:
    """Return what a note says, and which of *keys* signed it.

    :raises ValueError: it is no checkpoint, or a signature that says to be of one of *keys* does not verify.
    """
    note = data.decode("utf-8")
    text, blank, under = note.partition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) != 3 or not _SIZE.fullmatch(lines[1]) or not under.endswith("\n"):
        raise ValueError("not a checkpoint: a name, a size, a root, an empty line, signatures")
    root = unbase64(lines[2])
    if len(root) != 32 or int(lines[1]) >= 1 << 63:
        raise ValueError("the size or the root of a checkpoint cannot be")
    signers = []
    lines_under = under[:-1].split("\n")
    if len(lines_under) > _MOST_SIGNATURES:
        raise ValueError("there are more signatures under a checkpoint than a bundle has")
    for line in lines_under:
        match = _SIGNED.fullmatch(line)
        signed = unbase64(match[2]) if match else b""
        if match is None or len(signed) < 5:
            raise ValueError("a line under a checkpoint is no signature")
        own = [key for key in keys if key.name == match[1] and key.id == signed[:4]]
        made = [key for key in own if verify(key.public, (text + "\n").encode(), signed[4:])]
        if own and not made:
            raise ValueError(f"the signature of {match[1]} does not verify")
        signers += made
    return Checkpoint(lines[0], int(lines[1]), root, tuple(signers), note, hashlib.sha256(data).digest())


def signed_by(kind: str, facts: Mapping[str, Any], keys: Sequence[Key]) -> Key | None:
    """Return which of *keys* signed the facts of a journal's event; None: none of them did.

    :param kind: type of the event.
    """
    try:
        made = unbase64(str(facts.get("signature", "")))
    except ValueError:
        return None
    told = {name: value for name, value in facts.items() if name not in ("signature", "accepted")}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    for key in keys:
        log = hashlib.sha256(b"recorder/origin/v1\0" + key.name.encode()).digest()
        message = b"recorder/facts/v1\0" + log + kind.encode() + b"\0" + text.encode()
        if key.id == made[:4] and verify(key.public, message, made[4:]):
            return key
    return None


def parse_proof(data: bytes) -> Proof:
    """Return what a ``*.tlog-proof`` says.

    :raises ValueError: it is none.
    """
    head, blank, note = data.decode("utf-8").partition("\n\n")
    lines = head.split("\n")
    entry = unbase64(lines.pop(1)[6:]) if lines[1:] and lines[1].startswith("extra ") else b""
    place = lines[1].partition(" ") if len(lines) > 1 else ("", "", "")
    if not blank or lines[0] != _PROOF_BEGINS or place[0] != "index" or not _SIZE.fullmatch(place[2]):
        raise ValueError("not a proof: its first lines, an index and hashes")
    path = tuple(unbase64(line) for line in lines[2:])
    if len(path) > 63 or any(len(hashed) != 32 for hashed in path):
        raise ValueError("the path of a proof cannot be")
    return Proof(int(place[2]), path, note, entry)


def parse_json(data: bytes) -> Any:
    """Return the value of a JSON text that has the only form in which bundles write it.

    :raises ValueError: it has another one, or is no JSON.
    """
    try:
        value = json.loads(data.decode("ascii"))
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    if canonical_json(value) != data:
        raise ValueError("JSON that is not in its only form: sorted, ASCII, without spaces")
    return value


def canonical_json(value: Any) -> bytes:
    """Return the only form in which a bundle has a value as JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def signed_bytes(payload: bytes) -> bytes:
    """Return what a signature of the manifest is of: the pre-authentication encoding of DSSE v1."""
    return b"DSSEv1 %d %s %d %s" % (len(STATEMENT_TYPE), STATEMENT_TYPE.encode(), len(payload), payload)


def parse_envelope(data: bytes, keys: Sequence[Key]) -> tuple[Any, tuple[Key, ...]]:
    """Return the statement in an envelope (DSSE), and which of *keys* signed it.

    :raises ValueError: it is no envelope, or a signature in it is not by one of *keys*.
    """
    envelope = parse_json(data)
    if not isinstance(envelope, dict) or set(envelope) != {"payload", "payloadType", "signatures"}:
        raise ValueError("not a signed statement")
    signatures = envelope["signatures"]
    if (
        envelope["payloadType"] != STATEMENT_TYPE
        or not isinstance(signatures, list)
        or len(signatures) > _MOST_SIGNATURES
    ):
        raise ValueError("not a signed in-toto statement")
    payload = unbase64(str(envelope["payload"]))
    signers = []
    for one in signatures:
        if not isinstance(one, dict) or set(one) != {"keyid", "sig"}:
            raise ValueError("a signature that is none")
        signature = unbase64(str(one["sig"]))
        made = [key for key in keys if key.fingerprint == one["keyid"]]
        made = [key for key in made if verify(key.public, signed_bytes(payload), signature)]
        if not made:
            raise ValueError("a signature does not verify")
        signers += made
    return parse_json(payload), tuple(signers)


# --------------------------------------------------------------------------------------------------------------
# records
#
# The records of an event stream, and its hash chain, read in pieces so that no payload is ever held whole.
#
# ::
#
#     record  = u32 size | u32 crc32 | u8 kind | content
#     opened  = u16 format | stream 16 | instance 16 | secret 32                                           kind 1
#     event   = u16 format | u16 flags | stream 16 | u64 version | u64 wall_ns | u64 mono_ns | instance 16 | hash 32
#               | u16 type size | u32 meta size | u32 body size | type | meta | body                       kind 2
#     emptied = u16 format | u16 flags | stream 16 | u64 version | u64 wall_ns | u64 mono_ns | instance 16 | hash 32
#               | u64 size | commitment 32 | u8 why | u16 type size | type                                 kind 3
#     begins  = stream 16 | u64 version | hash 32                                                          kind 4
# --------------------------------------------------------------------------------------------------------------


_FRAME = struct.Struct(">IIB")
_OPENED = struct.Struct(">H16s16s32s")
_PLACE = struct.Struct(">HH16sQQQ16s32s")  # what events and emptied ones begin with
_PARTS = struct.Struct(">HII")
_EMPTIED = struct.Struct(">Q32sBH")
_BEGINS = struct.Struct(">16sQ32s")
_U64 = struct.Struct(">Q")
_ABSENT_32, _ABSENT_64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_EVENT_TAG = b"recorder/event/v1\0"
_HASHED = struct.Struct(">32s16sQQQ16sHQ32s")
_META_KEPT = 1 << 20
WHYS = {1: "withheld", 2: "erased"}


class Broken(Exception):  # noqa: N818 - what it tells, not what it is
    """The records of a stream are not as they were written, at *version* (None: before the first), in *field*."""

    def __init__(self, version: int | None, field: str, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.version, self.field, self.kind, self.detail = version, field, kind, detail


class Entry(NamedTuple):
    """One event.

    :ivar stream: id of the event stream.
    :ivar meta: its facts as they were hashed; None where there are none, or they are larger than 1 MiB.
    :ivar why: 0, or why its payload is not there: a number of :data:`WHYS`.
    """

    version: int
    type: str
    wall_ns: int
    mono_ns: int
    instance: bytes
    size: int
    meta: bytes | None
    why: int
    hash: bytes
    stream: bytes


class _Source:
    """Bytes that come in pieces, taken in the sizes that records have."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._held, self.check = pieces, b"", 0

    def ended(self) -> bool:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._held = piece
        return False

    def parts(self, size: int, version: int | None = None) -> Iterator[bytes]:
        """Yield *size* bytes as they come, and count them into the checksum."""
        while size:
            if self.ended():
                raise Broken(version, "record", "record", "a record is cut off")
            part, self._held = self._held[:size], self._held[size:]
            self.check = zlib.crc32(part, self.check)
            size -= len(part)
            yield part

    def take(self, size: int, version: int | None = None) -> bytes:
        return b"".join(self.parts(size, version))


class StreamReader:
    """Reads one event stream and checks it: records, versions, hashes.

    :param stream: the id that the stream has to have.
    :param pieces: the bytes of its file.
    :raises Broken: it does not begin as a stream does.
    """

    def __init__(self, stream: bytes, pieces: Iterator[bytes]) -> None:
        self._source = _Source(pieces)
        self.stream = stream
        kind, size, check = self._frame(None)
        if kind != 1 or size != _OPENED.size:
            raise Broken(None, "opening", "opening", "it does not begin with its opening")
        version, found, self.instance, self._secret = _OPENED.unpack(self._source.take(size))
        self._settle(check, None)
        if found != stream or version != 1:
            raise Broken(None, "opening", "opening", "the opening is of another event stream, or another format")
        #: The hash of the last event that was read, and its version.
        self.head, self.version = hashlib.sha256(b"recorder/genesis/v1\0" + stream).digest(), 0
        #: The version from which on events are here: later than 1 where it is the end of a long stream.
        self.first = 1
        self._begun = False

    def _frame(self, version: int | None) -> tuple[int, int, int]:
        """Return kind, size of the content and checksum of the next record."""
        size, check, kind = _FRAME.unpack(self._source.take(_FRAME.size, version))
        if size < 1:
            raise Broken(version, "record", "record", "a record without a size")
        self._source.check = zlib.crc32(bytes((kind,)))
        return kind, size - 1, check

    def _settle(self, check: int, version: int | None) -> None:
        if self._source.check != check:
            raise Broken(version, "record", "record", "a record fails its checksum")

    def entries(self) -> Iterator[Entry]:
        """Yield every event, checked.

        :raises Broken: at the first that is not what was written.
        """
        while not self._source.ended():
            expected = self.version + 1
            kind, size, check = self._frame(expected)
            if kind == 4 and not self._begun and size == _BEGINS.size:
                self._begin(check)
            elif kind in (2, 3):
                self._begun = True
                yield self._entry(kind, size, check, expected)
            else:
                raise Broken(expected, "record", "record", f"a record of kind {kind} has no place here")

    def _begin(self, check: int) -> None:
        stream, version, self.head = _BEGINS.unpack(self._source.take(_BEGINS.size))
        self._settle(check, None)
        if stream != self.stream or not 0 < version < _ABSENT_64:
            raise Broken(None, "opening", "opening", "it goes on from an event of another stream")
        self.version, self.first, self._begun = version, version + 1, True

    def _entry(self, kind: int, size: int, check: int, expected: int) -> Entry:
        source = self._source
        if size < _PLACE.size + (_PARTS.size if kind == 2 else _EMPTIED.size):
            raise Broken(expected, "record", "record", "a record that is too short for an event")
        head = _PLACE.unpack(source.take(_PLACE.size, expected))
        form, flags, stream, version, wall_ns, mono_ns, instance, digest = head
        if kind == 2:
            type_size, meta_size, body_size = _PARTS.unpack(source.take(_PARTS.size, expected))
            name = source.take(type_size, expected)
            total, committed, meta = self._payload(version, meta_size, body_size, expected)
            held, why = total, 0
            length = _PLACE.size + _PARTS.size + type_size
        else:
            total, committed, why, type_size = _EMPTIED.unpack(source.take(_EMPTIED.size, expected))
            name, meta, held = source.take(type_size, expected), None, 0
            length = _PLACE.size + _EMPTIED.size + type_size
        self._settle(check, expected)
        if size != length + held or form != 1 or why not in (0, *WHYS) or (kind == 3) != bool(why):
            raise Broken(expected, "record", "record", "the sizes in a record do not add up")
        if stream != self.stream or version != expected:
            raise Broken(expected, "version", "version", f"version {expected} is missing: {version} follows")
        fields = (self.head, stream, version, wall_ns, mono_ns, instance, flags, total, committed)
        linked = hashlib.sha256(_EVENT_TAG + _HASHED.pack(*fields) + name).digest()
        text = name.decode("ascii", "replace")
        if linked != digest:
            raise Broken(version, "hash", "hash", f"{text} is not what was written: its hash does not verify")
        self.head, self.version = digest, version
        return Entry(version, text, wall_ns, mono_ns, instance, total, meta, why, digest, stream)

    def _payload(self, version: int, meta_size: int, body_size: int, at: int) -> tuple[int, bytes, bytes | None]:
        """Read a payload; return its size, its commitment, and the facts."""
        salt = hashlib.blake2b(_U64.pack(version), digest_size=16, key=self._secret).digest()
        digest = hashlib.sha256(b"recorder/payload/v1\0" + salt)
        total, kept = 0, []
        for part_size, is_meta in ((meta_size, True), (body_size, False)):
            absent = part_size == _ABSENT_32
            digest.update(_U64.pack(_ABSENT_64 if absent else part_size))
            for part in () if absent else self._source.parts(part_size, at):
                digest.update(part)
                if is_meta and part_size <= _META_KEPT:
                    kept.append(part)
            total += 0 if absent else part_size
        return total, digest.digest(), b"".join(kept) or None


def facts_of(entry: Entry) -> dict[str, Any]:
    """Return the facts of an event; none where they are withheld, erased, or no JSON object."""
    try:
        facts = json.loads(entry.meta.decode("ascii")) if entry.meta else {}
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


# --------------------------------------------------------------------------------------------------------------
# findings
#
# What a verification finds.
# --------------------------------------------------------------------------------------------------------------


MOST_FINDINGS = 1000
#: Kinds of findings on times: what was recorded may be what it was, and its times are wrong.
OF_TIMES = ("clock", "back_dated")


class Finding(NamedTuple):
    """One thing that is wrong.

    :ivar stream: id of the event stream as text; empty where it is none's.
    :ivar version: version of the event, where there is one.
    :ivar field: the field, or the file of the bundle.
    :ivar kind: a stable word: ``bundle``, ``digest``, ``signature``, ``key``, ``tree``, ``leaf``, ``record``,
        ``opening``, ``version``, ``hash``, ``omitted``, ``journal``, ``link``, ``proof``, ``anchor``, ``clock``,
        ``back_dated``, ``manifest``, ``stale``.
    :ivar detail: one sentence.
    """

    stream: str
    version: int | None
    field: str
    kind: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it: what is not known is absent."""
        shown = {name: value for name, value in self._asdict().items() if value not in (None, "")}
        return {**shown, "detail": self.detail}


class Findings:
    """Collects findings; hostile input cannot make more of them than anybody reads."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.more = 0

    def add(self, kind: str, field: str, detail: str, stream: bytes = b"", version: int | None = None) -> None:
        """Take one."""
        if len(self.found) < MOST_FINDINGS:
            self.found.append(Finding(id_of(stream) if stream else "", version, field, kind, detail))
        else:
            self.more += 1

    def untimely(self, one: Untimely) -> None:
        """Take what is wrong with a time."""
        self.add(one.kind, one.field, one.detail, one.stream, one.version)

    def any_of(self, *kinds: str) -> bool:
        """Return whether one of these kinds is there."""
        return any(finding.kind in kinds for finding in self.found)

    def others_than(self, *kinds: str) -> bool:
        """Return whether one of any other kind is there."""
        return any(finding.kind not in kinds for finding in self.found)


def id_of(stream: bytes) -> str:
    """Return an id as people read it."""
    return str(uuid.UUID(bytes=stream))


# --------------------------------------------------------------------------------------------------------------
# log
#
# The part of the ledger that is in a bundle: keys, checkpoints, and every leaf of a range.
#
# The root of each checkpoint within the range is made anew, from the subtrees left of the range and the leaves in it;
# so a leaf that is left out, put in, moved or changed leads to another root. Later checkpoints are reached by a
# proof that their tree goes on from that of the range's end.
# --------------------------------------------------------------------------------------------------------------


LEAVES, LEFT, KEYS = "ledger/leaves.bin", "ledger/left.bin", "log.vkey"
_TAG = b"recorder/head/v1\0"
_ENTRY = struct.Struct(">17s32s16sQ32sBQQ")
_NOT_HERE = "it is of a leaf, or by a checkpoint, that is not here"
_MOST_KEYS, _MOST_CHECKPOINTS, _MOST_BYTES = 100, 10_000, 1 << 20


class Sealed(NamedTuple):
    """A leaf: how far one event stream had come, and when that was sealed.

    :ivar state: 1 where the stream had ended.
    :ivar before: number of the leaf of this stream before it, plus 1; 0: there is none.
    """

    number: int
    stream: bytes
    length: int
    hash: bytes
    state: int
    sealed_ns: int
    before: int


class Log:
    """Reads and checks the part of the ledger in a bundle.

    :param stamps: over its checkpoints, checked by whoever can.

    :ivar present: whether there is one: a store without a key has none.
    :ivar start, end: the range of leaves that are here, the second not included.
    :ivar keys: of the ledger; ``former``: of those before it, which vouch for facts of their time and for nothing else.
    :ivar own: the leaves of the event streams that are in the bundle, by stream, in order.
    :ivar others: how many other event streams have leaves in the range.
    :ivar seals: the times of the leaves.
    :ivar began_ns: when the ledger was begun, by its own clock; None where its first leaf is not here.
    """

    def __init__(self, container: Container, told: Any, findings: Findings, stamps: Iterable[TimeStamp] = ()) -> None:
        self._container, self._findings = container, findings
        self.present = LEAVES in container.members or told is not None
        self.keys: list[Key] = []
        self.former: list[Key] = []
        self.checkpoints: list[Checkpoint] = []
        self.own: dict[bytes, list[Sealed]] = {}
        self.start = self.end = self.others = 0
        self.origin = ""
        self.seals = SealTimes(stamps)
        self.began_ns: int | None = None
        self._began = ""
        self._log_id = b""
        self._retired: dict[str, int] = {}
        self.proved_sizes: set[int] = set()
        self.roots: dict[int, bytes] = {}
        if self.present:
            self._read_range(told)
            self._read_keys()
            self._read_checkpoints()

    def _read_range(self, told: Any) -> None:
        start, end = (told.get("from"), told.get("to")) if isinstance(told, dict) else (None, None)
        if type(start) is not int or type(end) is not int or not 0 <= start < end < 1 << 63:
            raise Damaged("the manifest does not tell which leaves of the ledger are here")
        self.start, self.end = start, end
        self.origin = str(told.get("origin"))
        self._began = str(told.get("began", ""))
        retired = told.get("retired")
        self._retired = retired if isinstance(retired, dict) else {}
        self._log_id = hashlib.sha256(b"recorder/origin/v1\0" + self.origin.encode("utf-8", "surrogatepass")).digest()

    def _read_keys(self) -> None:
        lines = self._container.read(KEYS, _MOST_BYTES).decode("utf-8", "replace").split("\n")
        if lines.pop() != "" or not lines or len(lines) > _MOST_KEYS:
            raise Damaged(f"{KEYS} is not a list of public keys, a line each")
        for line in lines:
            try:
                key = parse_vkey(line)
            except ValueError as error:
                raise Damaged(f"{KEYS}: {error}") from None
            (self.keys if key.name == self.origin else self.former).append(key)

    def _read_checkpoints(self) -> None:
        names = self._container.names("checkpoints")
        if len(names) > _MOST_CHECKPOINTS:
            raise Damaged("there are more checkpoints than a bundle can have")
        for name in names:
            try:
                checkpoint = parse_checkpoint(self._container.read(name, _MOST_BYTES), self.keys)
            except ValueError as error:
                self._findings.add("signature", name, f"{error}")
                continue
            if name != f"checkpoints/{checkpoint.size:020}.note" or checkpoint.origin != self.origin:
                self._findings.add("signature", name, "the checkpoint is of another size, or of another ledger")
            elif not checkpoint.signers:
                self._findings.add("signature", name, "the checkpoint is signed by none of the keys that are here")
            else:
                self.checkpoints.append(checkpoint)

    def read_leaves(self, own: Mapping[bytes, object], size: int = 0) -> None:
        """Read all leaves, make the roots anew, and compare them with the checkpoints.

        :param own: the event streams in the bundle.
        :param size: of another tree whose root is wanted.
        """
        frontier = self._frontier()
        wanted = {size, *(checkpoint.size for checkpoint in self.checkpoints)}
        for number, entry in enumerate(self._entries(), self.start):
            if number >= self.end:
                break
            frontier.append(leaf_hash(entry))
            if frontier.size in wanted:
                self.roots[frontier.size] = frontier.root()
            leaf = self._leaf(number, entry)
            if leaf is None:
                self._findings.add("leaf", LEAVES, f"leaf {number} is none, or one of another ledger")
                continue
            self._time(leaf)
            if leaf.stream in own:
                self.own.setdefault(leaf.stream, []).append(leaf)
            else:
                self.others += leaf.before <= self.start  # the first of its stream within the range
        if self._container.members[LEAVES].size != (self.end - self.start) * _ENTRY.size:
            told = f"there are more or fewer leaves than those from {self.start} to before {self.end}"
            self._findings.add("tree", LEAVES, told)
        self._compare()
        self._read_began()

    def _time(self, leaf: Sealed) -> None:
        if not leaf.number:
            self.began_ns = leaf.sealed_ns
        for untimely in self.seals.take(SealedLeaf(leaf.number, leaf.stream, leaf.length, leaf.sealed_ns)):
            self._findings.untimely(untimely)

    def _read_began(self) -> None:
        """Read when the ledger was begun, where its first leaf lies outside the range: it comes with its proof."""
        if not self._began:
            return
        try:
            proof = parse_proof(self._began.encode())
        except ValueError as error:
            self._findings.add("proof", "began", f"{error}")
            return
        leaf = self._leaf(0, proof.entry)
        wrong = "it is not of the first leaf" if leaf is None or proof.number else self._not_proved(leaf, proof)
        if wrong or leaf is None:
            self._findings.add("proof", "began", wrong)
        else:
            self.began_ns = leaf.sealed_ns

    def _frontier(self) -> Frontier:
        left = self._container.read(LEFT, _MOST_BYTES)
        try:
            return Frontier(self.start, [left[at : at + 32] for at in range(0, len(left), 32)])
        except ValueError as error:
            raise Damaged(f"{LEFT}: {error}") from None

    def _entries(self) -> Iterator[bytes]:
        if LEAVES not in self._container.members:
            raise Damaged(f"{LEAVES} is missing")
        held = b""
        for piece in self._container.chunks(LEAVES):
            held += piece
            whole = len(held) - len(held) % _ENTRY.size
            for at in range(0, whole, _ENTRY.size):
                yield held[at : at + _ENTRY.size]
            held = held[whole:]

    def _compare(self) -> None:
        by_size = {checkpoint.size: checkpoint for checkpoint in self.checkpoints}
        end = by_size.get(self.end)
        if end is None:
            self._findings.add("tree", "checkpoints", f"there is no good checkpoint of the range's end, {self.end}")
        proofs = set(self._container.names("ledger")) - {LEAVES, LEFT}
        for checkpoint in self.checkpoints:
            name = f"ledger/{self.end}-{checkpoint.size}.consistency"
            if checkpoint.size in self.roots:
                agrees = self.roots[checkpoint.size] == checkpoint.root
            else:
                agrees = end is not None and name in proofs and self._extends(name, end, checkpoint)
                proofs.discard(name)
            if agrees:
                self.proved_sizes.add(checkpoint.size)
            else:
                told = f"the leaves do not lead to the root that was signed for {checkpoint.size} leaves"
                self._findings.add("tree", f"checkpoints/{checkpoint.size:020}.note", told)
        for name in sorted(proofs):
            self._findings.add("tree", name, "a proof that belongs to no checkpoint")

    def _extends(self, name: str, old: Checkpoint, new: Checkpoint) -> bool:
        data = self._container.read(name, 64 * 32)
        path = [data[at : at + 32] for at in range(0, len(data), 32)]
        whole = all(len(hashed) == 32 for hashed in path)
        return whole and extends(old.size, new.size, old.root, new.root, path)

    def _leaf(self, number: int, entry: bytes) -> Sealed | None:
        if len(entry) != _ENTRY.size:
            return None
        tag, found, stream, length, digest, state, sealed_ns, before = _ENTRY.unpack(entry)
        if tag != _TAG or found != self._log_id or state > 1 or before > number or not length:
            return None
        return Sealed(number, stream, length, digest, state, sealed_ns, before)

    def take_proof(self, stream: bytes, proof: Proof) -> str:
        """Check a proof; a leaf that lies outside the range, and comes with its proof, counts from now on.

        :return: what is wrong with it; empty where nothing is.
        """
        own = self.own.get(stream, [])
        leaf = next((one for one in own if one.number == proof.number), None)
        if proof.entry:
            leaf = None if self.start <= proof.number < self.end else self._leaf(proof.number, proof.entry)
        if leaf is None or leaf.stream != stream:
            return _NOT_HERE
        wrong = self._not_proved(leaf, proof)
        if not wrong and leaf not in own:
            self.own[stream] = [leaf, *own]
        return wrong

    def _not_proved(self, leaf: Sealed, proof: Proof) -> str:
        """Return why a proof does not show that a leaf is in the ledger; empty where it does."""
        checkpoint = next((one for one in self.checkpoints if one.note == proof.note), None)
        if checkpoint is None or checkpoint.size not in self.proved_sizes:
            return _NOT_HERE
        if not includes(proof.number, checkpoint.size, leaf_hash(self._entry(leaf)), proof.path, checkpoint.root):
            return "its path does not lead to the root of the checkpoint"
        return ""

    def in_force(self, key: Key, stream: bytes, version: int) -> bool:
        """Return whether a key was yet in force when a version of a stream was sealed, as the manifest says."""
        last = self._retired.get(key.text)
        leaf = next((one.number for one in self.own.get(stream, ()) if one.length >= version), 0)
        return type(last) is not int or leaf <= last

    def tagged(self, tags: Collection[str]) -> dict[str, Sealed]:
        """Return the leaves that are here whose hashes begin with some tags, by these.

        All leaves are read once more where one of the tags is of none of the streams that are here.
        """
        found: dict[str, Sealed] = {}
        for leaf in (leaf for leaves in self.own.values() for leaf in leaves):
            found.setdefault(tag_of(leaf_hash(self._entry(leaf))), leaf)
        found = {tag: leaf for tag, leaf in found.items() if tag in tags}
        if self.present and not found.keys() >= set(tags):
            for number, entry in enumerate(self._entries(), self.start):
                tag = tag_of(leaf_hash(entry))
                other = self._leaf(number, entry) if tag in tags else None
                if other is not None:
                    found.setdefault(tag, other)
        return found

    def _entry(self, leaf: Sealed) -> bytes:
        fields = (leaf.stream, leaf.length, leaf.hash, leaf.state, leaf.sealed_ns, leaf.before)
        return _ENTRY.pack(_TAG, self._log_id, *fields)


# --------------------------------------------------------------------------------------------------------------
# streams
#
# The event streams of a bundle: each by its chain, and against the leaves that sealed it.
# --------------------------------------------------------------------------------------------------------------


ENDS = frozenset(
    {
        "request_failed",
        "response_completed",
        "response_truncated",
        "response_failed",
        "consumer_closed",
        "consumer_abandoned",
        "process_died",
        "recorder_closed",
        "instance_stopped",
    }
)
_ALONE = {"linked": "link", "conversation_named": "conversation", "tags_set": "conversation"}


class StreamSummary:
    """What is kept of an event stream once it has been read.

    :ivar kind: ``exchange``, ``conversation``, ``link`` or ``journal``, by its events.
    :ivar heads: the hash after some versions: those at which it was sealed or closed, and the last.
    :ivar emptied: how many payloads are not there, by the reason.
    :ivar gaps: how often the recorder itself noted a loss in it.
    """

    def __init__(self, stream: bytes, reader: StreamReader) -> None:
        self.stream, self.instance = stream, reader.instance
        self.kind = ""
        self.first = 1
        self.length = 0
        self.heads: dict[int, bytes] = {}
        self.ended_at: int | None = None
        self.ended_by = b""
        self.sent: dict[str, Any] = {}
        self.link: dict[str, Any] = {}
        self.named = ""
        self.began_ns = self.last_ns = 0
        self.emptied = dict.fromkeys(WHYS.values(), 0)
        self.gaps = 0
        self.whole = self.foreign = False

    def take(self, entry: Entry) -> None:
        """Take the next event."""
        if not self.kind:
            self.kind = kind_of(self, entry)
            self.began_ns = entry.wall_ns
            # No hash covers the opening; what recovery closed before it had begun is the one that others begin.
            self.foreign = entry.instance != self.instance and entry.type != "process_died"
        self.length, self.last_ns = entry.version, entry.wall_ns
        if entry.why:
            self.emptied[WHYS[entry.why]] += 1
        self.gaps += entry.type == "gap_recorded"
        if entry.type in ENDS and self.ended_at is None:
            self.ended_at, self.ended_by = entry.version, entry.instance
        if entry.type == "request_sent":
            self.sent = facts_of(entry)
        elif entry.type == "linked":
            self.link = facts_of(entry)
        elif entry.type == "conversation_named":
            self.named = str(facts_of(entry).get("name", ""))


def kind_of(summary: StreamSummary, entry: Entry) -> str:
    """Return what kind of event stream begins with an event."""
    if summary.stream == summary.instance:
        return "journal"
    return _ALONE.get(entry.type, "exchange")


class StreamChecks:
    """Reads event streams and tells what is wrong with them.

    :param log: the part of the ledger, read already.
    """

    def __init__(self, container: Container, log: Log, findings: Findings) -> None:
        self._container, self._log, self._findings = container, log, findings
        self.events = 0

    def read(self, name: str, stream: bytes, lengths: Iterable[int], see: Any = None) -> StreamSummary | None:
        """Read one stream.

        :param name: of its file.
        :param lengths: versions after which its hash is wanted.
        :param see: called with the summary and each event.
        :return: None where not even its opening can be read.
        """
        leaves = self._log.own.get(stream, [])
        wanted = {leaf.length for leaf in leaves}.union(lengths)
        summary: StreamSummary | None = None
        try:
            reader = StreamReader(stream, self._container.chunks(name))
            summary = StreamSummary(stream, reader)
            for entry in reader.entries():
                if not summary.length and reader.first > 1:
                    summary.first = reader.first
                summary.take(entry)
                self.events += 1
                if entry.version in wanted:
                    summary.heads[entry.version] = entry.hash
                if see is not None:
                    see(summary, entry)
            summary.whole = True
            summary.heads[reader.version] = reader.head
            if not summary.length:
                self._findings.add("version", name, "the event stream has no events", stream)
            if summary.foreign:
                told = "its first event is by another process than the one that is said to have opened it"
                self._findings.add("opening", "instance", told, stream, summary.first)
        except Broken as broken:
            self._findings.add(broken.kind, broken.field, f"{broken.detail}", stream, broken.version)
        if summary is not None and self._log.present:
            self._against_leaves(summary, leaves)
        return summary

    def _against_leaves(self, summary: StreamSummary, leaves: Sequence[Sealed]) -> None:
        stream = summary.stream
        if not leaves:
            self._findings.add("leaf", "stream", "no leaf of the ledger names it: it may have been added later", stream)
            return
        # The leaves of an exchange and of a link are all here; those of a journal and of a conversation from some on.
        if summary.kind in ("exchange", "link") and leaves[0].before:
            told = f"its leaf {leaves[0].before - 1} is not among those that are here"
            self._findings.add("leaf", "before", told, stream)
        for at in range(1, len(leaves)):
            earlier, later = leaves[at - 1], leaves[at]
            if later.before != earlier.number + 1 or later.length <= earlier.length:
                told = f"leaf {later.number} does not go on from leaf {earlier.number}"
                self._findings.add("leaf", "before", told, stream, later.length)
        for leaf in leaves:
            self._against(summary, leaf)
        if summary.whole and summary.length > leaves[-1].length:
            told = f"leaf {leaves[-1].number} has {leaves[-1].length} events; what follows is not sealed"
            self._findings.add("leaf", "length", told, stream, leaves[-1].length + 1)

    def _against(self, summary: StreamSummary, leaf: Sealed) -> None:
        place = (summary.stream, leaf.length)
        if leaf.length < summary.first or not summary.whole:
            return  # before what is here of a journal; or it has been said already what is wrong
        if leaf.length > summary.length:
            told = f"leaf {leaf.number} has {leaf.length} events, and {summary.length} are here"
            self._findings.add("omitted", "length", told, *place)
        elif summary.heads.get(leaf.length) != leaf.hash:
            told = f"these are not the events that leaf {leaf.number} sealed: the hash is another one"
            self._findings.add("leaf", "hash", told, *place)
        elif summary.first == 1 and leaf.state and (summary.ended_at is None or summary.ended_at > leaf.length):
            self._findings.add("leaf", "state", f"leaf {leaf.number} says that it had ended, and it has not", *place)


# --------------------------------------------------------------------------------------------------------------
# reasons
#
# Why event streams of a bundle were sealed long after they were recorded, as the journals in it tell.
#
# It is what explains it to ``recorder verify``, too: that it was imported or copied, which the ledger's key has to have
# signed; that its process had died, or that another one ended it; its age; the word of whoever has the key.
# --------------------------------------------------------------------------------------------------------------


_MOST_TELLING = 100  # journals that tell of one stream


class Reasons:
    """Takes the events of all journals of a bundle.

    :param here: its event streams.
    """

    def __init__(self, here: Collection[bytes]) -> None:
        self._here = here
        self._died: set[bytes] = set()
        self._begun: set[bytes] = set()
        self._telling: dict[bytes, set[bytes]] = {}
        self._brought: dict[bytes, set[str]] = {}
        self._unsigned: set[bytes] = set()
        self._vouched: dict[bytes, tuple[int, str]] = {}

    def take(
        self, entry: Entry, facts: Mapping[str, Any], is_vouched_for: Callable[[Entry, Mapping[str, Any]], bool]
    ) -> None:
        """Take the next event of a journal.

        :param is_vouched_for: whether a key that counts has signed the facts of an event.
        """
        self._begun.add(entry.stream)
        if entry.type == "process_died":
            self._died.add(entry.stream)
        elif entry.type in ("exchange_closed", "stream_written"):
            stream = stream_named(facts.get("exchange", facts.get("stream")))
            if stream in self._here:
                self._tell(stream, entry, facts, is_vouched_for)
        elif entry.type == "accessed" and facts.get("action") == "seal" and facts.get("result") == "sealed late":
            stream, length = stream_named(facts.get("of")), facts.get("events")
            known = self._vouched.get(stream, (0, ""))[0]
            if stream in self._here and type(length) is int and length > known and is_vouched_for(entry, facts):
                self._vouched[stream] = length, str(facts.get("ground"))

    def _tell(
        self,
        stream: bytes,
        entry: Entry,
        facts: Mapping[str, Any],
        is_vouched_for: Callable[[Entry, Mapping[str, Any]], bool],
    ) -> None:
        length, kind = facts.get("length"), facts.get("kind")
        if type(length) is not int:
            return
        if kind in ("import", "copy"):
            if is_vouched_for(entry, facts):
                self._brought.setdefault(stream, set()).add(kind)
            else:
                self._unsigned.add(stream)
        telling = self._telling.setdefault(stream, set())
        if length > 0 and len(telling) < _MOST_TELLING:
            telling.add(entry.stream)

    def late_because(self, stream: bytes, instance: bytes, began_ns: int | None) -> Late | None:
        """Return what is said of why a stream may have been sealed late; None where nothing is.

        :param instance: the process that opened it.
        :param began_ns: when the ledger was begun, nanoseconds; None: that is not known.
        """
        length, ground = self._vouched.get(stream, (0, ""))
        others = self._telling.get(stream, set()) - {instance}
        return reason_of(
            stream,
            began_ns,
            brought=self._brought.get(stream, ()),
            died=instance in self._died,
            ended_elsewhere=stream != instance and instance in self._begun and bool(others),
            vouched=Late(f"up to version {length} somebody vouches for it: {ground}", until=length) if length else None,
            unsigned=stream in self._unsigned,
        )


def stream_named(text: object) -> bytes:
    """Return the id that a journal gives as text; nothing where it is none."""
    try:
        return uuid.UUID(str(text)).bytes
    except ValueError:
        return b""


# --------------------------------------------------------------------------------------------------------------
# journals
#
# What the journals in a bundle say of its exchanges: that each was announced, and how far it came.
#
# A recorder process writes into its journal that it begins an exchange, with a number that has no gaps, before the
# first byte leaves; and at the end how many events it has, and the hash of the last. So an exchange that is not in
# the store any more is noticed by whoever has the journal.
# --------------------------------------------------------------------------------------------------------------


_MOST_ERASURES = 100  # of one event stream
_MOST_CLOSINGS, _MOST_MISSING = 1000, 10_000  # of what hostile journals could tell


class _Opened(NamedTuple):
    journal: bytes
    number: int
    wall_ns: int


class _Closed(NamedTuple):
    journal: bytes
    version: int
    length: int
    head: str


class Erasure(NamedTuple):
    """That payloads were erased, and on whose authority.

    :ivar signed: whether a key that counts has signed it.
    """

    journal: bytes
    version: int
    at_ns: int
    events: int
    facts: Mapping[str, Any]
    signed: bool


class Journals:
    """Takes the events of all journals, then tells where they and the exchanges disagree.

    :param here: the event streams that are in the bundle.
    :param period: the time that the bundle was made for, from and to (nanoseconds); None: not for a time.
    :param keys: of the ledger: those whose signature under an erasure counts.
    :param in_force: whether one of them was that of the ledger yet when a version of a journal was sealed.
    :ivar elsewhere: exchanges that a journal announces and that are not in the bundle.
    :ivar erasures: what journals tell of erasures, by event stream.
    :ivar dropped: events of what is here that the recorder itself says to have lost.
    :ivar copied: exchanges that were copied from another store, as journals here tell; their own are there.
    :ivar linked: of links that were erased, what journals tell that they named.
    """

    def __init__(
        self,
        here: Collection[bytes],
        period: tuple[int, int] | None,
        findings: Findings,
        keys: Sequence[Key] = (),
        in_force: Callable[[Key, bytes, int], bool] = lambda key, journal, version: True,
    ) -> None:
        self._keys, self._in_force = keys, in_force
        self._here, self._period, self._findings = here, period, findings
        self._opened: dict[bytes, _Opened] = {}
        self._closed: dict[bytes, list[_Closed]] = {}
        self._numbers: dict[bytes, int] = {}
        self._missing: dict[bytes, tuple[bytes, int]] = {}
        self.elsewhere = self.dropped = 0
        self.erasures: dict[bytes, list[Erasure]] = {}
        self.linked: dict[bytes, Mapping[str, Any]] = {}
        self.copied: set[bytes] = set()
        self._reasons = Reasons(here)

    def take(self, summary: StreamSummary, entry: Entry) -> None:
        """Take the next event of a journal."""
        facts = facts_of(entry)
        self._reasons.take(entry, facts, self._is_vouched_for)
        if entry.type == "exchange_opened":
            self._open(summary, entry, facts)
        elif entry.type == "exchange_closed":
            self._close(summary.stream, entry, facts, stream_named(facts.get("exchange")))
        elif entry.type == "stream_written" and facts.get("kind") == "copy":
            copied = stream_named(facts.get("stream"))
            self.copied.update({copied} & set(self._here))
            self._close(summary.stream, entry, facts, copied)
        elif entry.type == "events_dropped":
            if "exchange" not in facts or stream_named(facts["exchange"]) in self._here:
                events = facts.get("events")
                self.dropped += events if type(events) is int and 0 < events < 1 << 63 else 1
        elif entry.type == "payload_erased":
            self._erase(summary.stream, entry, facts)

    def late_because(self, stream: bytes, instance: bytes, began_ns: int | None) -> Late | None:
        """Return what is said here of why a stream may have been sealed late; None: nothing is.

        :param instance: the process that opened it.
        :param began_ns: when the ledger was begun; None: that is not known.
        """
        return self._reasons.late_because(stream, instance, began_ns)

    def _is_vouched_for(self, entry: Entry, facts: Mapping[str, Any]) -> bool:
        """Return whether a key that counts has signed the facts of an event, while it was in force."""
        by = signed_by(entry.type, facts, self._keys)
        return by is not None and self._in_force(by, entry.stream, entry.version)

    def _erase(self, journal: bytes, entry: Entry, facts: Mapping[str, Any]) -> None:
        stream, events = stream_named(facts.get("exchange")), facts.get("events")
        told = self.erasures.setdefault(stream, []) if stream in self._here else []
        signature = facts.get("signature")
        if stream not in self._here or len(told) >= _MOST_ERASURES:
            return
        by = self._is_vouched_for(entry, facts)
        if by and any(one.signed and one.facts.get("signature") == signature for one in told):
            return  # somebody wrote it down once more
        count = events if type(events) is int else 0
        told.append(Erasure(journal, entry.version, entry.wall_ns, count, facts, by))
        if isinstance(facts.get("linked"), dict):
            self.linked[stream] = facts["linked"]

    def _open(self, summary: StreamSummary, entry: Entry, facts: Mapping[str, Any]) -> None:
        journal = summary.stream
        number, stream = facts.get("number"), stream_named(facts.get("exchange"))
        if type(number) is not int or not stream:
            self._findings.add("journal", "exchange_opened", "it names no exchange", journal, entry.version)
            return
        before = self._numbers.get(journal, 0 if summary.first == 1 else None)
        if before is not None and number != before + 1:
            told = f"exchange {number} follows exchange {before}: numbers have no gaps"
            self._findings.add("journal", "number", told, journal, entry.version)
        self._numbers[journal] = number
        if stream in self._here:
            self._opened[stream] = _Opened(journal, number, entry.wall_ns)
        else:
            self.elsewhere += 1
            within = self._period is not None and self._period[0] <= entry.wall_ns < self._period[1]
            if within and len(self._missing) < _MOST_MISSING:
                self._missing[stream] = (journal, entry.version)

    def _close(self, journal: bytes, entry: Entry, facts: Mapping[str, Any], stream: bytes) -> None:
        length, head = facts.get("length"), facts.get("head", "")
        if length == 0:
            self._missing.pop(stream, None)  # nothing was recorded of it, nor sent
        if stream in self._here and type(length) is int and 0 <= length < 1 << 63:
            told = self._closed.setdefault(stream, [])
            if len(told) < _MOST_CLOSINGS:
                told.append(_Closed(journal, entry.version, length, str(head)))

    @property
    def announced(self) -> dict[bytes, int]:
        """When the exchanges that are here were announced, nanoseconds."""
        return {stream: opened.wall_ns for stream, opened in self._opened.items()}

    def lengths(self, stream: bytes) -> list[int]:
        """Return the versions of an exchange after which journals tell its hash."""
        return [closed.length for closed in self._closed.get(stream, ())]

    def compare(self, summaries: Mapping[bytes, StreamSummary]) -> None:
        """Tell where exchanges are not as the journals say."""
        for stream, summary in summaries.items():
            if summary.kind == "exchange" and summary.whole:
                self._compare_one(stream, summary, summaries)
        for stream, (journal, version) in self._missing.items():
            told = f"the exchange {uuid.UUID(bytes=stream)} was begun in this period, and is not here"
            self._findings.add("omitted", "exchange_opened", told, journal, version)

    def _compare_one(self, stream: bytes, summary: StreamSummary, here: Mapping[bytes, StreamSummary]) -> None:
        number, opened = summary.sent.get("number"), self._opened.get(stream)
        if opened is not None and number is not None and opened.number != number:
            told = f"it says that it is number {number} of its process, whose journal says {opened.number}"
            self._findings.add("journal", "number", told, stream, 1)
        journal = here.get(summary.instance)
        if number is not None and opened is None and journal is not None and journal.whole:
            told = "it has a number, and the journal of its process does not name it"
            self._findings.add("journal", "number", told, stream, 1)
        if number is not None and journal is None and stream not in self.copied:
            self._findings.add("omitted", "journal", "the journal of its process is not here", stream)
        for closed in self._closed.get(stream, ()):
            head = summary.heads.get(closed.length)
            if closed.length and (head is None or head.hex() != closed.head):
                told = f"version {closed.version} of the journal {uuid.UUID(bytes=closed.journal)} tells another "
                told += f"hash, or more events: {closed.length}"
                self._findings.add("journal", "head", told, stream, closed.length)


# --------------------------------------------------------------------------------------------------------------
# selection
#
# What a bundle says that it was made for: whether it can be that, and how people are told of it.
# --------------------------------------------------------------------------------------------------------------


_NO_END = 2**63 - 1  # what a period has for an end where none was given


def period_of(selection: Any) -> tuple[int, int] | None:
    """Return the period that a bundle was made for, UTC nanoseconds; None where it was made for no period."""
    period = selection.get("period") if isinstance(selection, dict) else None
    if isinstance(period, list) and [type(one) for one in period] == [int, int]:
        return period[0], period[1]
    return None


def made_for(selection: Any) -> str:
    """Return in words what a bundle says that it was made for; text of the bundle stands in it as it came."""
    if not _has_form(selection):
        return "nothing that a bundle can be made for"
    kind, value = next(iter(selection.items()))
    if kind == "link":
        return f"{value['kind']} {value['id']}, and the exchanges that led to it"
    if kind == "conversation":
        return f"the conversation {value.get('name', value['id'])}"
    if kind == "period":
        ends = [f"since {_moment(value[0])}"] if value[0] > 0 else []
        ends += [f"before {_moment(value[1])}"] if value[1] < _NO_END else []
        return f"everything begun {' and '.join(ends)}" if ends else "everything"
    return f"the exchange {value}"


def wrong_selection(selection: Any, here: Mapping[bytes, StreamSummary], announced: Mapping[bytes, int]) -> str:
    """Return why a bundle cannot have been made for that; nothing where it can.

    What was erased or withheld is not known to say something else.

    :param here: its event streams.
    :param announced: when journals say that exchanges were begun, nanoseconds.
    """
    if not _has_form(selection):
        return "the manifest does not say what the bundle was made for"
    kind, value = next(iter(selection.items()))
    exchanges = {id_of(stream): one for stream, one in here.items() if one.kind == "exchange"}
    if kind == "exchange" and value not in exchanges:
        return f"the exchange that the bundle was made for is not here: {value[:200]!r}"
    if kind == "conversation":
        return _wrong_conversation(value, here)
    if kind == "period":
        for name, one in exchanges.items():
            without = one.last_ns < value[0] or one.began_ns >= value[1]
            if one.length and without and not value[0] <= announced.get(one.stream, -1) < value[1]:
                return f"the exchange {name} was not in the time that the bundle was made for"
    return ""


def link_names(link: StreamSummary, erased: Mapping[str, Any] | None, asked: Any) -> bool:
    """Return whether a link names what was asked for.

    :param erased: what a journal tells of it where it was erased: a digest of what it named.
    """
    if not link.emptied["erased"]:
        return bool({"kind": link.link.get("kind"), "id": link.link.get("id")} == asked)
    if erased is None or not isinstance(asked, dict):
        return False
    thing = f"{asked.get('kind')}:{asked.get('id')}".encode()
    return str(erased.get("thing")) == hashlib.sha256(b"recorder/linked/v1\0" + link.stream + thing).hexdigest()


def _wrong_conversation(asked: Mapping[str, str], here: Mapping[bytes, StreamSummary]) -> str:
    parts = [one for one in here.values() if one.kind in ("exchange", "conversation")]
    if any(sum(one.emptied.values()) for one in parts):
        return ""
    told = "nothing here belongs to the conversation that the bundle was made for: "
    if "name" in asked:
        names = {one.named for one in parts} | {one.sent.get("name") for one in parts}
        return "" if asked["name"] in names else f"{told}{asked['name'][:200]!r}"
    ids = {id_of(one.stream) for one in parts} | {str(one.sent.get("conversation")) for one in parts}
    return "" if asked["id"] in ids else f"{told}{asked['id'][:200]!r}"


def _has_form(selection: Any) -> bool:
    if not isinstance(selection, dict) or len(selection) != 1:
        return False
    ((kind, value),) = selection.items()
    if kind == "period":
        period = period_of(selection)
        return period is not None and period[0] <= period[1]
    if kind == "exchange":
        return isinstance(value, str)
    fields = {"link": {"kind", "id"}, "conversation": {"id"}}.get(kind)
    texts = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return fields is not None and texts and set(value) - ({"name"} if kind == "conversation" else set()) == fields


def _moment(nanoseconds: int) -> str:
    """Return a time, UTC; its nanoseconds where no calendar has it."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=timezone(timedelta(0))) + timedelta(seconds=nanoseconds // 10**9)
    except OverflowError:
        return f"{nanoseconds} ns"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09}Z"


# --------------------------------------------------------------------------------------------------------------
# times
#
# Whether the times in a bundle agree with each other: those of its events, and those at which they were sealed.
#
# It is what ``recorder verify`` asks of a store, by the same rules: clocks of hosts that were set, leaves that go back,
# and events that say to be older, or newer, than the leaf that first seals them allows.
# --------------------------------------------------------------------------------------------------------------


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


# --------------------------------------------------------------------------------------------------------------
# verification
#
# The verification of a bundle: every check, in the order in which each relies on those before it.
# --------------------------------------------------------------------------------------------------------------


MANIFEST = "manifest.json"
PREDICATE_TYPE = "urn:recorder:evidence-bundle:v1"
KINDS = ("exchange", "conversation", "link", "journal")
_LARGE, _SMALL = 32 << 20, 1 << 20


class Verification:
    """Checks one bundle.

    :param file: opened for reading bytes, seekable.
    :param trusted: fingerprints of the keys that the auditor has from elsewhere, in lower-case hexadecimal.
    :param held: a checkpoint that the auditor has from elsewhere: the bytes of a note.
    :param stamps: time stamps over its checkpoints, which somebody has checked who reads certificates.
    """

    def __init__(
        self,
        file: BinaryIO,
        trusted: Sequence[str] = (),
        held: bytes | None = None,
        stamps: Sequence[TimeStamp] = (),
    ) -> None:
        self._file, self.trusted, self._held, self._stamps = file, frozenset(trusted), held, stamps
        self.findings = Findings()
        self.predicate: dict[str, Any] = {}
        self.manifest_signers: tuple[Key, ...] = ()
        self.log: Log | None = None
        self.journals: Journals | None = None
        self.times: Times | None = None
        self.summaries: dict[bytes, StreamSummary] = {}
        self.events = 0
        self.anchors: list[dict[str, Any]] = []
        self.held_told = ""
        self.counts: dict[str, int] = {}
        self.unsigned_erasures = 0
        self.tagged: dict[str, Sealed] = {}
        self._kinds: dict[str, Any] = {}

    def run(self) -> None:
        """Check everything; what is wrong is in :attr:`findings`."""
        try:
            self._container = Container(self._file)
            self._run()
        except Damaged as damaged:
            self.findings.add("bundle", "file", str(damaged))

    def _run(self) -> None:
        told = self._container.read(MANIFEST, _LARGE)
        names = self._container.names("streams")
        streams = {_stream_of(name): name for name in names}
        statement = self._read_manifest(told)
        self._check_subjects(statement)
        log = self.log = Log(self._container, self.predicate.get("ledger"), self.findings, self._stamps)
        held = self._read_held(log)
        if log.present:
            log.read_leaves(streams, 0 if held is None else held.size)
        self._check_signers(told)
        proved = self._check_proofs(log)
        self._read_streams(streams, log)
        for stream, summary in self.summaries.items() if log.present else ():
            if stream not in proved and (summary.kind or self._kinds.get(id_of(stream))) != "journal":
                self.findings.add("omitted", "proof", "its proof is not here", stream)
        self._check_links()
        self._check_anchors(log)
        self._check_counts(log)
        if held is not None:
            self._compare_held(held, log)

    def _read_manifest(self, data: bytes) -> Any:
        try:
            statement, _ = parse_envelope(_unsigned(data), ())
        except ValueError as error:
            raise Damaged(f"{MANIFEST}: {error}") from None
        predicate = statement.get("predicate") if isinstance(statement, dict) else None
        if not isinstance(predicate, dict) or statement.get("predicateType") != PREDICATE_TYPE:
            raise Damaged(f"{MANIFEST} is not that of a bundle in a format that is known here")
        if predicate.get("format") != 1:
            raise Damaged("the bundle is of a later format: get a newer verifier")
        self.predicate = predicate
        return statement

    def _check_signers(self, data: bytes) -> None:
        assert self.log is not None
        try:
            _, self.manifest_signers = parse_envelope(data, self.log.keys)
        except ValueError as error:
            self.findings.add("signature", MANIFEST, f"{error}")

    def _check_subjects(self, statement: Any) -> None:
        subjects = statement.get("subject")
        told: dict[str, str] = {}
        for one in subjects if isinstance(subjects, list) else ():
            if isinstance(one, dict) and isinstance(one.get("digest"), dict):
                told[str(one.get("name"))] = str(one["digest"].get("sha256"))
        for name in self._container.members:
            if name in (MANIFEST, SEAL_NAME):
                continue
            digest = hashlib.sha256()
            for piece in self._container.chunks(name):
                digest.update(piece)
            if told.pop(name, "") != digest.hexdigest():
                self.findings.add("digest", name, "it is not the file that the manifest names")
        for name in told:
            self.findings.add("omitted", "manifest", f"the manifest names a file that is not here: {name[:200]!r}")

    def _read_streams(self, names: dict[bytes, str], log: Log) -> None:
        period = period_of(self.predicate.get("selection"))
        journals = self.journals = Journals(names, period, self.findings, self._counting(log), log.in_force)
        checks = StreamChecks(self._container, log, self.findings)
        times = self.times = Times(log.seals, lambda stream: log.own.get(stream, []), self.findings)

        def take(summary: StreamSummary, entry: Entry) -> None:
            times.take(summary, entry)
            journals.take(summary, entry)

        listed = self.predicate.get("streams")
        listed = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        kinds = {str(one.get("id")): one.get("kind") for one in listed}
        self._kinds = dict(kinds)
        ordered = sorted(names, key=lambda stream: (kinds.get(id_of(stream)) != "journal", stream))
        for stream in ordered:
            told = kinds.pop(id_of(stream), None)
            see = take if told == "journal" else times.take
            summary = checks.read(names[stream], stream, journals.lengths(stream), see)
            times.end()
            if summary is None:
                continue
            self.summaries[stream] = summary
            if summary.kind != told:
                found = f"it is {summary.kind}" if summary.kind else "what it is cannot be read"
                self.findings.add("manifest", "kind", f"the manifest calls it {told}, {found}", stream)
            elif summary.first > 1 and told != "journal":
                self.findings.add("omitted", "version", "its beginning is not here", stream, 1)
        for name in kinds:
            told = f"the manifest names the {self.kind_of(name)} {name}, which is not here"
            self.findings.add("omitted", "manifest", told)
        self.events = checks.events
        journals.compare(self.summaries)
        self._settle_times(times, journals, log, names)
        self._check_erasures(journals)

    def _settle_times(self, times: Times, journals: Journals, log: Log, names: Mapping[bytes, str]) -> None:
        def again(stream: bytes) -> Iterator[Entry]:
            with suppress(Broken):  # which was told when it was read first
                yield from StreamReader(stream, self._container.chunks(names[stream])).entries()

        excused = self.predicate.get("times") != "explained" and self._is_vouched_for()
        times.settle(partial(journals.late_because, began_ns=log.began_ns), again, excused)

    def _check_erasures(self, journals: Journals) -> None:
        """Look whether somebody answers for what is erased: by a record that a key of the ledger signed.

        A bundle whose manifest does not say that records are signed was made before they were: where the ledger's key
        has signed it, nobody without that key can have made it, and on whose authority it was is not proved.
        """
        if self.log is None or not self.log.present:
            return
        earlier = self.predicate.get("erasures") != "signed" and self._is_vouched_for()
        for stream, summary in self.summaries.items():
            erased, records = summary.emptied["erased"], journals.erasures.get(stream, [])
            if sum(one.events for one in records) < erased:
                told = f"{erased} payloads are said to be erased, and no journal here says on whose authority"
                self.findings.add("erasure", "payload", told, stream)
            elif sum(one.events for one in records if one.signed) >= erased:
                continue
            elif earlier:
                self.unsigned_erasures += 1
            else:
                told = f"{erased} payloads are erased, and no key that counts signed the record of it"
                self.findings.add("erasure", "authority", f"{told}: whoever had the store can have made it", stream)

    def _is_vouched_for(self) -> bool:
        """Return whether a key that was named signed the manifest; where none was, whether any of the ledger did."""
        signers = {key.fingerprint for key in self.manifest_signers}
        return bool(signers & self.trusted) if self.trusted else bool(signers)

    def _counting(self, log: Log) -> list[Key]:
        """Return the keys whose signature counts: those that were named, and those that one of them vouches for.

        Where none was named, all that are here; then nothing is authentic. The manifest names all files, so that of
        the keys too.
        """
        if not self.trusted or self._is_vouched_for():
            return [*log.keys, *log.former]
        return [key for key in (*log.keys, *log.former) if key.fingerprint in self.trusted]

    def _check_proofs(self, log: Log) -> set[bytes]:
        proved = set()
        for name in self._container.names("proofs"):
            stream = _stream_of(name)
            try:
                wrong = log.take_proof(stream, parse_proof(self._container.read(name, _SMALL)))
            except ValueError as error:
                wrong = str(error)
            if wrong:
                self.findings.add("proof", name, wrong, stream)
            proved.add(stream)
        return proved

    def _check_links(self) -> None:
        selection = self.predicate.get("selection")
        asked = selection.get("link") if isinstance(selection, dict) else None
        linked = self.journals.linked if self.journals is not None else {}
        links = [summary for summary in self.summaries.values() if summary.kind == "link"]
        if asked is not None and not any(link_names(one, linked.get(one.stream), asked) for one in links):
            self.findings.add("link", "selection", f"no link here names what the bundle was made for: {asked}")
        announced = {} if self.journals is None else self.journals.announced
        wrong = wrong_selection(selection, self.summaries, announced)
        if wrong and not self.findings.others_than(*OF_TIMES):  # what is damaged need not be what was asked for
            self.findings.add("manifest", "selection", wrong)
        here = {id_of(stream) for stream in self.summaries}
        for summary in links:
            of = linked.get(summary.stream, {}) if summary.emptied["erased"] else summary.link
            if of.get("exchange") not in here and not summary.emptied["withheld"]:
                self.findings.add("omitted", "link", "the exchange that it names is not here", summary.stream, 1)
        tags = {one.link["tag"] for one in links if isinstance(one.link.get("tag"), str)}
        if tags and self.log is not None and self.log.present:
            self.tagged = self.log.tagged(tags)

    def _check_anchors(self, log: Log) -> None:
        sizes = {checkpoint.size: checkpoint for checkpoint in log.checkpoints}
        for name in self._container.names("anchors"):
            try:
                told = parse_json(self._container.read(name, _LARGE))
                evidence = base64.b64decode(str(told["evidence"]), validate=True)
                checkpoint = sizes[told["size"]]
                made_ns, anchor = int(told["made_ns"]), str(told["anchor"])
            except (ValueError, KeyError, TypeError):
                self.findings.add("anchor", name, "it is none, or of a checkpoint that is not here")
                continue
            one = {"anchor": anchor, "size": checkpoint.size, "made_ns": made_ns, "file": name}
            self.anchors.append({**one, "names_checkpoint": _names(evidence, checkpoint)})

    def _check_counts(self, log: Log) -> None:
        emptied = {why: sum(one.emptied[why] for one in self.summaries.values()) for why in ("withheld", "erased")}
        counted = {
            "events": self.events,
            "streams": len(self.summaries),
            "other_streams": log.others,
            "withheld": emptied["withheld"],
            "erased": emptied["erased"],
        }
        told = self.predicate.get("counts")
        if told != counted and not self.findings.others_than(*OF_TIMES):
            self.findings.add("manifest", "counts", f"the manifest counts {told}, here are {counted}")
        self.counts = counted

    def _read_held(self, log: Log) -> Checkpoint | None:
        if self._held is None:
            return None
        try:
            return parse_checkpoint(self._held, log.keys)
        except ValueError as error:
            self.findings.add("stale", "checkpoint", f"the checkpoint that you hold cannot be read: {error}")
            return None

    def _compare_held(self, own: Checkpoint, log: Log) -> None:
        """Compare with a checkpoint that the auditor kept: is this the same log, and not an older state of it?"""
        roots = {**{one.size: one.root for one in log.checkpoints}, **log.roots}
        if own.origin != log.origin or roots.get(own.size, own.root) != own.root:
            told = "the checkpoint that you hold is not of this ledger: one of the two was changed"
            self.findings.add("tree", "checkpoint", told)
        elif own.size > max(roots, default=0):
            told = f"you hold a checkpoint of {own.size} leaves: the bundle shows an older state of the ledger"
            self.findings.add("stale", "checkpoint", told)
        else:
            self.held_told = "agrees" if own.size in roots else "not comparable"

    def kind_of(self, name: str) -> str:
        """Return what an event stream is, by its id as text: as its events say, else as the manifest does."""
        try:
            summary = self.summaries.get(uuid.UUID(name).bytes)
        except ValueError:
            summary = None
        told = (summary.kind if summary is not None else "") or self._kinds.get(name)
        return told if told in KINDS else "event stream"

    def gaps(self) -> int:
        """Return how often the recorder itself noted, in what is here, that something could not be kept."""
        return sum(summary.gaps for summary in self.summaries.values())

    def dropped(self) -> int:
        """Return how many events of what is here are lost, as the journals say."""
        return 0 if self.journals is None else self.journals.dropped

    def anchored(self) -> bool:
        """Return whether what an anchor gave names a checkpoint that covers everything here."""
        end = 0 if self.log is None else self.log.end
        return any(anchor["names_checkpoint"] and anchor["size"] >= end for anchor in self.anchors)


def _unsigned(data: bytes) -> bytes:
    """Return an envelope without its signatures: what it says is needed to find the keys."""
    envelope = parse_json(data)
    return canonical_json({**envelope, "signatures": []}) if isinstance(envelope, dict) else data


def _stream_of(name: str) -> bytes:
    """Return the id in the name of a file.

    :raises Damaged: there is none in its only form.
    """
    text = name.split("/")[-1].partition(".")[0]
    try:
        found = uuid.UUID(text)
    except ValueError:
        found = None
    if found is None or name not in (f"streams/{found}.ev", f"proofs/{found}.tlog-proof"):
        raise Damaged(f"{name} is not a file that a bundle has")
    return found.bytes


def _names(evidence: bytes, checkpoint: Checkpoint) -> bool:
    """Return whether what an anchor gave names a checkpoint: its SHA-256, or the note itself."""
    forms: Iterable[bytes] = (checkpoint.digest, checkpoint.digest.hex().encode(), checkpoint.note.encode())
    return any(form in evidence for form in forms)


# --------------------------------------------------------------------------------------------------------------
# links
#
# What a bundle tells of its links: which order rests on which exchange, and whether that was sealed before it.
# --------------------------------------------------------------------------------------------------------------


def links_told(verification: Verification) -> Iterator[tuple[StreamSummary, dict[str, Any]]]:
    """Yield each link, the oldest first, with what ``--json`` prints of it but for times.

    What is withheld or erased of it is absent; of an erased one, its record may tell the kind and the exchange.
    """
    links = (one for one in verification.summaries.values() if one.kind == "link")
    for summary in sorted(links, key=lambda one: (one.began_ns, one.stream)):
        yield summary, _link(verification, summary)


def _link(verification: Verification, summary: StreamSummary) -> dict[str, Any]:
    told: dict[str, Any] = {"link": id_of(summary.stream)}
    told.update({why: True for why, count in summary.emptied.items() if count})
    told.update(_named(verification, summary))
    tag = summary.link.get("tag")
    if isinstance(tag, str):
        told["tag"] = tag
        leaf = verification.tagged.get(tag)
        if leaf is not None:
            told["tag_of"] = {"leaf": leaf.number, "stream": id_of(leaf.stream)}
    return told


def _named(verification: Verification, summary: StreamSummary) -> dict[str, Any]:
    """Return what a link names, and its facts: what the event says, else the record of its erasure."""
    facts: Mapping[str, Any] = summary.link
    if summary.emptied["erased"] and verification.journals is not None:
        facts = verification.journals.linked.get(summary.stream, {})
    named = {name: facts[name] for name in ("kind", "id", "exchange") if isinstance(facts.get(name), str)}
    more = facts.get("facts")
    return {**named, **({"facts": showable(more)} if isinstance(more, dict) and more else {})}


def seal_of(verification: Verification, exchange: object) -> Sealed | None:
    """Return the leaf that sealed an exchange: the first that has its end, else the last; None: none that is here."""
    try:
        stream = uuid.UUID(str(exchange)).bytes
    except ValueError:
        return None
    leaves = [] if verification.log is None else verification.log.own.get(stream, [])
    return next((leaf for leaf in leaves if leaf.state), leaves[-1] if leaves else None)


# --------------------------------------------------------------------------------------------------------------
# report
#
# What a verification came to: verdicts that are given apart, since one word for all of them would hide something.
# --------------------------------------------------------------------------------------------------------------


#: What is not proved of anchors until somebody has checked what they gave.
OF_ANCHORS = "what the anchors say: each is checked with its own program or place, and proves `not later than`"
_SHOWN = 20
_UTC = timezone(timedelta(0))
_TOLD = ("ground", "by", "approved_by", "overrides", "vouched_by")
_LOST = ("bundle", "tree", "leaf", "omitted", "version", "journal", "record")
_QUESTIONS = {
    "authentic": "it is by the holder of a key that you named",
    "unmodified": "every event is the one that was written, every file the one that the manifest names",
    "complete_in_range": "no entry of the ledger's range, and no event of what is here, was left out",
    "bounded_in_time": "what says when it was",
}


def result_of(verification: Verification) -> dict[str, Any]:
    """Return everything that a verification found, as ``--json`` prints it."""
    log, findings = verification.log, verification.findings
    clocks = _clocks(verification)
    exchanges = [one for one in verification.summaries.values() if one.kind == "exchange"]
    verdicts = {
        "authentic": _authentic(verification),
        "unmodified": "no" if findings.others_than("key", "stale", *OF_TIMES) else "yes",
        "complete_in_range": _complete(verification),
        "bounded_in_time": _bounded(verification, clocks),
    }
    result: dict[str, Any] = {
        "verdicts": verdicts,
        "findings": [_finding(verification, finding) for finding in findings.found],
        "events": verification.events,
        "exchanges": [_exchange(verification, one) for one in exchanges],
        "counts": verification.counts,
        "gaps": verification.gaps(),
        "dropped": verification.dropped(),
        "not_proved": list(_not_proved(verification, verdicts)),
        "clocks": clocks,
        "anchors": verification.anchors,
    }
    erasures = list(_erasures(verification))
    if erasures:
        result["erasures"] = erasures
    links = [_link_shown(verification, summary, told) for summary, told in links_told(verification)]
    if links:
        result["links"] = links
    if findings.more:
        result["more_findings"] = findings.more
    if log is not None and log.present:
        result["ledger"] = {
            "origin": log.origin,
            "from": log.start,
            "to": log.end,
            "checkpoints": [checkpoint.size for checkpoint in log.checkpoints],
            "keys": [{"vkey": key.text, "fingerprint": key.fingerprint} for key in log.keys],
        }
    if verification.predicate:
        result["selection"] = verification.predicate.get("selection")
        result["made_for"] = made_for(verification.predicate.get("selection"))
        result["recorder"] = verification.predicate.get("recorder")
    if verification.journals is not None:
        result["announced_elsewhere"] = verification.journals.elsewhere
    if verification.held_told:
        result["held_checkpoint"] = verification.held_told
    return result


def _finding(verification: Verification, finding: Finding) -> dict[str, Any]:
    of = {"of": verification.kind_of(finding.stream)} if finding.stream else {}
    return {**finding.as_json(), **of}


def _authentic(verification: Verification) -> str:
    log, findings, trusted = verification.log, verification.findings, verification.trusted
    signers = {
        key.fingerprint
        for checkpoint in (log.checkpoints if log is not None else ())
        if log is not None and checkpoint.size in log.proved_sizes and checkpoint.size >= log.end
        for key in checkpoint.signers
    }
    if trusted and not signers & trusted and not findings.any_of("bundle"):
        findings.add("key", "checkpoints", "no checkpoint of what is here is signed by a key that you named")
    if findings.others_than("stale", *OF_TIMES):
        return "no"
    if not trusted:
        return "not proved"
    by_manifest = {key.fingerprint for key in verification.manifest_signers}
    return "yes" if by_manifest & trusted else "events only"


def _complete(verification: Verification) -> str:
    if verification.findings.any_of(*_LOST) or verification.gaps() or verification.dropped():
        return "no"
    return "yes" if verification.log is not None and verification.log.present else "not proved"


def _bounded(verification: Verification, clocks: list[str]) -> str:
    if clocks or verification.findings.any_of("bundle", "tree", "signature"):
        return "no"
    return "anchors not checked" if verification.anchored() else "by its own clock"


def _clocks(verification: Verification) -> list[str]:
    """Return what is wrong with the times that clocks told, a sentence each: the findings, and what is none."""
    told = [finding.detail for finding in verification.findings.found if finding.kind in OF_TIMES]
    return told + ([] if verification.times is None else verification.times.excused)


def _last_leaf(verification: Verification, stream: bytes) -> Any:
    leaves = verification.log.own.get(stream) if verification.log is not None else None
    return leaves[-1] if leaves else None


def _erasures(verification: Verification) -> Iterator[dict[str, Any]]:
    """Yield who erased what is erased here, when, on what ground and on whose word, as its records say."""
    journals, log = verification.journals, verification.log
    for stream, records in sorted(journals.erasures.items()) if journals is not None else ():
        summary = verification.summaries.get(stream)
        if summary is None or not summary.emptied["erased"]:
            continue
        for one in records:
            told = {name: one.facts[name] for name in _TOLD if name in one.facts}
            shown = {
                "stream": id_of(stream),
                "kind": summary.kind,
                "events": one.events,
                "at": _time(one.at_ns),
                **told,
            }
            yield {**shown, "signed": one.signed} if log is not None and log.present else shown


def _exchange(verification: Verification, summary: StreamSummary) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": id_of(summary.stream), "events": summary.length}
    shown["began_at"], shown["last_at"] = _time(summary.began_ns), _time(summary.last_ns)
    leaf = _last_leaf(verification, summary.stream)
    if leaf is not None:
        shown["sealed_at"], shown["leaf"] = _time(leaf.sealed_ns), leaf.number
    told = {**summary.emptied, "gaps": summary.gaps}
    return {**shown, **{what: count for what, count in told.items() if count}}


def _link_shown(verification: Verification, summary: StreamSummary, told: dict[str, Any]) -> dict[str, Any]:
    shown = {**told, "at": _time(summary.began_ns)}
    leaf = seal_of(verification, told.get("exchange"))
    if leaf is not None:
        lead_ms = round((summary.began_ns - leaf.sealed_ns) / 1_000_000, 3)
        shown["seal"] = {"leaf": leaf.number, "sealed_at": _time(leaf.sealed_ns), "before_link_ms": lead_ms}
    return shown


def _not_proved(verification: Verification, verdicts: dict[str, str]) -> Iterator[str]:
    if verification.findings.any_of("bundle"):
        yield "anything: this is not the file that was made"
        return
    log = verification.log
    if log is None or not log.present:
        yield "authenticity: the store has no signed checkpoints"
        yield "that no whole exchange was left out, and nothing cut off the end of one"
        yield "that nobody rewrote an exchange together with all of its hashes"
    elif verdicts["authentic"] == "not proved":
        yield "authenticity: give --key with the fingerprint that you got from the other side by another way"
    if log is not None and log.present and not verification.held_told:
        yield "that others are shown the same ledger: compare with a checkpoint that you keep (--checkpoint)"
    if verdicts["authentic"] == "events only":
        yield "who wrote the transcripts, the cover and the selection: the manifest is not signed with that key"
    if verification.unsigned_erasures:
        several = _counted(verification.unsigned_erasures, "event stream")
        yield f"on whose authority payloads of {several} were erased: their records are of a time when none was signed"
    if any(summary.emptied["erased"] for summary in verification.summaries.values()):
        sealed = log is not None and log.present
        who = (
            "that nothing forbade what is erased"
            if sealed
            else "who erased what is erased, and that nothing forbade it"
        )
        yield f"{who}: holds and retention periods are in the store alone (`recorder verify`)"
    yield from _late(verification)
    copied = () if verification.journals is None else verification.journals.copied
    others = sum(one.kind == "exchange" and one.stream in copied for one in verification.summaries.values())
    if others:
        told = f"that nothing is missing beside {_counted(others, 'exchange')} that came from another store"
        yield f"{told}: the journals of it are not here"
    yield "that the transcripts say what the events say: recorder wrote them, and can write them again from the events"
    yield "that the recorder saw everything: what was sent past it is in no ledger"
    selection = verification.predicate.get("selection")
    if isinstance(selection, dict) and "period" in selection:
        yield "that no other process recorded in that time: those whose journals are not here are not known"
    elif isinstance(selection, dict) and ("link" in selection or "conversation" in selection):
        whole = "that led to it" if "link" in selection else "of the conversation"
        yield f"that these are all exchanges {whole}: whoever made the bundle chose them"
    if verification.anchors:
        yield OF_ANCHORS
    yield "that the clock of the recording machine was right, and anything `not earlier than` a moment"


def _late(verification: Verification) -> Iterator[str]:
    """Yield what is not proved of what was sealed late."""
    times = verification.times
    for why, count in times.late.items() if times is not None else ():
        yield f"that {_counted(count, 'event')} are as old as they say: they were sealed late; {why}"
    if times is not None and times.excused:
        yield "why some of it was sealed late: the bundle is of a time when none had to bring what tells of that"


def _time(nanoseconds: int) -> str:
    """Return a time as people read it, UTC; a number where no calendar has it."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=_UTC) + timedelta(seconds=nanoseconds // 10**9)
    except OverflowError:
        return str(nanoseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09}Z"


def lines_of(result: dict[str, Any]) -> Iterator[str]:
    """Yield what people are shown, line by line; nothing that a bundle says can move the cursor."""
    counts = result["counts"]
    yield f"{_counted(result['events'], 'event')} of {_counted(len(result['exchanges']), 'exchange')}"
    yield from _chosen(result)
    for question, text in _QUESTIONS.items():
        yield f"  {result['verdicts'][question]:<19} {question.replace('_', ' ')}: {text}"
    ledger = result.get("ledger")
    if ledger is not None:
        span = f"entries {ledger['from']} to {ledger['to'] - 1}"
        others = _counted(counts.get("other_streams", 0), "other event stream")
        yield f"ledger {_clean(ledger['origin'])}, {span}, of {others} too"
        for key in ledger["keys"]:
            yield f"  key {_grouped(key['fingerprint'])}"
    yield from _not_here(result, counts)
    yield from _authority(result.get("erasures", []))
    for one in result["exchanges"][:_SHOWN]:
        sealed = f", sealed {one['sealed_at']}" if "sealed_at" in one else ""
        gaps = f", {_counted(one['gaps'], 'gap')}" if "gaps" in one else ""
        yield f"  exchange {one['id']}: {one['began_at']} to {one['last_at']}{sealed}{gaps}"
    yield from _rest("exchanges", len(result["exchanges"]))
    yield from _links(result.get("links", []))
    for anchor in result["anchors"][:_SHOWN]:
        told = "" if anchor["names_checkpoint"] else "; what it gave does not name the checkpoint"
        told = f": {_clean(anchor['told'])}" if "told" in anchor else told  # where somebody has checked it
        yield f"  anchor of entry {anchor['size'] - 1}: {_clean(anchor['anchor'])}, {_time(anchor['made_ns'])}{told}"
    found = {finding["detail"] for finding in result["findings"]}
    for told in [one for one in result["clocks"] if one not in found][:_SHOWN]:
        yield f"  clock: {_clean(told)}"
    for finding in result["findings"][:_SHOWN]:
        place = f"{finding.get('of', 'event stream')} {finding['stream']} " if "stream" in finding else ""
        version = f"version {finding['version']} " if "version" in finding else ""
        yield f"  FOUND {place}{version}{finding['kind']} ({_clean(finding['field'])}): {_clean(finding['detail'])}"
    yield from _rest("findings", len(result["findings"]))
    if result.get("held_checkpoint"):
        yield f"the checkpoint that you hold: {result['held_checkpoint']}"
    yield "not proved:"
    for text in result["not_proved"]:
        yield f"  {text}"


def _not_here(result: dict[str, Any], counts: dict[str, int]) -> Iterator[str]:
    for why in ("withheld", "erased"):
        if counts.get(why):
            yield f"  {_counted(counts[why], 'payload')} {why}: their sizes and commitments are here"
    if result["gaps"]:
        yield f"  {_counted(result['gaps'], 'gap')}: the recorder itself says that something could not be kept"
    if result["dropped"]:
        yield f"  {_counted(result['dropped'], 'event')} lost, as the journals say"


def _authority(erasures: list[dict[str, Any]]) -> Iterator[str]:
    for one in erasures[:_SHOWN]:
        signed = "" if one.get("signed", True) else "; NOT SIGNED by a key that counts"
        yield f"    {one['kind']} {one['stream']} erased {one['at']} {_clean(on_whose_word(one))}{signed}"
    yield from _rest("records of erasures", len(erasures))


def _links(links: list[dict[str, Any]]) -> Iterator[str]:
    for one in links[:_SHOWN]:
        named = f"{one.get('kind', 'something')} {one.get('id', '(its id is not here)')}"
        yield f"  link {one['link']}: {_clean(named)}, linked {one['at']}{_emptied(one)}"
        if "exchange" in one:
            seal = one.get("seal")
            lead_ns = None if seal is None else round(seal["before_link_ms"] * 1_000_000)
            leaf = "" if seal is None else f", leaf {seal['leaf']}"
            yield f"    rests on exchange {_clean(one['exchange'])}, {seal_told(lead_ns)}{leaf}"
        if "tag" in one:
            leaf, of = one.get("tag_of", {}).get("leaf"), one.get("tag_of", {}).get("stream")
            yield f"    tag {tag_told(_clean(one['tag']), leaf, '' if of == one.get('exchange') else of or '')}"
        for name, text in list(facts_told(one.get("facts")))[:_SHOWN]:
            yield f"    {_clean(name)}: {_clean(text)}"
        yield from _rest("facts", len(one.get("facts", {})))
    yield from _rest("links", len(links))


def _emptied(link: dict[str, Any]) -> str:
    return "".join(f", {why}" for why in ("withheld", "erased") if link.get(why))


def _chosen(result: dict[str, Any]) -> Iterator[str]:
    if "made_for" in result:
        yield f"made for {_clean(result['made_for'])}"
    elsewhere = result.get("announced_elsewhere", 0)
    if elsewhere:
        are = "is" if elsewhere == 1 else "are"
        yield f"{_counted(elsewhere, 'exchange')} that these processes announced {are} not in this bundle"


def _rest(what: str, count: int) -> Iterator[str]:
    if count > _SHOWN:
        yield f"  … and {count - _SHOWN} more {what}: see --json"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _grouped(digits: str) -> str:
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _clean(text: object) -> str:
    return "".join(each if each.isprintable() else "�" for each in str(text))[:500]


# --------------------------------------------------------------------------------------------------------------
# verify
#
# The verifier as a program: ``python verify.py evidence.zip --key FINGERPRINT``.
# --------------------------------------------------------------------------------------------------------------


_EPILOG = """\
exit code: 0 nothing is wrong with what can be proved (read what is not), 1 something is wrong, 2 wrong usage,
3 the result cannot be written.
The key must not come from the bundle: ask for its fingerprint by another way."""
_MOST = 1 << 20  # bytes of a checkpoint


def fingerprints_of(text: str) -> list[str]:
    """Return the fingerprints that ``--key`` means.

    :param text: a fingerprint (64 hexadecimal digits, in groups or not, see :func:`fingerprints_in`), or several, as
        ``recorder keys show`` prints them after a rotation; or the public key itself.
    :raises ValueError: it is neither.
    """
    found = fingerprints_in(text)
    if found:
        return found
    if "+" not in text:
        told = f"{' '.join(text.split())[:200]!r} is no fingerprint of a key: that has 64 hexadecimal digits, as"
        raise ValueError(
            f"{told} `recorder keys show` prints it; ask whoever made the bundle, by another way than with it"
        )
    return [parse_vkey(text.strip()).fingerprint]


def checkpoint_in(path: Path) -> bytes:
    """Return the checkpoint in a file.

    :raises ValueError: there is none in it.
    :raises OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MOST + 1)
    try:
        if len(data) > _MOST:
            raise ValueError("it is too large")
        parse_checkpoint(data, ())
    except ValueError:  # of which a text that is not UTF-8 is one
        raise ValueError(f"{path} holds no checkpoint: give the .note file that you kept") from None
    return data


def verify_bundle(
    path: Path, keys: Sequence[str] = (), checkpoint: bytes | None = None, stamps: Sequence[TimeStamp] = ()
) -> dict[str, Any]:
    """Verify a bundle.

    :param path: the zip file.
    :param keys: fingerprints, or public keys, that were got by another way than with the bundle.
    :param checkpoint: a note that was kept from before.
    :param stamps: time stamps in it that somebody has checked.
    :return: verdicts, findings, and what is not proved; nothing is wrong where ``findings`` is empty.
    :raises ValueError: one of *keys* is no key.
    :raises OSError: the file cannot be read.
    """
    trusted = [one for key in keys for one in fingerprints_of(key)]
    with path.open("rb") as file:
        verification = Verification(file, trusted, checkpoint, stamps)
        verification.run()
        return result_of(verification)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Verify an evidence bundle.", epilog=_EPILOG)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", action="append", default=[], help="a key's fingerprint, got by another way")
    parser.add_argument("--checkpoint", type=Path, help="a file with a checkpoint that you kept from before")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    given = parser.parse_args(groups_joined(sys.argv[1:] if arguments is None else arguments, "--key"))
    try:
        for key in given.key:
            fingerprints_of(key)
    except ValueError as error:
        sys.stderr.write(f"error: --key: {error}\n")
        return 2
    try:
        held = checkpoint_in(given.checkpoint) if given.checkpoint is not None else None
        result = verify_bundle(given.bundle, given.key, held)
    except ValueError as error:
        sys.stderr.write(f"error: --checkpoint: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error.filename} cannot be read: {error.strerror}\n")
        return 2
    lines = [json.dumps(result, sort_keys=True)] if given.json else lines_of(result)
    if sys.stdout is None:
        sys.stderr.write("error: the result cannot be written: standard output is closed\n")
        return 3
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr] # a TextIOWrapper
    return _written("".join(f"{line}\n" for line in lines)) or (1 if result["findings"] else 0)


def _written(text: str) -> int:
    """Write to standard output; return 0, or the exit code where that cannot be done."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        code = 141
    except OSError as error:
        sys.stderr.write(f"error: the result cannot be written: {error.strerror}\n")
        code = 3
    else:
        return 0
    with Path(os.devnull).open("w") as nowhere:  # what is left in the buffer is written once more at the end
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    sys.exit(main())
