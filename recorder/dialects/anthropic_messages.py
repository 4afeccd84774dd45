"""Anthropic Messages, as Anthropic, Vertex AI, Bedrock and gateways send them.

Source: Anthropic's streaming reference and the types of its Python SDK. ``message_start``, then for each block
``content_block_start``, deltas and ``content_block_stop``, then ``message_delta`` with the stop reason and
``message_stop``; or one JSON document ``{"type": "message"}``. What differs and what is easily got wrong:

* each event's type is in its data too: the ``event:`` line may be missing; ``ping`` comes at any time; data is padded
  with spaces;
* ``usage`` of ``message_delta`` is cumulative and overwrites; that of ``message_start`` holds a placeholder. Both are
  kept;
* a block of the type ``fallback`` says that another model went on than the one that ``message_start`` names;
* a gateway that joins answers begins another message after ``message_stop``: its end is owed once more;
* an ``error`` comes under status 200, as an event or as the only document;
* the last empty line may be missing (then ``message_stop`` is no event), and ``message_stop`` too;
* arguments of a call that are cut may parse: a call is complete when its block stopped (or the message ended), and
  not in the block where ``max_tokens`` cut. A call without any arguments has the arguments ``{}``.

The blocks are in :mod:`recorder.dialects.anthropic_blocks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recorder.core.messages import Answer, RequestReading
from recorder.dialects.anthropic_blocks import MessageBlocks, read_message
from recorder.dialects.base import SHAPES, AnswerReader, Clues, messages_of, path_of
from recorder.dialects.content_blocks import BlocksFold
from recorder.dialects.finishes import finishes_of
from recorder.dialects.folding import Place, reason_text, text_or_none, tokens
from recorder.dialects.reading import reader_for
from recorder.dialects.remembered import read_each

_NAME: Final = "anthropic_messages"
_PATHS: Final = ("/messages", ":rawPredict", ":streamRawPredict")
_EVENT: Final = re.compile(
    rb'"type"\s*:\s*"(?:message_start|message_delta|message_stop|content_block_(?:start|delta|stop))"'
)
_DOCUMENT: Final = re.compile(rb'"type"\s*:\s*"message"')
_IDENTITY: Final = re.compile(rb'"id"\s*:\s*"msg_')
_EVENTS: Final[Mapping[str, tuple[str, type]]] = {
    "message_start": ("message", dict),
    "content_block_start": ("content_block", dict),
    "content_block_delta": ("delta", dict),
    "content_block_stop": ("index", int),
    "message_delta": ("delta", dict),
}
#: Fields of the message with a place of their own.
_OWN: Final = frozenset({"type", "id", "role", "model", "content", "usage", "stop_reason"})
#: What belongs to the way in which the message ended.
_ENDING: Final = frozenset({"stop_sequence", "stop_details", "container"})
TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("input_tokens",),
    "output": ("output_tokens",),
    "cached": ("cache_read_input_tokens",),
    "cache_written": ("cache_creation_input_tokens",),
    "reasoning": ("output_tokens_details.thinking_tokens",),
}
_BLOCK_TYPES: Final = frozenset(
    {"tool_use", "tool_result", "thinking", "redacted_thinking", "server_tool_use", "document", "search_result"}
)


class AnthropicMessages:
    """The dialect of ``…/v1/messages``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like a message; the URL counts where the body says little."""
        if clues.shape not in SHAPES:
            return 0.0
        samples = clues.samples
        likeness = max(map(_likeness, samples), default=0.0)
        if likeness < 0.9 and (clues.silent or all(map(_says_little, samples))):
            head = clues.head
            if _EVENT.search(head):
                return 0.9
            if _DOCUMENT.search(head) and _IDENTITY.search(head) and b'"object"' not in head:
                return 0.8
            if clues.path.endswith(_PATHS):
                return max(likeness, 0.5)
        return likeness

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the system prompt and the messages of a payload that is of this dialect by its URL or its fields."""
        messages = messages_of(payload)
        if messages is None:
            return None
        path = path_of(url)
        if not path.endswith("/messages") and (
            path.endswith("/chat/completions") or not _is_request(payload, messages)
        ):
            return None
        model, system = payload.get("model"), payload.get("system")
        read = read_each(read_message, messages)
        if system is not None and system != "" and system != []:
            read.insert(0, read_message({"role": "system", "content": system}))
        return RequestReading(_NAME, tuple(read), text_or_none(model))

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for an event stream or for one JSON document."""
        return reader_for(clues.shape, _Fold())


def _likeness(value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    kind = value.get("type")
    if kind == "message":
        fits = isinstance(value.get("content"), list) and "stop_reason" in value and "role" in value
        return 1.0 if fits else 0.0
    if kind == "message_stop":
        return 0.95
    if kind == "ping":
        return 0.6
    if kind == "error":
        error = value.get("error")
        return 0.9 if isinstance(error, dict) and isinstance(error.get("type"), str) and "message" in error else 0.0
    field, form = _EVENTS.get(kind, ("", dict)) if isinstance(kind, str) else ("", dict)
    if not field:
        return 0.0
    return 0.99 if isinstance(value.get(field), form) else 0.0


def _says_little(value: Any) -> bool:
    """Whether a value could be of many dialects: an error, a ping, an event of a later version."""
    return isinstance(value, dict) and ("error" in value or value.get("type") in ("ping", "error"))


def _is_request(payload: dict[str, Any], messages: list[dict[str, Any]]) -> bool:
    """Whether a payload with ``messages`` has what only this dialect has."""
    if "anthropic_version" in payload or "anthropic_beta" in payload:
        return True
    contents = [message.get("content") for message in messages]
    blocks = [item for content in contents if isinstance(content, list) for item in content]
    if any(not isinstance(block, dict) or not isinstance(block.get("type"), str) for block in blocks):
        return False  # Bedrock Converse has blocks without a type
    if any(block["type"] in _BLOCK_TYPES for block in blocks):
        return True
    if any(block["type"] == "image" and isinstance(block.get("source"), dict) for block in blocks):
        return True
    system, tools = payload.get("system"), payload.get("tools")
    if isinstance(system, list) and all(isinstance(item, dict) and item.get("type") == "text" for item in system):
        return bool(system)
    if isinstance(tools, list) and any(isinstance(tool, dict) and "input_schema" in tool for tool in tools):
        return True
    return isinstance(system, str) and "max_tokens" in payload


class _Fold(BlocksFold):
    """What events and documents add up to."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._blocks = MessageBlocks(self)
        self._ending: dict[str, Any] = {}

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take one JSON value of the answer."""
        kind = value.get("type", name)
        if self.sentinel and kind != "ping":
            reason = f" ({', '.join(self.reasons)})" if self.reasons else ""
            self.note_once("after_end_marker", f"{kind!r} came after message_stop{reason}", place)
            if kind in ("message_start", "content_block_start"):
                self._begin_again()
        if kind == "content_block_delta":
            self._blocks.delta(value.get("index"), value.get("delta"), place)
        elif kind == "content_block_start":
            self._blocks.open(value.get("index"), value.get("content_block"), place)
            self._fallback(value.get("content_block"))
        elif kind == "content_block_stop":
            self._blocks.stop(value.get("index"), place)
        elif kind == "message_start":
            self._start(value.get("message"), place)
        elif kind == "message_delta":
            self._delta(value, place)
        elif kind == "message_stop":
            self.sentinel = True
            self.keep(value, frozenset({"type"}))
        elif kind == "message":
            self._document(value, place)
        elif kind == "error" or "error" in value:
            self.errors.append(value.get("error") or value)
            self.keep(value, frozenset({"type", "error"}))
        elif kind != "ping":
            self._unknown(kind, value, place)

    def _fallback(self, block: Any) -> None:
        """Keep the model that went on, where a block says that another one did."""
        taken_over = block.get("to") if isinstance(block, dict) and block.get("type") == "fallback" else None
        name = taken_over.get("model") if isinstance(taken_over, dict) else None
        if isinstance(name, str):
            self._models.pop(name, None)  # it may have begun: the last one is the one that answered
        self.model(name)

    def _unknown(self, kind: Any, value: dict[str, Any], place: Place) -> None:
        """Keep an event of a later version; one for a block that is a call could have changed it."""
        tell = self.lose_once if self._blocks.calls_at(value.get("index")) else self.note_once
        tell("unknown_event", f"an event of the type {kind!r}", place)
        self.keep({str(kind or "event"): value}, frozenset())

    def _begin_again(self) -> None:
        """What ended goes on: that end says nothing of what comes now."""
        self._blocks.begin_again(ended=not self.errors, finishes=finishes_of(self.reasons))
        self.sentinel = False
        self.reasons.clear()

    def _start(self, message: Any, place: Place) -> None:
        if not isinstance(message, dict):
            self.lose("message_malformed", f"message is a {type(message).__name__}", place)
            return
        if self.begun:
            self.note("message_restarted", "a second message_start", place)
        self._message(message, place)
        if reason_text(message.get("stop_reason")) is not None:
            self.note_once("stop_reason_at_start", f"{message['stop_reason']!r}: not taken for an end", place)

    def _document(self, message: dict[str, Any], place: Place) -> None:
        self._message(message, place)
        self.finish(message.get("stop_reason"), place)

    def _message(self, message: dict[str, Any], place: Place) -> None:
        self.begun = True
        role = message.get("role")
        if isinstance(role, str) and role:
            self.role = role
        self.identity(message.get("id"))
        self.model(message.get("model"))
        self.usage(message.get("usage"))
        self._blocks.content(message.get("content"), place)
        self.keep(message, _OWN | _ENDING)
        self._end_fields(message)

    def _delta(self, value: dict[str, Any], place: Place) -> None:
        self.begun = True
        delta = value.get("delta")
        self.usage(value.get("usage"))
        if isinstance(delta, dict):
            self.finish(delta.get("stop_reason"), place)
            self._end_fields(delta)
            self.keep(delta, _ENDING | {"stop_reason"})
        else:
            self.lose("delta_malformed", f"the delta of message_delta is a {type(delta).__name__}", place)
        self.keep(value, frozenset({"type", "delta", "usage"}))

    def _end_fields(self, fields: dict[str, Any]) -> None:
        for key in _ENDING & fields.keys():
            if fields[key] is not None:
                self._ending[key] = fields[key]

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came."""
        choices = self.choices(self._blocks, whole=whole, extras=self._ending)
        counts = tokens(self.usages, TOKENS)
        return self.result(shape, choices, whole=whole, tail=tail, tokens=counts)


DIALECT = AnthropicMessages()
