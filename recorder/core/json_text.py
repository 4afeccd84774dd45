"""JSON as it arrives and as it is shown.

What arrives may be anything: NaN, numbers beyond a float, half of a surrogate pair, nesting that
exhausts a stack. Reading never raises more than ``ValueError``; what is shown is JSON that every
reader accepts (RFC 8259) and text that can be encoded. A number that has more digits than a float holds is a
:class:`~decimal.Decimal` in what :func:`parse_exactly` returns. What is shown is written as it was sent:
:func:`exactly` and :func:`plain` make a :class:`~recorder.core.json_numbers.SentDecimal` of each number that Python
would write otherwise. Of the encoders only :func:`dumps` and :func:`written` take either, and write it as it is.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from json.scanner import make_scanner
from typing import Any, Final, NoReturn, cast

from recorder.core.json_numbers import SentDecimal, SentFloat, as_sent
from recorder.core.utc_text import rfc3339 as rfc3339

#: How many levels deep a JSON document may be nested.
DEEPEST: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_decode = json.JSONDecoder().decode
#: Reads the value that begins at a place of a text; returns it, and where it ends, or raises StopIteration where none
#: begins there. A scanner takes any object with a decoder's settings, whatever its stub says.
scan_value: Final = make_scanner(cast(Any, json.JSONDecoder()))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse(text)
    return value


def exact_number(text: str) -> float | Decimal:
    """Return a JSON number with a fraction or an exponent: a float where that, written again, gives the same number.

    :raises ValueError: its exponent is too long to be read.
    """
    value = float(text)
    if repr(value) == text:  # as most programs write one
        return value
    try:
        exact = Decimal(text)
    except InvalidOperation:
        _refuse(text)
    return value if math.isfinite(value) and exact == Decimal(repr(value)) else exact


def _exact_and_finite(text: str) -> float | Decimal:
    _finite(text)
    return exact_number(text)


_decode_exactly = json.JSONDecoder(parse_float=lambda text: _shown(as_sent(text))).decode
_decode_sent = json.JSONDecoder(parse_float=as_sent).decode
#: What may stand in a number that Python writes otherwise: zeros at an end, an exponent, many digits.
_AS_SENT: Final = re.compile(rb"\.[0-9]+0(?![0-9])|[0-9][eE][+-]?[0-9]|[0-9.]{16}|\.0000")
_decode_strictly = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
_decode_strictly_exactly = json.JSONDecoder(parse_constant=_refuse, parse_float=_exact_and_finite).decode


def parse_json(text: str | bytes, *, strict: bool = False) -> Any:
    """Return the value of a JSON document; bytes are UTF-8, with or without a byte order mark.

    :param strict: refuse numbers that JSON does not have (NaN, Infinity) and those beyond a float.
    :raises ValueError: it is no JSON, no UTF-8, or nested more than 200 levels deep.
    """
    return _parsed(text, _decode_strictly if strict else _whole)


def parse_exactly(text: str) -> Any:
    """Return the value of a JSON document, with a :class:`~decimal.Decimal` for each number that a float does not hold.

    A float is what gives the same number when it is written again.

    :raises ValueError: it is no JSON, nested more than 200 levels deep, or has a number that JSON does not have (NaN,
        Infinity) or that is beyond a float.
    """
    return _parsed(text, _decode_strictly_exactly)


def _parsed(text: str | bytes, decode: Callable[[str], Any]) -> Any:
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    try:
        value = decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if len(text) > DEEPEST < text.count("[") + text.count("{") and _deeper_than(value, DEEPEST):
        raise ValueError("nested too deeply")
    return value


def exactly(text: str | bytes, value: Any) -> Any:
    """Return the value of a JSON document with each number as it was sent, to be shown.

    That is a :class:`~recorder.core.json_numbers.SentDecimal` where Python would write it otherwise.

    :param value: what :func:`parse_json` made of it, which is returned where there is no such number.
    """
    if not _AS_SENT.search(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")):
        return value
    return _decode_exactly(text.decode("utf-8-sig") if isinstance(text, bytes) else text)


def sent_numbers(text: str, value: Any) -> Any:
    """As :func:`exactly`, for who counts with the numbers: those that a float holds are floats, with their text."""
    return _decode_sent(text) if _AS_SENT.search(text.encode("utf-8", "surrogatepass")) else value


def _whole(text: str) -> Any:
    """As the decoder's ``decode``, which looks for spaces around the document with regular expressions first."""
    try:
        value, end = scan_value(text, 0)
    except StopIteration:  # a document may begin with spaces
        return _decode(text)
    return value if end == len(text) else _decode(text)


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
    return True


def whole_text(text: str) -> str:
    """Return *text* with surrogate pairs joined and lone surrogates replaced by U+FFFD.

    A provider that escapes an astral character may split the pair over two deltas: each half is no
    character, and together they are one.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def plain(value: Any) -> Any:
    """Return a parsed JSON value as one that can be written as JSON again.

    Numbers that JSON does not have become their names (``"NaN"``, ``"Infinity"``, ``"-Infinity"``), those that bring
    their text along are written as that (:func:`dumps`), broken text is mended by :func:`whole_text`, tuples become
    lists.
    """
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, float):
        return _shown(value) if math.isfinite(value) else json.dumps(value)
    if isinstance(value, dict):
        return {whole_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _shown(value: float | SentDecimal) -> float | SentDecimal:
    """Return a number as one that json refuses to write where it would write it otherwise than it was sent."""
    return SentDecimal(value.text) if isinstance(value, SentFloat) else value


def dumps(value: Any, **options: Any) -> str:
    """As :func:`json.dumps`, which does not write a :class:`~decimal.Decimal`: as the number that it is.

    :param options: those of :func:`json.dumps`.
    :raises TypeError: a value in it is none of JSON.
    :raises ValueError: a number in it is none of JSON, and *options* do not allow it.
    """
    try:
        return json.dumps(value, **options)
    except TypeError:
        mark, numbers = secrets.token_hex(16), list[str]()  # no text in it can have been made to look like that
        text = json.dumps(_marked(value, mark, numbers), **options)
        return re.sub(f'"{mark}(\\d+)"', lambda found: numbers[int(found[1])], text)


def _marked(value: Any, mark: str, numbers: list[str]) -> Any:
    """Return a value with a text in the place of each number that json does not write."""
    if isinstance(value, Decimal):
        numbers.append(str(value))
        return f"{mark}{len(numbers) - 1}"
    if isinstance(value, dict):
        return {name: _marked(inner, mark, numbers) for name, inner in value.items()}
    return [_marked(inner, mark, numbers) for inner in value] if isinstance(value, list | tuple) else value


def written(value: Any, indent: int | None = None) -> str:
    """Return a parsed JSON value as JSON text: that of its :func:`plain` form, which most values have already."""
    try:
        text = dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
        text.encode()
    except ValueError:  # a number that JSON does not have, or broken text
        return dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return text


def wall_ns_of(moment: datetime) -> int:
    """Return a point in time, with its offset, as nanoseconds since 1970 (UTC, no leap seconds).

    :raises OverflowError: its offset puts it outside of the years that a ``datetime`` knows.
    """
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def milliseconds(duration_ns: int) -> float:
    """Return a duration in nanoseconds as milliseconds, to the microsecond."""
    return round(duration_ns / 1_000_000, 3)


def whole(text: str) -> str:
    """Return *text* as text that can be encoded."""
    return str(plain(text))


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None: absent is absent."""
    return {key: value for key, value in fields.items() if value is not None}
