"""JSON Lines: one exchange a line, each what ``show --json`` prints; and JSON: one document of them.

Each has the bytes too (``recording``), from which the rest can be derived again: an export can be imported.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from recorder.core.conversation import Conversation
from recorder.core.exchange import Exchange
from recorder.core.json_text import present
from recorder.core.rebuilt import Rebuilt, as_json, origin_json, place_of, relation_of


class JsonLines:
    """One exchange a line."""

    name = "jsonl"
    help = "one line for each exchange, as show --json has it, with its bytes"

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield a line for each exchange."""
        for rebuilt in exchanges:
            yield document(rebuilt, conversation) + "\n"


def document(rebuilt: Rebuilt, conversation: Conversation | None, indent: int | None = None) -> str:
    """Return one exchange as a JSON document."""
    place = place_of(rebuilt, conversation)
    value: dict[str, Any] = as_json(
        rebuilt,
        conversation=place.conversation,
        parent=place.parent,
        relation=relation_of(rebuilt, conversation),
    )
    value["recording"] = _recording(rebuilt.exchange)
    if rebuilt.links:
        value["links"] = [one.as_json() for one in rebuilt.links]
    value |= {"imported": None, "imported_at": None} | origin_json(rebuilt.exchange)
    value = present(**value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _recording(exchange: Exchange) -> dict[str, Any]:
    """Return the bytes of both bodies, in UTF-8 or base64, where the chunks were cut, and when each arrived."""
    request, response = exchange.request, exchange.response
    versions = present(
        request=request.version or None if request else None, response=response.version or None if response else None
    )
    return present(
        **_body("request_body", request.payload if request else b""),
        **_body("response_body", exchange.body),
        chunks=None if exchange.lacks("chunk_boundaries") else list(cuts(exchange)),
        head_ns=exchange.head_ns,
        end_ns=exchange.duration_ns,
        http=versions or None,
    )


def cuts(exchange: Exchange) -> Iterator[dict[str, int]]:
    """Yield each chunk of a body: where it ends, and nanoseconds after the request, where that is known."""
    timed = not exchange.lacks("chunk_times")
    for chunk in exchange.chunks:
        yield {"end": chunk.end} | ({"elapsed_ns": chunk.mono_ns - exchange.origin_ns} if timed else {})


def _body(name: str, body: bytes) -> dict[str, str]:
    if not body:
        return {}
    try:
        return {name: body.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(body).decode("ascii")}


FORMAT = JsonLines()
