"""The tools that a request offers, in one form for all dialects: that of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from recorder.core.json_text import plain

_SCHEMAS: Final = ("parameters", "parametersJsonSchema", "input_schema", "inputSchema")

#: https://ai.google.dev/api/caching#Type
_GEMINI_TYPES: Final = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})


def offered_tools(payload: Any) -> list[dict[str, Any]]:
    """Return the functions that a request's JSON *payload* offers, as ``{"type": "function", "function": {…}}``.

    Understood are ``tools`` of OpenAI (chat and Responses), Anthropic, Gemini, Cohere and Ollama, ``toolConfig`` of
    Bedrock and OpenAI's old ``functions``. Tools that the provider runs itself are no functions and not among them.
    """
    return [{"type": "function", "function": function} for entry in _entries(payload) if (function := _function(entry))]


def _entries(payload: Any) -> Iterator[Any]:
    if not isinstance(payload, dict):
        return
    config = payload.get("toolConfig")
    sources = (
        payload.get("tools"),
        payload.get("functions"),
        config.get("tools") if isinstance(config, dict) else None,
    )
    for entry in (entry for source in sources if isinstance(source, list) for entry in source):
        declared = _first(entry, "functionDeclarations", "function_declarations")
        if isinstance(declared, list):
            yield from declared
        else:
            yield entry


def _function(entry: Any) -> dict[str, Any] | None:
    if not isinstance(entry, dict):
        return None
    inner = _first(entry, "function", "toolSpec")
    told = inner if isinstance(inner, dict) else entry
    schema = _first(told, *_SCHEMAS)
    # Those of a provider have a name and a type, and say nothing of their arguments.
    theirs = inner is None and schema is None and entry.get("type") not in (None, "function")
    if theirs or not isinstance(told.get("name"), str):
        return None
    if isinstance(schema, dict) and isinstance(schema.get("json"), dict):  # Bedrock
        schema = schema["json"]
    shown = {key: told[key] for key in ("name", "description") if isinstance(told.get(key), str)}
    if isinstance(schema, dict):
        shown["parameters"] = _json_schema(schema)
    if isinstance(told.get("strict"), bool):
        shown["strict"] = told["strict"]
    found: dict[str, Any] = plain(shown)
    return found


def _json_schema(value: Any) -> Any:
    """Return a schema with the types of Gemini's (``OBJECT``) by JSON Schema's names."""
    if isinstance(value, list):
        return [_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _json_schema(item) for key, item in value.items()}
    kind = found.get("type")
    return found | {"type": kind.lower()} if isinstance(kind, str) and kind in _GEMINI_TYPES else found


def _first(value: Any, *keys: str) -> Any:
    return next((value[key] for key in keys if value.get(key) is not None), None) if isinstance(value, dict) else None
