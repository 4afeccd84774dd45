"""One choice of an OpenAI chat answer, delta by delta; and one message of a request, which is one whole delta.

Everything is appended in the order in which it came; nothing is summed, guessed or filled in. Text of the
same reasoning under two names is one part that carries both names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from recorder.core.json_sources import sources_of
from recorder.core.messages import (
    Choice,
    Message,
    OtherPart,
    Part,
    Ranges,
    ReasoningPart,
)
from recorder.dialects.facts import Facts
from recorder.dialects.finishes import CUTTING, finish_of, finishes_of
from recorder.dialects.folding import Place, TextFold, add_text, message_of_request, reason_text
from recorder.dialects.openai_parts import DetailsFold, SoundFold, citation, media_part, signature, thought
from recorder.dialects.openai_tool_calls import ToolCalls

#: ChatGPT's own words, in its data export.
_FINISHES: Final = dict.fromkeys(("interrupted", "finished_partial_completion", "in_progress"), "cancelled")
_REASONING: Final = ("reasoning_content", "reasoning")
_CHOICE_OWN: Final = frozenset({"index", "delta", "message", "finish_reason", "logprobs", "usage"})


class ChoiceFold:
    """The fold of one choice.

    :param index: the choice's index.
    :param facts: where facts go.
    """

    def __init__(self, index: int, facts: Facts) -> None:
        self.index = index
        self._facts = facts
        self._role: str | None = None
        self._content: list[Part | TextFold] = []
        self._refusal = TextFold()
        self._sound = SoundFold()
        self._after: list[Part] = []
        self._signature: str | None = None
        self._reasoning: dict[str, TextFold] = {}
        self._details = DetailsFold()
        self._calls = ToolCalls(facts)
        self._finish: list[str] = []
        self._end: int | None = None  # after the last finish reason
        self._logprobs: dict[str, Any] | None = None
        self._extras: dict[str, Any] = {}
        self._message_extras: dict[str, list[Any]] = {}
        self._whole: dict[str, Any] | None = None
        self._whole_place: Place = (0, 0)
        self._whole_source: tuple[str | bytes, Any] | None = None
        self._noted: set[str] = set()

    def take(self, choice: dict[str, Any], place: Place) -> None:
        """Take one entry of ``choices``."""
        delta = choice.get("delta")
        if delta:
            if isinstance(delta, dict):
                if self._finish and any(value for key, value in delta.items() if key != "role"):
                    self._note_once("delta_after_finish", "content came after the finish reason", place)
                self.delta(delta, place)
            else:
                self._lose_once("delta_malformed", f"delta is a {type(delta).__name__}", place)
        message = choice.get("message")
        if isinstance(message, dict):
            held = self._whole or {}
            self._whole = held | {key: said for key, said in message.items() if said is not None or key not in held}
            self._whole_place, self._whole_source = place, self._facts.source
        reason = reason_text(choice.get("finish_reason"))
        if reason is not None:
            self._end = place[1]
            self._finished(reason, place)
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            self._add_logprobs(logprobs)
        if not _CHOICE_OWN.issuperset(choice):
            self._add_fields(choice)

    def delta(self, delta: dict[str, Any], place: Place, *, whole: bool = False) -> None:
        """Take a delta, or with *whole* a whole message."""
        for key, value in delta.items():
            if value is None or value == "":
                continue
            if key == "content":
                if isinstance(value, str):
                    self._text(value, place)
                else:
                    self._content_parts(value, place)
            elif key == "role":
                self._set_role(str(value), place)
            elif key in _REASONING and isinstance(value, str):
                self._reason(key, value, place)
            elif key == "refusal" and isinstance(value, str):
                self._refusal.add(value, place)
            elif key == "tool_calls" and isinstance(value, list):
                for entry in value:
                    self._calls.take(entry, place, whole=whole)
            elif key == "tool_calls" and value:
                self._lose_once("tool_calls_malformed", f"tool_calls is a {type(value).__name__}", place)
                self._other(key, value, place, whole=whole)
            elif key == "function_call":
                self._calls.take_function(value, place)
            else:
                self._other(key, value, place, whole=whole)

    def _other(self, key: str, value: Any, place: Place, *, whole: bool) -> None:
        """Take a field of a delta that few send."""
        if key == "reasoning_details" and isinstance(value, list):
            self._add_details(value, place, whole=whole)
        elif key in ("annotations", "images") and isinstance(value, list):
            self._beside(key, value, place)
        elif key == "audio" and isinstance(value, dict):
            self._sound.take(value, place)
        else:
            self._message_extras.setdefault(key, []).append(value)

    @property
    def has_reason(self) -> bool:
        """Whether a finish reason came."""
        return bool(self._finish)

    def choice(self, *, ended: bool) -> Choice:
        """Return what came; *ended* says that the end marker was seen and no error."""
        self._settle_whole_message()
        finishes = finishes_of(self._finish, _FINISHES)
        finish = finishes[-1] if finishes else None
        # Whatever reason follows it: one that says that the answer was cut is not taken back.
        finished = CUTTING.isdisjoint(finishes) if finishes else ended
        failed = "error" in finishes
        message = self.message(finished)
        return Choice(self.index, message, tuple(self._finish), self._logprobs, self._extras, failed, finish)

    def message(self, finished: bool) -> Message:
        """Return the message; a tool call of one that is not *finished* is not complete."""
        parts: list[Part] = [*self._reasoning_parts()]
        parts += self._content_read()
        if self._refusal:
            parts.append(self._refusal.refusal())
        if self._sound:
            parts.append(self._sound.part())
        parts.extend(self._after)
        parts.extend(self._calls.parts(finished, self._end))
        return Message(self._role, tuple(parts), extras=self._message_extras)

    def _settle_whole_message(self) -> None:
        """Use a ``message`` that came beside the deltas: Perplexity repeats there what they said, SGLang may too.

        What no delta brought is taken from it. What it says otherwise stays as the deltas said it, since that is what
        clients read, and is a fact.
        """
        whole, place = self._whole, self._whole_place
        if whole is None:
            return
        self._whole, self._facts.source = None, self._whole_source
        said = ChoiceFold(self.index, self._facts)
        said.delta(whole, place, whole=True)
        differing = [*self._adopt_texts(said), *self._adopt_rest(said)]
        if whole.get("content") == "" and self._content and "content" not in differing:
            differing.append("content")
        if differing:
            told = f"the whole message differs from the sum of its deltas: {', '.join(differing)}"
            self._note_once("message_differs", told, place)

    def _adopt_texts(self, said: ChoiceFold) -> list[str]:
        """Take the texts of a whole message that no delta brought; return the names of those that it says otherwise."""
        differing: list[str] = []
        if not self._content:
            self._content = said._content
        elif said._content and said._content_read() != self._content_read():
            differing.append("content")
        if not self._refusal:
            self._refusal = said._refusal
        elif said._refusal and said._refusal.text != self._refusal.text:
            differing.append("refusal")
        for name, fold in said._reasoning.items():
            if self._reasoning.setdefault(name, fold).text != fold.text:
                differing.append(name)
        self._signature = self._signature or said._signature
        return differing

    def _adopt_rest(self, said: ChoiceFold) -> list[str]:
        """As :meth:`_adopt_texts`, for what is no plain text."""
        differing: list[str] = []
        if said._role is not None:
            self._set_role(said._role, self._whole_place)
        if not self._details.entries:
            self._details = said._details
        elif said._details.entries and said._details.entries != self._details.entries:
            differing.append("reasoning_details")
        if not self._sound:
            self._sound = said._sound
        elif said._sound and said._sound.part() != self._sound.part():
            differing.append("audio")
        self._after += [part for part in said._after if part not in self._after]
        for name, values in said._message_extras.items():
            self._message_extras.setdefault(name, values)
        if self._calls.settle(said._calls):
            differing.append("tool_calls")
        return differing

    def _content_read(self) -> list[Part]:
        return [piece.part() if isinstance(piece, TextFold) else piece for piece in self._content]

    def _finished(self, reason: str, place: Place) -> None:
        if finish_of(reason, _FINISHES) == "error":
            self._note_once("finish_reason_failed", f"finish_reason {reason!r}: the provider failed", place)
        if not self._finish:
            self._finish.append(reason)
        elif self._finish[-1] == reason:
            self._note_once("finish_reason_repeated", f"finish_reason {reason!r} came again", place)
        else:
            self._facts.note("finish_reason_changed", f"{self._finish[-1]!r} is followed by {reason!r}", place)
            self._finish.append(reason)

    def _set_role(self, role: str, place: Place) -> None:
        if self._role is None:
            self._role = role
        elif role != self._role:
            self._note_once("role_changed", f"{self._role!r} is followed by {role!r}", place)

    def _content_parts(self, value: Any, place: Place) -> None:
        if not isinstance(value, list):
            self._note_once("content_malformed", f"content is a {type(value).__name__}", place)
            self._content.append(OtherPart("content", self._facts.exact(value), (place,)))
            return
        for item in value:
            kind = item.get("type") if isinstance(item, dict) else None
            if isinstance(item, str):
                self._text(item, place)
            elif kind in ("text", "input_text", "output_text") and isinstance(item.get("text"), str):
                self._text(item["text"], place)
            elif kind == "refusal" and isinstance(item.get("refusal"), str):
                self._refusal.add(item["refusal"], place)
            elif isinstance(item, dict) and (thinking := thought(kind, item)) is not None:
                self._reason(f"content.{kind}", thinking, place)
                self._signature = signature(item) or self._signature
            else:
                other = OtherPart(str(kind or "content"), self._facts.exact(item), (place,))
                self._content.append(media_part(kind, item, place) or other)

    def _beside(self, key: str, values: list[Any], place: Place) -> None:
        """Take annotations or images, each once: OpenRouter sends the same annotations in several chunks."""
        for value in values:
            kind = value.get("type") if isinstance(value, dict) else None
            part = citation(value, place) if key == "annotations" else media_part(kind, value, place)
            if part is None:
                self._message_extras.setdefault(key, []).append([value])
            elif part not in self._after:
                self._after.append(part)

    def _text(self, piece: str, place: Place) -> None:
        add_text(self._content, TextFold, piece, place)

    def _reason(self, field: str, piece: str, place: Place) -> None:
        self._reasoning.setdefault(field, TextFold()).add(piece, place)

    def _add_details(self, entries: list[Any], place: Place, *, whole: bool) -> None:
        self._details.origin.add(place)
        for entry in entries:
            if isinstance(entry, dict):
                self._details.take(entry, whole=whole)
            else:
                self._message_extras.setdefault("reasoning_details", []).append(entry)

    def _reasoning_parts(self) -> list[ReasoningPart]:
        fields: dict[str, list[str]] = {}
        origins: dict[str, Ranges] = {}
        for name, fold in self._reasoning.items():
            fields.setdefault(fold.text, []).append(name)
            origins.setdefault(fold.text, fold.origin.ranges)
        details = tuple(self._details.entries)
        if details:
            where = self._details.text or next(iter(fields), "")
            fields.setdefault(where, []).append("reasoning_details")
            origins.setdefault(where, self._details.origin.ranges)
        found: list[ReasoningPart] = []
        for text, names in fields.items():
            sealed = _sealed(details) if "reasoning_details" in names else {}
            if self._signature and "content.reasoning" in names:
                sealed["signature"] = self._signature
            told = details if "reasoning_details" in names else ()
            found.append(ReasoningPart(text, tuple(names), told, **sealed, ranges=origins[text]))
        return found

    def _add_logprobs(self, logprobs: dict[str, Any]) -> None:
        if self._logprobs is None:
            self._logprobs = {}
        for key, value in logprobs.items():
            if isinstance(value, list):
                held = self._logprobs.setdefault(key, [])
                if isinstance(held, list):
                    held.extend(value)
            elif value is not None:
                self._logprobs[key] = value

    def _add_fields(self, choice: dict[str, Any]) -> None:
        """Take the other fields of an entry: the last value of each; vLLM's ``token_ids`` are fragments."""
        for key, value in choice.items():
            if key in _CHOICE_OWN or value is None:
                continue
            held = self._extras.get(key)
            joined = key == "token_ids" and isinstance(value, list) and isinstance(held, list)
            self._extras[key] = [*held, *value] if joined and held else value

    def _note_once(self, kind: str, detail: str, place: Place) -> None:
        if kind not in self._noted:
            self._noted.add(kind)
            self._facts.note(kind, detail, place)

    def _lose_once(self, kind: str, detail: str, place: Place) -> None:
        self._facts.holes.append(place)
        self._note_once(kind, detail, place)


def _sealed(details: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The signature and the encrypted text of OpenRouter's reasoning details, the last of each."""
    found: dict[str, str] = {}
    for entry in details:
        if isinstance(entry.get("signature"), str):
            found["signature"] = entry["signature"]
        if entry.get("type") == "reasoning.encrypted" and isinstance(entry.get("data"), str):
            found["encrypted"] = entry["data"]
    return found


def read_message(message: dict[str, Any]) -> Message:
    """Return one message of a request."""
    fold = ChoiceFold(0, Facts(sources_of(message)))
    fold.delta(message, (0, 0), whole=True)
    return message_of_request(fold.message(finished=True), "name")
