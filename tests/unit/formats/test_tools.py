"""The tools that requests of all dialects offer."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.formats.tools import offered_tools

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
GEMINI_SCHEMA = {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}
WHOLE = {"name": "f", "description": "adds", "parameters": SCHEMA}


@pytest.mark.parametrize(
    "payload",
    [
        {"tools": [{"type": "function", "function": WHOLE}]},
        {"tools": [{"type": "function", **WHOLE}]},
        {"functions": [WHOLE]},
        {"tools": [{"name": "f", "description": "adds", "input_schema": SCHEMA}]},
        {"tools": [{"type": "custom", "name": "f", "description": "adds", "input_schema": SCHEMA}]},
        {"tools": [{"functionDeclarations": [{**WHOLE, "parameters": GEMINI_SCHEMA}]}, {"googleSearch": {}}]},
        {"tools": [{"functionDeclarations": [{"name": "f", "description": "adds", "parametersJsonSchema": SCHEMA}]}]},
        {"toolConfig": {"tools": [{"toolSpec": {**WHOLE, "parameters": None, "inputSchema": {"json": SCHEMA}}}]}},
    ],
    ids=["chat", "responses", "functions", "anthropic", "anthropic-custom", "gemini", "gemini-json", "bedrock"],
)
def test_functions_have_one_form(payload: Any) -> None:
    assert offered_tools(payload) == [{"type": "function", "function": WHOLE}]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {"tools": "f"},
        {"tools": [None, 1, {"type": "web_search_20250305", "name": "web_search"}, {"type": "web_search"}]},
        {"tools": [{"type": "custom", "custom": {"name": "grammar"}}, {"name": 1, "input_schema": SCHEMA}]},
        {"toolConfig": {"toolChoice": {}}},
    ],
)
def test_what_is_no_function_is_not_among_them(payload: Any) -> None:
    assert offered_tools(payload) == []


def test_what_was_not_sent_is_absent() -> None:
    assert offered_tools({"tools": [{"name": "f", "strict": True}]}) == [
        {"type": "function", "function": {"name": "f", "strict": True}}
    ]
