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

from recorder.core.json_sources import sources_of
from recorder.core.messages import Answer, Choice, Message, RequestReading
from recorder.dialects.base import SHAPES_OR_LINES, AnswerReader, Clues, messages_of, path_of, recognised
from recorder.dialects.cohere_message import MESSAGE_OWN, MessageFold, unreadable
from recorder.dialects.facts import Facts
from recorder.dialects.finishes import CUTTING, finish_of
from recorder.dialects.folding import AnswerFold, Place, reason_text, text_or_none, tokens
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
#: Fields of an event and of a document that have a place of their own.
_OWN: Final = frozenset({"id", "type", "index", "delta", "message", "finish_reason", "usage", "error", "logprobs"})
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
    return 0.95 if MESSAGE_OWN & message.keys() and isinstance(value.get("id"), str) else 0.0


def is_error(value: Any) -> bool:
    """Return whether a value may be an error as Cohere sends them before an answer begins."""
    return isinstance(value, dict) and ("error" in value or isinstance(value.get("message"), str))


def _read_message(message: dict[str, Any]) -> Message:
    """Return one message of a request."""
    fold = MessageFold(Facts(sources_of(message)))
    fold.message(message, (0, 0))
    read = fold.finished(complete=True, ended=True)
    extras = {name: values[0] for name, values in read.extras.items()}
    answered = text_or_none(extras.get("tool_call_id"))
    if answered is not None:
        del extras["tool_call_id"]
    return replace(read, tool_call_id=answered, extras=extras)


class _Fold(AnswerFold):
    """What the events of an answer, or its document, add up to."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._message: MessageFold | None = None
        self._finish: str | None = None
        self._cut = False  # a reason said so, whatever came after it
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
            tell = self.lose if self._calls_at(value.get("index")) else self.note
            tell("no_choices", "an object without a message", place)
        self.identity(value.get("id"))
        if value.get("logprobs") is not None:
            logprobs = value["logprobs"]
            self._logprobs += logprobs if isinstance(logprobs, list) else [logprobs]
        self.keep(value, _OWN)

    def _said(self) -> MessageFold:
        if self._message is None:
            self._message = MessageFold(self)
        return self._message

    def _event(self, kind: str, value: dict[str, Any], place: Place) -> None:
        delta = value.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        message = delta.get("message")
        message = message if isinstance(message, dict) else {}
        index = value.get("index")
        wrong = unreadable(kind, value) or (kind == "tool-call-delta" and not self._calls_at(index) and "nobody's call")
        if wrong:
            self.lose_once("delta_malformed", f"{kind}: {wrong}", place)
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
            self._unknown(kind, value, place)

    def _unknown(self, kind: str, value: dict[str, Any], place: Place) -> None:
        """Keep an event of a later version; one for a call that has not ended could have changed it."""
        tell = self.lose_once if self._calls_at(value.get("index")) else self.note_once
        tell("unknown_event", f"an event of type {kind!r}", place)
        self.extras.setdefault("events", []).append(value)
        if value.get("error"):
            self.errors.append(value["error"])

    def _calls_at(self, index: Any) -> bool:
        return self._message is not None and self._message.calls_at(index)

    def _end(self, fields: dict[str, Any], place: Place) -> None:
        self._finish = reason_text(fields.get("finish_reason")) or self._finish
        if self._finish is not None:
            self._cut = self._cut or finish_of(self._finish) in CUTTING
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
        finish = None if self._finish is None else finish_of(self._finish)
        message = fold.finished(complete=not self._cut and not self.errors, ended=ended)
        reasons = () if self._finish is None else (self._finish,)
        logprobs = {"logprobs": self._logprobs} if self._logprobs else None
        return Choice(0, message, reasons, logprobs, failed=finish == "error", finish=finish)


DIALECT = CohereV2()
