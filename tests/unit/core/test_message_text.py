"""Every kind of part as text."""

from __future__ import annotations

from recorder.core.message_text import message_text
from recorder.core.messages import (
    CitationPart,
    MediaPart,
    Message,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)


def test_every_part_has_a_text() -> None:
    message = Message(
        None,
        (
            ReasoningPart("hm"),
            TextPart("a"),
            RefusalPart("no"),
            ToolCallPart('{"a":1}', name="buy", complete=True),
            ToolCallPart("{", complete=False),
            MediaPart("image", url="https://x/y.png"),
            MediaPart("audio", media_type="audio/wav", size=3),
            ToolResultPart("c", "buy", "done", failed=True),
            ToolResultPart("c", value=[1]),
            CitationPart({"i": 1}, title="t", url="u"),
            CitationPart(2),
            OtherPart("odd", {"x": 1}),
        ),
    )
    assert message_text(message).split("\n") == [
        "[reasoning] hm",
        "a",
        "[refusal] no",
        '[tool call] buy({"a":1})',
        "[tool call] name not sent({)  [arguments not known to be complete]",
        "[image https://x/y.png]",
        "[audio audio/wav 3 bytes]",
        "[tool result buy c failed] done",
        "[tool result c] [1]",
        '[citation t u] {"i": 1}',
        "[citation] 2",
        '[odd] {"x": 1}',
    ]
