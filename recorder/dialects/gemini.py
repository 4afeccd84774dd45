"""Google's Gemini: ``…:generateContent`` and ``…:streamGenerateContent``, of AI Studio and of Vertex.

Each value is a ``GenerateContentResponse`` (Google's reference; google-genai ``types.py``): ``candidates[{index,
content{role, parts}, finishReason, …}]``, ``usageMetadata``, ``promptFeedback``, ``modelVersion``, ``responseId``.
They come as server-sent events (``alt=sse``, CRLF), as a pretty-printed JSON array that arrives value by value, or
as one document. What is peculiar:

* there is no end marker: the finish reasons decide; they may be numbers (``enum-encoding=int``), and the numbers of
  the two services differ above 5;
* ``CONTINUATION`` is a pause: the next request has the token that came with it (``continuationToken``), and its answer
  goes on with this one;
* ``usageMetadata`` comes with most values and is cumulative;
* a prompt that is blocked has no candidate, only ``promptFeedback.blockReason``: an error here;
* errors are JSON without ``data:``, whatever the content type says;
* Code Assist wraps each value (and the request) once more: ``{"response": {…}}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recorder.core.json_sources import sources_of
from recorder.core.messages import Answer, Choice, CitationPart, Message, RequestReading, TextPart
from recorder.dialects.base import AnswerReader, Clues, recognised
from recorder.dialects.facts import Facts
from recorder.dialects.finishes import CUTTING, finishes_of
from recorder.dialects.folding import AnswerFold, Place, nonempty, reason_text, tokens
from recorder.dialects.gemini_parts import ContentFold, camel
from recorder.dialects.json_array import ArrayReader
from recorder.dialects.numbering import Numbering, index_of
from recorder.dialects.reading import EventStreamReader
from recorder.dialects.remembered import read_each

_NAME: Final = "gemini"
#: The colon may be escaped.
_METHOD: Final = re.compile(r"(?::|%3a)(?:generateContent|streamGenerateContent)$", re.IGNORECASE)
_MODEL: Final = re.compile(r"/models/((?:(?!%3a)[^/:?#])+)", re.IGNORECASE)
_CANDIDATES: Final = re.compile(
    rb'"candidates"\s*:\s*\[\s*\{\s*"(?:content"\s*:\s*\{|finishReason|index|safetyRatings|citationMetadata)'
)
_OF_CANDIDATES: Final = frozenset({"content", "finishReason", "safetyRatings", "citationMetadata", "groundingMetadata"})
_OF_ANSWERS: Final = frozenset({"usageMetadata", "modelVersion", "responseId"})
#: All that a value without candidates may have; embeddings come with ``usageMetadata`` too.
_ANSWER_FIELDS: Final = _OF_ANSWERS | {"candidates", "promptFeedback", "createTime", "modelStatus"}
_OWN: Final = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "error"})
_CANDIDATE_OWN: Final = frozenset({"index", "content", "finishReason", "logprobsResult"})
#: Fields of a candidate that are kept with the message, every value that comes.
_SOURCES: Final = ("citationMetadata", "groundingMetadata", "urlContextMetadata")
_UNSPECIFIED: Final = frozenset({"FINISH_REASON_UNSPECIFIED", "0"})
_UNBLOCKED: Final = frozenset({"BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED", "0"})

#: The numbers are those on which AI Studio and Vertex agree, in the name or at least in the kind.
_FINISHES: Final[Mapping[str, str]] = {
    "1": "stop",
    "2": "length",
    **dict.fromkeys(("3", "4", "6", "7", "8", "11"), "content_filter"),
}

TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("promptTokenCount",),
    "output": ("candidatesTokenCount",),
    "total": ("totalTokenCount",),
    "cached": ("cachedContentTokenCount",),
    "reasoning": ("thoughtsTokenCount",),
}


class Gemini:
    """The dialect of ``…:generateContent`` and ``…:streamGenerateContent``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like candidates; the URL counts where the body says little."""
        placed = _METHOD.search(clues.path) is not None
        return recognised(clues, _likeness, head=_CANDIDATES, placed=placed, vague=_is_error)

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return the ``contents`` of a payload."""
        asked = payload.get("request", payload) if isinstance(payload, dict) else None
        fields = camel(asked) if isinstance(asked, dict) else {}
        contents = fields.get("contents")
        if not isinstance(contents, list) or not all(isinstance(item, dict) for item in contents):
            return None
        system = fields.get("systemInstruction")
        messages = [] if system is None else [_read(system, "system")]
        messages += read_each(_read_content, contents)
        config = fields.get("generationConfig")
        choices = camel(config).get("candidateCount") if isinstance(config, dict) else None
        named = _MODEL.search(url)
        model = nonempty(payload.get("model")) or (named[1] if named else None)
        return RequestReading(_NAME, tuple(messages), model, choices if type(choices) is int else None)

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for an event stream, for an array that streams, or for one document."""
        return (ArrayReader if clues.shape == "json" else EventStreamReader)(clues.shape, _Fold())


def _is_error(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(item, dict) and "error" in item for item in values)


def _likeness(value: Any) -> float:
    if isinstance(value, list):
        return max((_likeness(item) for item in value if isinstance(item, dict)), default=0.0)
    if not isinstance(value, dict):
        return 0.0
    candidates = value.get("candidates")
    if isinstance(candidates, list):
        if any(isinstance(item, dict) and _is_candidate(item) for item in candidates):
            return 1.0 if _OF_ANSWERS & value.keys() else 0.95
        return 0.0
    told = value.get("promptFeedback", value.get("usageMetadata"))
    if isinstance(told, dict) and value.keys() <= _ANSWER_FIELDS:
        return 0.9
    return _likeness(value["response"]) if isinstance(value.get("response"), dict) else 0.0


def _is_candidate(item: dict[str, Any]) -> bool:
    return bool(_OF_CANDIDATES & item.keys()) and isinstance(item.get("content", {}), dict)


def _read_content(content: dict[str, Any]) -> Message:
    """Return one of the ``contents`` of a request."""
    return _read(content, nonempty(content.get("role")))


def _read(content: Any, role: str | None) -> Message:
    """Return one message of a request."""
    if isinstance(content, str):
        return Message(role, (TextPart(content, ((0, 0),)),))
    fold = ContentFold(Facts(sources_of(content)))
    parts = content.get("parts") if isinstance(content, dict) else None
    for part in parts if isinstance(parts, list) else [] if parts is None else [parts]:
        fold.take(part, (0, 0))
    return Message(role, fold.parts(finished=True), extras=fold.extras)


class _Candidate:
    """What the entries of one candidate add up to."""

    def __init__(self, index: int, answer: AnswerFold) -> None:
        self._index = index
        self._answer = answer
        self._role: str | None = None
        self._content = ContentFold(answer)
        self._finish: list[str] = []
        self._logprobs: dict[str, Any] | None = None
        self._extras: dict[str, Any] = {}
        self._sources: set[str] = set()

    def take(self, entry: dict[str, Any], place: Place) -> None:
        """Take one entry of ``candidates``."""
        content = entry.get("content")
        if isinstance(content, dict):
            self._take_content(content, place)
        elif content is not None:
            self._extras["content"] = content
            self._answer.lose_once("content_malformed", f"content is a {type(content).__name__}", place)
        for name in _SOURCES:
            if entry.get(name):
                self._cite(name, entry[name], place)
        logprobs = entry.get("logprobsResult")
        if isinstance(logprobs, dict):
            self._logprobs = _joined(self._logprobs or {}, logprobs)
        reason = reason_text(entry.get("finishReason"))
        if reason in _UNSPECIFIED:
            self._extras["finishReason"] = entry["finishReason"]
        elif reason is not None:
            self._finished(reason, place)
        self._extras.update(
            (name, value)
            for name, value in entry.items()
            if name not in _CANDIDATE_OWN and name not in _SOURCES and value is not None
        )

    def choice(self, *, ended: bool) -> Choice:
        """Return it; *ended* says that the answer came to its end without an error."""
        finishes = finishes_of(self._finish, _FINISHES)
        finish = finishes[-1] if finishes else None
        # Whatever reason follows it: one that says that the answer was cut is not taken back.
        parts = self._content.parts(CUTTING.isdisjoint(finishes) if finishes else ended)
        message = Message(self._role, parts, extras=self._content.extras)
        failed = "error" in finishes
        return Choice(self._index, message, tuple(self._finish), self._logprobs, self._extras, failed, finish)

    def _take_content(self, content: dict[str, Any], place: Place) -> None:
        role, parts = nonempty(content.get("role")), content.get("parts")
        if role and self._role and role != self._role:
            self._answer.note_once("role_changed", f"{self._role!r} is followed by {role!r}", place)
        self._role = self._role or role
        if parts and self._finish:
            self._answer.note_once("delta_after_finish", "content came after the finish reason", place)
        for part in parts if isinstance(parts, list) else [] if parts is None else [parts]:
            self._content.take(part, place)
        for name in content.keys() - {"role", "parts"}:
            self._content.extras.setdefault(name, []).append(content[name])

    def _finished(self, reason: str, place: Place) -> None:
        if self._finish and self._finish[-1] == reason:
            self._answer.note_once("finish_reason_repeated", f"finishReason {reason!r} came again", place)
            return
        if self._finish:
            self._answer.note("finish_reason_changed", f"{self._finish[-1]!r} is followed by {reason!r}", place)
        self._finish.append(reason)

    def _cite(self, name: str, value: Any, place: Place) -> None:
        """Keep the sources that are named, each once: later values may repeat those of earlier ones."""
        held = self._content.extras.setdefault(name, [])
        if not held or held[-1] != value:
            held.append(value)
        for source in _sources_of(name, value):
            known = repr(source)
            if known not in self._sources:
                self._sources.add(known)
                self._content.add(_citation(source, place))


def _sources_of(name: str, value: Any) -> list[Any]:
    """The sources that a field names: AI Studio's and Vertex's citations, the chunks of a grounding."""
    if not isinstance(value, dict) or name == "urlContextMetadata":
        return []
    keys = ("citationSources", "citations") if name == "citationMetadata" else ("groundingChunks",)
    return [source for key in keys if isinstance(value.get(key), list) for source in value[key]]


def _citation(source: Any, place: Place) -> CitationPart:
    fields = source if isinstance(source, dict) else {}
    # A chunk of a grounding is one of: web, retrievedContext, maps, image, …
    inner = next((value for value in fields.values() if isinstance(value, dict) and not fields.get("uri")), fields)
    text, url, title = (nonempty(inner.get(name)) for name in ("text", "uri", "title"))
    return CitationPart(source, text, url, title, (place,))


def _joined(held: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    joined = dict(held)
    for name, value in more.items():
        before = joined.get(name)
        joined[name] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else value
    return joined


class _Fold(AnswerFold):
    """What the values of an answer add up to."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._candidates: dict[int, _Candidate] = {}
        self._numbering = Numbering()

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take one ``GenerateContentResponse``."""
        inner = value.get("response")
        if isinstance(inner, dict) and "candidates" not in value:
            self._top({key: held for key, held in value.items() if key != "response"})
            value = inner
        if value.get("error"):
            self.errors.append(value["error"])
        candidates = value.get("candidates")
        before: dict[int, int] = {}
        entries: list[Any] = candidates if isinstance(candidates, list) else []
        for at in range(len(entries)):
            self._candidate(entries, at, before, place)
        if candidates is not None and not isinstance(candidates, list):
            self.lose("candidates_malformed", f"candidates is a {type(candidates).__name__}", place)
        elif not candidates and not value.keys() & {"error", "promptFeedback", "usageMetadata"}:
            self.note("no_candidates", "an object without candidates", place)
        self._blocked(value.get("promptFeedback"))
        self._top(value)

    def _candidate(self, candidates: list[Any], at: int, before: dict[int, int], place: Place) -> None:
        """Take the entry of ``candidates`` at a place.

        :param before: how many entries before it have an index.
        """
        entry = candidates[at]
        if not isinstance(entry, dict):
            self.lose("choice_malformed", f"a candidate is a {type(entry).__name__}", place)
            return
        given, index = entry.get("index"), index_of(entry)
        if index is None:
            # A protocol buffer leaves out a 0.
            index = at if given is not None or 0 in before else 0
        if given is not None and index is not given:
            self.note_once("choice_without_index", f"index is {given!r}: taken as {index}", place)
        nth = before.get(index, 0)
        before[index] = nth + 1
        if nth:
            told = f"two candidates of one object have the index {index}: another candidate"
            self.note_once("index_repeated", told, place)
        index = self._numbering.number(index, nth, at, candidates)
        if index not in self._candidates:
            self._candidates[index] = _Candidate(index, self)
        self._candidates[index].take(entry, place)

    def _blocked(self, feedback: Any) -> None:
        reason = reason_text(feedback.get("blockReason")) if isinstance(feedback, dict) else None
        if reason is not None and reason not in _UNBLOCKED and feedback not in self.errors:
            self.errors.append(feedback)

    def _top(self, value: dict[str, Any]) -> None:
        self.identity(value.get("responseId"))
        self.model(value.get("modelVersion"))
        self.usage(value.get("usageMetadata"))
        self.keep(value, _OWN)

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came."""
        ended = bool(whole) and not self.errors
        choices = [self._candidates[index].choice(ended=ended) for index in sorted(self._candidates)]
        return self.result(shape, choices, whole=whole, tail=tail, tokens=tokens(self.usages, TOKENS))


DIALECT = Gemini()
