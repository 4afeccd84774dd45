"""Calls without arguments: a client sends them back with an empty object, which no model said that was cut before."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.conversation import Relation
from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder, delta
from tests.unit.core.test_history import relations, told

GO = {"role": "user", "content": "go"}
DONE = {"role": "tool", "tool_call_id": "c0", "content": "done"}


def calls(*arguments: str) -> list[dict[str, Any]]:
    return [
        {"index": at, "id": f"c{at}", "type": "function", "function": {"name": "close_all", "arguments": text}}
        for at, text in enumerate(arguments)
    ]


def called(*arguments: str, number: int = 1, finish: str = "", ends: str = "response_completed") -> Rebuilt:
    built = ExchangeBuilder(number).request({"messages": [GO]}, call=f"call-{number}").response()
    values = [delta(role="assistant"), *(delta(tool_calls=[call]) for call in calls(*arguments))]
    built.sse(*values, *([delta(finish=finish)] if finish else []), done=bool(finish)).event(ends, {})
    exchange = fold(built.events)
    assert exchange is not None
    return rebuild(exchange)


def sent_back(*arguments: str, number: int = 2, more: bool = False) -> Rebuilt:
    messages = [GO, {"role": "assistant", "tool_calls": calls(*arguments)}, DONE]
    messages += [{"role": "assistant", "content": "closed"}, GO] if more else []
    built = ExchangeBuilder(number).request({"messages": messages}, call=f"call-{number}").response()
    exchange = fold(built.sse(delta(role="assistant", content="closed"), delta(finish="stop")).completed().events)
    assert exchange is not None
    return rebuild(exchange)


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(called("", ends="response_truncated"), id="the connection broke"),
        pytest.param(called(" ", ends="response_completed"), id="the end never came"),
        pytest.param(called("", ends="consumer_closed"), id="the program did not read on"),
        pytest.param(called("", finish="length"), id="no more tokens"),
        pytest.param(called('{"a": 1}', "", ends="response_truncated"), id="the second of two"),
    ],
)
def test_what_was_made_up_for_arguments_that_were_cut_off_is_found(cut: Rebuilt) -> None:
    *whole, last = (call.arguments_text for call in cut.answer_messages[0].tool_calls)
    (fact,) = relations(cut, sent_back(*whole, "{}"))[1].findings
    assert (fact.kind, "close_all(" + last.strip() in fact.detail, "close_all({})" in fact.detail) == (
        "answer_edited",
        True,
        True,
    )
    assert relations(cut, sent_back(*whole, ""))[1] == Relation("continues", cut.id)
    assert told(relations(cut, sent_back(*whole, '{"lots": 1}'))[1]) == ["answer_edited"]
    once = relations(cut, sent_back(*whole, "{}"), sent_back(*whole, "{}", number=3, more=True))
    assert told(once[2]) == []


@pytest.mark.parametrize(
    ("arguments", "finish", "ends"),
    [
        (("",), "tool_calls", "response_completed"),
        (("",), "stop", "response_completed"),
        (("", '{"a": 1}'), "", "response_truncated"),  # the second one came after it
    ],
)
@pytest.mark.parametrize("back", ["", "{}", "{ }"])
def test_a_call_without_arguments_that_was_not_cut_is_sent_back_either_way(
    arguments: tuple[str, ...], finish: str, ends: str, back: str
) -> None:
    whole = called(*arguments, finish=finish, ends=ends)
    assert relations(whole, sent_back(back, *arguments[1:]))[1] == Relation("continues", whole.id)


@pytest.mark.parametrize("back", ["", "{}"])
def test_a_call_that_was_asked_for_again_was_not_cut(back: str) -> None:
    cut, again = called("", ends="response_truncated"), called("", number=2, finish="tool_calls")
    assert relations(cut, again, sent_back(back, number=3))[1:] == [
        Relation("retries", cut.id),
        Relation("continues", again.id),
    ]


def test_nobody_made_anything_up_where_the_recording_itself_lacks_the_rest() -> None:
    unknown = called("", ends="recorder_closed")
    assert unknown.verdict == "unknown"
    assert relations(unknown, sent_back("{}"))[1] == Relation("continues", unknown.id)


def test_a_cut_call_of_anthropic_is_found() -> None:
    block = {"type": "tool_use", "id": "c0", "name": "close_all", "input": {}}
    head = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m", "usage": {}}
    url = "https://api.anthropic.test/v1/messages"
    events = [
        {"type": "message_start", "message": head},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    ends = [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    result = {"type": "tool_result", "tool_use_id": "c0", "content": "done"}
    back = [GO, {"role": "assistant", "content": [block]}, {"role": "user", "content": [result]}]

    def exchange(number: int, messages: list[dict[str, Any]], values: list[dict[str, Any]], end: str) -> Rebuilt:
        built = ExchangeBuilder(number).request({"messages": messages, "max_tokens": 9}, url=url, call=f"c{number}")
        frames = [f"event: {value['type']}\n" + f"data: {value}\n\n".replace("'", '"') for value in values]
        folded = fold(built.response().chunks(*map(str.encode, frames)).event(end, {}).events)
        assert folded is not None
        return rebuild(folded)

    cut = exchange(1, [GO], events, "response_truncated")
    whole = exchange(1, [GO], [*events, *ends], "response_completed")
    on = exchange(2, back, [*events, *ends], "response_completed")
    assert (cut.verdict, whole.verdict) == ("truncated", "complete")
    assert told(relations(cut, on)[1]) == ["answer_edited"]
    assert told(relations(whole, on)[1]) == []
