"""Points in time on the command line: ``2h``, ``2026-11-01``, ``2026-11-01T09:30``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from recorder.clock import SystemClock
from recorder.core.json_text import wall_ns_of

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO: Final = re.compile(r"(\d+)\s*([smhdw])", re.IGNORECASE)
#: A time with a fraction of a second, of which a ``datetime`` would take six digits.
_NANOSECONDS: Final = re.compile(r"(.+:\d\d:\d\d)[.,](\d{1,9})(|[Zz]|[+-][\d:]+)")
_SECOND: Final = 1_000_000_000
_LAST_NS: Final = 2**63 - 1


def nanoseconds(text: str, now_ns: int) -> int:
    """Return a point in time as UTC nanoseconds.

    :param text: an age (``90s``, ``15m``, ``2h``, ``3d``, ``1w``), or a date or time after ISO 8601; without an
        offset it is UTC, as all times that are shown.
    :param now_ns: what an age is told from.
    :return: what 64 bits hold: 1677 to 2262; a point before or after that is the first or the last of them.
    :raises ValueError: it is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        found = now_ns - int(ago[1]) * _UNITS[ago[2].lower()] * _SECOND
    else:
        written = _NANOSECONDS.fullmatch(text.strip())
        whole, rest = (text.strip(), 0) if written is None else (written[1] + written[3], int(written[2].ljust(9, "0")))
        moment = datetime.fromisoformat(whole)
        found = wall_ns_of(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)) + rest
    return min(max(found, -_LAST_NS - 1), _LAST_NS)


if TYPE_CHECKING:
    _Type = click.ParamType[int]
else:  # older versions of click know no [int]
    _Type = click.ParamType


class PointInTime(_Type):
    """An option's value: UTC nanoseconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        try:
            return nanoseconds(str(value), SystemClock().wall_ns())
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write an age like 15m, 2h or 3d, or a date like 2026-11-01 or "
                "2026-11-01T09:30 (UTC).",
                param,
                ctx,
            )
