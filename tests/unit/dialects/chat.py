"""Answers of OpenAI chat, read."""

from __future__ import annotations

import json
from typing import Any

from recorder.core.messages import Answer
from recorder.dialects.base import Clues
from recorder.dialects.openai_chat import DIALECT
from tests.building import URL
from tests.unit.dialects.answers import rebuilt_from


def read(body: bytes, pieces: list[bytes] | None = None) -> Answer:
    reader = DIALECT.reader(Clues(URL, "text/event-stream", body))
    for piece in [body] if pieces is None else pieces:
        reader.feed(piece)
    return reader.close()


def streamed(*values: Any, done: bool = True) -> Answer:
    texts = [value if isinstance(value, str) else f"data: {json.dumps(value)}" for value in values]
    return read("".join(f"{text}\n\n" for text in [*texts, *(["data: [DONE]"] if done else [])]).encode())


def verdict(body: bytes, kind: str = "text/event-stream") -> str:
    rebuilt = rebuilt_from(body, kind, URL, {"messages": []})
    assert rebuilt.answer.dialect == "openai_chat"
    return rebuilt.verdict


def calls(answer: Answer) -> list[tuple[str | None, str | None, str, bool]]:
    return [(call.id, call.name, call.arguments_text, call.complete) for call in answer.choices[0].message.tool_calls]


def tool(index: int | None = 0, **fields: Any) -> dict[str, Any]:
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return ({} if index is None else {"index": index}) | fields | {"function": function}
