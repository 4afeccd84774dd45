"""Answers as they come over the wire, made of values."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

SSE = "text/event-stream"
JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENTSTREAM = "application/vnd.amazon.eventstream"


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


def frame(payload: bytes, headers: Mapping[str, str] | bytes) -> bytes:
    """Return an AWS event-stream frame.

    :param headers: texts by name; bytes are taken as they are.
    """
    if not isinstance(headers, bytes):
        named = [(name.encode(), value.encode()) for name, value in headers.items()]
        headers = b"".join(
            bytes([len(name)]) + name + b"\x07" + len(value).to_bytes(2, "big") + value for name, value in named
        )
    prelude = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    whole = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return whole + zlib.crc32(whole).to_bytes(4, "big")


def framed(kind: str, value: Any) -> bytes:
    """Return a value as the frame of an event of a kind, as Bedrock sends it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(json.dumps(value, ensure_ascii=False).encode(), headers)


def excepted(kind: str, message: str) -> bytes:
    """Return an exception as a frame, as Bedrock sends it."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(json.dumps({"message": message}).encode(), headers)
