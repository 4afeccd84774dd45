"""OpenAI chat: a whole ``message`` that comes beside the deltas of a stream."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.messages import RefusalPart, TextPart
from tests.building import delta
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.chat import calls, streamed, tool


def _with_message(message: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    """A last chunk that carries a whole message beside an empty delta, as SGLang's may."""
    last = delta(finish=finish)
    last["choices"][0]["message"] = {"role": "assistant", "content": "hi", **message}
    return last


def test_what_no_delta_brought_is_taken_from_a_whole_message_beside_them() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "http://x.example"}}
    detail = {"type": "reasoning.text", "text": "think", "signature": "S"}
    message = {
        "refusal": "no",
        "reasoning_content": "think",
        "reasoning_details": [detail],
        "annotations": [cited],
        "audio": {"id": "a", "transcript": "hi"},
        "tool_calls": [tool(id="a", name="f", arguments="{}")],
        "context": {"intent": "x"},
    }
    answer = streamed(delta(role="assistant", content="hi"), _with_message(message, "tool_calls"))
    (alone,) = streamed(_with_message(message, "tool_calls")).choices
    assert (answer.choices[0], kinds(answer)) == (alone, [])
    assert [type(part).__name__ for part in alone.message.parts] == [
        "ReasoningPart",
        "TextPart",
        "RefusalPart",
        "MediaPart",
        "CitationPart",
        "ToolCallPart",
    ]
    assert calls(answer) == [("a", "f", "{}", True)]
    assert alone.message.extras == {"context": [{"intent": "x"}]}
    first = _with_message({"refusal": "no"}) | {"usage": None}
    first["choices"][0]["finish_reason"] = None
    assert streamed(delta(content="hi"), first, _with_message({"refusal": None})).choices[0].message.parts == (
        TextPart("hi"),
        RefusalPart("no"),
    )


@pytest.mark.parametrize(
    ("field", "streamed_as", "whole"),
    [
        ("refusal", "no", "yes"),
        ("reasoning_content", "a", "b"),
        ("content", "a", "b"),
        ("content", "a", ""),
        ("content", "a", [{"type": "text", "text": "b"}]),
        ("audio", {"id": "a", "data": "AAAA"}, {"id": "a", "data": "BBBB"}),
        ("reasoning_details", [{"type": "t", "text": "a"}], [{"type": "t", "text": "b"}]),
    ],
)
def test_what_a_whole_message_says_otherwise_is_a_fact(field: str, streamed_as: Any, whole: Any) -> None:
    content = {} if field == "content" else {"content": "hi"}
    answer = streamed(delta(**content, **{field: streamed_as}), _with_message({field: whole}))
    (only,) = streamed(delta(**content, **{field: streamed_as})).choices
    assert (answer.choices[0].message.parts, kinds(answer)) == (only.message.parts, ["message_differs"])
    same = streamed(delta(**content, **{field: streamed_as}), _with_message({field: streamed_as}))
    assert (same.choices[0].message.parts, kinds(same)) == (only.message.parts, [])


def test_a_call_that_a_whole_message_says_otherwise_is_not_complete() -> None:
    bought = tool(id="a", name="buy", arguments='{"q":1}')

    def beside(*listed: dict[str, Any], first: dict[str, Any] = bought) -> tuple[list[Any], list[str]]:
        answer = streamed(delta(tool_calls=[first]), _with_message({"tool_calls": list(listed)}, "tool_calls"))
        return calls(answer), kinds(answer)

    differing = ["message_differs"]
    more = tool(id="a", name="buy", arguments='{"q":100}')
    other = tool(1, id="b", name="sell", arguments="{}")
    assert beside(bought) == ([("a", "buy", '{"q":1}', True)], [])
    assert beside(tool(None, name="buy", arguments='{"q": 1}')) == ([("a", "buy", '{"q":1}', True)], [])
    assert beside() == ([("a", "buy", '{"q":1}', True)], [])
    assert beside(more) == ([("a", "buy", '{"q":1}', False)], differing)
    assert beside(other) == ([("a", "buy", '{"q":1}', False), ("b", "sell", "{}", True)], differing)
    assert beside(bought, other) == ([("a", "buy", '{"q":1}', True), ("b", "sell", "{}", True)], differing)
    assert beside(bought, first=tool(id="a", name="buy", arguments="")) == ([("a", "buy", '{"q":1}', True)], [])
