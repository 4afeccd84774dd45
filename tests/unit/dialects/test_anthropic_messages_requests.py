"""Requests of Anthropic Messages."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.messages import MediaPart, OtherPart, ReasoningPart, ToolCallPart, ToolResultPart
from recorder.dialects.anthropic_messages import DIALECT
from recorder.dialects.base import read_request
from tests.unit.dialects.anthropic_events import URL


def test_a_request() -> None:
    payload = {
        "model": "m-1",
        "max_tokens": 10,
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "tool_use", "id": "t", "name": "buy", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "done"}]},
                    {"type": "tool_result", "tool_use_id": "u", "content": "no", "is_error": True},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}, "title": "A"},
                    {"type": "document", "source": {"type": "text", "data": "words"}},
                ],
            },
        ],
    }
    for url in (URL, "https://gateway.example/anything"):
        reading = read_request(url, payload)
        assert reading is not None
        assert (reading.dialect, reading.model) == ("anthropic_messages", "m-1")
        system, first, second, third = reading.messages
        assert (system.role, system.text) == ("system", "Be kind.")
        assert system.extras == {"cache_control": [{"type": "ephemeral"}]}
        assert first.text == "Hi"
        assert second.parts == (
            ReasoningPart("hm", signature="s"),
            ToolCallPart("{}", "t", "buy", True, {}),
        )
        assert third.parts[:2] == (ToolResultPart("t", text="done"), ToolResultPart("u", text="no", failed=True))
        image, paper, words = third.parts[2:]
        assert isinstance(image, MediaPart)
        assert (image.kind, image.media_type, image.size) == ("image", "image/png", 3)
        assert isinstance(paper, MediaPart)
        assert (paper.kind, paper.url, paper.extras) == ("file", "https://a.example/a.pdf", {"title": "A"})
        assert words == OtherPart("document", payload["messages"][2]["content"][4])


@pytest.mark.parametrize(
    ("url", "payload"),
    [
        ("https://a.example/v1/chat/completions", {"system": "x", "max_tokens": 1}),
        ("https://a.example/model/m/converse", {"system": [{"text": "x"}], "inferenceConfig": {}}),
        ("https://a.example/anything", {"model": "m"}),
        ("https://a.example/anything", {"max_tokens": 5}),
    ],
)
def test_requests_that_are_not_its_own(url: str, payload: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": [{"text": "x"}] if "converse" in url else "x"}]
    assert DIALECT.read_request(url, {**payload, "messages": messages}) is None
    for broken in ({}, [], None, {"messages": 1}, {"messages": [1]}):
        assert DIALECT.read_request(URL, broken) is None


@pytest.mark.parametrize(
    "payload",
    [
        {"anthropic_version": "vertex-2023-10-16"},
        {"system": "Be kind.", "max_tokens": 9},
        {"tools": [{"name": "buy", "input_schema": {}}]},
    ],
)
def test_requests_known_by_their_fields(payload: dict[str, Any]) -> None:
    reading = DIALECT.read_request("", {**payload, "messages": [{"role": "user", "content": "x"}]})
    assert reading is not None
    assert reading.model is None
