"""Amazon Bedrock Converse: ``…/model/ID/converse-stream``, and ``…/converse``.

Source: the service model of bedrock-runtime in botocore, and recordings. Frames of an AWS event stream, each named by
its ``:event-type``: ``messageStart``, then for each block perhaps ``contentBlockStart``, deltas and
``contentBlockStop``, then ``messageStop`` with the stop reason and, after it, ``metadata`` with usage and metrics.
What is easily got wrong:

* only tools (calls and results) and images have a start event; text, reasoning and citations begin with a delta;
* every frame is padded by a field ``p``; a frame of the type ``exception`` is an error, under status 200;
* arguments come as pieces of text, the result of a tool that the provider runs (``nova_code_interpreter``) as lists;
* citations come before the text that they are for; Nova, invoked as a model, has a new block for each piece of text;
* in a JSON document the same comes as ``output.message.content``.

The same values, one under its event's name, come inside the frames of InvokeModel for Nova, and as server-sent events
from gateways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from recorder.core.messages import Answer, RequestReading
from recorder.dialects.base import AnswerReader, Clues, messages_of, path_of
from recorder.dialects.bedrock_blocks import ConverseBlocks, read_message
from recorder.dialects.content_blocks import BlocksFold
from recorder.dialects.folding import Place, nonempty, tokens
from recorder.dialects.reading import FrameReader, reader_for
from recorder.dialects.remembered import read_each

_NAME: Final = "bedrock_converse"
_PATHS: Final = ("/converse", "/converse-stream")
_MODEL: Final = re.compile(r"/model/([^/]+)/(?:converse|invoke)[a-z-]*$")
_EVENTS: Final[Mapping[str, str]] = {
    "messageStart": "role",
    "contentBlockStart": "start",
    "contentBlockDelta": "delta",
    "contentBlockStop": "contentBlockIndex",
    "messageStop": "stopReason",
    "metadata": "usage",
}
#: Events that no other service has under that name.
_TELLING: Final = _EVENTS.keys() - {"metadata"}
_SHAPES: Final = frozenset({"eventstream", "sse", "json", "binary", "empty"})
_DOCUMENT: Final = re.compile(rb'"output"\s*:\s*\{\s*"message"\s*:\s*\{')
TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("inputTokens",),
    "output": ("outputTokens",),
    "total": ("totalTokens",),
    "cached": ("cacheReadInputTokens", "cacheReadInputTokenCount"),
    "cache_written": ("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
}


class BedrockConverse:
    """The dialect of ``…/converse`` and ``…/converse-stream``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like Converse; the URL counts where the body says little."""
        asked = clues.path.endswith(_PATHS)
        if clues.frames:
            named = {frame.headers.get(":event-type") for frame in clues.frames}
            if named & _TELLING:
                return 1.0
            failed = any(":exception-type" in frame.headers for frame in clues.frames)
            return (0.9 if asked else 0.4) if failed else 0.5 * (asked and "chunk" not in named)
        if clues.shape not in _SHAPES:
            return 0.0
        likeness = max(map(_likeness, clues.samples), default=0.0)
        if not clues.samples and clues.shape == "json" and _DOCUMENT.search(clues.head):
            return 0.8
        if likeness or not asked:
            return likeness
        speaks_otherwise = any(not may_be_error(item) for item in clues.samples)
        return 0.0 if speaks_otherwise else 0.5

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the system prompt and the messages of a payload that is of this dialect by its URL or its blocks."""
        messages = messages_of(payload)
        if messages is None:
            return None
        path = path_of(url)
        if not path.endswith(_PATHS) and not _is_request(payload, messages):
            return None
        system = payload.get("system")
        read = read_each(read_message, messages)
        if system is not None and system != []:
            read.insert(0, read_message({"role": "system", "content": system}))
        return RequestReading(_NAME, tuple(read), model_of(path) or nonempty(payload.get("modelId")))

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for frames, for server-sent events, or for one JSON document."""
        return reader_for(clues.shape, _Fold(), FrameReader)


def model_of(path: str) -> str | None:
    """Return the model that the path of a URL of bedrock-runtime names; None where it names none."""
    found = _MODEL.search(path)
    return unquote(found[1]) if found else None


def _likeness(value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    output = value.get("output")
    if isinstance(output, dict) and isinstance(output.get("message"), dict) and "stopReason" in value:
        return 1.0
    for name in _TELLING:
        held = value.get(name)
        if isinstance(held, dict) and _EVENTS[name] in held:
            return 0.95
    return 0.0


def may_be_error(value: Any) -> bool:
    """Return whether a value is an error of AWS, as far as one can tell: they have a message and perhaps a type."""
    return isinstance(value, dict) and any(isinstance(value.get(key), str) for key in ("message", "Message", "__type"))


def _is_request(payload: dict[str, Any], messages: list[dict[str, Any]]) -> bool:
    """Whether the blocks of ``messages`` are those of this dialect: objects named by their only field."""
    contents = [message.get("content") for message in messages]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    untyped = [isinstance(block, dict) and "type" not in block for block in blocks]
    return bool(untyped) and all(untyped) and all(isinstance(content, list) for content in contents)


class _Fold(BlocksFold):
    """What frames, events and documents add up to."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._blocks = ConverseBlocks(self)

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take the value of one frame or event, or the document."""
        if name in _EVENTS:
            self._event(name, value, place)
            return
        events = [key for key in _EVENTS if isinstance(value.get(key), dict)]
        if events:
            for key in events:
                self._event(key, value[key], place)
            self._keep(value, frozenset(events))
        elif isinstance(value.get("output"), dict):
            self._document(value, place)
        elif found := _exception(value):
            self.errors.append(found)
        else:
            if name != "initial-response":
                tell = self.lose_once if self._is_of_call(value) else self.note_once
                tell("unknown_event", f"an event of the type {name!r}", place)
            self._keep({name: value} if name and value else value, frozenset())

    def _is_of_call(self, value: dict[str, Any]) -> bool:
        """Whether an event whose name is not known, or is lost, is for a block that is a call."""
        held = (value, *(inner for inner in value.values() if isinstance(inner, dict)))
        return any(self._blocks.calls_at(one.get("contentBlockIndex")) for one in held)

    def _event(self, name: str, value: dict[str, Any], place: Place) -> None:
        if self.reasons and name != "metadata":
            self.note_once("after_end_marker", f"{name!r} came after messageStop", place)
        self.begun = self.begun or name != "metadata"
        index = value.get("contentBlockIndex")
        if name == "contentBlockDelta":
            self._blocks.delta(index, value.get("delta"), place)
        elif name == "contentBlockStart":
            self._blocks.open(index, value.get("start"), place)
        elif name == "contentBlockStop":
            self._blocks.stop(index, place)
        elif name == "messageStart":
            self._set_role(value.get("role"), place)
            self._keep(value, frozenset({"role"}))
        elif name == "messageStop":
            self.finish(value.get("stopReason"), place)
            self._keep(value, frozenset({"stopReason"}))
        else:
            self.sentinel = True
            self.usage(value.get("usage"))
            self._keep(value, frozenset({"usage"}))

    def _document(self, value: dict[str, Any], place: Place) -> None:
        output = value["output"]
        message = output.get("message")
        if isinstance(message, dict):
            self.begun = True
            self._set_role(message.get("role"), place)
            self._blocks.content(message.get("content"), place)
            self._keep(message, frozenset({"role", "content"}))
        self._keep(output, frozenset({"message"}))
        self.finish(value.get("stopReason"), place)
        self.usage(value.get("usage"))
        self._keep(value, frozenset({"output", "stopReason", "usage"}))

    def _set_role(self, role: Any, place: Place) -> None:
        if isinstance(role, str) and role:
            if self.role not in (None, role):
                self.note_once("role_changed", f"{self.role!r} is followed by {role!r}", place)
            self.role = role

    def _keep(self, value: dict[str, Any], own: frozenset[str]) -> None:
        self.keep(value, own | {"p"})

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came."""
        choices = self.choices(self._blocks, whole=whole)
        counts = tokens(self.usages, TOKENS)
        return self.result(shape, choices, whole=whole, tail=tail, tokens=counts)


def _exception(value: dict[str, Any]) -> Any:
    """Return an error of AWS: one under the name of its exception, or a document with a message."""
    for name, held in value.items():
        if name.endswith("Exception") and isinstance(held, dict):
            return value
    return value if may_be_error(value) or "error" in value else None


DIALECT = BedrockConverse()
