"""Answers as they come over the wire, made of values."""

from __future__ import annotations

import json
from typing import Any

SSE = "text/event-stream"
JSON = "application/json"
NDJSON = "application/x-ndjson"


def sse(*values: Any, named: str | None = None, done: bool = False) -> bytes:
    """Return each value as the data of a server-sent event; texts as they are.

    :param named: the key of a value whose text is the event's name too.
    :param done: end with ``[DONE]``.
    """
    blocks: list[str] = []
    for value in [*values, *(["[DONE]"] if done else [])]:
        name = f"event: {value[named]}\n" if named and isinstance(value, dict) else ""
        blocks.append(f"{name}data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n\n")
    return "".join(blocks).encode()


def document(value: Any) -> bytes:
    """Return a value as a JSON document."""
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def ndjson(*values: Any) -> bytes:
    """Return one value a line."""
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)
