"""Requests of OpenAI Responses: ``instructions`` and the items of ``input`` as messages.

What the model said is one item after the other (reasoning, message, calls): items in a row are one message of the
assistant, as in an answer. Names as in the ``openai`` package, ``types/responses/response_input_item.py``.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import groupby
from typing import Any, Final

from recorder.core.json_sources import sources_of
from recorder.core.messages import Message, Part, RequestReading
from recorder.dialects.base import path_of
from recorder.dialects.folding import AnswerFold, text_or_none
from recorder.dialects.openai_response_items import ItemFold
from recorder.dialects.remembered import again

#: ``…/responses``, one response, and what is done to it.
PATH: Final = re.compile(r"/responses(?:/[^/]+(?:/(?:cancel|compact|input_items))?)?$")
#: Fields that only this dialect's requests have beside ``input``.
_SPEAKING: Final = frozenset(
    {"previous_response_id", "max_output_tokens", "reasoning", "store", "text", "include", "conversation"}
    | {"background", "parallel_tool_calls", "max_tool_calls", "truncation", "tools", "prompt_cache_key"}
)
_ASKING: Final = frozenset({"input", "instructions", "prompt", "previous_response_id", "conversation"})
#: Items that are not the model's, whatever their role.
_NOT_OURS: Final = re.compile(r".*_(?:output|response|reference|trigger|update)$|additional_tools$")
#: Of those that do not say whose they are: what a tool gave, and what the program or a person decides, as of a call
#: that is to be approved. A reference is of whoever said what it stands for.
_ANSWERING: Final = re.compile(r".*_(?:(?P<tool>output)|response|trigger|update)$")


def read_request(dialect: str, url: str, payload: Any) -> RequestReading | None:
    """Return what a request says, or None where it is not one of this dialect."""
    if not isinstance(payload, dict) or "messages" in payload:
        return None
    path = path_of(url)
    if PATH.search(path):
        if not _ASKING & payload.keys():
            return None
    elif not _speaks(payload):
        return None
    messages = [*_messages(payload.get("instructions") or None, "system"), *_messages(payload.get("input"), "user")]
    model = payload.get("model")
    return RequestReading(dialect, tuple(messages), text_or_none(model))


def _speaks(payload: dict[str, Any]) -> bool:
    given = payload.get("input")
    if isinstance(given, str):
        return bool(_SPEAKING & payload.keys())
    return isinstance(given, list) and bool(given) and all(map(_is_item, given))


def _is_item(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    return ("role" in item and "content" in item) or (isinstance(kind, str) and ("call_id" in item or "id" in item))


def _messages(given: Any, role: str) -> list[Message]:
    """Return the messages that a text or a list of items makes."""
    listed = [{"role": role, "content": given}] if isinstance(given, str) else given
    if not isinstance(listed, list):
        return []
    read, found = again(listed), list[Message]()
    for ours, items in groupby(listed, partial(read, _by_the_model)):
        if ours:
            found.append(read(_by_the_model_said, list(items)))
        else:
            found += (read(_other_message, item) for item in items)
    return found


def _folded(item: Any) -> ItemFold:
    fold = ItemFold(None, AnswerFold("", sources_of(item)))
    fold.take(item if isinstance(item, dict) else {"type": "item", "value": item}, (0, 0), done=True)
    return fold


def _by_the_model(item: Any) -> bool:
    fold = _folded(item)
    if fold.kind in (None, "message", "item"):
        return fold.fields.get("role") == "assistant"
    return _NOT_OURS.match(str(fold.kind)) is None


def _by_the_model_said(items: list[Any]) -> Message:
    return _message(list(map(_folded, items)), "assistant")


def _other_message(item: Any) -> Message:
    fold = _folded(item)
    named = fold.fields.get("role")
    return _message([fold], named if isinstance(named, str) else _role(fold.kind or ""))


def _role(kind: str) -> str | None:
    answering = _ANSWERING.match(kind)
    return None if answering is None else "tool" if answering["tool"] else "user"


def _message(items: list[ItemFold], role: str | None) -> Message:
    parts: list[Part] = []
    for item in items:
        parts.extend(item.parts(finished=True))
    rests = [rest for item in items if (rest := {k: v for k, v in (item.rest() or {}).items() if k != "type"})]
    calls = [item.fields.get("call_id") for item in items if role == "tool"]
    answered = calls[0] if calls and isinstance(calls[0], str) else None
    return Message(role, tuple(parts), tool_call_id=answered, extras={"items": rests} if rests else {})
