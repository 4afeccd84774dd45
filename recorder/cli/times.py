"""Points in time on the command line: ``2h``, ``2026-11-01``, ``today``, ``14:00``, ``2026-11-01T09:30``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import click

from recorder.clock import SystemClock
from recorder.core.json_text import rfc3339, wall_ns_of
from recorder.errors import ConfigurationError

_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_WORDS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}
#: Numbers with units, each unit once and the larger one first; the last number may have a fraction (after ISO 8601).
_AGE: Final = re.compile(
    r"\s*".join(rf"(?:(?P<{unit}>\d+(?:[.,]\d+(?=\s*{unit}$))?)\s*{unit})?" for unit in _UNITS), re.IGNORECASE
)
_MONTH: Final = re.compile(r"\d{4}-\d\d")
#: A day by its name, a time of the day, or both; no offset, by which it could be another day.
_OF_A_DAY: Final = re.compile(
    rf"(?:({'|'.join(_WORDS)})(?:[\sT]+(?=\d)|$))?(\d?\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?Z?", re.IGNORECASE
)
#: A time with a fraction of a second, of which a ``datetime`` would take six digits.
_NANOSECONDS: Final = re.compile(r"(.+:\d\d:\d\d)[.,](\d{1,9})(|[Zz]|[+-][\d:]+)")
_SECOND: Final = 1_000_000_000
_LAST_NS: Final = 2**63 - 1


def nanoseconds(text: str, now_ns: int) -> int:
    """Return a point in time as UTC nanoseconds.

    :param text: an age (``90s``, ``2h``, ``1h30m``, ``1.5h``, ``3d``, ``1w``), ``yesterday``, ``today`` or
        ``tomorrow``, a month, or a date or time after ISO 8601; a time of the day alone is one of today. A day and a
        month stand for their first moment. Without an offset it is UTC, as all times that are shown.
    :param now_ns: what an age is told from, and which day today is.
    :return: what 64 bits hold: 1677 to 2262; a point before or after that is the first or the last of them.
    :raises ValueError: it is none of these.
    """
    text = text.strip()
    age = _AGE.fullmatch(text)
    if age is not None and any(age.groups()):
        told = ((Fraction(number.replace(",", ".")), unit) for unit, number in age.groupdict().items() if number)
        found = now_ns - int(sum(number * _UNITS[unit] * _SECOND for number, unit in told))
    else:
        text = _iso(text, now_ns)
        written = _NANOSECONDS.fullmatch(text)
        whole, rest = (text, 0) if written is None else (written[1] + written[3], int(written[2].ljust(9, "0")))
        moment = datetime.fromisoformat(whole)
        found = wall_ns_of(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)) + rest
    return min(max(found, -_LAST_NS - 1), _LAST_NS)


def _iso(text: str, now_ns: int) -> str:
    """Return a month as its first day, what is told of a day near now with its date, all else as it is."""
    if _MONTH.fullmatch(text) is not None:
        return f"{text}-01"
    told = _OF_A_DAY.fullmatch(text)
    if told is None or not (told[1] or told[2]):
        return text
    day = datetime.fromtimestamp(now_ns // _SECOND, UTC) + timedelta(days=_WORDS[(told[1] or "today").lower()])
    hour, colon, rest = (told[2] or "00:00").partition(":")
    return f"{day:%Y-%m-%d}T{hour:0>2}{colon}{rest}"


def require_span(since_ns: int | None, until_ns: int | None) -> None:
    """Refuse a time that ends before it begins: nothing can be in it, and that nothing fits would be no answer.

    :raises ConfigurationError: ``--since`` is later than ``--until``.
    """
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise ConfigurationError(
            f"--since ({rfc3339(since_ns)}) is later than --until ({rfc3339(until_ns)}): give a time from the earlier "
            "to the later one"
        )


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
                f"{value!r} is no time: write an age like 15m, 1h30m or 3d, a day or month like today, 2026-11-01 or "
                "2026-11, or a time like 14:00 or 2026-11-01T09:30 (UTC).",
                param,
                ctx,
            )
