"""OpenAI chat completions, as OpenAI and the many who imitate it send them.

``data:`` chunks with ``choices[{index, delta, finish_reason, logprobs}]``, ended by ``data: [DONE]``; or one
JSON document with ``choices[{message}]``, whatever the request asked for. What differs between the senders:

* ``role`` in every chunk; ``id``, ``model`` and ``created`` that change; Azure's first chunk without choices and
  with empty ids, its filter frames without a delta;
* ``usage`` in a chunk of its own, on a chunk with choices, on every chunk (cumulative: never summed), under
  ``x_groq``, followed by chunks without it;
* several choices in any order; finish reasons that come twice, and deltas after them; none at all;
* errors under status 200: an ``event: error``, a top-level ``error``, ``{"object": "error"}``, ``{"type": "error"}``,
  an ``error`` in a choice, and llama.cpp's ``error:`` *field*, which a correct event-stream parser drops;
* no ``[DONE]`` (Perplexity, Writer, Cerebras, Hugging Face); Perplexity's whole ``message`` beside the deltas.

Tool calls are in :mod:`recorder.dialects.openai_tool_calls`, messages in :mod:`recorder.dialects.openai_choice`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recorder.core.json_text import parse_json
from recorder.core.messages import Anomaly, Answer, RequestReading
from recorder.core.sse import ServerSentEvent, SSEParser
from recorder.dialects.base import AnswerReader, Clues
from recorder.dialects.openai_choice import ChoiceFold, Place, read_message

_NAME: Final = "openai_chat"
_PATH: Final = "/chat/completions"
_OBJECT: Final = re.compile(rb'"object"\s*:\s*"chat\.completion')
_HEAD: Final = 65536
#: Top-level fields with a place of their own, and random padding.
_OWN: Final = frozenset({"choices", "usage", "id", "model", "error", "obfuscation", "p"})


#: What Azure's filter frames have in place of the values of other chunks.
_BLANK: Final[Mapping[str, Any]] = {"object": "", "created": 0}


class OpenAIChat:
    """The dialect of ``…/chat/completions``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like a chat completion; the URL counts where the body says little."""
        if clues.shape not in ("sse", "json", "empty"):
            return 0.0
        likeness = max(map(_likeness, clues.samples), default=0.0)
        if likeness or not clues.path.endswith(_PATH):
            return likeness or (0.9 if _OBJECT.search(clues.body[:_HEAD]) else 0.0)
        speaks_otherwise = clues.samples and not any(
            isinstance(item, dict) and "error" in item for item in clues.samples
        )
        return 0.0 if speaks_otherwise else 0.5

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the messages of any payload that has ``messages`` with roles."""
        messages = payload.get("messages") if isinstance(payload, dict) else None
        if not isinstance(messages, list) or not all(isinstance(item, dict) for item in messages):
            return None
        model, choices = payload.get("model"), payload.get("n")
        return RequestReading(
            _NAME,
            tuple(read_message(message) for message in messages),
            model if isinstance(model, str) else None,
            choices if type(choices) is int else None,
        )

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for an event stream or for one JSON document."""
        return _DocumentReader() if clues.shape == "json" else _StreamReader(clues.shape)


def _likeness(value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    kind = str(value.get("object") or "")
    if kind:
        return 1.0 if kind.startswith("chat.completion") else 0.0
    choices = value.get("choices")
    if not isinstance(choices, list):
        return 0.0
    if not choices:
        return 0.8 if "usage" in value or "prompt_filter_results" in value else 0.0
    first = choices[0]
    return 0.9 if isinstance(first, dict) and ("delta" in first or "message" in first) else 0.0


class _Fold:
    """What chunks and documents add up to."""

    def __init__(self) -> None:
        self.anomalies: list[Anomaly] = []
        self.errors: list[Any] = []
        self.events = 0
        self._choices: dict[int, ChoiceFold] = {}
        self._usages: list[Any] = []
        self._ids: dict[str, None] = {}
        self._models: dict[str, None] = {}
        self._extras: dict[str, Any] = {}

    def chunk(self, chunk: Any, place: Place) -> None:
        """Take one JSON value of the answer."""
        self.events += 1
        if not isinstance(chunk, dict):
            self.note("not_an_object", f"a {type(chunk).__name__} where an object belongs", place)
            return
        if chunk.get("object") == "error" or (chunk.get("type") == "error" and not {"choices", "error"} & chunk.keys()):
            self.errors.append(chunk)
            return
        if chunk.get("error"):
            self.errors.append(chunk["error"])
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for at, choice in enumerate(choices):
                self._choice(choice, at, place)
        elif not chunk.get("error"):
            self.note("no_choices", "an object without choices", place)
        if chunk.get("usage"):
            self._usage(chunk["usage"])
        self._top(chunk)

    def _choice(self, choice: Any, at: int, place: Place) -> None:
        if not isinstance(choice, dict):
            self.note("choice_malformed", f"a choice is a {type(choice).__name__}", place)
            return
        index = choice.get("index")
        if type(index) is not int:
            self.note("choice_without_index", f"index is {index!r}: taken as {at}", place)
            index = at
        fold = self._choices.get(index)
        if fold is None:
            fold = self._choices[index] = ChoiceFold(index, self.anomalies)
        if choice.get("error"):
            self.errors.append(choice["error"])
        fold.take(choice, place)

    def _usage(self, usage: Any) -> None:
        if not self._usages or self._usages[-1] != usage:
            self._usages.append(usage)

    def _top(self, chunk: dict[str, Any]) -> None:
        identity, model = chunk.get("id"), chunk.get("model")
        if identity and isinstance(identity, str):
            self._ids[identity] = None
        if model and isinstance(model, str):
            self._models[model] = None
        extras = self._extras
        for key, value in chunk.items():
            if key not in _OWN and value is not None and (value != _BLANK.get(key) or key not in extras):
                extras[key] = value
        groq = chunk.get("x_groq")
        if isinstance(groq, dict):
            if groq.get("usage"):
                self._usage(groq["usage"])
            if groq.get("error"):
                self.errors.append(groq["error"])

    def note(self, kind: str, detail: str, place: Place) -> None:
        """Keep a fact."""
        self.anomalies.append(Anomaly(kind, detail, *place))

    def answer(self, shape: str, *, sentinel: bool, whole: bool | None, tail: int) -> Answer:
        """Return what came."""
        ended = (sentinel or bool(whole)) and not self.errors
        return Answer(
            dialect=_NAME,
            shape=shape,
            understood=True,
            whole=whole,
            choices=tuple(self._choices[index].choice(ended=ended) for index in sorted(self._choices)),
            usage_reports=tuple(self._usages),
            models=tuple(self._models),
            ids=tuple(self._ids),
            errors=tuple(self.errors),
            sentinel_seen=sentinel,
            events=self.events,
            unparsed_tail_bytes=tail,
            extras=self._extras,
            anomalies=tuple(self.anomalies),
        )


class _StreamReader:
    def __init__(self, shape: str) -> None:
        self._shape = shape
        self._parser = SSEParser()
        self._fold = _Fold()
        self._done = False

    def feed(self, data: bytes) -> None:
        for event in self._parser.feed(data):
            self._event(event)

    def close(self) -> Answer:
        for event in self._parser.close():
            self._event(event)
        for fact in self._parser.anomalies:
            if fact.kind == "unknown_field" and fact.detail.startswith("error:"):
                self._error(fact.detail.removeprefix("error:"))
        self._fold.anomalies.extend(self._parser.anomalies)
        return self._fold.answer(self._shape, sentinel=self._done, whole=None, tail=self._parser.tail_bytes)

    def _event(self, event: ServerSentEvent) -> None:
        data, place = event.data, (event.start, event.end)
        if self._done:
            self._fold.note("after_end_marker", data, place)
        elif data.strip() == "[DONE]":
            self._done = True
        elif event.event == "error":
            self._error(data)
        else:
            try:
                value = parse_json(data)
            except ValueError:
                self._fold.note("data_unparsed", data, place)
                return
            self._fold.chunk(value, place)

    def _error(self, text: str) -> None:
        self._fold.events += 1
        try:
            value = parse_json(text)
        except ValueError:
            value = text.strip()
        inner = value.get("error") if isinstance(value, dict) else None
        self._fold.errors.append(inner or value)


class _DocumentReader:
    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)

    def close(self) -> Answer:
        body = b"".join(self._pieces)
        place = (0, len(body))
        fold = _Fold()
        try:
            value = parse_json(body)
        except ValueError as error:
            fold.note("document_unparsed", str(error), place)
            return fold.answer("json", sentinel=False, whole=False, tail=len(body))
        for item in value if isinstance(value, list) else [value]:
            fold.chunk(item, place)
        return fold.answer("json", sentinel=False, whole=True, tail=0)


DIALECT = OpenAIChat()
