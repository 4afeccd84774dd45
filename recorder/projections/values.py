"""What can be searched for in values that a dialect has no words for: structured results of tools, built-in tools."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from recorder.core.base64_runs import without_base64

#: Of one value; a text of any size is found where the dialect knows that it is text.
MOST_CHARACTERS: Final = 1 << 20
_MOST_NUMBERS: Final = 64  # of a list of nothing else; a longer one is a vector, an image or token ids
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
#: Names that stand beside base64 and tell what it is, in the dialects and in MCP's content.
_MEDIA_TYPES: Final = frozenset({"mimeType", "mime_type", "media_type", "format"})
#: What says of a block or an item of a dialect what it is, of which it is, how far it is: no words of anybody.
_FRAME: Final = _MEDIA_TYPES | {"type", "status", "id", "call_id", "item_id", "tool_use_id", "container_id"}
#: Blocks within blocks and results: their types are words with an underscore that end so, or have a member beside them
#: that only such a block has. An order may have a type, a state and an id as well, and these are what was said.
_BLOCK: Final = re.compile(
    r"\w+_(?:call|citation|error|file|image|location|output|reference|result|screenshot|text|url)"
)
_BESIDE: Final[Mapping[str, frozenset[str]]] = {
    **{name: frozenset({name}) for name in ("text", "logs", "refusal", "thinking", "resource", "url")},
    **dict.fromkeys(("image", "document", "audio", "video", "file"), frozenset({"source", "data", "url", "file_id"})),
    "search": frozenset({"query", "queries", "sources"}),
    "exec": frozenset({"command", "commands"}),
    "exit": frozenset({"exit_code"}),
    **dict.fromkeys(("open_page", "find", "find_in_page"), frozenset({"url", "pattern"})),
}
#: Members of a block that belong to it whatever they hold.
_PARTS: Final = frozenset({"action", "source", "caller"})

_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_CUT_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_SHORT: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def texts_of(value: Any, *, framed: bool = False) -> Iterator[str]:
    """Yield the texts and the numbers in a JSON value, in order: no names, nothing that is base64, no long vectors.

    The types, states and ids of the blocks of a dialect are left out. Those of a program's own data are what it said.

    :param value: however deep.
    :param framed: it is a block or an item of a dialect; blocks within it are told by their types.
    :return: at most :data:`MOST_CHARACTERS` characters in all; the last text is cut where it is too long.
    """
    room = MOST_CHARACTERS
    waiting = [(value, framed)]
    first = value
    while waiting and room > 0:
        told, block = waiting.pop()
        if isinstance(told, dict):
            kept = [name for name in reversed(told) if not _is_left_out(told, name, framed=block)]
            waiting += [(told[name], block and _is_block(told[name], name)) for name in kept]
        elif isinstance(told, list):
            inside = block or told is first
            waiting += [] if _is_vector(told) else [(one, inside and _is_block(one)) for one in reversed(told)]
        elif isinstance(told, str | int | float | Decimal) and not isinstance(told, bool):
            text = without_base64(str(told)) if isinstance(told, str) else str(told)
            if text and not text.isspace():
                yield text[:room]
                room -= len(text)


def _is_block(value: Any, name: str = "") -> bool:
    """Whether what stands in a block is one as well; a list is where its items may be."""
    if isinstance(value, list) or name in _PARTS:
        return True
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        return False
    return _BLOCK.fullmatch(kind) is not None or not _BESIDE.get(kind, frozenset()).isdisjoint(value)


def _is_left_out(members: dict[str, Any], name: str, *, framed: bool) -> bool:
    held = members[name]
    if not isinstance(held, str):
        return False
    if framed and name in _FRAME:
        return True
    # Bytes that are too few to be told from a word.
    kind = members.get("type")
    inline = (
        name == "bytes"
        or (name == "data" and (kind in ("base64", "image", "audio") or not _MEDIA_TYPES.isdisjoint(members)))
        or (name == "blob" and ("uri" in members or not _MEDIA_TYPES.isdisjoint(members)))
    )
    return inline and kind != "text" and _BASE64.fullmatch(held) is not None


def _is_vector(items: list[Any]) -> bool:
    return len(items) > _MOST_NUMBERS and all(isinstance(item, int | float | Decimal) for item in items)


def unescaped(text: str) -> str:
    """Return JSON that does not parse, with the escapes of its texts (RFC 8259 §7) as what they stand for.

    An escape that the end has cut stands for nothing. Halves of a surrogate pair are left to be joined.
    """
    return _ESCAPE.sub(_letter, _CUT_ESCAPE.sub("", text))


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _SHORT[found[2]]
