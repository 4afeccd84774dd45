"""What makes a message the same when it is sent again, and what of it clients send back otherwise or not at all.

Not compared are ids of calls and of items, fields that are null, marks that say what of a prompt the provider is to
cache (they move from message to message with each request, and no model reads them), and the bytes of media that the
provider has an id for. Whether a tool failed is: where nothing is said of it, it did not. So is what a model reads
beside a message or a file: the title and the context of a document; the name of who speaks, but for the model's, which
clients add to its answers, and a tool's, which its call tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from recorder.core.json_numbers import Exact, number
from recorder.core.json_text import dumps, exact_number, plain, whole
from recorder.core.json_value import canonical
from recorder.core.messages import MediaPart, Message, OtherPart, Part, ToolCallPart, ToolResultPart

_THOUGHT: Final = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
#: Field of a block that marks it to be cached (Anthropic and those that speak like it), and block that does (Converse).
_CACHED, _CACHE_POINT = "cache_control", "cachePoint"
#: Fields of blocks that hold what is the program's or the model's own, where a null or any name says something.
_OWN_DATA: Final = frozenset({"input", "json", "arguments"})
_IDS: Final = frozenset({"id", "call_id", "tool_use_id", "toolUseId"})
_TEXT: Final = frozenset({"type", "text"})
#: Whatever else an item has, it says itself what it is; this type never does.
_NAMING: Final = frozenset({"type", "id", "status"})
_REFERENCE: Final = "item_reference"
#: Nor does one of this type without its bytes, which some leave out: the image is the one of that id.
_IMAGE: Final = "image_generation_call"
#: Roles whose names tell who speaks.
_NAMED: Final = frozenset({"user", "system", "developer", "function"})
#: Fields of a file that the model reads with it (Anthropic's and Converse's documents, OpenAI's files).
_READ: Final = ("title", "context", "name", "filename")


def canonical_message(message: Message) -> bytes:
    """Return the bytes that are the same for messages that are the same when they are sent back."""
    text = message.text
    if message.role == "assistant":
        text = _THOUGHT.sub("", text, count=1) if _THOUGHT.match(text) else text
    told = json.dumps(
        [
            message.role,
            plain(text).strip(),
            [[call.name, _arguments(call)] for call in message.tool_calls],
            [_identity(part) for part in message.parts if _is_compared(part)],
            *([plain(message.name)] if message.name and message.role in _NAMED else ()),
        ],
        sort_keys=True,
        separators=(",", ":"),
        default=_number,
    )
    return told.encode("ascii")


def can_be_sent_back(answer: Message) -> bool:
    """Tell whether an answer has a text, a call, media or a part that has no form of its own here, as a shell's call.

    Of others nothing is there to be sent back.
    """
    return bool(answer.text.strip() or answer.tool_calls) or any(
        isinstance(one, MediaPart | OtherPart) and _is_compared(one) for one in answer.parts
    )


def named_item(part: Part) -> str | None:
    """Return the id of the item that a part stands for; None where it says itself what it is."""
    value = part.value if isinstance(part, OtherPart) else None
    if not isinstance(value, dict):
        return None
    told = {name for name, held in value.items() if held is not None}
    identity = value.get("id") if told <= _NAMING or _is_bare_image(value) else None
    return identity if isinstance(identity, str) else None


def _is_bare_image(value: Mapping[str, Any]) -> bool:
    return value.get("type") == _IMAGE and value.get("result") is None


def _number(value: Any) -> float | str:
    """What stands for a number that json does not write, however it was written: a float where that is the number.

    :raises TypeError: it is none.
    """
    if not isinstance(value, Decimal):
        raise TypeError(f"a {type(value).__name__} is none of JSON")
    told = exact_number(str(value))
    if isinstance(told, float):
        return told
    exact = number(str(value))
    return exact.canonical if isinstance(exact, Exact) else str(exact)


def _arguments(call: ToolCallPart) -> str:
    """The arguments as one text for what a client that reads and writes them again leaves as it is."""
    text = call.arguments_text
    if not text.strip():  # which stands for a value: that is what is sent back, by most clients an empty object
        text = dumps(call.arguments) if call.complete else "{}"
    told = canonical(text)
    return whole(text).strip() if told is None else told


def _is_compared(part: Part) -> bool:
    if isinstance(part, OtherPart):
        return not _is_cache_point(part.value)
    return isinstance(part, MediaPart | ToolResultPart)


def _identity(part: Part) -> Any:
    """What makes it the same when it is sent again."""
    if isinstance(part, MediaPart):
        told = None if part.file_id else part.sha256 or part.extras.get("encoded_sha256")
        read = {name: text for name in _READ if isinstance(text := part.extras.get(name), str) and text}
        return [part.kind, plain(part.url), plain(part.file_id), told, *([plain(read)] if read else ())]
    if isinstance(part, ToolResultPart):
        return ["tool_result", plain(part.text), part.failed is True, _result(part)]
    return _item(part.value) if isinstance(part, OtherPart) else None


def _item(value: Any) -> Any:
    """What a part without a form of its own says, but for its ids; of one that only names another, that."""
    told = plain(_said(value))
    if isinstance(told, dict) and _is_bare_image(told) and isinstance(told.get("id"), str):
        return [_IMAGE, told["id"]]
    if not isinstance(told, dict) or not isinstance(told.get("type"), str) or told["type"] == _REFERENCE:
        return told
    return {name: held for name, held in told.items() if name not in _IDS}


def _result(part: ToolResultPart) -> Any:
    """What a result says beside its text and that it failed; None where that is all."""
    value = part.value
    if not isinstance(value, dict) or not ("toolUseId" in value or str(value.get("type")).endswith("tool_result")):
        return plain(value)  # the tool's own, or nothing
    told = {name: held for name, held in plain(_said(value)).items() if name not in _IDS}
    if type(told.get("is_error")) is bool:
        del told["is_error"]
    if told.get("status") in ("success", "error"):
        del told["status"]
    if told.get("type") == "tool_result":
        del told["type"]
    if _is_text(told.get("content")):
        told.pop("content", None)
    return told or None


def _is_text(content: Any) -> bool:
    """Whether a result's content is nothing but text, which is compared by itself."""
    if isinstance(content, list):
        return all(
            isinstance(one, str)
            or (isinstance(one, dict) and "text" in one and one.keys() <= _TEXT and one.get("type") in (None, "text"))
            for one in content
        )
    return content is None or isinstance(content, str)


def _said(value: Any) -> Any:
    """A block, without nulls and marks for the cache in it and in the blocks that it holds."""
    if isinstance(value, dict):
        return {
            name: held if name in _OWN_DATA else _said(held)
            for name, held in value.items()
            if held is not None and name != _CACHED
        }
    if isinstance(value, list):
        return [_said(one) for one in value if not _is_cache_point(one)]
    return value


def _is_cache_point(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {_CACHE_POINT}
