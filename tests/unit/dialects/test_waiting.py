"""Signs of life before an answer, however many, hide nothing of what it is."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.dialects.base import Clues, choose
from tests.building import URL, delta
from tests.unit.dialects.answers import rebuilt_from
from tests.unit.dialects.wire import JSON, NDJSON, SSE, document, ndjson, sse

ELSEWHERE = "https://gateway.example.test/llm"
CHAT = [delta(content="hi"), delta(finish="stop")]
ANTHROPIC: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"role": "assistant", "content": [], "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
RESPONSES = [
    {"type": "response.completed", "response": {"object": "response", "status": "completed", "output": [SAID]}}
]
GEMINI = [{"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}]
SIGNS: list[Any] = [
    {},
    {"type": "ping"},
    {"type": "keepalive", "sequence_number": 1},
    {"choices": []},
    {"status": "queued", "position": 3},
    {"id": "", "object": "", "created": 0, "model": "", "choices": []},
    "[PING]",
]


@pytest.mark.parametrize("url", [URL, ELSEWHERE])
@pytest.mark.parametrize("sign", SIGNS, ids=str)
@pytest.mark.parametrize("count", [1, 8, 300])
def test_signs_of_life_before_chat(sign: Any, url: str, count: int) -> None:
    rebuilt = rebuilt_from(sse(*[sign] * count, *CHAT, done=True), SSE, url, {"messages": []})
    assert (rebuilt.answer.dialect, rebuilt.verdict) == ("openai_chat", "complete")
    assert rebuilt.answer.choices[0].message.text == "hi"


@pytest.mark.parametrize(
    ("name", "values"),
    [("anthropic_messages", ANTHROPIC), ("openai_responses", RESPONSES), ("gemini", GEMINI)],
)
@pytest.mark.parametrize("sign", SIGNS, ids=str)
def test_and_before_others(name: str, values: list[Any], sign: Any) -> None:
    assert choose(Clues(ELSEWHERE, SSE, sse(*[sign] * 9, *values))).name == name


def test_and_before_lines() -> None:
    line = {"model": "m", "created_at": "t", "message": {"role": "assistant", "content": "hi"}, "done": True}
    for before in (ndjson(*[{"status": "loading"}] * 9), b"{}\n" + b"\n" * 10):
        assert choose(Clues(ELSEWHERE, NDJSON, before + ndjson(line))).name == "ollama"


@pytest.mark.parametrize("sign", [*SIGNS, ": waiting"], ids=str)
def test_where_nothing_came_but_them_the_url_decides(sign: Any) -> None:
    body = b": waiting\n\n" * 9 if sign == ": waiting" else sse(*[sign] * 9)
    url = "https://api.example.test/v1/models/m:streamGenerateContent?alt=sse"
    expected = "anthropic_messages" if sign == {"type": "ping"} else "gemini"
    assert choose(Clues(url, SSE, body)).name == expected


@pytest.mark.parametrize("url", [URL, ELSEWHERE])
def test_comments_and_empty_lines_of_any_length(url: str) -> None:
    answer = sse(*CHAT, done=True)
    whole = {"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": "hi"}}]}
    for body, kind in (
        (b": OPENROUTER PROCESSING\n\n" * 4000 + answer, SSE),
        (b"\n" * 70_000 + answer, SSE),
        (b"\n" * 70_000 + document(whole), JSON),
        (b"\xef\xbb\xbf" + b" \r\n" * 70_000 + document(whole), JSON),
    ):
        rebuilt = rebuilt_from(body, kind, url, {"messages": []})
        assert (rebuilt.answer.dialect, rebuilt.verdict) == ("openai_chat", "complete")
        assert rebuilt.answer.choices[0].message.text == "hi"


def test_what_says_something_else_is_not_looked_past() -> None:
    foreign = {"jsonrpc": "2.0", "result": {"content": [{"type": "text", "text": "x"}]}}
    assert choose(Clues(ELSEWHERE, SSE, sse(*[foreign] * 8, *GEMINI))).name == "opaque"
    assert choose(Clues(URL, SSE, sse({"type": "progress"}, {"text": "x"}))).name == "opaque"


def test_no_more_than_a_part_of_a_long_body_is_looked_through() -> None:
    waiting = b"data: {}\n\n" * 200_000
    assert choose(Clues(ELSEWHERE, SSE, waiting + sse(*CHAT))).name == "opaque"
    assert choose(Clues(URL, SSE, waiting + sse(*CHAT))).name == "openai_chat"
