"""Dates and times of the day as programs and people write them in prompts, in several languages.

Other than :mod:`recorder.core.moments`, which finds whole dates that may stand for one another, this reads also what is
only a part of one, such as a time or the name of a day: whether it means anything, somebody else has to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final, NamedTuple

_NAMES: Final = (
    "january jan januar jänner janvier janv enero ene gennaio janeiro",
    "february feb februar février fevrier févr fév febrero febbraio fevereiro",
    "march mar märz maerz mrz mars marzo março",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio maio",
    "june jun juni juin junio giugno junho",
    "july jul juli juillet juil julio luglio julho",
    "august aug août aout agosto ago",
    "september sep sept septembre septiembre settembre setembro",
    "october oct oktober okt octobre octubre ottobre outubro",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre decembre déc diciembre dic dicembre dezembro",
)
_MONTHS: Final = {name: number for number, names in enumerate(_NAMES, 1) for name in names.split()}
_DAY_NAMES: Final = (
    "monday mon montag lundi lunes lunedì",
    "tuesday tue tues dienstag mardi martes martedì",
    "wednesday wed mittwoch mercredi miércoles mercoledì",
    "thursday thu thur thurs donnerstag jeudi jueves giovedì",
    "friday fri freitag vendredi viernes venerdì",
    "saturday sat samstag sonnabend samedi sábado sabato",
    "sunday sun sonntag dimanche domingo domenica",
)
_DAYS: Final = {name: number for number, names in enumerate(_DAY_NAMES) for name in names.split()}
_CJK_DAYS: Final = "月火水木金土日"


def _any(names: dict[str, int]) -> str:
    """An alternative of names, the longest first."""
    return "|".join(sorted(names, key=len, reverse=True))


_YEAR: Final = "(?:19|20)[0-9]{2}"
_NTH: Final = r"[0-3]?[0-9](?:st|nd|rd|th|er|º|\.)?"
_OFFSET: Final = r"[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?"
_ZONE: Final = (
    rf"(?:Z|(?:UTC|GMT)(?:{_OFFSET}|[+-]1?[0-9](?:[.:][0-9]{{2}})?)?|{_OFFSET}|CES?T|BST|IST|JST|[ECMP][SD]?T)"
)
#: What is no part of a longer number, name or path.
_FREE, _ENDS = r"(?<![\w.,:/+-])", r"(?!\w|[-/:.,][0-9])"
#: Where one may begin.
_ANCHOR: Final = re.compile(r"[0-9]+|[^\W\d_]+")
_AFTER_YEAR, _CJK_YEAR = frozenset("-/.年년"), frozenset("年년")
_UNIX_DIGITS: Final = frozenset({10, 13, 16, 19})
_LONGEST_NAME: Final = 10
_NUMBER: Final = re.compile(
    rf"""
    {_FREE}(?P<epoch>[12][0-9]{{9}}(?:[0-9]{{3}}|[0-9]{{6}}|[0-9]{{9}})?)(?:\.[0-9]+)?(?!\w|[-/:,][0-9])
    |{_FREE}(?P<y1>{_YEAR})(?P<by>[-/.])(?P<m1>[0-9]{{1,2}})(?P=by)(?P<d1>[0-9]{{1,2}})(?=T[0-9]|{_ENDS}(?!-))
    |{_FREE}(?P<y2>{_YEAR})(?P<m2>[01][0-9])(?P<d2>[0-3][0-9])(?=T[0-9]{{4}})
    |(?P<y3>{_YEAR})\ ?[年년]\ ?(?P<m3>[0-9]{{1,2}})\ ?[月월]\ ?(?P<d3>[0-9]{{1,2}})\ ?[日号일]
    |{_FREE}(?P<a>[0-9]{{1,2}})(?P<of>[-/.])(?P<b>[0-9]{{1,2}})(?P=of)(?P<y4>{_YEAR}|[0-9]{{2}}){_ENDS}
    |{_FREE}(?P<d5>{_NTH})[ -]{{0,2}}(?:(?:of|de)\ )?(?P<n5>{_any(_MONTHS)})\b\.?
        (?:(?:,?\ |-|\ de\ )(?P<y5>{_YEAR})(?![0-9:])|-(?P<y6>[0-9]{{2}})(?![0-9:]))?
    |(?:{_FREE}|(?<=[0-9]T)|(?<=[日号일]))(?:
        (?P<h>[01]?[0-9]|2[0-3])(?::|h)(?P<min>[0-5][0-9])(?::(?P<s>[0-6][0-9])(?:[.,][0-9]{{1,9}})?)?(?!:?[0-9])
        |(?<=T)(?P<h8>[0-2][0-9])(?P<min8>[0-5][0-9])(?P<s8>[0-6][0-9])?
        |(?P<h10>[01]?[0-9]|2[0-3])\.(?P<min10>[0-5][0-9])(?=\ Uhr\b)
        |(?P<h9>[01]?[0-9]|2[0-3])(?=\ ?[ap]\.?m\b|\ ?(?:o['’]clock|uhr|heures?)\b|\ ?[時时点시])
      )
      (?:(?:\ ?(?P<half>[ap])\.?m\b\.?)|\ ?(?:o['’]clock|uhr|heures?)\b
        |\ ?[時时点시](?:\ ?(?P<min9>[0-5]?[0-9])\ ?[分분](?:\ ?(?P<s9>[0-6]?[0-9])\ ?[秒초])?)?)?
      (?:\ ?\(?(?P<zone>{_ZONE})(?!\w)\)?)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NAMED: Final = re.compile(
    rf"(?P<n7>{_any(_MONTHS)})\b\.?\ (?P<d7>{_NTH})(?![0-9:.])(?:,?\ (?P<y7>{_YEAR})(?![0-9:]))?",
    re.IGNORECASE,
)
#: What may stand between the parts of one time.
_BETWEEN: Final = re.compile(
    r"(?:T|[\s,;|/()（）–—-]{0,3}(?:\b(?:at|um|den|der|the|of|le|à|a las|alle)\b)?\s?)", re.IGNORECASE
)


class Written(NamedTuple):
    """A date, a time or both, as far as it is written.

    :ivar start: where it begins in the text; ``end`` after its last character.
    :ivar dates: ``(year or None, month, day)``, two of them where nobody can tell day from month.
    :ivar weekday: 0 is Monday.
    :ivar second: of the day.
    :ivar unit: the seconds to which the time is written.
    :ivar zone: seconds east of UTC, where it says so by number.
    :ivar epoch: it is a Unix time: this one, in seconds.
    """

    start: int
    end: int
    dates: tuple[tuple[int | None, int, int], ...] = ()
    weekday: int | None = None
    second: int | None = None
    unit: int = 0
    zone: int | None = None
    epoch: int | None = None

    @property
    def is_precise(self) -> bool:
        """It has a time that is more than an hour."""
        return self.epoch is not None or (self.second is not None and self.unit < 3600)


def written_times(text: str) -> Iterator[Written]:
    """Yield the dates and times in a text, each with all of its parts that stand together."""
    run: Written | None = None
    for piece in _pieces(text):
        joined = None if run is None else _joined(run, piece, text)
        if joined is None and run is not None:
            yield run
        run = joined or piece
    if run is not None:
        yield run


def _pieces(text: str) -> Iterator[Written]:
    done = 0
    for anchor in _ANCHOR.finditer(text):
        at, end = anchor.span()
        if at < done:
            continue
        piece = None
        if text[at] in "0123456789":
            if _may_begin(text, at, end) and (found := _NUMBER.match(text, at)) is not None:
                piece = _number_read(found)
        elif end - at <= _LONGEST_NAME:
            piece = _named(text, anchor)
        if piece is not None:
            done = piece.end
            yield piece


def _may_begin(text: str, at: int, end: int) -> bool:
    """Whether the digits there may be the first ones of a date or a time: of most numbers they cannot."""
    match end - at:
        case 1 | 2:
            return True
        case 4:
            return (
                text[end : end + 1] in _AFTER_YEAR or text[end + 1 : end + 2] in _CJK_YEAR or text[at - 1 : at] == "T"
            )
        case 6 | 8:
            return "T" in (text[at - 1 : at], text[end : end + 1])
        case count:
            return count in _UNIX_DIGITS


def _named(text: str, anchor: re.Match[str]) -> Written | None:
    """The day of a word that is the name of a month, before a number, or of a weekday."""
    word = anchor.group().lower()
    if word in _MONTHS and (found := _NAMED.match(text, anchor.start())) is not None:
        day = _whole_year(found["y7"]), _MONTHS[word], _nth(found["d7"])
        return Written(*found.span(), (day,)) if _is_day(day) else None
    if word in _DAYS:
        return Written(*anchor.span(), weekday=_DAYS[word])
    if word.isascii():
        return None
    at = max(word.find("曜") - 1, 0)
    if word[at] in _CJK_DAYS and (len(word) > 1) is (word[at + 1 : at + 2] == "曜"):
        start = anchor.start() + at
        end = start + len(word[at : at + 2]) + (word[at + 2 : at + 3] == "日")
        if end - start > 1 or text[start - 1 : start] in ("(", "（"):
            return Written(start, end, weekday=_CJK_DAYS.index(word[at]))
    return None


def _joined(one: Written, other: Written, text: str) -> Written | None:
    if one.end > other.start or _BETWEEN.fullmatch(text, one.end, other.start) is None:
        return None
    if one.epoch is not None or other.epoch is not None or (one.dates and other.dates):
        return None
    if None not in (one.weekday, other.weekday) or None not in (one.second, other.second):
        return None
    timed = one if one.second is not None else other
    weekday = one.weekday if one.weekday is not None else other.weekday
    return Written(one.start, other.end, one.dates or other.dates, weekday, timed.second, timed.unit, timed.zone, None)


def _number_read(found: re.Match[str]) -> Written | None:
    """The value of what begins with a number; None where there is no such day or time."""
    if found["epoch"]:
        return Written(*found.span(), epoch=int(found["epoch"][:10]))
    hour = found["h"] or found["h8"] or found["h9"] or found["h10"]
    if hour is not None:
        return _time(found, int(hour))
    dates = tuple(filter(_is_day, _dates(found)))
    return Written(*found.span(), dates) if dates else None


def _time(found: re.Match[str], hour: int) -> Written | None:
    if half := found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "pP" else 0)
    minute = found["min"] or found["min8"] or found["min9"] or found["min10"]
    second = found["s"] or found["s8"] or found["s9"]
    unit = 1 if second else 60 if minute else 3600
    of_day = hour * 3600 + int(minute or 0) * 60 + int(second or 0)
    return Written(*found.span(), second=of_day, unit=unit, zone=_zone(found["zone"])) if hour < 24 else None


def _zone(written: str | None) -> int | None:
    if written is None:
        return None
    if written.upper() in ("Z", "UTC", "GMT"):
        return 0
    sign = max(written.find("+"), written.find("-"))
    if sign < 0:
        return None
    digits = written[sign + 1 :].replace(":", "").replace(".", "")
    hours = 2 if len(digits) != 3 else 1
    seconds = int(digits[:hours]) * 3600 + int(digits[hours:] or 0) * 60
    return -seconds if written[sign] == "-" else seconds


def _dates(found: re.Match[str]) -> Iterator[tuple[int | None, int, int]]:
    for number in ("1", "2", "3"):
        if found["y" + number]:
            yield int(found["y" + number]), int(found["m" + number]), int(found["d" + number])
    if found["y4"]:
        year, one, other = _whole_year(found["y4"]), int(found["a"]), int(found["b"])
        yield year, other, one
        if one != other and found["of"] != ".":
            yield year, one, other
    if found["n5"]:
        year = _whole_year(found["y5"] or found["y6"])
        yield year, _MONTHS[found["n5"].lower()], _nth(found["d5"])


def _whole_year(digits: str | None) -> int | None:
    return None if digits is None else int(digits) if len(digits) == 4 else 2000 + int(digits)


def _nth(nth: str) -> int:
    return int("".join(filter(str.isdecimal, nth)))


def _is_day(each: tuple[int | None, int, int]) -> bool:
    year, month, day = each
    try:
        date(year or 2000, month, day)
    except ValueError:
        return False
    return True
