"""Cohere's ``/v2/chat`` (Cohere's API reference; cohere-python ``v2chat_stream_response.py``).

Server-sent events whose ``type`` says what they are: ``message-start``, then for each block of content
``content-start``, ``content-delta`` and ``content-end`` by index, ``tool-plan-delta``, for each call
``tool-call-start``, ``tool-call-delta`` and ``tool-call-end`` by an index of its own, ``citation-start`` and
``citation-end`` amid the text, and ``message-end`` with the finish reason, the usage, and the ``error`` if there is
one; some servers send ``[DONE]`` after it. Or one document: ``{id, message{…}, finish_reason, usage}``. What is
peculiar:

* the plan before tool calls (``tool_plan``) is reasoning here;
* a call of a tool without parameters has ``""`` for its arguments;
* a second ``tool-call-start`` under an index begins another call. Where the first had no end, which pieces were whose
  cannot be told: the first is not complete, the second only with arguments of its own, and the answer is not;
* failures before the stream begins are ``{"id", "message"}``, and ``message`` is a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from recorder.core.messages import Answer, Choice, CitationPart, Message, OtherPart, Part, RequestReading
from recorder.dialects.base import SHAPES_OR_LINES, AnswerReader, Clues, messages_of, path_of, recognised
from recorder.dialects.folding import (
    AnswerFold,
    CallFold,
    Place,
    ReasoningFold,
    TextFold,
    reason_text,
    text_or_none,
    tokens,
)
from recorder.dialects.openai_parts import media_part
from recorder.dialects.reading import reader_for
from recorder.dialects.remembered import read_each

_NAME: Final = "cohere_v2"
_PATH: Final = "/v2/chat"
_EVENTS: Final = frozenset(
    {
        *("message-start", "message-end", "content-start", "content-delta", "content-end", "tool-plan-delta"),
        *("tool-call-start", "tool-call-delta", "tool-call-end", "citation-start", "citation-end"),
    }
)
_EVENT: Final = re.compile(rb'"type"\s*:\s*"(?:' + "|".join(sorted(_EVENTS)).encode() + rb')"')
_HEAD: Final = 4096
#: Fields of an event, of a document and of a message that have a place of their own.
_OWN: Final = frozenset({"id", "type", "index", "delta", "message", "finish_reason", "usage", "error", "logprobs"})
_MESSAGE_OWN: Final = frozenset({"role", "content", "tool_plan", "tool_calls", "citations"})
_CALL_OWN: Final = frozenset({"id", "type", "function"})
#: What Cohere's reasons, of both versions of its API, come down to.
FINISHES: Final[Mapping[str, str]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR": "error",
    "TIMEOUT": "error",
    "USER_CANCEL": "cancelled",
}
#: Finishes after which a call may have been cut.
CUTTING: Final = frozenset({"length", "content_filter", "error", "cancelled"})
#: Fields of a request that are Cohere's alone.
_REQUEST_FIELDS: Final = frozenset({"citation_options", "safety_mode", "strict_tools"})

TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("tokens.input_tokens", "billed_units.input_tokens"),
    "output": ("tokens.output_tokens", "billed_units.output_tokens"),
    "cached": ("cached_tokens",),
    "reasoning": ("tokens.reasoning_tokens",),
}


class CohereV2:
    """The dialect of ``/v2/chat``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like Cohere's; the URL counts where the body says little."""
        placed = clues.path.endswith(_PATH)
        return recognised(
            clues, _likeness, head=_EVENT, placed=placed, vague=is_error, shapes=SHAPES_OR_LINES, head_size=_HEAD
        )

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the messages of a payload."""
        messages = messages_of(payload)
        if messages is None:
            return None
        path = path_of(url)
        planned = any("tool_plan" in item for item in messages)
        if not (path.endswith(_PATH) or planned or _REQUEST_FIELDS & payload.keys()):
            return None
        model = payload.get("model")
        return RequestReading(_NAME, tuple(read_each(_read_message, messages)), text_or_none(model))

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for events, for lines, or for one document."""
        return reader_for(clues.shape, _Fold())


