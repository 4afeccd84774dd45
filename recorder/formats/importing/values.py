"""What importers share: values of a foreign file, of whatever type they turn out to be, as parts of an exchange."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recorder.core.exchange import Headers
from recorder.core.json_text import plain, wall_ns_of, whole_text
from recorder.errors import ImportRefused
from recorder.formats.importing.source import Source

_FRACTION: Final = re.compile(r"(?<=:\d\d)\.(\d+)")
#: The longest time that anything here takes: three years. A sum of several is a number that a store holds.
LONGEST_NS: Final = 10**17
_LATEST_NS: Final = 1 << 62


class EntryError(Exception):
    """One entry of a file cannot be imported; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in the place of a value that a document has and nobody can read.

    :ivar reason: why, in words for people.
    """

    reason: str


class PythonObject(dict[str, Any]):
    """A mapping that a document says is the state of an object of Python: nobody wrote it as a value."""


class NoBytesError(EntryError):
    """A body is there, and nothing tells its bytes."""


def items(source: Source) -> Iterator[tuple[str | None, Any]]:
    """Yield what a YAML or JSON document holds: (key, value), a list's items one by one; of a list, (None, item).

    :raises ImportRefused: it is neither, from somewhere on.
    :raises ConfigurationError: it is YAML, and PyYAML is not installed.
    """
    if not source.looks_like_json or source.json is None:
        from recorder.formats.importing.yaml_data import items as yaml_items

        yield from yaml_items(source.data)
        return
    value = source.json
    for key, held in value.items() if isinstance(value, dict) else [(None, value)]:
        for item in _several(held):
            yield key, item


def mapping(value: Any, name: str) -> dict[str, Any]:
    """Return *value* as the mapping that it must be.

    :raises EntryError: it is none.
    """
    if isinstance(value, Unreadable):
        raise EntryError(value.reason)
    if not isinstance(value, dict):
        raise EntryError(f"its {name} is no mapping")
    return value


def mapping_or_empty(value: Any) -> dict[str, Any]:
    """Return *value* where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def texts(value: Any) -> tuple[str, ...]:
    """Return the texts in a list; none where it is no list."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def text(value: Any) -> str:
    """Return a scalar as text; of None, nothing.

    :raises EntryError: it is a list or a mapping.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | dict):
        raise EntryError(f"{_A[type(value)]} stands in it where a text belongs")
    return "" if value is None else str(value)


_A: Final[dict[type, str]] = {list: "a list", dict: "a mapping", bytes: "a value in bytes"}


def word(value: Any) -> str:
    """Return a text as it is, and a number as text; an empty one for anything else: for what can be done without."""
    return value if isinstance(value, str) else str(value) if type(value) in (int, float) else ""


