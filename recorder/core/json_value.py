"""JSON values of payloads: read, written as one text for equal values, and masked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Set
from typing import Any, Final

from recorder.core.json_numbers import Exact, number
from recorder.core.json_text import plain

#: What stands in the place of what was redacted, when requests are compared.
MASK: Final = "~redacted~"
_SHORT: Final = 60  # characters of a value, in a message
#: What is not there.
MISSING: Final = object()
_BEFORE: Final = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"  # byte order marks, blanks, half a letter of UTF-16
_encode: Final = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode


def json_of(value: Any) -> str:
    """Return the one text in which a value is written here; the same for equal values only.

    :raises RecursionError: it is nested too deeply.
    """
    try:
        return _encode(value)
    except TypeError:  # a number that json does not write
        return _written(value)


def _written(value: Any) -> str:
    """Write a value as :data:`_encode` does, numbers of any size included."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_encode(name)}:{_written(value[name])}' for name in sorted(value))}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return value.canonical if isinstance(value, Exact) else _encode(value)


def steps_of(pointer: str) -> list[str]:
    """Return the names and indices of a JSON Pointer (RFC 6901)."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


_decode = json.JSONDecoder(parse_float=number).decode


def parsed(body: bytes) -> Any:
    """Return the JSON value of a payload; :data:`MISSING` where it is no JSON object or array."""
    if body[:16].lstrip(_BEFORE)[:1] not in (b"{", b"[") and body.lstrip()[:1] not in (b"{", b"["):
        return MISSING
    try:
        return _decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError):
        return MISSING


def canonical(text: str) -> str | None:
    """Return the one text for all texts of the same JSON value; None where it is no JSON, or nested too deeply.

    Layout, the order of members and how a number is written make no difference: ``2.50`` is ``2.5``, ``1.0`` is ``1``,
    ``1e2`` is ``100``. The last digit of a number does, however many there are before it.
    """
    try:
        return json_of(plain(_decode(text)))
    except (ValueError, RecursionError):
        return None


def mask(value: Any, places: Iterable[Sequence[str]]) -> None:
    """Put a mask in the place of what was redacted there.

    :param places: the names and indices of each, see :func:`steps_of`.
    """
    for steps in places:
        _mask_at(value, steps)


def _mask_at(value: Any, steps: Sequence[str]) -> None:
    for step in steps[:-1]:
        value = _member(value, step)
    if steps and _member(value, steps[-1]) is not MISSING:
        value[steps[-1] if isinstance(value, dict) else int(steps[-1])] = MASK


def _member(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, MISSING)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return MISSING


def without(value: Any, names: Set[str]) -> Any:
    """Return a JSON value without what members of these names hold."""
    if isinstance(value, dict):
        return {name: MASK if name in names else without(inner, names) for name, inner in value.items()}
    return [without(inner, names) for inner in value] if isinstance(value, list) else value


def short(value: Any, limit: int = _SHORT) -> str:
    """Return a value for people, cut where it is long."""
    if value is MISSING:
        return "(absent)"
    text = repr(value) if isinstance(value, bytes | Exact) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= limit else text[: limit - 1] + "…"
