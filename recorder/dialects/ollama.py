"""Ollama's own ``/api/chat`` and ``/api/generate`` (Ollama's docs/api.md; its client's ``_types.py``).

One JSON object a line (NDJSON), or one document where streaming is off: ``{model, created_at, message{role, content,
thinking, tool_calls}, done: false}`` or, from ``generate``, ``{…, response, thinking, …}``; the last one has
``done: true``, ``done_reason``, counts of tokens and durations in nanoseconds. Only ``done: true`` ends an answer,
also one that is a single line. Arguments of tool calls are objects, and calls come whole. A failure after the
stream began is a line ``{"error": "…"}`` under status 200.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recorder.core.json_sources import sources_of
from recorder.core.messages import Answer, Choice, Message, OtherPart, Part, ReasoningPart, RequestReading, TextPart
from recorder.dialects.base import SHAPES_OR_LINES, AnswerReader, Clues, path_of, recognised
from recorder.dialects.facts import Facts
from recorder.dialects.finishes import CUTTING, finish_of
from recorder.dialects.folding import (
    AnswerFold,
    CallFold,
    Place,
    ReasoningFold,
    TextFold,
    add_text,
    message_of_request,
    nonempty,
    reason_text,
    text_or_none,
    tokens,
)
from recorder.dialects.media import media
from recorder.dialects.reading import reader_for
from recorder.dialects.remembered import read_each

_NAME: Final = "ollama"
_PATHS: Final = ("/api/chat", "/api/generate")
_OBJECT: Final = re.compile(
    rb'"model"\s*:\s*"[^"]*"\s*,(?:\s*"remote_\w+"\s*:\s*"[^"]*"\s*,)*\s*"created_at"\s*:\s*"[^"]*"\s*,'
    rb'\s*"(?:message|response|thinking)"'
)
_HEAD: Final = 4096
_COUNTS: Final = ("prompt_eval_count", "eval_count")
#: Fields with a place of their own.
_OWN: Final = frozenset(
    {*_COUNTS, "model", "message", "response", "thinking", "tool_calls", "image"}
    | {"done", "done_reason", "error", "logprobs"}
)
#: Fields by one of which a document is known, wherever it came from.
_TELLING: Final = frozenset({*_COUNTS, "created_at", "done_reason", "total_duration", "context", "message"})
_MESSAGE_OWN: Final = frozenset({"role", "content", "thinking", "tool_calls", "images"})
#: Options that only Ollama has, by which a request is known whose URL says nothing.
_OPTIONS: Final = frozenset({"num_ctx", "num_predict", "num_gpu", "num_thread", "repeat_last_n", "mirostat"})

TOKENS: Final[Mapping[str, tuple[str, ...]]] = {"input": ("prompt_eval_count",), "output": ("eval_count",)}


class Ollama:
    """The dialect of ``/api/chat`` and ``/api/generate``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like Ollama's; the URL counts where the body says little."""
        placed = clues.path.endswith(_PATHS)
        likeness = _likeness if placed or clues.shape != "json" else _likeness_elsewhere
        return recognised(
            clues, likeness, head=_OBJECT, placed=placed, vague=_is_error, shapes=SHAPES_OR_LINES, head_size=_HEAD
        )

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the messages of a chat, or the prompt of a completion."""
        if not isinstance(payload, dict) or not _is_request(url, payload):
            return None
        messages = payload.get("messages")
        read = read_each(_read_message, messages) if isinstance(messages, list) else _read_prompt(payload)
        model = payload.get("model")
        return RequestReading(_NAME, tuple(read), text_or_none(model))

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for lines, for one document, or for events (of a gateway)."""
        return reader_for(clues.shape, _Fold())


def _likeness(value: Any) -> float:
    if not isinstance(value, dict) or not isinstance(value.get("model"), str) or type(value.get("done")) is not bool:
        return 0.0
    message = value.get("message")
    said = (isinstance(message, dict) and (not message or not _MESSAGE_OWN.isdisjoint(message))) or isinstance(
        value.get("response"), str
    )
    if said or isinstance(value.get("image"), str):
        return 1.0 if "created_at" in value else 0.9
    return 0.0


def _likeness_elsewhere(value: Any) -> float:
    """As :func:`_likeness`, for a document of whom nobody knows: what has been done may be anything."""
    likely = _likeness(value)
    return likely if likely and not _TELLING.isdisjoint(value) else 0.0


def _is_error(value: Any) -> bool:
    return isinstance(value, dict) and "error" in value


def _is_request(url: str, payload: dict[str, Any]) -> bool:
    path = path_of(url)
    if path.endswith(_PATHS):
        return "messages" in payload or "prompt" in payload
    options = payload.get("options")
    return isinstance(payload.get("messages"), list) and (
        "keep_alive" in payload or (isinstance(options, dict) and not _OPTIONS.isdisjoint(options))
    )


def _read_message(message: dict[str, Any]) -> Message:
    fold = _MessageFold(Facts(sources_of(message)))
    fold.take(message, (0, 0))
    return message_of_request(fold.message(finished=True), "tool_name")


def _read_prompt(payload: dict[str, Any]) -> list[Message]:
    """``generate`` has no roles but that of its system prompt."""
    read: list[Message] = []
    system, prompt = payload.get("system"), payload.get("prompt")
    if isinstance(system, str) and system:
        read.append(Message("system", (TextPart(system, ((0, 0),)),)))
    parts: list[Part] = [TextPart(prompt, ((0, 0),))] if isinstance(prompt, str) and prompt else []
    parts += _images(payload.get("images"), (0, 0))
    return [*read, Message(None, tuple(parts))] if parts else read


