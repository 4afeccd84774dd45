"""Messages and parts as plain text, for people."""

from __future__ import annotations

from recorder.core.json_text import dumps
from recorder.core.message_json import part_json
from recorder.core.messages import (
    CitationPart,
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)


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