def integer(value: Any) -> int | None:
    """Return a number, or a text of digits, as an integer; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) else None


def status_of(value: Any) -> int:
    """Return an HTTP status.

    :raises EntryError: it is none.
    """
    found = integer(value)
    if found is None or not 100 <= found <= 999:
        raise EntryError(f"its status {_A[type(value)] if type(value) in _A else repr(value)[:40]} is none of HTTP")
    return found


def as_bytes(value: Any) -> bytes:
    """Return a text in UTF-8, half characters replaced; bytes as they are; of None, nothing.

    :raises NoBytesError: it is something else.
    """
    if value is None:
        return b""
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            return whole_text(value).encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, PythonObject):
        raise NoBytesError("a body in it is an object of Python, and nothing tells its bytes")
    raise NoBytesError(f"a body in it is of the type {type(value).__name__}, neither text nor bytes")


def from_base64(value: Any) -> bytes:
    """Return what a text in base64 stands for; white space in it does not count.

    :raises EntryError: it is no base64.
    """
    try:
        return base64.b64decode("".join(text(value).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EntryError(f"a body in it is no base64 ({error})") from None


def json_bytes(value: Any) -> bytes:
    """Return a value written as JSON, as most clients write it.

    :raises EntryError: it is nested too deeply.
    """
    try:
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), default=text).encode()
    except (RecursionError, TypeError, ValueError) as error:
        raise EntryError(f"a value in it cannot be written as JSON ({error})") from None


def headers(value: Any) -> Headers:
    """Return header fields from any of the shapes in which recorders write them.

    A mapping of names to a value or a list of values; a list of ``[name, value]``, of ``{name, value}`` or of lines.

    :raises EntryError: it is none of these.
    """
    if value is None:
        return ()
    if isinstance(value, dict):
        fields: list[tuple[str, str]] = []
        for name, held in value.items():
            for one in held if held.__class__ is list else (held,):
                is_text = one.__class__ is str and name.__class__ is str
                fields.append((name, one) if is_text else (text(name), text(one)))
        return tuple(fields)
    if isinstance(value, list):
        return tuple(field for one in value for field in _field(one))
    raise EntryError(f"its headers are a {type(value).__name__}")


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _field(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        name, colon, rest = value.partition(":")
        if not colon:
            raise EntryError("a line among its headers has no colon")
        yield name.strip(), rest.strip()
    elif isinstance(value, dict):
        yield text(value.get("name")), text(value.get("value"))
    elif isinstance(value, list) and len(value) == 2:
        yield from ((text(value[0]), text(one)) for one in _several(value[1]))
    else:
        raise EntryError("one of its headers is no name with a value")


def iso_ns(value: Any) -> int | None:
    """Return an ISO 8601 time as UTC nanoseconds since 1970, all its decimals kept; None where it is none.

    A time without a zone is not known: which one was meant, nothing says.
    """
    found = _iso_ns(value)
    return found if found is not None and 0 <= found < _LATEST_NS else None


def is_outside(value: Any) -> bool:
    """Whether it is an ISO 8601 time that a store cannot keep: one before 1970, or in more than 2**62 nanoseconds."""
    found = _iso_ns(value)
    return found is not None and not 0 <= found < _LATEST_NS


def _iso_ns(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    decimals = _FRACTION.search(value)
    fraction = decimals[1] if decimals else ""
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", value.strip()))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    try:
        return wall_ns_of(moment) + int((fraction + "0" * 9)[:9])
    except OverflowError:  # with its offset it is in no year of a calendar's: before all or after all
        return -1


def epoch_ns(value: Any) -> int | None:
    """Return seconds since 1970, with a fraction to the microsecond, as UTC nanoseconds; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST_NS / 10**9:
        return None
    return round(value * 10**6) * 1000


def ms_ns(value: Any) -> int | None:
    """Return milliseconds as nanoseconds; None where it is no number, or negative: not known."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value * 1_000_000) if 0 <= value < LONGEST_NS / 1_000_000 else None


def elapsed_ns(value: Any) -> int | None:
    """Return nanoseconds; None where it is no integer, negative, or longer than anything takes."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < LONGEST_NS else None


def made_id(kind: str, *told: str) -> str:
    """Return the id that something has that is told apart by texts, a UUID (version 8, RFC 9562 §5.8)."""
    joined = "".join(f"{len(one)}:{one}" for one in (kind, *told)).encode("utf-8", "surrogatepass")
    return str(uuid.UUID(bytes=version_8(hashlib.sha256(b"recorder/import/name/v1\0" + joined).digest())))


def version_8(digest: bytes) -> bytes:
    """Return the first 16 bytes of a digest as a UUID (version 8, RFC 9562 §5.8)."""
    value = int.from_bytes(digest[:16], "big") & ~(0xF << 76) & ~(0b11 << 62)
    return (value | 0x8 << 76 | 0b10 << 62).to_bytes(16, "big")


def numbered_lines(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the lines that are not blank, numbered from 1, each with its number among all lines, one at a time."""
    number = at = place = 0
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        line, at = data[at:end], end + 1
        place += 1
        if line.strip():
            number += 1
            yield number, place, line


def refuse_empty(found: bool, what: str) -> None:
    """End the reading of a file that had nothing in it.

    :raises ImportRefused: *found* is false.
    """
    if not found:
        raise ImportRefused(f"it holds no {what}")
