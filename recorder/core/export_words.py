"""What of a text is the form of a protocol, and so stays: names of fields and events, words that tell kinds apart.

A rule leaves out what people read. Were it to change ``"content"`` in an answer, or ``"usage"``, the answer would lose
its text or its usage without a word; so these stay, and an export in which a rule finds one is refused. Names that a
user or a program chose are no such words, wherever the protocols have room for them: metadata, the arguments of a tool
call, the properties in a JSON schema, what a tool answered; nor is a name that no protocol would use (``Zoë M.``).
"""

from __future__ import annotations

import re
from typing import Final

from recorder.core.json_pieces import NAME, STRING, Piece, Place
from recorder.core.text_views import views

#: What names of fields and of events look like in every protocol; with what no name of a person or thing needs.
_NAME_LIKE: Final = re.compile(r"[@$]?[A-Za-z_$][A-Za-z0-9_$./:-]*")
_WORD_LIKE: Final = re.compile(r"[A-Za-z_.-]+")

#: Fields whose value tells what the object around it is, how it ended, or who speaks.
_KINDS: Final = frozenset(
    {
        *("type", "object", "role", "event", "event_type", "kind"),
        *("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason", "status"),
        "native_finish_reason",
    }
)
#: Such values, as requests have them: roles, kinds of content, types of JSON Schema. No secret is among them.
_KNOWN: Final = frozenset(
    {
        *("system", "developer", "user", "assistant", "tool", "function", "model", "chatbot"),
        *("text", "input_text", "output_text", "image", "image_url", "input_image", "input_audio", "file", "document"),
        *("message", "tool_use", "tool_result", "function_call", "function_call_output", "thinking", "reasoning"),
        *("object", "string", "number", "integer", "boolean", "array", "null", "json_object", "json_schema"),
    }
)
#: Objects whose names are the user's, at any depth.
_OPEN: Final = frozenset(
    {
        *("metadata", "requestMetadata", "labels", "args", "arguments", "json", "outputs", "tool_output", "documents"),
        *("variables", "promptVariables"),
    }
)
#: What an event of that name holds (Bedrock's ``metadata``), and nobody's metadata.
_NOT_OPEN: Final = frozenset({"usage", "metrics", "trace"})
#: The same as above, where they stand in one of these.
_OPEN_IN: Final = {
    "parameters": frozenset({"tool_calls", "call", "tool_call", "tool_call_delta"}),
    "response": frozenset({"functionResponse", "function_response"}),
}
#: Objects whose own names are the user's; those below them are words of JSON Schema (draft 2020-12 §10.3.2) again.
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "parameter_definitions"})


def stays(piece: Piece, raw: str) -> bool:
    """Whether a piece is a word of the protocol, which no rule changes.

    :param raw: what stands there.
    """
    if "\\" in raw:
        raw = next(views(raw, literal=True)).text
    if piece.kind == NAME:
        return bool(_NAME_LIKE.fullmatch(raw)) and not _is_open(piece.path)
    return piece.kind == STRING and _tells_kind(piece.path) and bool(_WORD_LIKE.fullmatch(raw))


def is_known_word(piece: Piece, raw: str) -> bool:
    """Whether a piece is a word that says of the object around it what it is, and nothing of anybody.

    :param raw: what stands there.
    """
    return piece.kind == STRING and raw in _KNOWN and _tells_kind(piece.path)


def _tells_kind(path: Place) -> bool:
    return bool(path) and path[-1] in _KINDS and not _is_open(path)


def _is_open(path: Place) -> bool:
    """Whether the names at a place are the user's."""
    if len(path) > 1 and path[-2] in _NAMED:
        return True
    for at, step in enumerate(path[:-1]):
        if (step in _OPEN and path[at + 1] not in _NOT_OPEN) or (
            step in _OPEN_IN and not _OPEN_IN[step].isdisjoint(path[:at])
        ):
            return True
        # the input of a call is an object; a list of messages is called so too
        if step == "input" and at and isinstance(path[at + 1], str):
            return True
    return False
