"""Documents of programs that are no models, which have words in common with answers of models."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.dialects.base import Clues, choose
from tests.unit.dialects.wire import JSON, document

ELSEWHERE = "https://polls.example.test/api/1"


@pytest.mark.parametrize(
    "value",
    [
        {"choices": [{"message": "Red", "votes": 3}, {"message": "Blue", "votes": 4}]},
        {"choices": [{"delta": 3, "name": "Red"}]},
        {"choices": [{"message": {"text": "Red", "votes": 3}}]},
        {"choices": [{"text": "Red", "index": 0}, {"text": "Blue", "index": 1}]},
        {"id": 7, "choices": [{"text": "Red"}]},
        {"response": "saved", "done": True, "model": "Tesla"},
        {"message": {"level": "warning"}, "done": True, "model": "Tesla"},
        {"outputs": [{"text": "compiled"}]},
        {"generations": [{"text": "the second"}]},
        {"completions": [{"data": {"text": "word"}}]},
        {"candidates": [{"name": "Bob", "content": "x"}]},
        {"object": "chat.completion.deleted", "id": "c", "deleted": True},
    ],
    ids=str,
)
def test_they_are_no_answers(value: dict[str, Any]) -> None:
    assert choose(Clues(ELSEWHERE, JSON, document(value))).name == "opaque"


@pytest.mark.parametrize(
    ("value", "url", "name"),
    [
        ({"choices": [{"text": "a", "index": 0}]}, "https://a.example/v1/completions", "openai_completions"),
        ({"choices": [{"text": "a", "finish_reason": None}]}, ELSEWHERE, "openai_completions"),
        ({"model": "m", "choices": [{"text": "a"}]}, ELSEWHERE, "openai_completions"),
        ({"choices": [{"message": {"content": "a"}}]}, ELSEWHERE, "openai_chat"),
        ({"choices": [{"delta": None, "finish_reason": "stop"}]}, ELSEWHERE, "openai_chat"),
        ({"response": "a", "done": True, "model": "m"}, "http://127.0.0.1:11434/api/generate", "ollama"),
        ({"response": "a", "done": True, "model": "m", "eval_count": 1}, ELSEWHERE, "ollama"),
        ({"message": {"role": "assistant", "content": "a"}, "done": True, "model": "m"}, ELSEWHERE, "ollama"),
        ({"outputs": [{"text": "a", "stop_reason": "stop"}]}, ELSEWHERE, "bedrock_invoke"),
    ],
    ids=str,
)
def test_answers_that_say_little_are_known_all_the_same(value: dict[str, Any], url: str, name: str) -> None:
    assert choose(Clues(url, JSON, document(value))).name == name
