"""What looks like a telephone number, as people write them: international, or national in groups.

Other numbers are written in groups too: dates, amounts, counters, bytes. What is as likely to be one of them is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: Country codes (ITU-T E.164, annex to the operational bulletin), where groups alone would not tell enough.
_COUNTRY: Final = (
    r"(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|2[1-689]\d|3[578]\d|42\d|5[09]\d|6[789]\d|8[0578]\d|9[679]\d)"
)
_GROUP: Final = r"\(?\d{1,5}(?:\)(?=[ ./-]?\d))?"
_GROUPS: Final = rf"(?:[ ./-]?{_GROUP}){{2,6}}"
#: A number with a sign, decimals, and thousands apart or not: ``+1.0850123``, ``+1 234 567.89``. With a country code
#: before the point and a whole number behind it, it is as registries write telephone numbers (RFC 5733 §2.5).
_AMOUNT: Final = (
    r"(?!\+\d{1,15}\.(?![2-9]\d{7,11}(?!\d))\d++(?![ ./-]?\(?\d)"
    r"|\+\d{1,3}(?:[ .]\d{3}){1,4}[.,]\d{1,2}(?!\d|[ ./-]\(?\d)"
    r"|\+\d{1,15},\d{1,2}(?!\d))"
)
#: Two digits each, all of them: bytes, as a dump has them.
_PAIRS: Final = r"(?!\d\d(?: \d\d)*+(?!\d|[ ./-]?\(|[./-]\d| \d(?![0-9A-Fa-f])))"
#: A number that was filled up with zeros: with a country code it would be longer.
_PADDED: Final = r"(?!00\d{1,8}(?![ ./-]?\(?\d))"
#: The end of a number with thousands apart: ``1 012 345``.
_THOUSANDS: Final = r"(?:(?<!\d )|(?!\d{3}(?: \d{3})++(?! ?\d)))"
#: A day, the month and the year, then a time: ``06-12-26-14-30``.
_MOMENT: Final = r"(?!\d\d[.-](?:0\d|1[0-2])[.-]\d\d[.-](?:[01]\d|2[0-3])[.-][0-5]\d)"
#: France: five pairs, but none of a list, nor of one of numbers that begin with zeros, nor of a dump.
_FIVE_PAIRS: Final = (
    rf"(?<!\d[ .-])(?<![A-Fa-f]\d )(?<!\d[A-Fa-f] ){_MOMENT}(?!(?:0\d[ .-]){{4}}0\d)"
    r"0[1-9]([ .-])\d\d(?:\1\d\d){3}(?![ .-][0-9A-Fa-f]{2}(?!\w))"
)
_PHONE: Final = re.compile(
    r"(?<![\w+./-])(?:"
    rf"{_AMOUNT}\+[1-9]\d{{0,2}}{_GROUPS}"
    rf"|{_PADDED}{_THOUSANDS}00[1-9]\d{{0,2}}{_GROUPS}"
    rf"|(?<!\d )00 {_PAIRS}{_COUNTRY}[ ./-]{_GROUP}(?:[ ./-]?{_GROUP}){{1,5}}"
    r"|(?:1[ .-]?)?\([2-9]\d{2}\)[ .-]?[2-9]\d{2}[ .-]?\d{4}"
    r"|\(\d{2,5}\)[ ./-]?\d{2,5}(?:[ .-]?\d{2,5}){0,3}"
    rf"|{_FIVE_PAIRS}"
    rf"|{_THOUSANDS}0[1-9]\d{{0,3}}[ /-]\d{{3,8}}(?:[ -]\d{{2,5}}){{0,3}}"
    r"|0[1-9]\d{0,3} / (?:\d{5,8}|\d{2,4}(?:[ -]\d{2,4}){1,3})"
    r"|(?:1[ .-])?[2-9]\d{2}[ .-][2-9]\d{2}[ .-]\d{4}"
    r")(?![\w]|[.-]\d)"
)
_SHORTEST: Final = 7
_LONGEST: Final = 15


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Yield where in *text* telephone numbers stand, in order and apart from each other."""
    for found in _PHONE.finditer(text):
        digits = sum(letter.isdigit() for letter in found[0])
        if _SHORTEST <= digits <= _LONGEST:
            yield found.span()
