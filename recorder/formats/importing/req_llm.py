"""Fixtures of ReqLLM for Elixir (https://github.com/agentjido/req_llm): one exchange a file, a stream in its chunks.

The chunks are those that the transport delivered; their times are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recorder.formats.importing.base import UNTIMED, WHOLE, Cut, Foreign, Recording, Refused, cuts_after
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import (
    EntryError,
    as_bytes,
    from_base64,
    headers,
    json_bytes,
    mapping,
    status_of,
    text,
)


class ReqLlm:
    """ReqLLM's fixtures."""

    name = "req-llm"
    help = "fixtures of ReqLLM, with their chunks"
    order = 20

    def recognises(self, source: Source) -> bool:
        """A document with one request, whose body is in base64, and its response."""
        value = source.json if source.looks_like_json else None
        request = value.get("request") if isinstance(value, dict) and isinstance(value.get("response"), dict) else None
        body = request.get("body") if isinstance(request, dict) else None
        return isinstance(body, dict) and "b64" in body

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        return Recording(self.name, _entries(source.json))


def _entries(value: dict[str, Any]) -> Iterator[Foreign | Refused]:
    try:
        yield _exchange(value)
    except EntryError as error:
        yield Refused(1, str(error))


def _exchange(value: dict[str, Any]) -> Foreign:
    request, response = mapping(value["request"], "request"), mapping(value["response"], "response")
    body, lacks = _body(response.get("body"))
    cuts: tuple[Cut, ...] | None = None
    if isinstance(value.get("chunks"), list):
        pieces = [from_base64(mapping(chunk, "chunk").get("b64")) for chunk in value["chunks"]]
        body, lacks, cuts = b"".join(pieces), (), cuts_after(pieces)
    return Foreign(
        1,
        text(request.get("method")).upper(),
        text(request.get("url")),
        headers(request.get("headers")),
        from_base64(request["body"]["b64"]),
        status_of(response.get("status")),
        "",
        headers(response.get("headers")),
        body,
        cuts=cuts,
        missing=(*lacks, "http_version", *UNTIMED, *(WHOLE if cuts is None else ())),
        recorded=text(value.get("captured_at")) or None,
    )


def _body(value: Any) -> tuple[bytes, tuple[str, ...]]:
    if isinstance(value, dict) and value.keys() == {"b64"}:
        return from_base64(value["b64"]), ()
    if isinstance(value, dict | list):
        return json_bytes(value), ("response_bytes",)
    return as_bytes(value), ()


IMPORTER = ReqLlm()
