"""Messages as OpenTelemetry's GenAI conventions have them."""

from __future__ import annotations

import json

from recorder.core.messages import (
    Choice,
    CitationPart,
    MediaPart,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    ToolResultPart,
)
from recorder.formats.genai_messages import input_messages, instructions, output_messages
from tests.unit.formats.made import HOSTILE, called, said


def test_every_part_has_its_form() -> None:
    (message,) = input_messages(
        [
            said(
                "user",
                "text",
                ReasoningPart("hm", signature="s"),
                RefusalPart("no"),
                called("f", '{"a": 1}', "c", arguments={"a": 1}),
                ToolResultPart("c", name="f", text="4", failed=True),
                ToolResultPart(value={"n": float("nan")}),
                MediaPart("image", media_type="image/png", url="https://pictures.example.test/1.png"),
                MediaPart("file", file_id="file-1"),
                MediaPart("audio", size=3, sha256="00"),
                CitationPart({"x": 1}, url="https://sources.example.test"),
                OtherPart("video", {"v": 1}),
                name="ann",
            )
        ]
    )
    assert message == {
        "role": "user",
        "name": "ann",
        "parts": [
            {"type": "text", "content": "text"},
            {"type": "reasoning", "content": "hm"},
            {"type": "refusal", "content": "no"},
            {"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}},
            {"type": "tool_call_response", "id": "c", "response": "4", "name": "f", "failed": True},
            {"type": "tool_call_response", "response": {"n": "NaN"}},
            {
                "type": "uri",
                "mime_type": "image/png",
                "modality": "image",
                "uri": "https://pictures.example.test/1.png",
            },
            {"type": "file", "modality": "file", "file_id": "file-1"},
            {"type": "inline", "modality": "audio", "bytes": 3, "sha256": "00"},
            {"type": "citation", "url": "https://sources.example.test", "value": {"x": 1}},
            {"type": "other", "kind": "video", "value": {"v": 1}},
        ],
    }


def test_a_tool_message_is_the_response_to_its_call() -> None:
    assert input_messages([said("tool", "rainy", ", 57°F", tool_call_id="c")]) == [
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "rainy, 57°F"}]}
    ]
    assert input_messages([said("tool", ToolResultPart("c", text="x"), tool_call_id="c")])[0]["parts"] == [
        {"type": "tool_call_response", "id": "c", "response": "x"}
    ]


def test_a_call_that_may_be_cut_has_no_arguments() -> None:
    (message,) = output_messages([Choice(0, said("assistant", called(None, '{"quantity": 10', complete=False)))])
    assert message["parts"] == [{"type": "tool_call", "arguments_text": '{"quantity": 10', "complete": False}]
    assert "finish_reason" not in message


def test_roles_that_were_not_sent() -> None:
    assert input_messages([said(None, "q")])[0]["role"] == "unknown"
    (message,) = output_messages([Choice(1, said(None, "a"), ("stop",))])
    assert (message["role"], message["finish_reason"]) == ("assistant", "stop")


def test_any_text_can_be_written() -> None:
    written = json.dumps([input_messages([said(HOSTILE, HOSTILE)]), instructions([said("s", HOSTILE)])])
    assert written.encode()
    assert "\\ud800" not in written
