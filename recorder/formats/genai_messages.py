"""Messages as OpenTelemetry's GenAI conventions write them down: roles and parts.

https://github.com/open-telemetry/semantic-conventions-genai, ``model/gen-ai/gen-ai-input-messages.json`` and
``gen-ai-output-messages.json``. Parts that the conventions do not name are generic ones, as they allow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from recorder.core.json_text import plain, present, whole
from recorder.core.message_json import arguments_json, part_json
from recorder.core.messages import (
    Choice,
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

#: What stands for a role that was not sent: the conventions require one, and allow any text.
_NO_ROLE: Final = "unknown"


def input_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the messages of a request."""
    return [
        present(role=_role(message, _NO_ROLE), name=plain(message.name), parts=_parts(message)) for message in messages
    ]


def output_messages(choices: Iterable[Choice]) -> list[dict[str, Any]]:
    """Return the message of each choice. Who it is from is certain even where the role was not sent."""
    return [
        present(
            role=_role(choice.message, "assistant"),
            name=plain(choice.message.name),
            parts=_parts(choice.message),
            finish_reason=plain(choice.finish_reason),
        )
        for choice in choices
    ]


def instructions(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the parts of messages with instructions, as ``gen_ai.system_instructions`` has them."""
    return [part for message in messages for part in _parts(message)]


def _role(message: Message, absent: str) -> str:
    return whole(message.role) if message.role is not None else absent


def _parts(message: Message) -> list[dict[str, Any]]:
    texts_only = all(isinstance(part, TextPart) for part in message.parts)
    if message.tool_call_id is not None and texts_only:
        return [{"type": "tool_call_response", "id": whole(message.tool_call_id), "response": whole(message.text)}]
    return [_part(part) for part in message.parts]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "content": whole(part.text)}
    if isinstance(part, ReasoningPart):
        return {"type": "reasoning", "content": whole(part.text)}
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "content": whole(part.text)}
    if isinstance(part, ToolCallPart):
        return _call(part)
    if isinstance(part, ToolResultPart):
        response = plain(part.value) if part.text is None else whole(part.text)
        failed = present(name=plain(part.name), failed=part.failed)
        return {"type": "tool_call_response", **present(id=plain(part.call_id)), "response": response, **failed}
    if isinstance(part, MediaPart):
        return _media(part)
    return part_json(part)


def _call(part: ToolCallPart) -> dict[str, Any]:
    """Return a call; arguments that are not known to be complete are no ``arguments``."""
    told = {"type": "tool_call", **present(id=plain(part.id), name=plain(part.name))}
    if part.complete:
        return {**told, "arguments": arguments_json(part)}
    return {**told, "arguments_text": whole(part.arguments_text), "complete": False}


def _media(part: MediaPart) -> dict[str, Any]:
    about = {**present(mime_type=plain(part.media_type)), "modality": part.kind}
    if part.url is not None:
        return {"type": "uri", **about, "uri": whole(part.url)}
    if part.file_id is not None:
        return {"type": "file", **about, "file_id": whole(part.file_id)}
    return {"type": "inline", **about, **present(bytes=part.size, sha256=part.sha256)}
