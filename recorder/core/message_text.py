"""Messages, parts and counts of tokens as plain text, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from recorder.core.json_text import dumps
from recorder.core.message_json import part_json, tokens_json
from recorder.core.messages import (
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

#: Reports of usage that are told one by one; servers that count on every chunk send thousands.
_REPORTS: Final = 4


def message_text(message: Message) -> str:
    """Return a message: each part on lines of its own."""
    return "\n".join(map(part_text, message.parts))


def part_text(part: Part) -> str:
    """Return a part: a text as it is, everything else with what it is before it, in brackets."""
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, ReasoningPart):
        return f"[reasoning] {part.text}"
    if isinstance(part, RefusalPart):
        return f"[refusal] {part.text}"
    if isinstance(part, ToolCallPart):
        unfinished = "" if part.complete else "  [arguments not known to be complete]"
        return f"[tool call] {part.name or 'name not sent'}({part.arguments_text}){unfinished}"
    if isinstance(part, ToolResultPart) and part.text is not None:
        return f"[{part_title(part)}] {part.text}"
    shown = part_json(part)
    value = shown.get("value", shown.get("fields"))
    told = "" if value is None else f" {dumps(value, ensure_ascii=False)}"
    return f"[{part_title(part) or shown['kind']}]{told}"


def part_title(part: Part) -> str | None:
    """Return what a citation, media or a tool's result is, in one line; None for other parts."""
    if isinstance(part, CitationPart):
        return " ".join(filter(None, ("citation", part.title, part.url)))
    if isinstance(part, MediaPart):
        size = None if part.size is None else f"{part.size} bytes"
        return " ".join(filter(None, (part.kind, part.media_type, part.url or part.file_id, size)))
    if isinstance(part, ToolResultPart):
        failed = "failed" if part.failed else None
        return " ".join(filter(None, ("tool result", part.name, part.call_id, failed)))
    return None


def tokens_text(tokens: TokenCounts | None) -> str | None:
    """Return counts of tokens, as ``recorder stats`` and CSV have them; None where nothing was counted."""
    counts = tokens_json(tokens)
    return ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in counts.items()) if counts else None


def reports_told(reports: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], int]:
    """Return the reports of usage that people are shown: none of them holds all counts of all dialects.

    :return: the first ones, the last ones, and how many are left out between them.
    """
    if len(reports) <= _REPORTS:
        return reports, (), 0
    return reports[:1], reports[-1:], len(reports) - 2
