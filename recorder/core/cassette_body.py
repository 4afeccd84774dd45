"""Bytes as a cassette has them: text wherever they are text, for people and for git to compare.

::

    "text"                                UTF-8, any control characters escaped as JSON does
    ["text", {"base64": "4oI="}, …]       text around bytes that are none: a character that is cut
    {"base64": "H4sI…"}                   what is no text: a coded body, an image

Which of them stands for some bytes follows from the bytes alone, so that a cassette that is written again is the same.
"""

from __future__ import annotations

import json
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import Any, Final

from recorder.core.json_text import parse_json

_MOST_BREAKS: Final = 8  # places in a text that are none: more, and it is no text
_SPACED: Final = json.JSONEncoder(allow_nan=False).encode
_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
#: How JSON is written by the libraries that send it: requests as json.dumps does by default, httpx compactly.
STYLES: Final = {"json": _COMPACT, "json_spaced": _SPACED}


def written(data: bytes) -> Any:
    """Return the JSON value that stands for *data*."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pieces = _pieces(data)
        return _base64(data) if pieces is None else pieces


def _base64(data: bytes) -> dict[str, str]:
    return {"base64": b64encode(data).decode("ascii")}


def _pieces(data: bytes) -> list[Any] | None:
    pieces: list[Any] = []
    at = breaks = 0
    while at < len(data):
        try:
            pieces.append(data[at:].decode("utf-8"))
            break
        except UnicodeDecodeError as error:
            breaks += 1
            if breaks > _MOST_BREAKS:
                return None
            if error.start:
                pieces.append(data[at : at + error.start].decode("utf-8"))
            pieces.append(_base64(data[at + error.start : at + error.end]))
            at += error.end
    text = sum(len(piece) for piece in pieces if isinstance(piece, str))
    return pieces if 2 * text >= len(data) else None


def read(value: Any) -> bytes:
    """Return the bytes that a value stands for.

    :raises ValueError: it stands for none.
    """
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, list):
        return b"".join(map(_piece, value))
    return _piece(value)


def _piece(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        try:
            return a2b_base64(value["base64"], strict_mode=True)
        except (Base64Error, ValueError):
            raise ValueError("its base64 cannot be read") from None
    raise ValueError("a body is a text, an object with base64, or a list of these")


def payload(data: bytes) -> dict[str, Any]:
    """Return the members that stand for a request's payload; none where it is empty."""
    if not data:
        return {}
    if data[:1] in (b"{", b"["):
        try:
            value = parse_json(data, strict=True)
            for style, encode in STYLES.items():
                if encode(value).encode("utf-8") == data:
                    return {style: value}
        except ValueError:
            pass  # no JSON, or such as could not be written, or read, the same again
    return {"body": written(data)}


def payload_of(line: dict[str, Any]) -> bytes | None:
    """Return the payload that a line has; None where it has none.

    :raises ValueError: it cannot be read, or there are two.
    """
    found = [name for name in ("body", *STYLES) if name in line]
    if len(found) > 1:
        raise ValueError(f"{found[0]} and {found[1]} both say what it is")
    if not found:
        return None
    return read(line["body"]) if found[0] == "body" else STYLES[found[0]](line[found[0]]).encode("utf-8")


def head_lines(head: bytes) -> list[str] | None:
    """Return the lines of an HTTP head; None where lines could not be written as it is."""
    if not head.endswith(b"\r\n\r\n"):
        return None
    lines = head[:-4].decode("latin-1").split("\r\n")
    return lines if lines[0] and not any("\n" in line or "\r" in line for line in lines) else None


def head_of(lines: Any) -> bytes:
    """Return the HTTP head that its lines make.

    :raises ValueError: they are no lines of a head.
    """
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError("a head is a list of lines")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
