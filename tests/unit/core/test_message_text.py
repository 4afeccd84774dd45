"""Every kind of part as text."""

from __future__ import annotations

from recorder.core.message_text import message_text, reports_told, tokens_text
from recorder.core.messages import (
    CitationPart,
    MediaPart,
    Message,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenCounts,
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


def test_counts_that_were_sent_are_told_zeros_too() -> None:
    counts = TokenCounts(input=1_700, output=158, cache_written=0)
    assert tokens_text(counts) == "input 1,700, output 158, cache written 0"
    assert tokens_text(TokenCounts()) is None
    assert tokens_text(None) is None


def test_few_reports_are_all_told_of_many_the_first_and_the_last() -> None:
    reports = [{"output_tokens": number} for number in range(9)]
    assert reports_told([]) == ([], (), 0)
    assert reports_told(reports[:1]) == (reports[:1], (), 0)
    assert reports_told(reports[:4]) == (reports[:4], (), 0)
    assert reports_told(reports[:5]) == (reports[:1], reports[4:5], 3)
    assert reports_told(reports) == (reports[:1], reports[8:], 7)
