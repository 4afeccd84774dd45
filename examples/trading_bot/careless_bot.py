"""The same bot with a bug that nobody sees while the network is well: it acts on what it has.

It places the order as soon as the arguments look like one, mending them where a bracket is missing: the way many
"robust" parsers of streamed JSON do.
"""

from __future__ import annotations

import json

import requests
from bot import Order, order_of, request_body


def decide(session: requests.Session, url: str, question: str) -> Order | None:
    """Ask the model; return the order that it calls for, as far as it was heard."""
    arguments = ""
    try:
        with session.post(url, json=request_body(question), stream=True, timeout=30) as response:
            for line in response.iter_lines():
                if line.startswith(b"data: {"):
                    for choice in json.loads(line[6:]).get("choices", ()):
                        for call in choice["delta"].get("tool_calls", ()):
                            arguments += call["function"].get("arguments", "")
    except (requests.RequestException, ValueError):
        pass  # "we have enough"
    return order_of(arguments) or order_of(arguments + "}")
