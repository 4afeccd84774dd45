"""OpenAI's legacy text completions, and what imitates them: vLLM, SGLang, llama.cpp, Together, DeepSeek and others.

``data:`` chunks with ``choices[{index, text, finish_reason, logprobs}]``, ended by ``data: [DONE]``; or one JSON
document with the same. What comes besides is as in chat completions (usage, errors, several choices), from which
the fold is taken. Together repeats each text in a chat ``delta`` beside it and calls the object
``completion.chunk``; of log probabilities, the lists ``tokens``, ``token_logprobs``, ``top_logprobs`` and
``text_offset`` are joined. Each of several prompts has its own ``n`` choices.
"""

from __future__ import annotations

import re
from typing import Any, Final

from recorder.core.messages import Message, OtherPart, Part, RequestReading, TextPart
from recorder.dialects.base import AnswerReader, Clues, path_of, recognised
from recorder.dialects.bedrock_completions import stops_as_bedrock_says
from recorder.dialects.error_frames import may_be_error
from recorder.dialects.folding import Place, text_or_none
from recorder.dialects.openai_chat import ChatFold
from recorder.dialects.reading import reader_for

_NAME: Final = "openai_completions"
_PATH: Final = re.compile(r"(?<!/chat)/completions$")
_OBJECT: Final = re.compile(rb'"object"\s*:\s*"(?:text_completion|completion\.chunk)')
_KINDS: Final = ("text_completion", "text_completion.chunk", "completion.chunk", "text.completion")
#: Fields that tell such a request from others with a ``prompt``: of images, of Ollama, of Bedrock.
_SPEAKING: Final = frozenset(
    {"max_tokens", "best_of", "echo", "logprobs", "logit_bias", "frequency_penalty", "presence_penalty"}
    | {"stream_options"}
)


class OpenAICompletions:
    """The dialect of ``…/completions`` without ``/chat``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like a text completion; the URL counts where the body says little."""
        placed = _PATH.search(clues.path) is not None
        likeness = _likeness if placed or clues.shape == "sse" else _likeness_elsewhere
        return recognised(clues, likeness, head=_OBJECT, placed=placed, vague=may_be_error)

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return each prompt as a message without a role."""
        if not isinstance(payload, dict) or "prompt" not in payload or {"messages", "input"} & payload.keys():
            return None
        model, prompt = payload.get("model"), payload["prompt"]
        path = path_of(url)
        if not _PATH.search(path) and not (isinstance(model, str) and _SPEAKING & payload.keys()):
            return None
        prompts = prompt if isinstance(prompt, list) and not _is_tokens(prompt) else [prompt]
        suffix = payload.get("suffix")
        extras = {} if suffix is None else {"suffix": suffix}
        asked = payload.get("n", 1)
        return RequestReading(
            _NAME,
            tuple(Message(None, (_part(one),), extras=extras) for one in prompts if one is not None),
            text_or_none(model),
            asked * max(1, len(prompts)) if type(asked) is int and ("n" in payload or len(prompts) > 1) else None,
        )

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for an event stream or for one JSON document."""
        return reader_for(clues.shape, _Fold(_NAME, document=clues.shape == "json"))


def _likeness(value: Any) -> float:
    if not isinstance(value, dict):
        return 0.0
    kind, choices = value.get("object"), value.get("choices")
    entry = choices[0] if isinstance(choices, list) and choices else None
    first: dict[str, Any] = entry if isinstance(entry, dict) else {}
    chat = bool({"delta", "message"} & first.keys())
    if kind:
        return 1.0 if kind in _KINDS and not (chat and "text" not in first) else 0.0
    return 0.9 if not chat and isinstance(first.get("text"), str) and not stops_as_bedrock_says(first) else 0.0


def _likeness_elsewhere(value: Any) -> float:
    """As :func:`_likeness`, for a document of whom nobody knows: choices with texts may be those of a poll."""
    likely = _likeness(value)
    if not likely or value.get("object"):
        return likely
    told = {"finish_reason", "logprobs"} & value["choices"][0].keys() or isinstance(value.get("usage"), dict)
    return likely if told or isinstance(value.get("model"), str) else 0.0


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _part(prompt: Any) -> Part:
    if isinstance(prompt, str):
        return TextPart(prompt, ((0, 0),))
    return OtherPart("tokens" if _is_tokens(prompt) else "prompt", prompt, ((0, 0),))


class _Fold(ChatFold):
    """The fold of chat completions, for entries that have a text."""

    def entry(self, choice: dict[str, Any], place: Place) -> dict[str, Any]:
        """Return the entry with its text as the content of its delta, once."""
        text, beside = choice.get("text"), choice.get("delta")
        delta: dict[str, Any] = dict(beside) if isinstance(beside, dict) else {}
        if text is not None and not isinstance(text, str):
            self.lose_once("text_malformed", f"a text is a {type(text).__name__}", place)
        elif text:
            if delta.get("content") not in (None, "", text):
                self.note_once("text_differs", "the delta beside the text has another content", place)
            delta["content"] = text
        rest = {key: value for key, value in choice.items() if key not in ("text", "delta")}
        return rest | {"delta": delta}


DIALECT = OpenAICompletions()
