"""OpenAI chat completions, as OpenAI and the many who imitate it send them.

``data:`` chunks with ``choices[{index, delta, finish_reason, logprobs}]``, ended by ``data: [DONE]``; or one
JSON document with ``choices[{message}]``, whatever the request asked for. What differs between the senders:

* ``role`` in every chunk; ``id``, ``model`` and ``created`` that change; Azure's first chunk without choices and
  with empty ids, its filter frames without a delta;
* ``usage`` in a chunk of its own, on a chunk with choices, on every chunk (cumulative: never summed), under
  ``x_groq``, in a choice (Moonshot), followed by chunks without it;
* several choices in any order; finish reasons that come twice, and deltas after them; none at all;
* errors under status 200: an ``event: error``, a top-level ``error``, ``{"object": "error"}``, ``{"type": "error"}``,
  an ``error`` in a choice, llama.cpp's ``error:`` *field*, which a correct event-stream parser drops, and errors of
  other formats (:mod:`recorder.dialects.error_frames`);
* no ``[DONE]`` (Perplexity, Writer, Cerebras, Hugging Face); Perplexity's whole ``message`` beside the deltas.

Tool calls are in :mod:`recorder.dialects.openai_tool_calls`, messages in :mod:`recorder.dialects.openai_choice`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recorder.core.messages import Answer, RequestReading
from recorder.dialects.base import SHAPES, AnswerReader, Clues, messages_of
from recorder.dialects.error_frames import may_be_error, resembles_error, says_something
from recorder.dialects.folding import AnswerFold, Place, reason_text, text_or_none, tokens
from recorder.dialects.numbering import Numbering, index_of
from recorder.dialects.openai_choice import ChoiceFold, read_message
from recorder.dialects.reading import reader_for
from recorder.dialects.remembered import read_each

_NAME: Final = "openai_chat"
_PATH: Final = "/chat/completions"
_OBJECT: Final = re.compile(rb'"object"\s*:\s*"chat\.completion')
#: Top-level fields with a place of their own, and random padding.
_OWN: Final = frozenset({"choices", "usage", "id", "model", "error", "obfuscation", "p"})

#: Where usage counts tokens: OpenAI's names; DeepSeek's for its cache.
TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("prompt_tokens",),
    "output": ("completion_tokens",),
    "total": ("total_tokens",),
    "cached": ("prompt_tokens_details.cached_tokens", "prompt_cache_hit_tokens"),
    "reasoning": ("completion_tokens_details.reasoning_tokens", "reasoning_tokens"),
}
#: What a message has one of at least.
_SPOKEN: Final = frozenset(
    {"role", "content", "tool_calls", "function_call", "refusal", "audio", "reasoning", "reasoning_content"}
)
#: What Azure's filter frames have in place of the values of other chunks.
_BLANK: Final[Mapping[str, Any]] = {"object": "", "created": 0}
#: An entry of ``choices``, and of how many choices before it in its array the index is the same.
_Entry = tuple[dict[str, Any], int]


class OpenAIChat:
    """The dialect of ``…/chat/completions``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like a chat completion; the URL counts where the body says little."""
        if clues.shape not in SHAPES:
            return 0.0
        likeness = max(map(_likeness, clues.samples), default=0.0)
        if likeness or not clues.path.endswith(_PATH):
            named = not (clues.shape == "json" and clues.samples) and _OBJECT.search(clues.head)
            return likeness or (0.9 if named else 0.0)
        vague = clues.silent or any(map(may_be_error, clues.samples))
        return 0.0 if clues.samples and not vague else 0.5

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the messages of any payload that has ``messages`` with roles."""
        messages = messages_of(payload)
        if messages is None:
            return None
        model, choices = payload.get("model"), payload.get("n")
        return RequestReading(
            _NAME,
            tuple(read_each(read_message, messages)),
            text_or_none(model),
            choices if type(choices) is int else None,
        )

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for an event stream or for one JSON document."""
        return reader_for(clues.shape, ChatFold(document=clues.shape == "json"))


def _likeness(value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    kind = str(value.get("object") or "")
    if kind.startswith("chat.completion"):
        return 0.0 if kind.endswith(".deleted") else 1.0
    choices = value.get("choices")
    if not isinstance(choices, list):
        return 0.0
    if not choices:
        return 0.8 if not kind and ("usage" in value or "prompt_filter_results" in value) else 0.0
    first = choices[0]
    if not isinstance(first, dict) or not _has_message(first):
        return 0.0
    # Old versions of TGI call chat chunks text_completion; Together's text completions have both fields.
    return 0.9 if not kind or "text" not in first else 0.0


def _has_message(choice: dict[str, Any]) -> bool:
    """Whether an entry of ``choices`` has a message or a piece of one: those of a poll may be called so too."""
    delta, message = choice.get("delta"), choice.get("message")
    if isinstance(message, dict):
        return not message or not _SPOKEN.isdisjoint(message)
    return isinstance(delta, dict) or ("delta" in choice and delta is None and "finish_reason" in choice)


def _is_another(last: dict[str, Any], choice: dict[str, Any]) -> bool:
    """Whether an entry is another choice than the one before it that has its index, and not the next piece of it.

    Some gateways send several deltas of a choice in one chunk; but a message is whole, and so is what was finished.
    """
    if any(isinstance(entry.get("message"), dict) for entry in (last, choice)):
        return True
    return reason_text(last.get("finish_reason")) is not None and any(choice.get(name) for name in ("delta", "text"))


class ChatFold(AnswerFold):
    """What chunks and documents add up to.

    :param document: the body is one document: each entry of its ``choices`` is a choice.
    """

    def __init__(self, dialect: str = _NAME, *, document: bool = False) -> None:
        super().__init__(dialect)
        self._document = document
        self._choices: dict[int, ChoiceFold] = {}
        self._numbering = Numbering()
        self._suspects: list[Any] = []
        self._strange = False  # something that is not known came after the answer had begun

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take one JSON value of the answer."""
        if value.get("object") == "error" or (value.get("type") == "error" and not {"choices", "error"} & value.keys()):
            self.errors.append(value)
            return
        if value.get("error"):
            self.errors.append(value["error"])
        choices = value.get("choices")
        if isinstance(choices, list):
            before: dict[int, _Entry] = {}
            for at in range(len(choices)):
                self._choice(choices, at, before, place)
        elif choices is not None:
            self.lose("choices_malformed", f"choices is a {type(choices).__name__}", place)
        elif not value.get("error"):
            self.note("no_choices", "an object without choices", place)
        if not choices and not value.get("error"):
            self._apart(value)
        if value.get("usage"):
            self.usage(value["usage"])
        self._top(value)

    def _apart(self, value: dict[str, Any]) -> None:
        """Take note of an object that has nothing of the answer: it may be the error that ended it."""
        if resembles_error(value):
            self._suspects.append(value)
        elif self._choices and value.get("choices") is None and not value.get("usage"):
            self._strange = self._strange or says_something(value)

    def _choice(self, choices: list[Any], at: int, before: dict[int, _Entry], place: Place) -> None:
        """Take the entry of ``choices`` at a place.

        :param before: the entries before it, by their index: the last one of each, and how many choices come before it.
        """
        choice = choices[at]
        if not isinstance(choice, dict):
            self.lose("choice_malformed", f"a choice is a {type(choice).__name__}", place)
            return
        given, index = choice.get("index"), index_of(choice)
        if index is None:
            tell = self.note if len(self._choices) < 2 else self.lose
            tell("choice_without_index", f"index is {given!r}: taken as {at}", place)
        elif index is not given:
            self.note_once("choice_without_index", f"index is {given!r}: taken as {index}", place)
        guessed, index = index is None, at if index is None else index
        nth = 0
        if index in before:
            last, nth = before[index]
            another = self._document or guessed or _is_another(last, choice)
            nth += another
            told = "another choice" if another else "one that goes on"
            self.note_once("index_repeated", f"two entries of one object have the index {index}: {told}", place)
        before[index] = choice, nth
        index = self._numbering.number(index, nth, at, choices)
        fold = self._choices.get(index)
        if fold is None:
            fold = self._choices[index] = self.begun(index)
        if choice.get("error"):
            self.errors.append(choice["error"])
        self.usage(choice.get("usage"))
        fold.take(self.entry(choice, place), place)

    def begun(self, index: int) -> ChoiceFold:
        """Return the fold of a choice that begins."""
        return ChoiceFold(index, self)

    def entry(self, choice: dict[str, Any], place: Place) -> dict[str, Any]:
        """Return an entry of ``choices`` with its text in a ``delta`` or a ``message``."""
        return choice

    def _top(self, chunk: dict[str, Any]) -> None:
        self.identity(chunk.get("id"))
        self.model(chunk.get("model"))
        extras = self.extras
        for key, value in chunk.items():
            if key not in _OWN and value is not None and (value != _BLANK.get(key) or key not in extras):
                extras[key] = value
        groq = chunk.get("x_groq")
        if isinstance(groq, dict):
            self.usage(groq.get("usage"))
            if groq.get("error"):
                self.errors.append(groq["error"])

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came."""
        reasons = [fold.has_reason for fold in self._choices.values()]
        if not reasons or not all(reasons):
            self.errors += self._suspects
        # Without a reason nobody knows whether the end marker ends the answer or what came in its place.
        self.unclear = self.unclear or (self._strange and not any(reasons))
        ended = (self.sentinel or bool(whole)) and not self.errors and not self.unclear
        choices = [self._choices[index].choice(ended=ended) for index in sorted(self._choices)]
        counts = tokens(self.usages, TOKENS)
        return self.result(shape, choices, whole=whole, tail=tail, tokens=counts)


DIALECT = OpenAIChat()
