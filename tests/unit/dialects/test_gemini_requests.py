"""Requests of Gemini."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from recorder.core.messages import MediaPart, ToolResultPart
from recorder.dialects.gemini import DIALECT
from tests.unit.dialects.gemini_values import URL, VERTEX


def test_reads_requests() -> None:
    payload = {
        "systemInstruction": {"parts": [{"text": "be brief"}], "role": "user"},
        "contents": [
            {"role": "user", "parts": [{"text": "look"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}, "id": "c"}}]},
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "f", "id": "c", "response": {"output": "15°"}}},
                    {"function_response": {"name": "g", "response": {"error": "boom"}, "parts": [{}]}},
                ],
            },
            {"parts": {"text": "one"}},
        ],
        "generation_config": {"candidate_count": 3},
    }
    reading = DIALECT.read_request(VERTEX, payload)
    assert reading is not None
    assert (reading.dialect, reading.model, reading.choices) == ("gemini", "gemini-x", 3)
    system, user, model, tool, plain = reading.messages
    assert (system.role, system.text, user.role, user.text) == ("system", "be brief", "user", "look")
    assert user.parts[1] == MediaPart("image", "image/png", None, None, 3, hashlib.sha256(b"\0\0\0").hexdigest())
    (call,) = model.tool_calls
    assert (call.id, call.arguments, call.complete) == ("c", {"a": 1}, True)
    good, bad = tool.parts
    assert good == ToolResultPart("c", "f", "15°", None, {"output": "15°"})
    assert isinstance(bad, ToolResultPart)
    assert (bad.call_id, bad.name, bad.text, bad.failed) == (None, "g", None, True)
    assert (plain.role, plain.text) == (None, "one")


def test_a_system_instruction_that_is_a_text_and_a_model_that_is_named() -> None:
    reading = DIALECT.read_request("", {"system_instruction": "s", "contents": [], "model": "models/m"})
    assert reading is not None
    assert ([message.text for message in reading.messages], reading.model) == (["s"], "models/m")
    for url in (VERTEX, VERTEX.replace(":stream", "%3Astream"), VERTEX + "?alt=sse"):
        named = DIALECT.read_request(url, {"contents": []})
        assert named is not None
        assert named.model == "gemini-x"


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"contents": "x"}, {"contents": [1]}, {"messages": []}, {"request": 5}]
)
def test_other_requests_are_not_read(payload: Any) -> None:
    assert DIALECT.read_request(URL, payload) is None
