"""Requests of Bedrock Converse."""

from __future__ import annotations

from recorder.core.messages import MediaPart, OtherPart, TextPart, ToolCallPart, ToolResultPart
from recorder.dialects.base import read_request
from recorder.dialects.bedrock_converse import DIALECT
from tests.unit.dialects.converse_frames import URL


def test_a_request() -> None:
    paper = {"format": "txt", "name": "policy", "source": {"text": "words"}}
    payload = {
        "system": [{"text": "Be kind."}],
        "inferenceConfig": {},
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}, {"document": paper}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "buy", "input": {}}}]},
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "t", "content": [{"text": "done"}], "status": "success"}},
                    {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}]}},
                    {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
                    {"document": {"format": "pdf", "name": "p", "source": {"bytes": "AAAA"}}},
                ],
            },
        ],
    }
    for url, model in ((URL, "vendor.model-v1:0"), ("https://gateway.example/x", None)):
        reading = read_request(url, payload)
        assert reading is not None
        assert (reading.dialect, reading.model) == ("bedrock_converse", model)
        system, first, second, third = reading.messages
        assert (system.role, system.text) == ("system", "Be kind.")
        assert first.parts == (TextPart("Hi"), OtherPart("document", {"document": paper}))
        assert second.parts == (ToolCallPart("{}", "t", "buy", True, {}),)
        assert third.parts[:2] == (
            ToolResultPart("t", None, "done", False),
            ToolResultPart("t", value={"toolUseId": "t", "content": [{"json": {"a": 1}}]}),
        )
        image, file = third.parts[2:]
        assert isinstance(image, MediaPart)
        assert isinstance(file, MediaPart)
        assert (image.media_type, image.size) == ("image/png", 3)
        assert (file.kind, file.extras) == ("file", {"name": "p", "format": "pdf"})


def test_requests_that_are_not_its_own() -> None:
    for payload in (
        {"messages": [{"role": "user", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        {"messages": []},
        {"messages": 1},
        [],
    ):
        assert DIALECT.read_request("https://a.example/v1/messages", payload) is None
