"""What the counts of each dialect hold."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    ("dialect", "counted", "output"),
    [
        # xAI: 221 + 20 + 147, under a dialect whose output holds reasoning otherwise
        ("openai_chat", {"input": 221, "output": 20, "total": 388, "cached": 192, "reasoning": 147}, 167),
        ("openai_chat", {"input": 221, "output": 167, "total": 388, "reasoning": 147}, 167),
        # OpenRouter: it counts reasoning in another way than the output that holds it
        ("openai_chat", {"input": 21, "output": 107, "total": 128, "reasoning": 118}, 107),
        ("openai_chat", {"output": 20, "reasoning": 147}, 20),
        ("openai_chat", {"input": 1, "output": 20, "total": 500, "reasoning": 147}, 20),  # neither: by the dialect
        ("openai_responses", {"input": 221, "output": 20, "total": 388, "reasoning": 147}, 167),
        ("gemini", {"input": 18, "output": 10, "total": 1440, "reasoning": 1412}, 1422),
        ("gemini", {"input": 18, "output": 1422, "total": 1440, "reasoning": 1412}, 1422),  # of a gateway
        ("gemini", {"input": 18, "total": 217, "reasoning": 199}, 199),
        ("anthropic_messages", {"input": 1, "cached": 10, "output": 5, "total": 20, "reasoning": 4}, 9),
        ("anthropic_messages", {"input": 1, "cached": 10, "output": 5, "total": 16, "reasoning": 4}, 5),
        # What reports no input has no sum that could be told from another one.
        ("openai_chat", {"output": 20, "total": 167, "reasoning": 147}, 20),
    ],
)
def test_the_total_tells_where_reasoning_is(dialect: str, counted: dict[str, int], output: int) -> None:
    assert whole_output(counted, dialect) == output


def test_what_tools_put_into_a_prompt_is_input() -> None:
    counted = {"input": 147, "output": 108, "total": 783, "reasoning": 168}  # and 360 of toolUsePromptTokenCount
    assert (whole_input(counted, "gemini"), whole_output(counted, "gemini")) == (507, 276)
    assert whole_input({"input": 18, "total": 217, "reasoning": 199}, "gemini") == 18
    assert whole_input({"input": 18, "total": 300, "reasoning": 199}, "gemini") == 18  # from the middle of an answer
    assert whole_input({"input": 5, "output": 3, "total": 7}, "gemini") == 5
    assert whole_input(counted, "openai_chat") == 147
