"""What the counts of each dialect hold."""

from __future__ import annotations

from recorder.core.token_counting import whole_input, whole_output


def test_cached_tokens_are_added_where_they_stand_apart() -> None:
    counted = {"input": 1, "cached": 10, "cache_written": 100}
    assert [whole_input(counted, dialect) for dialect in ("openai_chat", "anthropic_messages", "bedrock_invoke")] == [
        *(1, 111, 111)
    ]
    assert whole_input({"cached": 10}, "anthropic_messages") is None


def test_reasoning_is_added_where_it_stands_apart() -> None:
    counted = {"output": 1, "reasoning": 10}
    assert [whole_output(counted, dialect) for dialect in ("openai_chat", "anthropic_messages", "gemini")] == [1, 1, 11]
    assert whole_output({"reasoning": 10}, "gemini") == 10
    assert whole_output({"reasoning": 10}, "openai_chat") is None
