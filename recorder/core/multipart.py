"""Forms with files, taken apart: ``multipart/form-data`` (RFC 7578) and what else RFC 2046 §5.1 bounds.

A payload tells its boundary itself, in its first line. Lines may end with LF alone, and the last boundary may be
missing, and something else come before the first: readers take that, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

_OPENING: Final = re.compile(rb"(?:\r?\n)*--([0-9A-Za-z'()+_,./:=?~ -]{0,69}[0-9A-Za-z'()+_,./:=?~-])[ \t]*\r?\n")
_AFTER_PREAMBLE: Final = re.compile(rb"(?<=\n)" + _OPENING.pattern)
_BLANK: Final = re.compile(rb"\A\r?\n|\r?\n\r?\n")
_LINE: Final = re.compile(rb"\r?\n(?![ \t])")
_PARAMETER: Final = re.compile(r';\s*([\w!#$&+.^`|~*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)')
_ESCAPED: Final = re.compile(r'\\(["\\])')
_BOUNDARY: Final = b"~boundary~"  # of no client: "~" is not allowed in one
#: Headers of a part that say nothing of what is sent: how it is sent, and how long it is.
_FRAMING: Final = frozenset({"content-length", "content-transfer-encoding"})
_PLAIN: Final = re.compile(r"text/plain(?:;\s*charset=\"?utf-?8\"?)?", re.IGNORECASE)  # the default, RFC 7578 §4.4


class Part(NamedTuple):
    """One part.

    :ivar name: of the field; *filename*: None where it has none.
    :ivar kind: its ``Content-Type``; empty where it has none.
    :ivar headers: the others that count, by name.
    :ivar start: where its content begins in the payload; *end*: where that ends.
    """

    name: str
    filename: str | None
    kind: str
    headers: tuple[tuple[str, str], ...]
    start: int
    end: int


def parts_of(payload: bytes) -> list[Part] | None:
    """Return the parts of a form with files; None where the payload is none."""
    opening = _OPENING.match(payload)
    if opening is None and b"form-data" in payload:
        opening = _AFTER_PREAMBLE.search(payload)
    if opening is None:
        return None
    delimiter = re.compile(rb"(?:\A|(?<=\n))--%s(--)?[ \t]*(?:\r?\n|\Z)" % re.escape(opening[1]))
    found: list[Part] = []
    begins = None
    for line in delimiter.finditer(payload):
        if begins is not None:
            found.append(_part(payload, begins, line.start()))
        if line[1]:
            return found
        begins = line.end()
    if begins is not None and begins < len(payload):
        found.append(_part(payload, begins, len(payload), whole=False))
    return found


def whole_parts_of(payload: bytes) -> list[Part] | None:
    """Return the parts of a payload that is such a form to the letter; None of what only begins as one."""
    opening = _OPENING.match(payload)
    if opening is None or opening.start(1) != 2 or not opening[0].endswith(b"\r\n"):
        return None
    if not payload.rstrip(b"\r\n").endswith(b"\r\n--" + opening[1] + b"--"):
        return None
    return parts_of(payload)


def _part(payload: bytes, start: int, end: int, *, whole: bool = True) -> Part:
    """Return the part between two boundaries; of one that is not *whole*, no line end belongs to the next one."""
    if whole and payload[start:end].endswith(b"\n"):
        end -= 2 if payload[start:end].endswith(b"\r\n") else 1
    blank = _BLANK.search(payload, start, end + 2)
    head = payload[start : blank.start() if blank else end]
    lines = [line.partition(b":") for line in _LINE.split(head)]
    headers = {_text(name).strip().lower(): _text(value).strip() for name, _, value in lines if name.strip()}
    disposition = dict(_PARAMETER.findall(headers.pop("content-disposition", "")))
    begins = min(blank.end(), end) if blank else end
    name, filename = _parameter(disposition, "name") or "", _parameter(disposition, "filename")
    kind = headers.pop("content-type", "")
    left = tuple(sorted(header for header in headers.items() if header[0] not in _FRAMING))
    return Part(name, filename, kind, left, begins, end)


def _parameter(found: dict[str, str], name: str) -> str | None:
    """Return a parameter; quotes as HTML escapes them, and other letters as RFC 5987 does."""
    if (extended := found.get(f"{name}*")) is not None:
        return unquote(extended.rpartition("'")[2])
    value = found.get(name)
    if value is None:
        return None
    plain = _ESCAPED.sub(r"\1", value[1:-1]) if value[:1] == '"' and len(value) > 1 else value
    return plain.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _text(written: bytes) -> str:
    return written.decode("utf-8", "surrogateescape")


def written(parts: Sequence[Part], contents: Sequence[bytes]) -> bytes:
    """Return the form in which forms are equal bytes whose parts are equal: name, filename, type and content.

    The type of a file does not count: some libraries guess it by the name, and others say none. That of another field
    is ``text/plain`` where it says none. The result is a form itself, of which this returns the same.

    :param contents: of the parts.
    """
    pieces = []
    for part, content in zip(parts, contents, strict=True):
        head = f'Content-Disposition: form-data; name="{_escaped(part.name)}"'
        if part.filename is not None:
            head += f'; filename="{_escaped(part.filename)}"'
        elif part.kind and not _PLAIN.fullmatch(part.kind):
            head += f"\r\nContent-Type: {part.kind}"
        head = "\r\n".join([head, *(f"{name}: {value}" for name, value in part.headers)])
        pieces += [b"--", _BOUNDARY, b"\r\n", head.encode("utf-8", "surrogateescape"), b"\r\n\r\n", content, b"\r\n"]
    return b"".join([*pieces, b"--", _BOUNDARY, b"--\r\n"])


def _escaped(text: str) -> str:
    quoted = text.replace("\\", "\\\\") if re.search(r'\\["\\]|\\\Z', text) else text
    return quoted.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