def _images(images: Any, place: Place) -> list[Part]:
    if not isinstance(images, list):
        return [] if images is None else [OtherPart("images", images, (place,))]
    return [
        media("image", place, data=item) if isinstance(item, str) else OtherPart("images", item, (place,))
        for item in images
    ]


class _MessageFold:
    """What the pieces of the message add up to; a message of a request is one piece.

    :param facts: who knows how what came was written.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._role: str | None = None
        self._parts: list[Part | TextFold | CallFold] = []
        self._extras: dict[str, list[Any]] = {}

    def take(self, message: dict[str, Any], place: Place) -> None:
        """Take a piece."""
        role = message.get("role")
        if self._role is None and isinstance(role, str) and role:
            self._role = role
        elif role and role != self._role:
            self._extras.setdefault("role", []).append(role)
        self.thought(message.get("thinking"), place)
        self.said(message.get("content"), place)
        self.called(message.get("tool_calls"), place)
        self._parts += _images(message.get("images"), place)
        for name, value in message.items():
            if name not in _MESSAGE_OWN and value is not None:
                self._extras.setdefault(name, []).append(value)

    def said(self, text: Any, place: Place) -> None:
        """Take a piece of the text."""
        if isinstance(text, str):
            self._grow(TextFold, text, place)
        elif text is not None:
            self._parts.append(OtherPart("content", self._facts.exact(text), (place,)))

    def thought(self, text: Any, place: Place) -> None:
        """Take a piece of the reasoning."""
        if isinstance(text, str):
            self._grow(ReasoningFold, text, place)
        elif text is not None:
            self._parts.append(OtherPart("thinking", self._facts.exact(text), (place,)))

    def called(self, calls: Any, place: Place) -> None:
        """Take calls; each is whole."""
        for entry in calls if isinstance(calls, list) else [] if calls is None else [calls]:
            function = entry.get("function") if isinstance(entry, dict) else None
            if not isinstance(function, dict):
                self._parts.append(OtherPart("tool_calls", self._facts.exact(entry), (place,)))
                continue
            index, name, identity = function.get("index"), function.get("name"), entry.get("id")
            call = CallFold(index if type(index) is int else None)
            call.name = text_or_none(name)
            call.id = nonempty(identity)
            arguments = function.get("arguments")
            call.add(arguments if isinstance(arguments, str) else "", place)
            call.end = place[1]
            if arguments is not None and not isinstance(arguments, str):
                call.take_value(arguments, self._facts.as_sent(function, "arguments"))
            call.extras.update((key, entry[key]) for key in entry.keys() - {"function", "id", "type"})
            call.extras.update((key, function[key]) for key in function.keys() - {"index", "name", "arguments"})
            self._parts.append(call)

    def shown(self, image: Any, place: Place) -> None:
        """Take an image that was made."""
        if image is not None:
            self._parts += _images([image], place)

    def message(self, finished: bool) -> Message:
        """Return it; the calls of one that is not *finished* are not complete."""
        parts = tuple(_part(part, finished) for part in self._parts)
        return Message(self._role, parts, extras=self._extras)

    def _grow(self, kind: type[TextFold], text: str, place: Place) -> None:
        if text:
            add_text(self._parts, kind, text, place)


def _part(part: Part | TextFold | CallFold, finished: bool) -> Part:
    if isinstance(part, ReasoningFold):
        read: ReasoningPart = part.reasoning()
        return read
    if isinstance(part, TextFold):
        return part.part()
    return part.part(finished=finished) if isinstance(part, CallFold) else part


class _Fold(AnswerFold):
    """What the objects of an answer add up to."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._message: _MessageFold | None = None
        self._finish: str | None = None
        self._cut = False  # a reason said so, whatever came after it
        self._logprobs: list[Any] = []

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take one object of the answer."""
        if value.get("error"):
            self.errors.append(value["error"])
        if self.sentinel:  # it is of no answer that has ended: another one's, in a file that holds several
            if not value.get("error"):
                self.note("after_end_marker", "an object came after the one with done", place)
            return
        if value.keys() & {"message", "response", "thinking", "image"}:
            self._said(value, place)
        elif not value.get("error"):
            self.note("no_choices", "an object without a message", place)
        self.model(value.get("model"))
        self.usage({name: value[name] for name in _COUNTS if value.get(name) is not None})
        self.keep(value, _OWN)
        if value.get("done") is True:
            self.sentinel = True
            self._finish = reason_text(value.get("done_reason"))
            self._cut = self._cut or (self._finish is not None and finish_of(self._finish) in CUTTING)

    def _said(self, value: dict[str, Any], place: Place) -> None:
        if self._message is None:
            self._message = _MessageFold(self)
        message = value.get("message")
        if isinstance(message, dict):
            self._message.take(message, place)
        elif message is not None:
            self.lose_once("message_malformed", f"message is a {type(message).__name__}", place)
        self._message.thought(value.get("thinking"), place)
        self._message.said(value.get("response"), place)
        self._message.called(value.get("tool_calls"), place)
        self._message.shown(value.get("image"), place)
        if isinstance(value.get("logprobs"), list):
            self._logprobs += value["logprobs"]

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came. A document that parses is not whole for that: a stream's first line parses too."""
        choices = [] if self._message is None else [self._choice(self._message)]
        counts = tokens(self.usages, TOKENS)
        return self.result(shape, choices, whole=None if whole else whole, tail=tail, tokens=counts)

    def _choice(self, fold: _MessageFold) -> Choice:
        finish = None if self._finish is None else finish_of(self._finish)
        message = fold.message(self.sentinel and not self._cut and not self.errors)
        reasons = () if self._finish is None else (self._finish,)
        logprobs = {"logprobs": self._logprobs} if self._logprobs else None
        return Choice(0, message, reasons, logprobs, failed=finish == "error", finish=finish)


DIALECT = Ollama()
