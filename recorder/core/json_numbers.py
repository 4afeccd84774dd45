"""Numbers of JSON compared by value, and as they were written, also where no float is that (RFC 8259 §6: no limits)."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final, Self

_SURE_DIGITS: Final = 15  # a float gives so many back of every number between the two sizes below
_SURE_SIZES: Final = (1e-300, 1e15)
_MOST_DIGITS: Final = 4300  # of an int that Python reads from text and writes to it, unless it is told otherwise


@dataclass(frozen=True, slots=True)
class Exact:
    """A number that neither a float nor an int of a usual length holds.

    :ivar canonical: the same text for the same value, a JSON number.
    :ivar written: as it was written.
    """

    canonical: str
    written: str = field(compare=False)

    def __repr__(self) -> str:
        return self.written


def number(text: str) -> float | int | Exact:
    """Return the value of a JSON number with a fraction or an exponent: an int where it has no fraction.

    Values are equal, and of one type, exactly where the numbers are equal.

    :raises ValueError: its exponent is too long to be read.
    """
    value = float(text)
    if len(text) <= _SURE_DIGITS and _SURE_SIZES[0] < abs(value) < _SURE_SIZES[1]:
        return int(value) if value.is_integer() else value
    if repr(value) == text and not value.is_integer():  # as most programs write one of more digits
        return value
    return _exactly(text, value)


def _exactly(text: str, value: float) -> float | int | Exact:
    digits, exponent = parts = _parts(text)
    if not digits.strip("-"):
        return 0
    # One that an int of JSON cannot be as long as has to have the same form however it is written.
    longest = min(sys.get_int_max_str_digits() or _MOST_DIGITS, _MOST_DIGITS)
    if exponent >= 0 and len(digits.lstrip("-")) + exponent <= longest:
        return int(digits + "0" * exponent)
    if exponent < 0 and _parts(repr(value)) == parts:
        return value
    return Exact(f"{digits}e{exponent}", text)


def _parts(text: str) -> tuple[str, int]:
    """Return sign and digits without zeros at either end, and the power of ten they are multiplied by."""
    mantissa, _, power = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    shortened = digits.rstrip("0")
    sign = "-" if mantissa.startswith("-") and shortened else ""
    return sign + shortened, int(power or 0) - len(fraction) + len(digits) - len(shortened)


class SentFloat(float):
    """A float that was written otherwise than Python writes it, as 231.50 or 1e5: it counts as any other.

    :ivar text: as it was written, which is how it is shown.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str | float) -> Self:
        """Return the number of a JSON text."""
        made = super().__new__(cls, text)
        made.text = str(text)
        return made

    def __str__(self) -> str:
        return self.text


class SentDecimal(Decimal):
    """A number with the text in which it was written, as which it is written again (:func:`json_text.dumps`).

    :ivar text: that text.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str | Decimal) -> Self:
        """Return the number of a JSON text.

        :raises decimal.InvalidOperation: its exponent is too long to be read.
        """
        made = super().__new__(cls, text)
        made.text = str(text)
        return made

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.text,)


def as_sent(text: str) -> float | SentDecimal:
    """Return a JSON number with a fraction or an exponent, with its text where Python would write it otherwise.

    It is a :class:`SentFloat` where a float holds it, else a :class:`SentDecimal`; one that no float is and whose
    exponent is too long to be read is the nearest float.
    """
    value = float(text)
    if repr(value) == text or not text[-1:].isdigit():  # as most programs write one; or NaN and Infinity
        return value
    try:
        exact = SentDecimal(text)
    except InvalidOperation:
        return value
    return SentFloat(text) if math.isfinite(value) and exact == Decimal(repr(value)) else exact
