"""What the tables of LLM's logs have in common: tools, attachments, options, times, what an answer says."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from recorder.core.json_text import parse_json, present
from recorder.formats.importing.chats import message_of
from recorder.formats.importing.source import Database
from recorder.formats.importing.values import iso_ns, mapping_or_empty, text, word


def json_or_text(value: Any) -> Any:
    """Return what JSON in a column stands for; text that is none as it is; None where there is nothing."""
    told = text(value)
    if not told:
        return None
    try:
        return parse_json(told)
    except ValueError:
        return told


def time_of(value: Any) -> int | None:
    """Return a time of LLM's, which is UTC without saying so, as nanoseconds; None where it is none."""
    told = text(value).strip()
    return iso_ns(told) or iso_ns(f"{told}+00:00")


def row_of(database: Database, table: str, identity: Any) -> dict[str, Any]:
    """Return the row of a table that has an id; an empty one where there is none."""
    return next(database.rows(table, id=identity), {})


def attachment(database: Database, identity: Any) -> dict[str, Any]:
    """Return an attachment as a block of content: by its URL, else with its bytes, else by its path."""
    row = row_of(database, "attachments", identity)
    kind, url, held = text(row.get("type")), text(row.get("url")), row.get("content")
    if not url and isinstance(held, bytes):
        url = f"data:{kind};base64,{base64.b64encode(held).decode('ascii')}"
    if url and kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    path = text(row.get("path"))
    if url:
        return {"type": "file", "file": {"file_data": url} | ({"filename": path} if path else {})}
    return {"type": "attachment"} | ({"path": path, "media_type": kind} if path else {"id": text(identity)})


def tools_of(database: Database, identities: Iterable[Any]) -> list[dict[str, Any]] | None:
    """Return tools as a request of OpenAI's has them; None where there are none."""
    rows = [row_of(database, "tools", identity) for identity in identities]
    told = [
        present(
            name=text(row.get("name")),
            description=text(row.get("description")) or None,
            parameters=json_or_text(row.get("input_schema")),
        )
        for row in rows
        if row
    ]
    return [{"type": "function", "function": one} for one in told] or None


def asked_of(database: Database, row: Mapping[str, Any], tools: Iterable[Any]) -> dict[str, Any]:
    """Return what a request has beside its messages: the model by LLM's name, options, tools, the answer's schema."""
    schema = row.get("schema_id")
    return present(
        model=text(row.get("model")) or None,
        options=json_or_text(row.get("options_json")) or None,
        tools=tools_of(database, tools),
        schema=None if schema is None else json_or_text(row_of(database, "schemas", schema).get("content")),
        prompt_json=json_or_text(row.get("prompt_json")),
    )


def answer_of(row: Mapping[str, Any], message: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    """Return an answer: its message, and what its row and its ``response_json`` tell of it.

    :param message: None where it says nothing.
    :param more: what else it has; None is left out.
    """
    kept = json_or_text(row.get("response_json"))
    told = mapping_or_empty(kept)
    first, candidate = _first(told.get("choices")), _first(told.get("candidates"))
    reasons = (
        told.get("finish_reason"),
        first.get("finish_reason"),
        told.get("stop_reason"),
        told.get("done_reason"),
        candidate.get("finishReason"),
    )
    choice = {"index": 0, "message": message or {"role": "assistant", "content": ""}}
    choice |= present(finish_reason=next((one for one in reasons if isinstance(one, str)), None))
    counts = present(prompt_tokens=_count(row.get("input_tokens")), completion_tokens=_count(row.get("output_tokens")))
    details = json_or_text(row.get("token_details"))
    usage = {**(details if isinstance(details, dict) else {}), **counts}
    return present(
        id=word(told.get("id")) or None,
        model=text(row.get("resolved_model")) or word(told.get("model")) or None,
        choices=[choice],
        usage=usage or None,
        response_json=kept,
        **more,
    )


def says_whole(row: Mapping[str, Any]) -> bool:
    """Return whether ``response_json`` says that the answer came to its end, as Ollama and OpenAI's Responses do."""
    told = mapping_or_empty(json_or_text(row.get("response_json")))
    return told.get("done") is True or told.get("status") == "completed"


def _first(values: Any) -> dict[str, Any]:
    return mapping_or_empty(values[0]) if isinstance(values, list) and values else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def result_of(database: Database, row: Mapping[str, Any], attached: Iterable[Any]) -> dict[str, Any]:
    """Return what a tool answered, as a message.

    :param row: with ``name``, ``output``, ``tool_call_id`` and ``exception``.
    :param attached: ids of attachments.
    """
    blocks = [text(row.get("output")), *(attachment(database, identity) for identity in attached)]
    named = {name: text(row.get(name)) or None for name in ("tool_call_id", "name", "exception")}
    return message_of("tool", blocks, **named) or {"role": "tool", "content": "", **present(**named)}
