"""Messages, choices and parts as JSON (docs/schema/show.schema.json). Absent is absent."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from recorder.core.json_text import exactly, milliseconds, plain, present, whole
from recorder.core.messages import (
    Choice,
    CitationPart,
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenCounts,
    ToolCallPart,
    ToolResultPart,
)
from recorder.core.provenance import Arrivals, Provenance


class AnswerJson:
    """Shows the messages of an answer, each part with where it came from.

    :param arrivals: of the answer's body.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def message(self, message: Message, choice: int | None = None) -> dict[str, Any]:
        """Return a message of the answer."""
        shown = message_json(message, source="answer", choice=choice)
        for part, part_shown in zip(message.parts, shown["parts"], strict=True):
            origin = self._arrivals.of(part.ranges)
            if origin is not None:
                part_shown["origin"] = _origin(origin)
        return shown

    def choice(self, choice: Choice) -> dict[str, Any]:
        """Return a choice."""
        reasons = choice.finish_reasons
        return present(
            index=choice.index,
            message=self.message(choice.message),
            finish_reason=plain(choice.finish_reason),
            finish_reasons=plain(reasons) if len(reasons) > 1 else None,
            finish=choice.finish,
            logprobs=plain(choice.logprobs),
            fields=plain(choice.extras) or None,
        )


def _origin(origin: Provenance) -> dict[str, Any]:
    return present(
        bytes=[list(place) for place in origin.ranges],
        chunks=None if origin.first_chunk is None else [origin.first_chunk, origin.last_chunk],
        first_ms=None if origin.first_ns is None else milliseconds(origin.first_ns),
        last_ms=None if origin.last_ns is None else milliseconds(origin.last_ns),
    )


def message_json(message: Message, *, source: str = "request", choice: int | None = None) -> dict[str, Any]:
    """Return a message as JSON.

    :param source: ``request`` or ``answer``.
    """
    return present(
        source=source,
        choice=choice,
        role=plain(message.role),
        name=plain(message.name),
        tool_call_id=plain(message.tool_call_id),
        parts=[part_json(part) for part in message.parts],
        fields=plain(message.extras) or None,
    )


def tokens_json(tokens: TokenCounts | None) -> dict[str, int] | None:
    """Return token counts as JSON: those that were sent."""
    return None if tokens is None else present(**asdict(tokens))


def part_json(part: Part) -> dict[str, Any]:
    """Return one part of a message as JSON, with its kind in ``type``."""
    if isinstance(part, TextPart):
        return {"type": "text", "text": whole(part.text)}
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "text": whole(part.text)}
    if isinstance(part, ReasoningPart):
        return present(
            type="reasoning",
            text=whole(part.text),
            fields=list(part.fields) or None,
            details=plain(part.details) or None,
            signature=plain(part.signature),
            encrypted=plain(part.encrypted),
        )
    if isinstance(part, ToolCallPart):
        return _call(part)
    if isinstance(part, ToolResultPart):
        return present(
            type="tool_result",
            call_id=plain(part.call_id),
            name=plain(part.name),
            text=plain(part.text),
            failed=part.failed,
            value=plain(part.value),
        )
    if isinstance(part, CitationPart):
        told = present(text=plain(part.text), url=plain(part.url), title=plain(part.title))
        return {"type": "citation", **told, "value": plain(part.value)}
    if isinstance(part, MediaPart):
        return present(
            type="media",
            kind=part.kind,
            media_type=plain(part.media_type),
            url=plain(part.url),
            file_id=plain(part.file_id),
            bytes=part.size,
            sha256=part.sha256,
            fields=plain(part.extras) or None,
        )
    return {"type": "other", "kind": whole(part.kind), "value": plain(part.value)}


def _call(part: ToolCallPart) -> dict[str, Any]:
    shown = present(
        type="tool_call",
        id=plain(part.id),
        name=plain(part.name),
        index=part.index,
        arguments_text=whole(part.arguments_text),
        complete=part.complete,
        legacy=part.legacy or None,
        fields=plain(part.extras) or None,
    )
    if part.complete:
        shown["arguments"] = arguments_json(part)
    return shown


def arguments_json(call: ToolCallPart) -> Any:
    """Return the arguments of a call that is complete as JSON, its numbers written as they were sent."""
    return plain(exactly(call.arguments_text, call.arguments))
