"""Messages and their parts in HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from recorder.core.json_text import whole
from recorder.core.messages import (
    CitationPart,
    MediaPart,
    Message,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from recorder.formats.html_text import block, code, folded, json_block, link, shown

#: What a role looks like; a role that is not here looks like no role.
_LOOKS: Final = {
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "chatbot": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}


def message_html(message: Message, title: str, note: str = "") -> Iterator[str]:
    """Yield a message.

    :param title: what it is headed by: its role, as it was recorded.
    :param note: HTML after it.
    """
    look = _LOOKS.get((message.role or "").lower(), "")
    yield f'<article class="message {look}">\n<h3>{shown(title)}{note}</h3>\n'
    if message.name is not None:
        yield f'<p class="facts">name {code(message.name)}</p>\n'
    if message.tool_call_id is not None:
        yield f'<p class="facts">answers call {code(message.tool_call_id)}</p>\n'
    for part in message.parts:
        yield _SHOWN[type(part)](part)
    if message.extras:
        yield folded("Other fields", json_block(message.extras))
    yield "</article>\n"


def _text(part: TextPart) -> str:
    return block(part.text)


def _reasoning(part: ReasoningPart) -> str:
    content = block(part.text) if part.text else ""
    for name, value in (("Signature", part.signature), ("Encrypted", part.encrypted)):
        if value is not None:
            content += f'<p class="dim">{name}</p>\n' + block(value, "mono")
    if part.details:
        content += folded("Details as sent", json_block(part.details))
    size = f"{len(part.text):,} characters" if part.text else "no text was sent"
    return folded(f"Reasoning ({size})", content, "reasoning")


def _refusal(part: RefusalPart) -> str:
    return _box("Refusal", block(part.text))


def _call(part: ToolCallPart) -> str:
    name = code(part.name) if part.name is not None else "(name not sent)"
    title = f"Tool call {name}" + (f" {code(part.id)}" if part.id else "")
    if not part.complete:
        title += ' <span class="unfinished">arguments not known to be complete</span>'
    return _box(title, block(part.arguments_text, "mono") + _rest(part.extras))


def _result(part: ToolResultPart) -> str:
    told = [code(text) for text in (part.name, part.call_id) if text]
    title = " ".join(["Tool result", *told, *(['<span class="unfinished">failed</span>'] if part.failed else [])])
    content = block(part.text) if part.text is not None else ""
    return _box(title, content + (folded("Result as sent", json_block(part.value)) if part.value is not None else ""))


def _citation(part: CitationPart) -> str:
    title = f"Citation {shown(part.title)}" if part.title else "Citation"
    content = block(part.text) if part.text else ""
    return _box(title, _place(part.url) + content + folded("Citation as sent", json_block(part.value)))


def _media(part: MediaPart) -> str:
    told = [part.media_type, None if part.size is None else f"{part.size:,} bytes", part.file_id]
    title = " ".join([shown(part.kind.capitalize()), *(code(text) for text in told if text)])
    digest = f'<p class="dim">SHA-256 {code(part.sha256)}</p>\n' if part.sha256 else ""
    return _box(title, _place(part.url) + digest + _rest(part.extras))


def _other(part: OtherPart) -> str:
    return _box(code(part.kind), json_block(part.value))


_SHOWN: Final[dict[type[Part], Callable[[Any], str]]] = {
    TextPart: _text,
    ReasoningPart: _reasoning,
    RefusalPart: _refusal,
    ToolCallPart: _call,
    ToolResultPart: _result,
    CitationPart: _citation,
    MediaPart: _media,
    OtherPart: _other,
}


def _box(title: str, content: str) -> str:
    return f'<div class="part">\n<p class="dim">{title}</p>\n{content}</div>\n'


def _place(url: str | None) -> str:
    return f"<p>{link(whole(url))}</p>\n" if url else ""


def _rest(extras: Any) -> str:
    return folded("Other fields", json_block(extras)) if extras else ""
