"""OpenAI Responses, as OpenAI, Azure, xAI, DeepSeek, OpenRouter, Bedrock, vLLM and others send them.

Server-sent events with a ``type`` (``response.created``, ``response.output_item.added``, deltas and ``done`` events,
``response.completed``), or one JSON document, the ``response`` object. From the types of the ``openai`` package
(``types/responses``) and from recordings. What is peculiar:

* items are known by ``output_index``: item ids change from event to event under some gateways; indexes have gaps,
  ``content_index`` may begin at 1; under an index that comes again for another item, it is another item;
* everything comes up to five times (delta, ``done``, part, item, final object): told once, differences are facts;
* the end is ``response.completed``, ``.incomplete``, ``.failed`` or ``error``; a ``[DONE]`` after it says nothing;
* ``sequence_number`` is missing or, where a stream is taken up again (``starting_after``), begins above 0;
* ``encrypted_content`` differs from event to event: the last one counts; ``obfuscation`` is padding;
* a document with ``status`` ``queued`` or ``in_progress`` (background mode) is not the answer yet.

The finish reason is the response's ``status``, or the reason of ``incomplete_details``. Items are in
:mod:`recorder.dialects.openai_response_items`, requests in :mod:`recorder.dialects.openai_response_requests`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from recorder.core.messages import Answer, Choice, Message, Part, RequestReading
from recorder.dialects.base import AnswerReader, Clues, recognised
from recorder.dialects.error_frames import is_error
from recorder.dialects.finishes import UNKNOWN, finishes_of
from recorder.dialects.folding import AnswerFold, Place, tokens
from recorder.dialects.openai_response_items import ItemFold
from recorder.dialects.openai_response_requests import PATH, read_request
from recorder.dialects.reading import reader_for

_NAME: Final = "openai_responses"
_EVENT: Final = re.compile(
    rb"(?:^|[\r\n])(?:event:[ ]?response\.[a-z_.]+[\r\n]|"
    rb'data:[ ]?\{[ ]?(?:"type":[ ]?"response\.|"response":[ ]?\{))'
)
_OBJECT: Final = re.compile(rb'"object"\s*:\s*"response"')

#: Where usage counts tokens.
TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("input_tokens",),
    "output": ("output_tokens",),
    "total": ("total_tokens",),
    "cached": ("input_tokens_details.cached_tokens",),
    "cache_written": ("input_tokens_details.cache_write_tokens",),
    "reasoning": ("output_tokens_details.reasoning_tokens",),
}
#: What a response that is still being made says of itself. (Tuples: what is looked up may be of any type.)
_PENDING: Final = ("queued", "in_progress")
_FINAL: Final = ("completed", "incomplete", "failed", "cancelled")
_STATUSES: Final = (*_FINAL, *_PENDING)
#: Events with a text: ``name -> (slot, type of the part, field of the whole text)``; the older names too.
_GROWING: Final[Mapping[str, tuple[str, str | None, str]]] = {
    "output_text": ("content", "output_text", "text"),
    "refusal": ("content", "refusal", "refusal"),
    "reasoning_text": ("content", "reasoning_text", "text"),
    "reasoning": ("content", "reasoning_text", "text"),
    "reasoning_summary_text": ("summary", "summary_text", "text"),
    "reasoning_summary": ("summary", "summary_text", "text"),
    "function_call_arguments": ("arguments", None, "arguments"),
    "mcp_call_arguments": ("arguments", None, "arguments"),
    "mcp_call.arguments": ("arguments", None, "arguments"),
    "custom_tool_call_input": ("input", None, "input"),
    "code_interpreter_call_code": ("code", None, "code"),
    "code_interpreter_call.code": ("code", None, "code"),
}
_PARTS: Final = {"content_part": "content", "reasoning_part": "content", "reasoning_summary_part": "summary"}
#: Events that only tell how far an item is.
_STATES: Final = frozenset(
    {"in_progress", "searching", "interpreting", "generating", "calling", "compacting", "completed", "failed"}
    | {"incomplete", "queued"}
)
#: Top-level fields of a response with a place of their own; ``output_text`` is all text once more (OpenRouter).
_OWN: Final = frozenset({"id", "model", "output", "output_text", "usage", "error"})
_INDEXES: Final = ("content_index", "summary_index", "command_index")


class OpenAIResponses:
    """The dialect of ``…/responses``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like a response; the URL counts where the body says little."""
        head = _EVENT if clues.shape == "sse" else _OBJECT
        placed = PATH.search(clues.path) is not None
        return recognised(clues, _likeness, head=head, placed=placed, vague=_is_vague)

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the input items of a payload with ``input``, ``instructions`` as a system message before them."""
        return read_request(_NAME, url, payload)

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for an event stream or for one JSON document."""
        return reader_for(clues.shape, _Fold())


def _likeness(value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    kind = value.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        return 1.0 if {"response", "output_index", "sequence_number"} & value.keys() else 0.9
    if kind == "error" and "sequence_number" in value:
        return 0.9
    return 1.0 if _is_document(value) else 0.0


def _is_document(value: dict[str, Any]) -> bool:
    if value.get("object") in ("response", "response.compaction"):
        return "output" in value or "status" in value
    output = value.get("output")
    items = output if isinstance(output, list) else []
    return "object" not in value and value.get("status") in _STATUSES and any(map(_is_item, items))


def _is_item(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def _is_vague(value: Any) -> bool:
    return is_error(value) or (isinstance(value, dict) and value.get("type") in ("keepalive", "ping"))


class _Fold(AnswerFold):
    """What events and documents add up to: one choice, whose message has the parts of all items."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._items: list[ItemFold] = []
        self._by_index: dict[int, ItemFold] = {}  # the item that had the index last
        self._by_id: dict[str, ItemFold] = {}
        self._reasons: list[str] = []
        self._status: Any = None
        self._final = False
        self._earlier = 0  # items of responses before the last one
        self._sequence: int | None = None
        self._resumed = False
        self._unknown: set[str] = set()
        self._said: dict[str, tuple[Part, ...]] = {}  # what each item is, by its id

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take one event, or the document."""
        kind = value.get("type")
        if not isinstance(kind, str):
            kind = name
        elif name and name != kind:
            self.note_once("event_name_differs", f"event {name!r} with type {kind!r}", place)
        if kind in ("error", "response.error"):
            self.errors.append(value.get("error") or value)
        elif kind.startswith("response."):
            self._number(value, kind, place)
            self._event(kind.removeprefix("response."), value, place)
        elif _is_document(value):
            self._response(value, place, None)
        elif value.get("error") or value.get("object") == "error":
            self.errors.append(value.get("error") or value)
        elif kind == "keepalive":
            self._number(value, kind, place)
        elif kind not in self._unknown:
            self._unknown.add(kind)
            self.note("unknown_event", f"type {kind!r}" if kind else "an object without a type", place)

    def _number(self, value: dict[str, Any], kind: str, place: Place) -> None:
        number, before = value.get("sequence_number"), self._sequence
        if type(number) is not int:
            return
        if before is None and number > 0 and kind != "response.created":
            self._resumed = True
            self.note("stream_resumed", f"the first sequence_number is {number}", place)
        elif before is not None and number != before + 1:
            self.note_once("sequence_broken", f"sequence_number {before} is followed by {number}", place)
            if number > before + 1:
                self.holes.append((place[0], place[0]))  # what was between them is missing
        self._sequence = number

    def _event(self, kind: str, value: dict[str, Any], place: Place) -> None:
        """Take an event, *kind* without its ``response.``."""
        what, _, state = kind.rpartition(".")
        if not what and (state in _FINAL or state in _PENDING or state == "created"):
            response = value.get("response")
            self._response(response if isinstance(response, dict) else {}, place, state)
        elif what == "output_item" and state in ("added", "done"):
            item = value.get("item")
            if isinstance(item, dict):
                self._item_event(item, value, place, done=state == "done")
            else:
                self.lose_once("item_malformed", f"an item is a {type(item).__name__}", place)
        elif what in _PARTS and state in ("added", "done"):
            slot = _PARTS[what]
            part = value.get("part")
            if isinstance(part, dict):
                self._item(value, place).piece(slot, _at(value)).take(part, place, provisional=state == "added")
        elif state == "delta":
            self._delta(what, value, place)
        elif what in _GROWING and state == "done":
            self._done(what, value, place)
        elif kind == "output_text.annotation.added":
            if value.get("annotation") is not None:
                piece = self._item(value, place).piece("content", _at(value))
                piece.annotations.append((value["annotation"], place))
        elif kind == "image_generation_call.partial_image":
            self._item(value, place).image(value, place)
        elif state not in _STATES:
            self._unknown_event(kind, value, place)

    def _unknown_event(self, kind: str, value: dict[str, Any], place: Place) -> None:
        """Keep the fact that nobody here knows a kind of event; one that is about a call could have changed it."""
        known = self._by_index.get(index) if type(index := value.get("output_index")) is int else None
        if known is not None and known.is_open_call:
            self.holes.append(place)
        if kind not in self._unknown:
            self._unknown.add(kind)
            self.note("unknown_event", f"type 'response.{kind}'", place)

    def _delta(self, what: str, value: dict[str, Any], place: Place) -> None:
        slot, part, _ = _GROWING.get(what, (what, None, ""))
        text = value.get("delta")
        if what not in _GROWING and (type(value.get("output_index")) is not int or not isinstance(text, str)):
            self._unknown_event(f"{what}.delta", value, place)
            return
        if not isinstance(text, str):
            self.lose_once("delta_malformed", f"a delta is a {type(text).__name__}", place)
            return
        if self._final:
            self.note_once("delta_after_finish", "content came after the final event", place)
        item = self._item(value, place)
        if what not in _GROWING and item.is_open_call:
            self._unknown_event(f"{what}.delta", value, place)
        piece = item.piece(slot, _at(value), part)
        if text:
            item.delta(piece, text, place)
        logprobs = value.get("logprobs")
        if isinstance(logprobs, list):
            piece.logprobs += logprobs

    def _done(self, what: str, value: dict[str, Any], place: Place) -> None:
        slot, part, field = _GROWING[what]
        text = value.get(field)
        piece = self._item(value, place).piece(slot, _at(value), part)
        if isinstance(text, str):
            piece.text.say(text, place, provisional=False)
        logprobs = value.get("logprobs")
        if isinstance(logprobs, list) and logprobs:
            piece.whole_logprobs = logprobs

    def _item(self, value: dict[str, Any], place: Place) -> ItemFold:
        """Return the item that an event is about."""
        index, identity = value.get("output_index"), value.get("item_id")
        known: ItemFold | None = None
        if type(index) is int:
            known = self._by_index.get(index)
            named = self._by_id.get(identity) if isinstance(identity, str) else None
            if named is not None and named.index == index:
                known = named
        else:
            self.note_once("output_index_missing", f"output_index is {index!r}: told by the item's id", place)
            known = self._by_id.get(identity) if isinstance(identity, str) else None
            if known is None and not isinstance(identity, str) and self._items:
                known = self._items[-1]
        if known is None:
            known = self._new(index if type(index) is int else None, identity)
        known.touch(place)
        return known

    def _new(self, index: int | None, identity: Any) -> ItemFold:
        item = ItemFold(index, self)
        self._items.append(item)
        if index is not None:
            self._by_index[index] = item
        if isinstance(identity, str):
            self._by_id.setdefault(identity, item)
        return item

    def _item_event(self, item: dict[str, Any], value: dict[str, Any], place: Place, *, done: bool) -> None:
        index = value.get("output_index")
        known = self._item({"output_index": index, "item_id": item.get("id")}, place)
        calls = known.fields.get("call_id"), item.get("call_id")
        another = (known.kind is not None and known.kind != item.get("type")) or (
            None not in calls and calls[0] != calls[1]
        )
        if another or (not done and known.done):
            self.note_once("output_index_reused", f"output_index {index!r} again: taken as a new item", place)
            known = self._new(index if type(index) is int else None, item.get("id"))
        known.take(item, place, done=done)

    def _response(self, response: dict[str, Any], place: Place, event: str | None) -> None:
        """Take a response object: that of an event named *event*, or the document."""
        self.identity(response.get("id"))
        self.model(response.get("model"))
        self.usage(response.get("usage"))
        self.keep(response, _OWN)
        status = response.get("status")
        if event == "created" and self._final:
            self._another(place)
        if event in _FINAL and status not in _FINAL:
            status = event
        output = response.get("output")
        if event is None or event in _FINAL:
            self._status = status
            self.pending = event is None and status in _PENDING
            if isinstance(output, list):
                self._output(output, place, whole=event is None)
        if response.get("error"):
            self.errors.append(response["error"])
        if status in _FINAL and (event is None or event in _FINAL):
            self._final = True
            for item in self._items[self._earlier :]:
                item.ends(place)
            details = response.get("incomplete_details")
            reason = details.get("reason") if status == "incomplete" and isinstance(details, dict) else None
            self._finish(reason if isinstance(reason, str) and reason else str(status))

    def _another(self, place: Place) -> None:
        """Begin another response in the same stream: indexes count anew, and the end is to come once more."""
        self.note("another_response", f"after {self._reasons[-1]!r} another response begins", place)
        self._earlier = len(self._items)
        self._by_index.clear()
        self._by_id.clear()
        self._reasons.clear()
        self._final, self._status = False, None

    def _finish(self, reason: str) -> None:
        if not self._reasons or self._reasons[-1] != reason:
            self._reasons.append(reason)

    def _output(self, output: list[Any], place: Place, *, whole: bool) -> None:
        """Take the items of a final object: those that events told of are compared, others are new."""
        items = [item for item in output if isinstance(item, dict)]
        told = self._ordered(self._earlier)
        if told and len(told) != len(items):
            self.note("output_differs", f"{len(items)} items in the final object, events told of {len(told)}", place)
        for at, item in enumerate(items):
            known = told[at] if at < len(told) and told[at].kind in (None, item.get("type")) else None
            if known is None:
                known = next((one for one in told if one.fields.get("id") == item.get("id") is not None), None)
            known = known or self._new(at if at not in self._by_index else None, item.get("id"))
            known.take(item, place, done=True)
        if whole and len(items) != len(output):
            self.note("item_malformed", "an item of output is no object", place)

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came. A ``[DONE]`` alone is not the end of a response."""
        self.sentinel = self._final and whole is None
        choices = [self._choice()] if self._items or self._reasons else []
        counts = tokens(self.usages, TOKENS)
        return replace(self.result(shape, choices, whole=whole, tail=tail, tokens=counts), items=self._said)

    def _choice(self) -> Choice:
        items = [*self._ordered(0, self._earlier), *self._ordered(self._earlier)]
        parts: list[Part] = []
        for item in items:
            said = tuple(item.parts(finished=self._finished(item, item is items[-1]), resumed=self._resumed))
            parts.extend(said)
            if isinstance(identity := item.fields.get("id"), str):
                self._said[identity] = said
        roles = [role for item in items if isinstance(role := item.fields.get("role"), str) and role]
        rests = [rest for item in items if (rest := item.rest())]
        message = Message(roles[0] if roles else None, tuple(parts), extras={"items": rests} if rests else {})
        logprobs = [entry for item in items for entry in item.logprobs()]
        finishes = finishes_of(self._reasons)
        return Choice(
            0,
            message,
            tuple(self._reasons),
            {"content": logprobs} if logprobs else None,
            failed="error" in finishes,
            finish=finishes[-1] if finishes else None,
        )

    def _ordered(self, start: int, end: int | None = None) -> list[ItemFold]:
        return sorted(self._items[start:end], key=lambda item: (item.index is None, item.index or 0))

    def _finished(self, item: ItemFold, last: bool) -> bool:
        """Whether nothing more was to come of an item; its own status is looked at by the item."""
        if UNKNOWN in finishes_of(self._reasons):
            return False
        cut = any(reason != "completed" for reason in self._reasons)  # whatever reason follows it
        if not item.done:
            return bool(self._status == "completed") and not cut
        return not (cut and last and item.fields.get("status") is None) and self._status not in _PENDING


def _at(value: dict[str, Any]) -> int:
    """The index of a text in its item."""
    return next((value[name] for name in _INDEXES if type(value.get(name)) is int), 0)


DIALECT = OpenAIResponses()
