"""What a journal says of the process that it is of, and of the machine's clock."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from recorder.core.events import meta_text
from recorder.core.journal_facts import ClockSampledMeta, InstanceStartedMeta, PreviousJournal
from recorder.core.version import __version__

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_ERROR: Final = 5  # TIME_ERROR of <sys/timex.h>: the clock is not synchronized
_UNSYNCHRONIZED: Final = 0x0040  # STA_UNSYNC
_NANOSECONDS: Final = 0x2000  # STA_NANO: the offset is in nanoseconds


def digest_of(configuration: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a configuration's text, as hexadecimal digits."""
    return hashlib.sha256(meta_text(configuration).encode("ascii")).hexdigest()


def host() -> str:
    """Return the name of this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME", "")


def started_facts(configuration: Mapping[str, Any], previous: PreviousJournal | None) -> InstanceStartedMeta:
    """Return the facts of ``instance_started`` for this process.

    :param configuration: how the process was set up to record.
    :param previous: the newest other journal of the store, where that is known.
    """
    facts = InstanceStartedMeta(
        recorder=__version__,
        python=sys.version.split()[0],
        system=_system(),
        host=host(),
        pid=os.getpid(),
        configuration=dict(configuration),
        digest=digest_of(configuration),
    )
    with suppress(OSError):
        facts["boot"] = _BOOT.read_text().strip()
    if previous is not None:
        facts["previous"] = previous
    return facts


def _system() -> str:
    if hasattr(os, "uname"):
        named = os.uname()
        return f"{named.sysname} {named.release} {named.machine}"
    return sys.platform


@cache
def _adjtimex() -> tuple[Callable[..., int], Callable[[], Any]] | None:
    """Return adjtimex(2) of the C library, and what makes its argument; None where it is not known here.

    What it needs is imported here: not with recorder.
    """
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32:
        return None
    import ctypes

    class Timex(ctypes.Structure):
        """``struct timex`` of Linux on 64 bits, as far as it is looked at; modes 0 changes nothing."""

        _fields_ = [
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_byte * 256),  # more than the kernel writes
        ]

    try:
        call = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):  # a C library without it
        return None
    call.argtypes, call.restype = [ctypes.POINTER(Timex)], ctypes.c_int
    return call, Timex


def clock_facts(exchanges: int) -> ClockSampledMeta:
    """Return the facts of ``clock_sampled``: what the kernel says of how well its clock is kept; nothing is changed.

    :param exchanges: opened so far.
    """
    facts = ClockSampledMeta(exchanges=exchanges)
    found = _adjtimex()
    if found is None:
        return facts
    call, make = found
    told = make()
    state = call(told)
    if state < 0:  # a sandbox forbids it
        return facts
    facts["synchronized"] = state != _ERROR and not told.status & _UNSYNCHRONIZED
    facts["maxerror_us"] = told.maxerror
    facts["esterror_us"] = told.esterror
    facts["offset_us"] = int(told.offset / 1000) if told.status & _NANOSECONDS else told.offset
    return facts
