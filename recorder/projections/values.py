"""What can be searched for in values that a dialect has no words for: structured results of tools, built-in tools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

#: Of one value; a text of any size is found where the dialect knows that it is text.
MOST_CHARACTERS: Final = 1 << 20
_MOST_NUMBERS: Final = 64  # of a list of nothing else; a longer one is a vector, an image or token ids
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_LONGEST_WORD: Final = 128  # of base64's letters; a longer run is base64, or what only the provider can read
_BASE64_LINE: Final = 60  # of base64 that is broken over lines, of 64 or 76 characters
_DATA_URL: Final = re.compile(r"data:[^,\s]{0,200};base64,", re.IGNORECASE)
#: Names that stand beside base64 and tell what it is, in the dialects and in MCP's content.
_MEDIA_TYPES: Final = frozenset({"mimeType", "mime_type", "media_type", "format"})
#: What says of a block or an item of a dialect what it is, of which it is, how far it is: no words of anybody.
_FRAME: Final = frozenset({"type", "status", "id", "call_id", "item_id", "tool_use_id", "container_id"})

_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_CUT_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_SHORT: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def texts_of(value: Any, *, framed: bool = False) -> Iterator[str]:
    """Yield the texts and the numbers in a JSON value, in order: no names, nothing that is base64, no long vectors.

    :param value: however deep.
    :param framed: it is an item of a dialect, whose types, states and ids are not what anybody said; else only those of
        the blocks that the value is a list of.
    :return: at most :data:`MOST_CHARACTERS` characters in all; the last text is cut where it is too long.
    """
    room = MOST_CHARACTERS
    waiting = [value]
    blocks = {id(item) for item in value} if isinstance(value, list) else set[int]()
    while waiting and room > 0:
        told = waiting.pop()
        if isinstance(told, dict):
            frame = framed or id(told) in blocks
            waiting += [told[name] for name in reversed(told) if not _is_left_out(told, name, frame=frame)]
        elif isinstance(told, list):
            waiting += [] if _is_vector(told) else reversed(told)
        elif isinstance(told, str | int | float | Decimal) and not isinstance(told, bool):
            text = str(told)
            if text and not _is_opaque(text):
                yield text[:room]
                room -= len(text)


def _is_left_out(members: dict[str, Any], name: str, *, frame: bool) -> bool:
    held = members[name]
    if not isinstance(held, str):
        return False
    if frame and (name in _FRAME or name in _MEDIA_TYPES):
        return True
    # Bytes that are too few to be told from a word.
    inline = name == "bytes" or (
        name == "data" and (members.get("type") == "base64" or not _MEDIA_TYPES.isdisjoint(members))
    )
    return inline and members.get("type") != "text" and _BASE64.fullmatch(held) is not None


def _is_vector(items: list[Any]) -> bool:
    return len(items) > _MOST_NUMBERS and all(isinstance(item, int | float | Decimal) for item in items)


def _is_opaque(text: str) -> bool:
    if len(text) <= _LONGEST_WORD:
        return _DATA_URL.match(text) is not None
    lines = text.split()
    *whole, last = lines or [""]
    long = len(last) > _LONGEST_WORD if not whole else all(len(line) >= _BASE64_LINE for line in whole)
    return _DATA_URL.match(text) is not None or (long and all(map(_BASE64.fullmatch, lines)))


def unescaped(text: str) -> str:
    """Return JSON that does not parse, with the escapes of its texts (RFC 8259 §7) as what they stand for.

    An escape that the end has cut stands for nothing. Halves of a surrogate pair are left to be joined.
    """
    return _ESCAPE.sub(_letter, _CUT_ESCAPE.sub("", text))


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _SHORT[found[2]]