def _likeness(value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    kind = value.get("type")
    if isinstance(kind, str):
        return 1.0 if kind in _EVENTS else 0.0
    message, reason = value.get("message"), value.get("finish_reason")
    if not isinstance(message, dict) or not isinstance(reason, str) or "choices" in value:
        return 0.0
    return 0.95 if _MESSAGE_OWN & message.keys() and isinstance(value.get("id"), str) else 0.0


def is_error(value: Any) -> bool:
    """Return whether a value may be an error as Cohere sends them before an answer begins."""
    return isinstance(value, dict) and ("error" in value or isinstance(value.get("message"), str))


def _read_message(message: dict[str, Any]) -> Message:
    """Return one message of a request."""
    fold = MessageFold()
    fold.message(message, (0, 0))
    read = fold.finished(complete=True, ended=True)
    extras = {name: values[0] for name, values in read.extras.items()}
    answered = text_or_none(extras.get("tool_call_id"))
    if answered is not None:
        del extras["tool_call_id"]
    return replace(read, tool_call_id=answered, extras=extras)


class _Call(CallFold):
    """A call.

    :ivar ended: its end came.
    :ivar displaces: it began under the index of a call that had not ended.
    """

    __slots__ = ("displaces", "ended")

    def __init__(self, index: int | None = None, *, ended: bool = False, displaces: bool = False) -> None:
        super().__init__(index)
        self.ended = ended
        self.displaces = displaces

    def take(self, entry: Any, place: Place) -> None:
        """Take a call, or the next piece of it."""
        fields = entry if isinstance(entry, dict) else {}
        function = fields.get("function")
        function = function if isinstance(function, dict) else {}
        identity, name, arguments = fields.get("id"), function.get("name"), function.get("arguments")
        if isinstance(identity, str) and identity:
            self.id = identity
        if isinstance(name, str) and name:
            self.name = name
        self.add(arguments if isinstance(arguments, str) else "", place)
        if arguments is not None and not isinstance(arguments, str):
            self.value = arguments
        self.extras.update((key, value) for key, value in fields.items() if key not in _CALL_OWN and value is not None)


class MessageFold:
    """What the events of a message add up to; a whole message is one delta."""

    def __init__(self) -> None:
        self._role: str | None = None
        self._parts: list[Part | TextFold | _Call] = []
        self._blocks: dict[tuple[Any, str], TextFold] = {}
        self._calls: dict[Any, _Call] = {}
        self._extras: dict[str, list[Any]] = {}

    def message(self, message: dict[str, Any], place: Place) -> None:
        """Take a message: whole, or as far as ``message-start`` has it."""
        role = message.get("role")
        if isinstance(role, str) and role:
            self._role = role
        self.plan(message.get("tool_plan"), place)
        content = message.get("content")
        for at, block in enumerate(content if isinstance(content, list) else [content]):
            self.block(at, block, place)
        calls = message.get("tool_calls")
        for entry in calls if isinstance(calls, list) else []:
            call = _Call(ended=True)
            call.take(entry, place)
            self._parts.append(call)
        self.cite(message.get("citations"), place)
        for name, value in message.items():
            if name not in _MESSAGE_OWN and value is not None:
                self._extras.setdefault(name, []).append(value)

    def plan(self, text: Any, place: Place) -> None:
        """Take a piece of the tool plan."""
        self._grow(None, "tool_plan", text, place)

    def block(self, index: Any, block: Any, place: Place) -> None:
        """Take a block of content, or the next piece of it."""
        if isinstance(block, str):
            self._grow(index, "text", block, place)
            return
        if not isinstance(block, dict):
            if block is not None:
                self._parts.append(OtherPart("content", block, (place,)))
            return
        known = [name for name in ("thinking", "text") if isinstance(block.get(name), str)]
        for name in known:
            self._grow(index, name, block[name], place)
        if not known and block.keys() - {"type"}:
            self._parts.append(
                media_part("image_url", block, place) or OtherPart(str(block.get("type") or "content"), block, (place,))
            )

    def call(self, index: Any, entry: Any, place: Place, *, start: bool) -> bool:
        """Take a call, or the next piece of it.

        :param start: a call begins; one that says the id of the call under its index again is that call.
        :returns: whether it began where another had not ended.
        """
        key = index if isinstance(index, int | str) else None
        known = self._calls.get(key)
        identity = entry.get("id") if isinstance(entry, dict) else None
        displaces = start and known is not None and (known.id is None or known.id != identity)
        if known is None or displaces:
            known = self._calls[key] = _Call(index if type(index) is int else None, displaces=displaces)
            self._parts.append(known)
        known.take(entry, place)
        return displaces

    def call_ended(self, index: Any, place: Place) -> None:
        """Take the end of a call."""
        call = self._calls.pop(index if isinstance(index, int | str) else None, None)
        if call is not None:
            call.add("", place)
            call.ended = True

    def cite(self, citations: Any, place: Place) -> None:
        """Take citations, one or several."""
        for item in citations if isinstance(citations, list) else [] if citations is None else [citations]:
            self._parts.append(_citation(item, place))

    def finished(self, *, complete: bool, ended: bool = False) -> Message:
        """Return the message.

        :param complete: nothing was cut.
        :param ended: the message came to its end; only then does a call without arguments have none.
        """
        parts: list[Part] = []
        for part in self._parts:
            if isinstance(part, _Call):
                empty: Any = {} if ended and not part.displaces else None
                parts.append(part.part(finished=complete and part.ended, empty=empty))
            elif isinstance(part, ReasoningFold):
                field = next(name for (_, name), fold in self._blocks.items() if fold is part)
                parts.append(replace(part.reasoning(), fields=(field,)))
            else:
                parts.append(part.part() if isinstance(part, TextFold) else part)
        return Message(self._role, tuple(parts), extras=self._extras)

    def _grow(self, index: Any, name: str, text: Any, place: Place) -> None:
        if not isinstance(text, str) or not text:
            return
        key = (index if isinstance(index, int | str) else None, name)
        if key not in self._blocks:
            self._blocks[key] = TextFold() if name == "text" else ReasoningFold()
            self._parts.append(self._blocks[key])
        self._blocks[key].add(text, place)


def _citation(value: Any, place: Place) -> CitationPart:
    fields = value if isinstance(value, dict) else {}
    sources = fields.get("sources")
    source = sources[0] if isinstance(sources, list) and sources else None
    document = source.get("document") if isinstance(source, dict) else None
    found = [fields.get("text")]
    found += [document.get(name) if isinstance(document, dict) else None for name in ("url", "title")]
    text, url, title = map(text_or_none, found)
    return CitationPart(value, text, url, title, (place,))


class _Fold(AnswerFold):
    """What the events of an answer, or its document, add up to."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._message: MessageFold | None = None
        self._finish: str | None = None
        self._logprobs: list[Any] = []
        self._streamed = False

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take one event, or the document."""
        kind = value.get("type")
        message = value.get("message")
        if isinstance(kind, str):
            self._streamed = True
            self._event(kind, value, place)
        elif isinstance(message, dict):
            self._said().message(message, place)
            self._end(value, place)
        elif isinstance(message, str):
            self.errors.append({key: held for key, held in value.items() if key != "id"})
        else:
            self._end(value, place)
            self.note("no_choices", "an object without a message", place)
        self.identity(value.get("id"))
        if value.get("logprobs") is not None:
            logprobs = value["logprobs"]
            self._logprobs += logprobs if isinstance(logprobs, list) else [logprobs]
        self.keep(value, _OWN)

    def _said(self) -> MessageFold:
        if self._message is None:
            self._message = MessageFold()
        return self._message

    def _event(self, kind: str, value: dict[str, Any], place: Place) -> None:
        delta = value.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        message = delta.get("message")
        message = message if isinstance(message, dict) else {}
        index = value.get("index")
        if self.sentinel:
            self.note_once("after_end_marker", f"{kind} came after message-end", place)
        if kind == "message-start":
            self._said().message(message, place)
        elif kind in ("content-start", "content-delta"):
            self._said().block(index, message.get("content"), place)
        elif kind == "tool-plan-delta":
            self._said().plan(message.get("tool_plan"), place)
        elif kind in ("tool-call-start", "tool-call-delta"):
            started = kind == "tool-call-start"
            if self._said().call(index, message.get("tool_calls"), place, start=started):
                self.unclear = True
                self.note(
                    "tool_call_not_ended", f"a call begins under {index!r}, the index of one without an end", place
                )
        elif kind == "tool-call-end":
            self._said().call_ended(index, place)
        elif kind == "citation-start":
            self._said().cite(message.get("citations"), place)
        elif kind == "message-end":
            self._said()
            self._end(delta, place)
            self.sentinel = True
        elif kind not in _EVENTS and kind != "debug":
            self.note_once("unknown_event", f"an event of type {kind!r}", place)
            self.extras.setdefault("events", []).append(value)
            if value.get("error"):
                self.errors.append(value["error"])

    def _end(self, fields: dict[str, Any], place: Place) -> None:
        self._finish = reason_text(fields.get("finish_reason")) or self._finish
        self.usage(fields.get("usage"))
        if fields.get("error"):
            self.errors.append(fields["error"])

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came. A single event that parses is no whole document."""
        whole = None if self._streamed and whole else whole
        ended = self.sentinel or bool(whole)
        choices = [] if self._message is None else [self._choice(self._message, ended)]
        return self.result(shape, choices, whole=whole, tail=tail, tokens=tokens(self.usages, TOKENS))

    def _choice(self, fold: MessageFold, ended: bool) -> Choice:
        finish = None if self._finish is None else FINISHES.get(self._finish.upper(), "other")
        message = fold.finished(complete=finish not in CUTTING and not self.errors, ended=ended)
        reasons = () if self._finish is None else (self._finish,)
        logprobs = {"logprobs": self._logprobs} if self._logprobs else None
        return Choice(0, message, reasons, logprobs, failed=finish == "error", finish=finish)


DIALECT = CohereV2()
