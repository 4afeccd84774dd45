"""Which dates and times in a message are a clock: the time at which it was sent, and not what is asked about.

"What was the close on 2026-11-27?" and the same of the next day are two questions; "It is 10:15. Buy?" a minute later
is one. What tells is when the exchange was sent: a clock says that, as precisely as it is written, in some zone; and of
two messages that differ in it, in the same zone. A date alone, an hour or the name of a day is too often true by
chance: it is a clock only where it is called one.

Of instructions, what is called the time of now is that, whatever it says: a clock of a simulation is one, too.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from recorder.core.conversation import message_key
from recorder.core.history_alignment import Line
from recorder.core.messages import Message, TextPart
from recorder.core.written_times import Written, written_times

#: Quarters of an hour from UTC that are some zone's; what is written with its zone is true in each of them, or in none.
_ZONES: Final = tuple(
    sorted([*range(-48, 57, 4), *(-38, -14, -10, 14, 18, 22, 23, 26, 35, 38, 42, 51, 55)]),
)
_EVERYWHERE: Final = (1 << len(_ZONES)) - 1
_QUARTER, _DAY = 900, 86_400
#: A message is made before it is sent; some seconds are rounded up.
_EARLIER, _LATER = 120, 2
_EPOCH: Final = date(1970, 1, 1).toordinal()
_LAST: Final = 1 << 33  # of a time in seconds that may be one at which an exchange was sent
#: Of a text, only its beginning and its end are looked at, and so many times in each.
_LOOKED_AT: Final = 16_384
_MOST: Final = 64
_BEFORE: Final = 48

_CALLED_NOW_IN: Final = (
    r"it(?:['’]s| is)(?: now| currently)?|(?:right |and )?now(?: is|,? it is)?",
    r"today(?:['’]s (?:date|day))?(?: is)?|today,",
    r"(?:the )?current(?:ly)?(?:[ _-](?:local|utc|server|system))?(?:[ _-]?(?:date|time|day|timestamp|datetime))*"
    r"(?:(?: and |[ /&_-])?(?:date|time))?(?: is| it is)?",
    r"(?:the )?time is|(?:the )?(?:date|time) now(?: is)?",
    r"es ist(?: jetzt)?|heute(?: ist)?(?: der)?|jetzt(?: ist)?(?: es)?|aktuelle (?:uhr)?zeit|aktuelles datum",
    r"il est|nous sommes(?: le)?|aujourd['’]hui(?:,? nous sommes)?(?: le)?|maintenant",
    r"hoy(?: es)?|ahora(?: son las)?|son las|oggi(?: è)?|sono le|hoje(?: é)?|agora",
    r"今日は|本日は|今は|現在(?:時刻|日時)?は?",
)
#: What stands before a time of now, at the beginning of a sentence, a line or a field.
_CALLED_NOW: Final = re.compile(
    rf"(?:^|[\n.!?;|>\[({{*\"'#。]|[-*]\s)\s*(?:{'|'.join(_CALLED_NOW_IN)})"
    r"[\"'*_]{0,2}\s*[:=：]?[\"'*_]{0,2}\s*[\[(\"'*]{0,2}$",
    re.IGNORECASE,
)
#: What may stand before any time, so that it has to be the one at which it was sent, too.
_CALLED: Final = re.compile(
    r"(?:^|[\n\[({|,;\"'])\s*(?:date|time|timestamp|datetime|datum|zeit|heure|date et heure)\"?\s*[:=]\s*\"?$",
    re.IGNORECASE,
)
_NOW_AFTER: Final = re.compile(r"[\])]?,? (?:right )?now\b", re.IGNORECASE)
_LINE_BEGINS, _LINE_ENDS = re.compile(r"(?:^|\n)[ \t]*(?P<open>[\[(<])?[ \t]*$"), re.compile(r"[ \t.]*(?:\n|$)")
_CLOSES: Final = {"[": "]", "(": ")", "<": ">"}


class _Clock(NamedTuple):
    """A time in a message that may be a clock.

    :ivar zones: bits of the zones in which it is the time at which the message was sent.
    :ivar called: it is called the time of now, in instructions: it is one in any case.
    """

    start: int
    end: int
    zones: int
    called: bool


def without_clocks(lines: Sequence[Line], sent_ns: int | None) -> bytes:
    """Return what is the same for the same messages, also where they differ in clocks.

    Where it is the same for two requests, :func:`same_but_clocks` has to tell whether clocks are all.

    :param sent_ns: wall time at which they were sent; None where it is not known.
    """
    digest = hashlib.blake2b(digest_size=16)
    for line in lines:
        digest.update(_hidden(line, _clocks(line, sent_ns)))
    return digest.digest()


def same_but_clocks(old: Sequence[Line], old_ns: int | None, new: Sequence[Line], new_ns: int | None) -> bool:
    """Tell whether two requests are the same but for clocks.

    :param old_ns: as of :func:`without_clocks`; likewise *new_ns*.
    """
    return len(old) == len(new) and all(
        line.key == now.key or _differ_in_clocks(line, old_ns, now, new_ns) for line, now in zip(old, new, strict=True)
    )


def _differ_in_clocks(line: Line, old_ns: int | None, now: Line, new_ns: int | None) -> bool:
    olds, news = _clocks(line, old_ns), _clocks(now, new_ns)
    if not olds or len(olds) != len(news) or _hidden(line, olds) != _hidden(now, news):
        return False
    text, other = line.message.text, now.message.text
    return all(
        (one.called and each.called)
        or one.zones & each.zones
        or text[one.start : one.end] == other[each.start : each.end]
        for one, each in zip(olds, news, strict=True)
    )


def _hidden(line: Line, clocks: Sequence[_Clock]) -> bytes:
    if not clocks:
        return line.key
    text, pieces, done = line.message.text, list[str](), 0
    for clock in clocks:
        pieces.append(text[done : clock.start])
        done = clock.end
    whole = TextPart("\0".join([*pieces, text[done:]]))
    rest = (part for part in line.message.parts if not isinstance(part, TextPart))
    return message_key(Message(line.message.role, (whole, *rest)))


def _clocks(line: Line, sent_ns: int | None) -> list[_Clock]:
    instructs = line.kind == "system"
    if not (instructs or line.kind == "user"):
        return []
    text = line.message.text
    found: list[_Clock] = []
    for written in _written(text):
        zones = 0 if sent_ns is None else _zones(written, sent_ns // 1_000_000_000)
        if not zones and not instructs:
            continue
        now = _is_called_now(text, written)
        named = now or written.is_precise or _is_called(text, written)
        if (instructs and now) or (zones and named):
            found.append(_Clock(written.start, written.end, zones, called=instructs and now))
    return found


@lru_cache(maxsize=64)
def _written(text: str) -> tuple[Written, ...]:
    """The times in a text; the same instructions come with each request."""
    if len(text) <= 2 * _LOOKED_AT:
        return tuple(islice(written_times(text), 2 * _MOST))
    start = len(text) - _LOOKED_AT
    last = deque(written_times(text[start:]), _MOST)
    moved = (one._replace(start=one.start + start, end=one.end + start) for one in last)
    return (*islice(written_times(text[:_LOOKED_AT]), _MOST), *moved)


def _is_called_now(text: str, written: Written) -> bool:
    before = _text_before(text, written)
    if _CALLED_NOW.search(before) or _NOW_AFTER.match(text, written.end):
        return True
    begins = _LINE_BEGINS.search(before)
    if begins is None:
        return False
    closing = _CLOSES.get(begins["open"] or "")
    if closing is not None:
        return text[written.end : written.end + 1] == closing
    return _LINE_ENDS.match(text, written.end) is not None


def _is_called(text: str, written: Written) -> bool:
    return _CALLED.search(_text_before(text, written)) is not None


def _text_before(text: str, written: Written) -> str:
    """What stands right before; where that is not all, it does not begin as the text does."""
    start = written.start - _BEFORE
    return text[: written.start] if start <= 0 else f"…{text[start : written.start]}"


def _zones(written: Written, sent: int) -> int:
    """Bits of the zones in which it is that time, in seconds since 1970, that is written."""
    if not 0 < sent < _LAST:
        return 0
    if written.epoch is not None:
        return _EVERYWHERE if -_LATER <= sent - written.epoch <= _EARLIER else 0
    if written.zone is not None:
        return _EVERYWHERE if _is_then(written, sent + written.zone) else 0
    if written.second is not None and (sent - written.second + _LATER) % _QUARTER > written.unit + _EARLIER + _LATER:
        return 0
    return sum(1 << at for at, zone in enumerate(_ZONES) if _is_then(written, sent + zone * _QUARTER))


def _is_then(written: Written, local: int) -> bool:
    """Whether it says a local time: that at which the message was made, which may have been on the day before."""
    if written.second is None:
        return _is_day(written, local // _DAY)
    since = (local - written.second + _LATER) % _DAY - _LATER
    return since <= written.unit - 1 + _EARLIER and _is_day(written, (local - since) // _DAY)


def _is_day(written: Written, day: int) -> bool:
    if written.weekday is not None and written.weekday != (day + 3) % 7:  # the first day of 1970 was a Thursday
        return False
    if not written.dates:
        return True
    then = date.fromordinal(day + _EPOCH)
    return any((year or then.year, month, of) == (then.year, then.month, then.day) for year, month, of in written.dates)
