"""Cohere's ``/v1/chat`` and ``/v1/generate`` (cohere-python: ``streamed_chat_response.py`` and its like).

Events whose ``event_type`` says what they are, one a line (``application/stream+json``) or as server-sent events:
``stream-start``, ``search-queries-generation``, ``search-results``, ``text-generation``, ``citation-generation``,
``tool-calls-chunk``, ``tool-calls-generation``, and ``stream-end`` with the finish reason and once more the whole
``response``, which is the document that comes where nothing is streamed. What is peculiar:

* the whole response repeats what the events said: it adds only what they did not say, and a difference is a fact;
* the plan before tool calls is ``text`` in the document, so it is text in the events too, where it comes in pieces
  and then whole;
* ``tool-calls-generation`` has each call whole, its parameters an object, after the pieces of its text;
* ``generate`` may make several answers, told apart by ``index``;
* the roles of a chat are USER, CHATBOT, SYSTEM and TOOL, and ``message`` is the user's by its place: they are read as
  the roles that other dialects send, so that an answer is the same message when it is sent back, and what was sent
  stays among the message's other fields;
* a loop of single steps (``force_single_step``) sends the question and the history as before, and each result with the
  call that it answers, but not the answer that called: it is read after the question, as what the results repeat of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from recorder.core.json_sources import sources_of
from recorder.core.messages import (
    REPEATED_BY,
    Answer,
    Message,
    Part,
    RequestReading,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from recorder.dialects.base import SHAPES_OR_LINES, AnswerReader, Clues, path_of, recognised
from recorder.dialects.cohere_generation import Generation, objects, whole_call
from recorder.dialects.cohere_v2 import is_error
from recorder.dialects.facts import Facts
from recorder.dialects.folding import AnswerFold, Place, nonempty, text_or_none, tokens
from recorder.dialects.reading import reader_for
from recorder.dialects.remembered import again, read_each

_NAME: Final = "cohere_v1"
_PATHS: Final = ("/v1/chat", "/v1/generate")
_EVENTS: Final = frozenset(
    {
        *("stream-start", "search-queries-generation", "search-results", "text-generation", "citation-generation"),
        *("tool-calls-chunk", "tool-calls-generation", "tool-input-generation", "debug", "stream-end", "stream-error"),
    }
)
_EVENT: Final = re.compile(rb'"event_type"\s*:\s*"(?:' + "|".join(sorted(_EVENTS)).encode() + rb')"')
_HEAD: Final = 4096
#: Fields of an event and of a response that have a place of their own.
_OWN: Final = frozenset(
    {
        *("event_type", "is_finished", "text", "index", "citations", "tool_calls", "tool_call_delta", "finish_reason"),
        *("response", "generation_id", "generations", "response_id", "id", "err", "token_count"),
    }
)
_GENERATION_OWN: Final = frozenset({"text", "finish_reason", "index"})
_COUNTS: Final = ("tokens", "billed_units", "cached_tokens")
#: Fields of a request that are Cohere's alone.
_REQUEST_FIELDS: Final = frozenset({"chat_history", "preamble", "connectors", "prompt_truncation", "citation_quality"})

#: The roles of a history, and what other dialects call them.
_ROLES: Final[Mapping[str, str]] = {"USER": "user", "CHATBOT": "assistant", "SYSTEM": "system", "TOOL": "tool"}

TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("tokens.input_tokens", "token_count.prompt_tokens", "billed_units.input_tokens"),
    "output": ("tokens.output_tokens", "token_count.response_tokens", "billed_units.output_tokens"),
    "total": ("token_count.total_tokens",),
    "cached": ("cached_tokens",),
}


class CohereV1:
    """The dialect of ``/v1/chat`` and ``/v1/generate``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like Cohere's; the URL counts where the body says little."""
        placed = clues.path.endswith(_PATHS)
        return recognised(
            clues, _likeness, head=_EVENT, placed=placed, vague=is_error, shapes=SHAPES_OR_LINES, head_size=_HEAD
        )

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the history and the message of a chat, or the prompt of a completion."""
        if not isinstance(payload, dict):
            return None
        path = path_of(url)
        said, prompt = payload.get("message"), payload.get("prompt")
        chat = isinstance(said, str) and (path.endswith("/v1/chat") or bool(_REQUEST_FIELDS & payload.keys()))
        if not chat and not (isinstance(prompt, str) and path.endswith("/v1/generate")):
            return None
        model, choices = payload.get("model"), payload.get("num_generations")
        return RequestReading(
            _NAME,
            tuple(_read_chat(payload) if chat else [_message(None, prompt)]),
            text_or_none(model),
            choices if type(choices) is int else None,
        )

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for lines, for events, or for one document."""
        return reader_for(clues.shape, _Fold())


