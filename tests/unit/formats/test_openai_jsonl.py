"""OpenAI's JSON Lines for fine-tuning; the official SDK's types check the messages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from pydantic import TypeAdapter

from recorder.core.conversation import Conversation
from recorder.core.exchange import fold
from recorder.core.messages import NOT_AS_WRITTEN, Anomaly, MediaPart, Message, ToolResultPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from recorder.formats.openai_jsonl import untaught
from tests.building import ExchangeBuilder, delta
from tests.unit.formats.made import HOSTILE, called, said, told

MESSAGES = TypeAdapter(list[ChatCompletionMessageParam])
TOOLS = TypeAdapter(list[ChatCompletionFunctionToolParam])
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def examples(*exchanges: Rebuilt, conversation: Conversation | None = None) -> list[dict[str, Any]]:
    found = []
    for piece in render("openai-jsonl", exchanges, conversation):
        assert isinstance(piece, str)
        assert piece.count("\n") == 1
        assert piece.encode()
        example = json.loads(piece, parse_constant=pytest.fail)
        MESSAGES.validate_json(json.dumps(example["messages"]))
        TOOLS.validate_json(json.dumps(example.get("tools", [])))
        found.append(example)
    return found


def asked(
    payload: dict[str, Any], *values: Any, number: int = 1, end: str = "response_completed", status: int = 200
) -> Rebuilt:
    builder = ExchangeBuilder(number).request({"model": "m"} | payload, call=f"call-{number}")
    folded = fold(builder.response(status).sse(*values, done=end == "response_completed").event(end, {}).events)
    assert folded is not None
    return rebuild(folded)


def test_an_openai_request_is_as_it_was_sent() -> None:
    sent = [
        {"role": "system", "content": "s", "name": "n"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": HOSTILE.replace("\ud800", "")},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            ],
        },
    ]
    tools = [FUNCTION, {"type": "openrouter:web_search", "parameters": {}}, {"type": "function"}, None]
    payload = {"messages": sent, "tools": tools, "parallel_tool_calls": False, "temperature": 0}
    one = asked(payload, delta(role="assistant", content="It is "), delta(content="red.", finish="stop"))
    assert examples(one) == [
        {
            "messages": [*sent, {"role": "assistant", "content": "It is red."}],
            "tools": [FUNCTION],
            "parallel_tool_calls": False,
        }
    ]


def test_a_call_in_the_answer() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a": 1'}}
    rest = {"index": 0, "function": {"arguments": "}"}}
    question = {"messages": [{"role": "user", "content": "q"}]}
    (example,) = examples(
        asked(question, delta(tool_calls=[call]), delta(tool_calls=[rest]), delta(finish="tool_calls"))
    )
    assert example["messages"][1] == {
        "role": "assistant",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
    }
    assert examples(asked(question, delta(tool_calls=[call]), delta(finish="tool_calls"))) == []


QUESTION = {"messages": [{"role": "user", "content": "q"}]}


@pytest.mark.parametrize(
    "one",
    [
        asked(QUESTION, delta(content="cut he"), end="response_truncated"),
        asked(QUESTION, delta(content="cut he"), end="consumer_closed"),
        asked(QUESTION, delta(content="cut he"), end="recorder_closed"),
        asked(QUESTION, delta(content="cut he"), {"error": {"message": "overloaded"}}),
        asked(QUESTION, delta(content="cut he", finish="length")),
        asked(QUESTION, delta(content="cut he", finish="content_filter")),
        asked(QUESTION, delta(content="whole", finish="stop"), status=500),
        asked(QUESTION, delta(content="", finish="stop")),
        asked(QUESTION),
        asked({"prompt": "no messages"}, delta(content="whole", finish="stop")),
        asked({"messages": []}, delta(content="whole", finish="stop")),
    ],
    ids=[
        "truncated",
        "aborted",
        "unknown",
        "error",
        "length",
        "filter",
        "500",
        "empty",
        "none",
        "no-messages",
        "no-one",
    ],
)
def test_an_answer_that_is_not_whole_makes_no_line(one: Rebuilt) -> None:
    assert examples(one) == []


def test_requests_that_never_had_an_answer_make_no_line() -> None:
    for builder in (
        ExchangeBuilder().request(QUESTION).event("request_failed", {"kind": "dns"}),
        ExchangeBuilder().request(b"\0\xff no JSON").response().sse(delta(content="x", finish="stop")).completed(),
        ExchangeBuilder().request(QUESTION).response().chunks(b"\0binary").completed(),
    ):
        folded = fold(builder.events)
        assert folded is not None
        assert examples(rebuild(folded)) == []


def test_a_recording_that_was_changed_afterwards_teaches_nobody() -> None:
    one = asked(QUESTION, delta(content="Hold.", finish="stop"))
    assert len(examples(one)) == 1
    assert examples(replace(one, anomalies=(Anomaly(NOT_AS_WRITTEN, "version 4 is missing"),))) == []


def test_every_choice_is_a_line() -> None:
    one = told([said("user", "q")], said("assistant", "a"), said(None, "b"))
    assert [example["messages"][-1] for example in examples(one)] == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]


def test_a_conversation_is_one_line_and_where_it_was_cut_the_line_before() -> None:
    first = asked(QUESTION, delta(content="a", finish="stop"), number=1)
    history = [*QUESTION["messages"], {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}]
    second = asked({"messages": history}, delta(content="b", finish="stop"), number=2)
    cut = asked({"messages": history}, delta(content="b"), number=2, end="response_truncated")
    tree = Conversation("c", None, (first.id, second.id), {second.id: first.id})
    assert [len(example["messages"]) for example in examples(first, second, conversation=tree)] == [4]
    assert [len(example["messages"]) for example in examples(first, cut, conversation=tree)] == [2]


def test_other_dialects_are_mapped_with_their_tools() -> None:
    one = told(
        [
            said("system", "be brief"),
            said("user", "2+2?", MediaPart("image", url="https://pictures.example.test/1.png")),
            said("assistant", called("f", '{"a":1}', "toolu_1")),
            said("user", ToolResultPart("toolu_1", text="4")),
        ],
        said("assistant", "4"),
        dialect="anthropic_messages",
        payload={"model": "m", "tools": [{"name": "f", "input_schema": {"type": "object"}}]},
    )
    (example,) = examples(one)
    assert [message["role"] for message in example["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert example["tools"] == [FUNCTION]


@pytest.mark.parametrize("message", [said(None, "?"), said("user", MediaPart("image", size=3, sha256="00"))])
def test_what_has_no_place_costs_the_line(message: Message) -> None:
    assert examples(told([message], said("assistant", "a"))) == []


@pytest.mark.parametrize("kept", [{"previous_response_id": "resp_1"}, {"conversation": {"id": "conv_1"}}])
@pytest.mark.parametrize("name", ["openai-jsonl", "sharegpt"])
def test_a_request_whose_history_the_provider_keeps_makes_no_line(name: str, kept: dict[str, Any]) -> None:
    whole, part = (
        told([said("user", "q")], said("assistant", "a"), payload={"model": "m", "input": "q"} | more)
        for more in ({"conversation": None, "previous_response_id": None}, kept)
    )
    assert len(list(render(name, [whole]))) == 1
    assert list(render(name, [part])) == []
    assert untaught(part) == "a request whose history the provider keeps"
