"""Which call a result answers counts, and neither the ids of calls nor the order in which results are sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.history import relate
from recorder.core.history_results import in_order_of_calls
from recorder.core.messages import Message, TextPart, ToolCallPart, ToolResultPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder

CHAT, MESSAGES = URL, "https://api.example/v1/messages"
ASK: dict[str, Any] = {"role": "user", "content": "prices of A and B?"}
Results = Sequence[tuple[str, str]]


def calls(dialect: str, *ids: str) -> dict[str, Any]:
    if dialect == MESSAGES:
        uses = [{"type": "tool_use", "id": one, "name": "price", "input": {"s": at}} for at, one in enumerate(ids)]
        return {"role": "assistant", "content": uses}
    functions = [{"name": "price", "arguments": json.dumps({"s": at})} for at in range(len(ids))]
    told = [{"id": one, "type": "function", "function": said} for one, said in zip(ids, functions, strict=True)]
    return {"role": "assistant", "content": None, "tool_calls": told}


def results(dialect: str, told: Results) -> list[dict[str, Any]]:
    if dialect == MESSAGES:
        return [
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": one, "content": text} for one, text in told],
            }
        ]
    return [{"role": "tool", "tool_call_id": one, "content": text} for one, text in told]


def sent(dialect: str, number: int, messages: list[dict[str, Any]], answer: dict[str, Any]) -> Rebuilt:
    built = ExchangeBuilder(number).request({"messages": messages}, url=dialect, call=f"call-{number}")
    if dialect == MESSAGES:
        body = {"type": "message", "stop_reason": "end_turn", **answer}
    else:
        body = {"object": "chat.completion", "choices": [{"index": 0, "message": answer, "finish_reason": "stop"}]}
    built.response(headers=[("content-type", "application/json")]).chunks(json.dumps(body).encode()).completed()
    exchange = fold(built.events)
    assert exchange is not None
    return rebuild(exchange)


def told(dialect: str, first: Results, again: Results, ids: tuple[str, str] = ("c1", "c2")) -> list[str]:
    said = {"role": "assistant", "content": [{"type": "text", "text": "A is dearer"}]}
    if dialect == CHAT:
        said["content"] = "A is dearer"
    asked = [ASK, calls(dialect, "c1", "c2"), *results(dialect, first)]
    more = [ASK, calls(dialect, *ids), *results(dialect, again), said, {"role": "user", "content": "sure?"}]
    exchanges = [
        sent(dialect, 1, [ASK], calls(dialect, "c1", "c2")),
        sent(dialect, 2, asked, said),
        sent(dialect, 3, more, said),
    ]
    found = [relate(exchanges)[one.id] for one in exchanges]
    assert [one.kind for one in found] == ["begins", "continues", "continues"]
    assert found[1].of == exchanges[0].id
    assert found[2].of == exchanges[1].id
    assert not found[1].findings
    return [f"{fact.kind} {fact.detail}" for fact in found[2].findings]


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES])
@pytest.mark.parametrize("first", [[("c1", "100"), ("c2", "200")], [("c2", "200"), ("c1", "100")]])
def test_results_under_each_others_calls_are_told(dialect: str, first: Results) -> None:
    for again in ([("c1", "200"), ("c2", "100")], [("c2", "100"), ("c1", "200")]):
        kinds = [one.split()[0] for one in told(dialect, first, again)]
        assert kinds == (["message_moved"] if dialect == CHAT else ["message_edited"])


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES])
def test_results_in_another_order_or_with_renamed_ids_are_the_same(dialect: str) -> None:
    straight, other = [("c1", "100"), ("c2", "200")], [("c2", "200"), ("c1", "100")]
    assert not told(dialect, straight, other)
    assert not told(dialect, other, straight)
    renamed = [("z", "200"), ("y", "100")]
    assert not told(dialect, straight, renamed, ("y", "z"))
    assert not told(dialect, other, renamed[::-1], ("y", "z"))


def test_a_result_that_was_moved_is_told_by_its_call() -> None:
    (fact,) = told(CHAT, [("c1", "100"), ("c2", "200")], [("c2", "100"), ("c1", "200")])
    assert fact == "message_moved tool '100', once the result of call 1 of its turn, is that of call 2"


def test_what_is_of_no_one_call_stays_where_it_is() -> None:
    both = Message("assistant", (ToolCallPart("{}", "a", "f"), ToolCallPart("{}", "b", "f")))
    second, first = (
        Message("tool", (TextPart("2"),), tool_call_id="b"),
        Message("tool", (TextPart("1"),), tool_call_id="a"),
    )
    assert in_order_of_calls([both, second, first]) == [both, first, second]
    for messages in (
        [both, first, second],
        [both, second, second, first],
        [both, second, Message("user", (TextPart("now"),)), first],
        [both, Message("tool", (TextPart("2"),)), first],
        [Message("assistant", (ToolCallPart("{}", "a", "f"), ToolCallPart("{}", "a", "f"))), second, first],
        [Message("assistant", (ToolCallPart("{}", None, "f"), ToolCallPart("{}", "b", "f"))), second, first],
        [second, first],
        [],
    ):
        assert in_order_of_calls(messages) is messages
    text = TextPart("and")
    parts = ToolResultPart("b", text="2"), text, ToolResultPart("a", text="1")
    (_, one) = in_order_of_calls([both, Message("user", parts)])
    assert one.parts == (parts[2], text, parts[0])
