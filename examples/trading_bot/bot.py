"""A trading bot in one file: it asks a model what to do, and places the order that the model calls for.

The rule of this file: an order is placed when the whole answer is here, and never before. A tool call whose
arguments were cut in the middle can be valid JSON with the wrong quantity.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests

TOOL = {
    "type": "function",
    "function": {
        "name": "place_order",
        "parameters": {
            "type": "object",
            "properties": {
                "symbol": {"type": "string"},
                "side": {"type": "string", "enum": ["buy", "sell"]},
                "quantity": {"type": "integer"},
            },
            "required": ["symbol", "side", "quantity"],
        },
    },
}


@dataclass(frozen=True)
class Order:
    """What goes to the broker."""

    symbol: str
    side: str
    quantity: int


def request_body(question: str) -> dict[str, Any]:
    """Return what is sent to the model."""
    return {
        "model": "desk-1",
        "messages": [
            {"role": "system", "content": "You are a trading desk's assistant."},
            {"role": "user", "content": question},
        ],
        "tools": [TOOL],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def events(response: requests.Response) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a streamed answer.

    :raises EOFError: the stream ended without its ``[DONE]``: what came is not the whole answer.
    """
    for line in response.iter_lines():
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        yield json.loads(data)
    raise EOFError("the stream ended without [DONE]")


def decide(session: requests.Session, url: str, question: str) -> Order | None:
    """Ask the model; return the order that it calls for, or None where there is none to be placed.

    Whatever is wrong with the answer, no order follows from it.
    """
    arguments, reason = "", None
    try:
        with session.post(url, json=request_body(question), stream=True, timeout=30) as response:
            response.raise_for_status()
            for event in events(response):
                if "error" in event:
                    return None
                for choice in event.get("choices", ()):
                    for call in choice["delta"].get("tool_calls", ()):
                        arguments += call["function"].get("arguments", "")
                    reason = choice.get("finish_reason") or reason
    except (requests.RequestException, EOFError, ValueError):
        return None
    return order_of(arguments) if reason == "tool_calls" else None


def order_of(arguments: str) -> Order | None:
    """Return the order that a tool call's arguments describe, or None where they describe none."""
    try:
        found = json.loads(arguments)
        return Order(str(found["symbol"]), str(found["side"]), int(found["quantity"]))
    except (ValueError, KeyError, TypeError):
        return None
