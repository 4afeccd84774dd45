"""Numbers of JSON that are left out: how else one is written, and what stands in its place in JSON inside a string."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from decimal import Decimal
from typing import Final

from recorder.core.export_rules import LEAST, MARKER
from recorder.core.text_views import views

_LONGEST: Final = 40  # the exponent of a number that is written out
_DIGITS: Final = re.compile(r"[-\d.eE+]")
_NUMERIC: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STRING: Final = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)', re.DOTALL)


def number_texts(raw: str) -> tuple[str, ...]:
    """Return how a number of JSON is written, without its sign: as it stands, and with neither exponent nor ``.0``.

    :returns: none where it has fewer than :data:`LEAST` digits: such numbers are in everything.
    """
    mantissa, _, exponent = raw.lower().partition("e")
    if len(re.sub(r"\D", "", mantissa).lstrip("0")) < LEAST:
        return ()
    texts = [raw.removeprefix("-")]
    if abs(int(exponent[:_LONGEST] or "0")) <= _LONGEST:
        plain = f"{Decimal(texts[0]):f}"
        texts.append(plain.rstrip("0").rstrip(".") if "." in plain else plain)
    return tuple(text for text in dict.fromkeys(texts) if len(text) >= LEAST)


def bare_number(text: str, start: int, end: int, shown: str = json.dumps(MARKER)) -> tuple[int, int, str] | None:
    """Return where the number is in whose digits something was found, and what is to be written for it.

    A marker in the place of a number has to be a string, or what is around it is no JSON any more; its quotes are
    escaped as often as those beside it.

    :param text: what a string of JSON says.
    :param start: where it was found.
    :param end: where that ends.
    :param shown: what would be written outside of that string.
    :returns: None where the text is no JSON, or that is no number by itself.
    """
    if text.lstrip()[:1] not in ("{", "[") or not _DIGITS.match(text[start]):
        return None
    shown = json.dumps(shown)[1:-1]
    around = next((one for one in _STRING.finditer(text) if one.start() < start < one.end()), None)
    if around is None:
        start, end = _whole_number(text, start, end)
        before, after = text[:start].rstrip()[-1:], text[end:].lstrip()[:1]
        is_value = before in (":", "[", ",") and after in (",", "]", "}", "")
        return (start, end, shown) if is_value and _NUMERIC.fullmatch(text, start, end) else None
    at = around.start(1)
    inner = next(views(around[1], literal=True))
    starts = range(len(inner.text)) if inner.starts is None else inner.starts
    found = bare_number(inner.text, bisect_left(starts, start - at), bisect_left(starts, end - at), shown)
    if found is None:
        return None
    start, end = inner.place(found[0], found[1])
    return at + start, at + end, found[2]


def _whole_number(text: str, start: int, end: int) -> tuple[int, int]:
    while start and _DIGITS.match(text[start - 1]):
        start -= 1
    while end < len(text) and _DIGITS.match(text[end]):
        end += 1
    return start, end
