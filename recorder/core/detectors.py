"""Detectors: what looks like an e-mail address, an IBAN, a card number, a phone number or an API key.

Each takes a text and yields ``(start, end)`` of what it found, in order and apart from each other. What a check digit
can tell is told by it: a card number without it is none, and no IBAN either. A detector may miss what is written in a
way that nobody else writes; where a text is known, a rule that names it is better.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from recorder.core.key_detector import keys
from recorder.core.phone_detector import phones

Span = tuple[int, int]
Detector = Callable[[str], Iterator[Span]]

#: The usual form (RFC 5322 §3.4.1, dot-atom), letters of every language, also as ``xn--`` (RFC 5890 §2.3.2.1); lengths
#: as RFC 5321 §4.5.3.1 has them.
_EMAIL: Final = re.compile(
    r"(?<![\w.+-])\w[\w.!#$%&'*+/=?^`{|}~-]{0,63}"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[^\W\d_]{2,24}|(?i:xn--)[A-Za-z0-9-]{0,58}[A-Za-z0-9])(?![\w-])"
)
#: Country, check digits, then up to 30 letters of one case and digits, in groups or not (ISO 13616-1 §5).
_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}|[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30})"
)
#: Characters of an IBAN by country (SWIFT, IBAN registry).
_IBAN_SIZES: Final = {
    country: size
    for size, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
#: 13 to 19 digits (ISO/IEC 7812-1), in groups or not; 2 to 6 are what banks and card companies begin with.
_CARD: Final = re.compile(r"(?<![\w.-])[2-6](?:[ -]?\d){12,18}(?![\w]|[.-]\d)")


def _emails(text: str) -> Iterator[Span]:
    return (found.span() for found in _EMAIL.finditer(text)) if "@" in text else iter(())


def _ibans(text: str) -> Iterator[Span]:
    """Yield what is as long as its country says and has the right check digits (ISO 7064, MOD 97-10)."""
    at = 0
    while found := _IBAN.search(text, at):
        at = found.start() + 4
        left = _IBAN_SIZES.get(found[0][:2].upper(), 0)
        for end, letter in enumerate(found[0] if left else "", found.start() + 1):
            left -= letter.isalnum()
            if not left:
                plain = re.sub(r"[ -]", "", text[found.start() : end]).upper()
                follows = text[end : end + 1]
                if not (follows.isascii() and follows.isalnum()) and _remainder(plain) == 1:
                    yield found.start(), end
                    at = end
                break


def _remainder(plain: str) -> int:
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97


def _cards(text: str) -> Iterator[Span]:
    for found in _CARD.finditer(text):
        if _luhn(re.sub(r"\D", "", found[0])):
            yield found.span()


def _luhn(digits: str) -> bool:
    """Whether the last digit is the right one (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(int(digit) for digit in digits[::-2])) % 10 == 0


DETECTORS: Final[Mapping[str, Detector]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "phone": phones,
    "key": keys,
}
