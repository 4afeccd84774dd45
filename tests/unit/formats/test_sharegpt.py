"""ShareGPT, checked by the rules that LLaMA-Factory's data/README.md states."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.messages import MediaPart, Message, OtherPart, ReasoningPart, RefusalPart, ToolResultPart
from recorder.core.rebuilt import Rebuilt
from recorder.formats.base import render
from tests.unit.formats.made import HOSTILE, called, said, told

ANSWER = said("assistant", "a")


def examples(*exchanges: Rebuilt) -> list[dict[str, Any]]:
    found = []
    for piece in render("sharegpt", exchanges):
        assert isinstance(piece, str)
        assert piece.count("\n") == 1
        assert piece.encode()
        example = json.loads(piece, parse_constant=pytest.fail)
        assert example.keys() == {"conversations", "system", "tools"}
        turns = example["conversations"]
        assert turns
        assert len(turns) % 2 == 0
        for at, turn in enumerate(turns):
            assert turn["from"] in (("gpt", "function_call") if at % 2 else ("human", "observation"))
            assert isinstance(turn["value"], str)
            if turn["from"] == "function_call":
                calls = json.loads(turn["value"])
                assert all(
                    {"name", "arguments"} == call.keys() for call in (calls if isinstance(calls, list) else [calls])
                )
        found.append(example)
    return found


def turns(*messages: Message, answer: Message = ANSWER) -> list[tuple[str, str]]:
    (example,) = examples(told(list(messages), answer))
    return [(turn["from"], turn["value"]) for turn in example["conversations"]]


def test_sides_take_turns() -> None:
    assert turns(said("user", "q"), said("model", "x"), said("user", HOSTILE)) == [
        ("human", "q"),
        ("gpt", "x"),
        ("human", HOSTILE.replace("\ud800", "\ufffd")),
        ("gpt", "a"),
    ]


def test_instructions_and_tools_have_their_own_fields() -> None:
    payload = {"model": "m", "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}
    (example,) = examples(
        told([said("system", "one"), said("developer", "two"), said("user", "q")], ANSWER, payload=payload)
    )
    assert example["system"] == "one\n\ntwo"
    assert json.loads(example["tools"]) == [{"name": "f", "parameters": {}}]
    (example,) = examples(told([said("user", "q")], ANSWER))
    assert (example["system"], example["tools"]) == ("", "")


def test_calls_and_observations() -> None:
    asked = said("user", "q")
    one = turns(asked, said("assistant", called("f", '{"a": 1.50}', "c")), said("tool", "4", tool_call_id="c"))
    assert one == [
        ("human", "q"),
        ("function_call", '{"name": "f", "arguments": {"a": 1.50}}'),
        ("observation", "4"),
        ("gpt", "a"),
    ]
    several = turns(
        asked,
        said("assistant", "  ", called("f", "", "c", arguments={}), called("g", "[]", "d")),
        said("user", ToolResultPart("c", text="4"), ToolResultPart("d", text="5")),
    )
    assert several[1:3] == [
        ("function_call", '[{"name": "f", "arguments": {}}, {"name": "g", "arguments": []}]'),
        ("observation", '["4", "5"]'),
    ]
    assert turns(asked, answer=said("assistant", called("f", "{}", "c")))[-1][0] == "function_call"
    old = turns(asked, said("assistant", called("f", "{}", legacy=True)), said("function", "4", name="f"))
    assert [side for side, _ in old] == ["human", "function_call", "observation", "gpt"]


def test_reasoning_is_left_out_and_a_refusal_is_what_was_said() -> None:
    assert turns(said("user", "q"), answer=said("assistant", ReasoningPart("hm"), "a"))[-1] == ("gpt", "a")
    assert turns(said("user", "q"), answer=said("assistant", RefusalPart("no")))[-1] == ("gpt", "no")
    assert turns(said("user", "q", "r"))[0] == ("human", "q\n\nr")


@pytest.mark.parametrize(
    "messages",
    [
        [said("user", "q"), said("user", "r")],
        [said("user", "q"), said("assistant", "x")],
        [said("assistant", "x"), said("user", "q")],
        [said("user", "q"), said("assistant", "x"), said("system", "s"), said("user", "r")],
        [said("system", "s")],
        [said("user", "q"), said("assistant", "text", called("f", "{}", "c")), said("tool", "4", tool_call_id="c")],
        [
            said("user", "q"),
            said("assistant", called("f", "{", "c", complete=False)),
            said("tool", "4", tool_call_id="c"),
        ],
        [
            said("user", "q"),
            said("assistant", called("f", "{}", "c")),
            said("user", ToolResultPart("c", text="4"), "r"),
        ],
        [said("user", "q", MediaPart("image", url="https://pictures.example.test/1.png"))],
        [said("user", "q", OtherPart("video", {}))],
        [said(None, "q")],
    ],
    ids=["two", "three", "last", "middle", "system", "beside", "cut", "both", "picture", "other", "nobody"],
)
def test_what_cannot_take_turns_makes_no_line(messages: list[Message]) -> None:
    assert examples(told(messages, ANSWER)) == []


@pytest.mark.parametrize("answer", [said("assistant"), said("assistant", " \n"), said("assistant", ReasoningPart("x"))])
def test_an_answer_that_says_nothing_makes_no_line(answer: Message) -> None:
    assert examples(told([said("user", "q")], answer)) == []


def test_an_answer_that_is_not_whole_makes_no_line() -> None:
    asked = [said("user", "q")]
    assert examples(told(asked, ANSWER, verdict="truncated")) == []
    assert examples(told(asked, ANSWER, verdict="unknown")) == []
    assert examples(told(asked, ANSWER, finish="length")) == []
    assert len(examples(told(asked, ANSWER, finish=None))) == 1
