"""What is said of a link, an order say, by all that shows one: the tag that went with it, and its exchange's seal.

A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

TAG_SIZE = 20  # characters
_DEEPEST = 100
_UNITS = ((3_600_000_000_000, "h"), (60_000_000_000, "min"), (1_000_000_000, "s"))


def tag_of(leaf_hash: bytes) -> str:
    """Return the tag of the leaf with that hash: its first 100 bits in base32 (RFC 4648), in lower case."""
    return base64.b32encode(leaf_hash)[:TAG_SIZE].decode().lower()


def tag_told(tag: str, leaf: int | None, of: str = "") -> str:
    """Return what is known of a tag; the text is as safe to show as the tag is.

    :param leaf: number of the leaf whose hash begins so; None: none that is here.
    :param of: id of what that leaf seals, where that is not what the link rests on.
    """
    if leaf is None:
        return f"{tag}, which no seal here has"
    other = f", which seals something else than the link rests on: {of}" if of else ""
    return f"{tag}, of the seal at leaf {leaf}{other}"


def seal_told(lead_ns: int | None) -> str:
    """Return whether what a link rests on was sealed before it, and by how long, by the clock of whoever sealed.

    :param lead_ns: from the seal to the link, nanoseconds; None: it is not sealed.
    """
    if lead_ns is None:
        return "not sealed"
    return f"sealed {_span(lead_ns)} before the link" if lead_ns >= 0 else f"sealed {_span(-lead_ns)} AFTER the link"


def facts_told(facts: object) -> Iterator[tuple[str, str]]:
    """Yield the facts of a link as names and texts, neither of them safe to show as it is."""
    for name, value in facts.items() if isinstance(facts, Mapping) else ():
        told = value if isinstance(value, str) else json.dumps(showable(value), ensure_ascii=False)
        yield str(name), told


def showable(value: Any) -> Any:
    """Return a value of JSON as one that can be written again; in the place of one nested very deeply, a text."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in _inner(one)]
        if not level:
            return _finite(value)
    return "(nested too deeply to be shown)"


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _finite(value: Any) -> Any:
    """Return a value of JSON with numbers that JSON does not have (NaN) as their names."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return json.dumps(value) if isinstance(value, float) and not math.isfinite(value) else value


def _span(nanoseconds: int) -> str:
    for size, unit in _UNITS:
        if nanoseconds >= size:
            return f"{nanoseconds / size:,.2f} {unit}"
    return f"{nanoseconds / 1_000_000:,.3f} ms"