def _likeness(value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    if "event_type" in value:
        return 1.0 if isinstance(value["event_type"], str) and value["event_type"] in _EVENTS else 0.0
    if isinstance(value.get("text"), str) and isinstance(value.get("generation_id"), str):
        return 0.95
    generations = value.get("generations")
    if not isinstance(generations, list) or not isinstance(value.get("id"), str):
        return 0.0
    return 0.95 if any(isinstance(item, dict) and isinstance(item.get("text"), str) for item in generations) else 0.0


def _message(role: Any, text: Any, *others: Part) -> Message:
    """Return one message of a request."""
    parts: tuple[Part, ...] = (TextPart(text, ((0, 0),)),) if isinstance(text, str) and text else ()
    return Message(nonempty(role), (*parts, *others))


def _read_chat(payload: dict[str, Any]) -> list[Message]:
    read = [_message("system", payload["preamble"])] if nonempty(payload.get("preamble")) else []
    history = payload.get("chat_history")
    read += read_each(_read_turn, history) if isinstance(history, list) else []
    results = payload.get("tool_results")
    reading = again(results) if isinstance(results, list) else None
    told = tuple(reading(_result, item) for item in objects(results)) if reading is not None else ()
    asked = [_message("user", payload["message"])] if payload["message"] else []
    calls = tuple(reading(_call, item) for item in objects(results)) if reading is not None else ()
    said = next((message for message in reversed(read) if message.role == "assistant"), None)
    if not told or (said is not None and said.tool_calls) or None in calls:
        return [*read, *([Message("tool", told)] if told else []), *asked]
    made = tuple(call for call in calls if call is not None)
    return [*read, *asked, Message("assistant", made, extras={REPEATED_BY: ("tool_results",)}), Message("tool", told)]


def _read_turn(item: dict[str, Any]) -> Message:
    """Return one message of the history of a request."""
    facts, entries = Facts(sources_of(item)), objects(item.get("tool_calls"))
    calls = [whole_call(entry, (0, 0), facts).part(finished=True, empty={}) for entry in entries]
    results = map(_result, map(facts.exact, objects(item.get("tool_results"))))
    sent = nonempty(item.get("role"))
    role = _ROLES.get(sent.upper()) if sent is not None else None
    read = _message(role or sent, item.get("message"), *calls, *results)
    return read if role in (None, sent) else replace(read, extras={"role": sent})


def _call(item: dict[str, Any]) -> ToolCallPart | None:
    """The call that a result repeats; None where it does not."""
    facts = Facts(sources_of(item))
    call = item.get("call")
    if not isinstance(call, dict) or nonempty(call.get("name")) is None:
        return None
    return whole_call(call, (0, 0), facts).part(finished=True, empty={})


def _result(item: dict[str, Any]) -> ToolResultPart:
    """What a tool answered: the call, which has no id, and its outputs."""
    call = item.get("call")
    name = call.get("name") if isinstance(call, dict) else None
    return ToolResultPart(name=nonempty(name), value=Facts(sources_of(item)).exact(item), ranges=((0, 0),))


class _Fold(AnswerFold):
    """What the events of an answer, or its document, add up to."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._generations: dict[int, Generation] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        self._streamed = False

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take one event, or the document."""
        if isinstance(value.get("event_type"), str):
            self._streamed = True
            self._event(value["event_type"], value, place)
        elif "text" in value or "generations" in value:
            self._response(value, place)
        elif value.get("error") or isinstance(value.get("message"), str):
            self.errors.append(value.get("error") or {key: held for key, held in value.items() if key != "id"})
        else:
            self.note("no_choices", "an object without an answer", place)
            self._top(value)

    def _at(self, index: Any) -> Generation:
        at = index if type(index) is int else 0
        if at not in self._generations:
            self._generations[at] = Generation(at, self)
        return self._generations[at]

    def _event(self, kind: str, value: dict[str, Any], place: Place) -> None:
        if self.sentinel:
            self.note_once("after_end_marker", f"{kind} came after stream-end", place)
        if kind == "stream-end":
            self._end(value, place)
        elif kind == "stream-error":
            self.errors.append(value.get("err") or value)
            self._at(value.get("index")).finish(value.get("finish_reason"))
        elif kind == "text-generation":
            self._at(value.get("index")).say(value.get("text"), place)
        elif kind == "citation-generation":
            self._at(None).cite(value.get("citations"), place)
        elif kind == "tool-calls-chunk":
            self._at(None).say(value.get("text"), place)
            self._at(None).call_piece(value.get("tool_call_delta"), place)
        elif kind == "tool-calls-generation":
            self._at(None).say_all(value.get("text"), place)
            self._at(None).call_all(value.get("tool_calls"), place)
        elif kind not in _EVENTS:
            self.note_once("unknown_event", f"an event of type {kind!r}", place)
            self.extras.setdefault("events", []).append(value)
        self._top(value)

    def _end(self, value: dict[str, Any], place: Place) -> None:
        response = value.get("response")
        if isinstance(response, dict):
            self._response(response, place)
        for generation in list(self._generations.values()) or [self._at(None)]:
            if not generation.finished:
                generation.finish(value.get("finish_reason"))
        self.sentinel = True

    def _response(self, response: dict[str, Any], place: Place) -> None:
        """Take the whole response: of a document, or at the end of a stream."""
        if "text" in response or "generations" not in response:
            generation = self._at(None)
            generation.say_all(response.get("text"), place)
            generation.cite(response.get("citations"), place)
            generation.call_all(response.get("tool_calls"), place)
            generation.finish(response.get("finish_reason"))
        for at, entry in enumerate(objects(response.get("generations"))):
            index = entry.get("index")
            generation = self._at(index if type(index) is int else at)
            generation.say_all(entry.get("text"), place)
            generation.finish(entry.get("finish_reason"))
            for name in entry.keys() - _GENERATION_OWN:
                generation.keep(name, entry[name])
        self._top(response)

    def _top(self, value: dict[str, Any]) -> None:
        for name in ("response_id", "generation_id", "id"):
            self.identity(value.get(name))
        self._documents.update((str(item.get("id")), item) for item in objects(value.get("documents")))
        meta = value.get("meta")
        counts = {name: meta[name] for name in _COUNTS if name in meta} if isinstance(meta, dict) else {}
        if value.get("token_count") is not None:
            counts["token_count"] = value["token_count"]
        self.usage(counts)
        self.keep(value, _OWN)

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came. A single event that parses is no whole document."""
        whole = None if self._streamed and whole else whole
        ended, failed = self.sentinel or bool(whole), bool(self.errors)
        choices = [
            self._generations[at].choice(self._documents, ended=ended, failed=failed)
            for at in sorted(self._generations)
        ]
        return self.result(shape, choices, whole=whole, tail=tail, tokens=tokens(self.usages, TOKENS))


DIALECT = CohereV1()
