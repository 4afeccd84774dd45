"""A time as text, as everything that recorder writes has it.

A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
"""

from __future__ import annotations

from datetime import datetime, timezone


def rfc3339(wall_ns: int) -> str:
    """Return nanoseconds since 1970 as UTC text with nine decimals (RFC 3339)."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"  # noqa: UP017 - for 3.9
