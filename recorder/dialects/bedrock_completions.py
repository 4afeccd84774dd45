"""Answers of the models of Amazon Bedrock that have no dialect of their own: texts that go on from a prompt.

Source: Bedrock's "Inference request parameters and response fields for foundation models", and recordings. Titan
(``outputText``, ``completionReason``; ``results`` of a document), Llama (``generation``), Claude's text completions
(``completion``), Cohere Command (``generations``, or ``text`` of a stream), Mistral (``outputs``), DeepSeek-R1
(``choices``, with ``stop_reason`` where OpenAI has ``finish_reason``), Jurassic (``completions``): a text, perhaps a
reason, perhaps counts, for one answer or for a list of them. What is none of these is kept as it came.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from recorder.core.messages import Answer, Choice, Message, OtherPart, Part
from recorder.dialects.bedrock_converse import may_be_error
from recorder.dialects.finishes import finishes_of
from recorder.dialects.folding import AnswerFold, Place, TextFold, add_text, reason_text, tokens

METRICS: Final = "amazon-bedrock-invocationMetrics"
_TEXTS: Final = ("outputText", "generation", "completion", "text")
_REASONS: Final = ("completionReason", "stop_reason", "finish_reason", "finishReason")
_LISTS: Final = ("results", "generations", "outputs", "completions", "choices")
_COUNTS: Final = (
    "inputTextTokenCount",
    "totalOutputTextTokenCount",
    "tokenCount",
    "prompt_token_count",
    "generation_token_count",
)
_OWN: Final = frozenset({*_TEXTS, *_REASONS, *_COUNTS, "index", METRICS})
#: For each form of an answer: its text, and a field beside it that others do not have.
_FORMS: Final = (
    ("outputText", ("completionReason", "totalOutputTextTokenCount", "tokenCount"), 0.95),
    ("generation", ("generation_token_count", "stop_reason"), 0.95),
    ("completion", ("stop_reason",), 0.8),
    ("text", ("finish_reason", "stop_reason"), 0.0),
)
TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("inputTextTokenCount", "prompt_token_count", "inputTokenCount"),
    "output": ("totalOutputTextTokenCount", "tokenCount", "generation_token_count", "outputTokenCount"),
    "cached": ("cacheReadInputTokenCount",),
    "cache_written": ("cacheWriteInputTokenCount",),
}


def likeness(value: Any) -> float:
    """Return how much a JSON value looks like one of these answers, from 0 to 1."""
    if not isinstance(value, dict):
        return 0.0
    for text, beside, sure in _FORMS:
        if isinstance(value.get(text), str) and any(name in value for name in beside):
            return sure
    for name in _LISTS:
        items = value.get(name)
        item = items[0] if isinstance(items, list) and items else None
        if not isinstance(item, dict):
            continue
        if name == "results":
            return 0.95 if "outputText" in item else 0.0
        if name == "choices":
            return 0.95 if stops_as_bedrock_says(item) else 0.0
        inner = item.get("data") if name == "completions" else item
        said = isinstance(inner, dict) and isinstance(inner.get("text"), str)
        # Without a reason they may be anybody's: the results of a search, the steps of a program.
        return 0.8 if said and any(reason in item for reason in _REASONS) else 0.0
    return 0.0


def stops_as_bedrock_says(choice: dict[str, Any]) -> bool:
    """Return whether an entry of ``choices`` is one of DeepSeek-R1: a text, and its reason under another name.

    vLLM has ``stop_reason`` too: what the text stopped at, beside ``finish_reason``.
    """
    return isinstance(choice.get("text"), str) and "stop_reason" in choice and "finish_reason" not in choice


def error_of(value: Any) -> Any:
    """Return the error that a JSON document of AWS is; None where it is none."""
    if may_be_error(value):
        return value
    return value.get("error") if isinstance(value, dict) else None


def _rest(value: dict[str, Any], own: set[str]) -> dict[str, Any]:
    return {key: held for key, held in value.items() if key not in _OWN and key not in own and held is not None}


class _Completion:
    """One answer that grows."""

    def __init__(self) -> None:
        self.content: list[Part | TextFold] = []
        self.finish: list[str] = []
        self.extras: dict[str, Any] = {}

    def choice(self, index: int) -> Choice:
        parts = [piece.part() if isinstance(piece, TextFold) else piece for piece in self.content]
        finish = finishes_of(self.finish)
        return Choice(
            index,
            Message(None, tuple(parts)),
            tuple(self.finish),
            extras=self.extras,
            failed="error" in finish,
            finish=finish[-1] if finish else None,
        )


class CompletionFold(AnswerFold):
    """What the values of such an answer add up to."""

    def __init__(self, dialect: str) -> None:
        super().__init__(dialect)
        self._completions: dict[int, _Completion] = {}

    def take(self, value: Any, place: Place, name: str = "") -> None:
        """Take one JSON value of the answer."""
        self.events += 1
        if not isinstance(value, dict):
            self._other(value, place)
            return
        key = next((key for key in _LISTS if isinstance(value.get(key), list)), None)
        if key is not None:
            for at, item in enumerate(value[key]):
                if isinstance(item, dict):
                    self._item(item, at, place)
                else:
                    self._other(item, place)
        elif any(isinstance(value.get(key), str) for key in _TEXTS) or any(value.get(key) for key in _REASONS):
            self._item(value, 0, place)
        elif (error := error_of(value)) is not None:
            self.errors.append(error)
            return
        elif not (value.keys() <= {METRICS} or any(count in value for count in _COUNTS)):
            self._other(value, place)
            return
        self.identity(value.get("id"))
        self.model(value.get("model"))
        self._count(value)
        if isinstance(value.get(METRICS), dict):
            self.sentinel = True
            self.usage(value[METRICS])
        if key is not None:
            self.extras.update(_rest(value, {key, "id", "model"}))

    def _count(self, value: dict[str, Any]) -> None:
        self.usage({name: value[name] for name in _COUNTS if value.get(name) is not None})

    def _item(self, item: dict[str, Any], at: int, place: Place) -> None:
        index = item.get("index")
        fold = self._completions.setdefault(index if type(index) is int else at, _Completion())
        data = item.get("data")
        for text in (*(item.get(name) for name in _TEXTS), data.get("text") if isinstance(data, dict) else None):
            if isinstance(text, str):
                add_text(fold.content, TextFold, text, place)
        for reason in (item.get(name) for name in _REASONS):
            said = reason_text(reason.get("reason") if isinstance(reason, dict) else reason)
            if said is not None and (not fold.finish or fold.finish[-1] != said):
                fold.finish.append(said)
        self._count(item)
        self.identity(item.get("id"))
        fold.extras.update(_rest(item, {"id", "model"}))
        if isinstance(data, dict):
            fold.extras["data"] = {key: held for key, held in data.items() if key != "text"}

    def _other(self, value: Any, place: Place) -> None:
        self.note_once("unknown_payload", f"a payload of no known form: {json.dumps(value)[:100]}", place)
        self._completions.setdefault(0, _Completion()).content.append(OtherPart("payload", value, (place,)))

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came."""
        choices = [self._completions[index].choice(index) for index in sorted(self._completions)]
        metrics = [report for report in self.usages if "inputTokenCount" in report]
        counts = tokens([*metrics, *(report for report in self.usages if report not in metrics)], TOKENS)
        return self.result(shape, choices, whole=whole, tail=tail, tokens=counts)
