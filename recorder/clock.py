"""Time and identity: the only nondeterminism in recorder.

Everything that needs the time, a fresh id or a random secret takes a :class:`Clock`, so that tests
and replays can drive it.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Final, Protocol

from recorder.core.sent_order import BY_CLOCK


class Clock(Protocol):
    """Where time, ids and secrets come from."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z (UTC, no leap seconds)."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back; its origin has no meaning."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        ...

    def new_id(self) -> bytes:
        """Return 16 bytes: a UUID of version 7, later ids of one process sort after earlier ones."""
        ...

    def secret(self, size: int) -> bytes:
        """Return *size* unguessable bytes."""
        ...


_ids = threading.RLock()  # a signal handler may want an id while one is being made
_last_ticks = 0


def _renew_lock() -> None:
    """A forked child would wait for ever for a lock that another thread of its parent held."""
    global _ids
    _ids = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class SystemClock:
    """The machine's clocks and its random number generator."""

    def __init__(self) -> None:
        self.wall_ns = time.time_ns
        self.monotonic_ns = time.monotonic_ns
        self.sleep = time.sleep
        self.secret = os.urandom

    def new_id(self) -> bytes:
        """Return a UUIDv7 (RFC 9562 §5.7).

        The 12 bits after the version hold the fraction of the millisecond (§6.2, method 3), so that
        ids made within one millisecond still sort in the order in which they were made.
        """
        global _last_ticks
        with _ids:
            ticks = max((time.time_ns() << 12) // 1_000_000, _last_ticks + 1)  # 1/4096 ms
            _last_ticks = ticks
        tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
        value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | tail
        return value.to_bytes(16, "big")


ID_SIZE: Final = 16  # bytes


def asked_at(identity: bytes, wall_ns: int) -> tuple[int, int, bytes]:
    """Return what exchanges sort by as their requests were sent.

    Ids of recordings begin with the clock, and sort as those of one process were made, even where its wall clock was
    set back. Imported ones are made from what they hold, and say nothing: their times have the order of their file.

    :param wall_ns: when its first event was, UTC nanoseconds.
    """
    if identity[6] >> 4 == BY_CLOCK:
        return int.from_bytes(identity[:6], "big"), 0, identity
    return wall_ns // 1_000_000, wall_ns, identity


def id_text(identity: bytes) -> str:
    """Return the canonical text of a 16-byte id: ``0190…-7…``."""
    return str(uuid.UUID(bytes=identity))


def id_or_digits(identity: bytes) -> str:
    """Return an id as text; where damage has given it another size, which has no text of its own, as hexadecimal."""
    return id_text(identity) if len(identity) == ID_SIZE else identity.hex()


def id_bytes(text: str) -> bytes:
    """Return the 16 bytes of an id given as text.

    :raises ValueError: *text* is no UUID.
    """
    return uuid.UUID(text).bytes
