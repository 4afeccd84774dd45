"""Exchanges with OpenAI's Responses, where the provider keeps the history."""

from __future__ import annotations

import json
from typing import Any

from tests.building import ExchangeBuilder

URL = "https://api.openai.example/v1/responses"


def kept_exchange(
    number: int,
    asks: Any = "go on",
    says: str | None = "hold",
    *,
    identity: str | None = None,
    url: str = URL,
    stream: bool = False,
    facts: dict[str, Any] | None = None,
    **fields: Any,
) -> ExchangeBuilder:
    """Return an exchange.

    :param asks: the ``input`` of the request.
    :param says: the answer; the server fails where it is None.
    :param identity: the id of the answer, ``resp_NUMBER`` where it is None.
    :param facts: of its first event.
    :param fields: of the request.
    """
    payload = {"model": "m-1", "input": asks, **fields}
    built = ExchangeBuilder(number).request(payload, url=url, **{"call": f"call-{number}"} | (facts or {}))
    if says is None:
        built.response(500, headers=[("content-type", "application/json")])
        return built.chunks(b'{"error": {"message": "overloaded"}}').completed()
    text = {"type": "output_text", "text": says, "annotations": []}
    item = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant", "content": [text]}
    answer = {"id": identity or f"resp_{number}", "object": "response", "model": "m-1"}
    done = answer | {"status": "completed", "output": [item]}
    if not stream:
        built.response(headers=[("content-type", "application/json")], framing="length")
        return built.chunks(json.dumps(done).encode()).completed()
    built.response(headers=[("content-type", "text/event-stream")])
    created = {"type": "response.created", "response": answer | {"status": "in_progress", "output": []}}
    events = [created, {"type": "response.output_item.done", "output_index": 0, "item": item}]
    for event in [*events, {"type": "response.completed", "response": done}]:
        built.chunks(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    return built.completed()


def fetching(
    number: int,
    identity: str,
    says: str | None = None,
    *,
    status: str = "completed",
    stops: bool = False,
    url: str = URL,
    facts: dict[str, Any] | None = None,
) -> ExchangeBuilder:
    """Return an exchange that asks for an answer by its id, or *stops* it.

    :param says: the answer; nothing of it is there where it is None.
    """
    method, place = ("POST", f"{url}/{identity}/cancel") if stops else ("GET", f"{url}/{identity}?include[]=usage")
    built = ExchangeBuilder(number).request(method=method, url=place, **{"call": f"call-{number}"} | (facts or {}))
    text = {"type": "output_text", "text": says, "annotations": []}
    item = {"type": "message", "id": f"msg_of_{identity}", "status": status, "role": "assistant", "content": [text]}
    answer = {"id": identity, "object": "response", "model": "m-1", "status": status}
    built.response(headers=[("content-type", "application/json")], framing="length")
    return built.chunks(json.dumps(answer | {"output": [item] if says else []}).encode()).completed()
