"""Dates and times as they stand in texts and in JSON: where one is, and which is the earlier of two.

ISO 8601 and RFC 3339, the usual ways to write a date in English, ``date(1)``, RFC 5322, numeric dates with a year of
four digits; Unix times are read by whoever knows that a number is one. What is part of a longer word is none: in
``gpt-4o-2024-08-06`` and ``2024-10-01-preview`` a date is a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: Year, month and day, then hour, minute, second, nanosecond and zone where there is a time.
Moment = tuple[int | str, ...]

_YEAR: Final = "(?:19|20)[0-9]{2}"
_MM, _DD = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_M, _D = "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
_DAY: Final = "(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tue|wed|thu|fri|sat|sun)"
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = (
    "(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
)
_TH: Final = f"{_D}(?:st|nd|rd|th)?"
_CLOCK: Final = "(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]{1,9})?)?"
_ZONE: Final = "(?:Z|UTC|GMT|[ECMP][SD]T|CES?T|BST|IST|JST|[+-][0-9]{2}:?[0-9]{2})"
_TIME: Final = rf"{_CLOCK}(?:\ ?[ap]\.?m\b\.?)?(?:\ ?{_ZONE}\b)?"

_BEGIN: Final = re.compile(r"(?:(?<![\w\-.@/+:])|(?<=\\[nrt]))\w")  # JSON in a text has its line ends written out
_DATE: Final = re.compile(
    "(?i:"
    rf"{_DAY}\ {_MONTH}\ +{_D}\ {_CLOCK}(?:\ {_ZONE})?\ {_YEAR}"  # as date(1) and ctime(3) write it
    rf"|(?:{_DAY},?\ )?(?:{_YEAR}-{_MM}-{_DD}|{_YEAR}/{_MM}/{_DD}|{_MONTH}\ {_TH},?\ {_YEAR}"
    rf"|{_TH}\ (?:of\ )?{_MONTH},?\ {_YEAR}|{_DD}-(?:{'|'.join(_MONTHS)})-{_YEAR}"
    rf"|{_M}/{_D}/{_YEAR}|{_D}/{_M}/{_YEAR}|{_DD}\.{_MM}\.{_YEAR})"
    rf"(?:(?:T|,?\ (?:at\ )?){_TIME})?(?:\ \({_DAY}\))?"
    r")(?![\w\-/@]|\.\w)"
)

_CLOCK_PARTS: Final = re.compile(
    rf"(?P<h>[0-9]{{1,2}}):(?P<m>[0-9]{{2}})(?::(?P<s>[0-9]{{2}})(?:[.,](?P<f>[0-9]+))?)?"
    rf"(?:\ ?(?P<half>[ap])\.?m\b\.?)?(?:\ ?(?P<zone>{_ZONE})\b)?",
    re.IGNORECASE,
)
#: What there is before the year of a date that does not begin with it.
_BEFORE_YEAR: Final = re.compile(
    rf"(?i:{_MONTH},?\ |(?<![0-9]){_TH},?\ |-(?:{'|'.join(_MONTHS)})-|[0-9][/.]"
    rf"|:[0-9]{{2}}(?:[.,][0-9]{{1,9}})?\ |{_ZONE}\ )$"
)
_LONGEST_BEFORE_YEAR: Final = 16
_AROUND: Final = 64  # more characters than there are before a date's year, or after it
_DAY_BEFORE: Final = 12  # where the year comes first, the name of the day may stand before it
_YEAR_IN_TEXT: Final = re.compile("[12][09][0-9]{2}")
_YEAR_PART: Final = re.compile(rf"(?<![0-9]){_YEAR}(?![0-9])")
_MONTH_PART: Final = re.compile(rf"(?<![a-z])({'|'.join(_MONTHS)})")
_UNIX: Final = re.compile(r"([1-3][0-9]{9})([0-9]{3}|[0-9]{6}|[0-9]{9})?(?:\.([0-9]{1,9})[0-9]*)?")


def find_moments(text: str) -> Iterator[tuple[int, int, Moment]]:
    """Yield where dates are in a text, with a time or without: start, end and value.

    A value is equal for one date however it is written, and less for an earlier one. Zones are not reckoned with; of
    ``11/12/2026`` the month is taken to come first.
    """
    done = 0
    for year in _YEAR_IN_TEXT.finditer(text):
        at, end = year.span()
        if at < done:
            continue
        if text[end : end + 1] in ("-", "/"):
            before = _DAY_BEFORE
        elif _BEFORE_YEAR.search(text[max(at - _LONGEST_BEFORE_YEAR, 0) : at]):
            before = _AROUND
        else:
            continue
        for begin in _BEGIN.finditer(text, max(at - before, done), at + 1):
            found = _DATE.match(text, begin.start(), end + _AROUND)
            if found is not None and found.end() >= end:
                done = found.end()
                yield found.start(), done, _moment(found.group())
                break


def _moment(text: str) -> Moment:
    clock = _CLOCK_PARTS.search(text)
    date = (text if clock is None else f"{text[: clock.start()]} {text[clock.end() :]}").lower()
    year = _YEAR_PART.search(date)
    assert year is not None
    numbers = [int(digits) for digits in re.findall("[0-9]+", f"{date[: year.start()]} {date[year.end() :]}")]
    if month := _MONTH_PART.search(date):
        day = (_MONTHS.index(month.group(1)) + 1, numbers[0])
    else:
        one, other = numbers[:2]
        day = (other, one) if "." in date or one > 12 else (one, other)
    found = (int(year.group()), *day)
    return found if clock is None else (*found, *_time_of(clock))


def _time_of(clock: re.Match[str]) -> Moment:
    hour = int(clock["h"])
    if clock["half"]:
        hour = hour % 12 + (12 if clock["half"] in "pP" else 0)
    fraction = int((clock["f"] or "0").ljust(9, "0"))
    return hour, int(clock["m"]), int(clock["s"] or 0), fraction, (clock["zone"] or "").upper()


def unix_ns(written: str) -> int | None:
    """Return a Unix time of 2001 to 2096 in nanoseconds; None where it is none.

    :param written: its digits, in seconds, milli-, micro- or nanoseconds.
    """
    found = _UNIX.fullmatch(written)
    if found is None:
        return None
    seconds, more, fraction = found.groups()
    digits = (more or "") + (fraction or "")
    return int(seconds + digits.ljust(9, "0")[:9])
