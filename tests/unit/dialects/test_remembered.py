"""What was read before is not read again, and is what reading it again would give."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.messages import Message, RequestReading, TextPart
from recorder.dialects.base import read_request
from recorder.dialects.remembered import Remembered, again, read_each

CALL = {"id": "c1", "type": "function", "function": {"name": "order", "arguments": '{"qty": 1}'}}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Trade."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
        {"role": "user", "content": "One?"},
    ],
}
REQUESTS = {
    "https://api.openai.com/v1/chat/completions": CHAT,
    "https://api.anthropic.com/v1/messages": {
        "model": "c",
        "max_tokens": 9,
        "system": "Trade.",
        "messages": [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "order", "input": {"qty": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "done"}]},
        ],
    },
    "https://api.openai.com/v1/responses": {
        "model": "m",
        "instructions": "Trade.",
        "input": [
            {"role": "user", "content": "One?"},
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "order", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
            {"role": "assistant", "content": "Done."},
            7,
        ],
    },
    "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent": {
        "systemInstruction": {"parts": [{"text": "Trade."}]},
        "contents": [{"role": "user", "parts": [{"text": "One?"}]}, {"role": "model", "parts": [{"text": "Two."}]}],
    },
    "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse": {
        "messages": [{"role": "user", "content": [{"text": "One?"}]}, {"role": "assistant", "content": [{"text": "2"}]}]
    },
    "https://api.cohere.com/v2/chat": {"model": "c", "messages": [{"role": "user", "content": "One?"}] * 2},
    "https://api.cohere.com/v1/chat": {
        "message": "Three?",
        "chat_history": [{"role": "USER", "message": "One?"}, {"role": "CHATBOT", "message": "Two."}, "odd"],
    },
    "http://localhost:11434/api/chat": {"model": "l", "messages": [{"role": "user", "content": "One?"}, "odd"]},
}


def texts(messages: list[Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content} for content in messages]


def read(message: dict[str, Any]) -> Message:
    return Message(message.get("role"), (TextPart(repr(message)),))


@pytest.mark.parametrize("url", REQUESTS)
def test_a_dialect_reads_the_same_with_it_and_without(url: str) -> None:
    remembered, payload = Remembered(), REQUESTS[url]
    first = _reading(url, payload)
    told, repeated = (_reading(url, remembered.payload(payload)) for _ in range(2))
    assert first.dialect != "opaque"
    assert first == told == repeated
    assert any(map(lambda one, two: one is two, told.messages, repeated.messages))


def _reading(url: str, payload: Any) -> RequestReading:
    found = read_request(url, payload)
    assert found is not None
    return found


def test_each_message_of_a_long_conversation_is_read_once() -> None:
    remembered, asked = Remembered(), list[Any]()

    def counted(message: dict[str, Any]) -> Message:
        asked.append(message)
        return read(message)

    history = texts([f"number {at}" for at in range(300)])
    for size in range(1, 301):
        sent = remembered.payload({"messages": history[:size]})["messages"]
        assert len(read_each(counted, sent)) == size
    assert asked == history


def test_values_that_python_takes_for_equal_are_not_the_same() -> None:
    values = [1, 1.0, True, "1", None, [], {}, 0.0, -0.0, "\ud83d", "\\ud83d", {"a": 1, "b": 2}, {"b": 2, "a": 1}]
    sent = Remembered().payload({"messages": texts(values)})["messages"]
    assert read_each(read, sent) == [read(message) for message in texts(values)]


def test_two_readers_do_not_get_what_the_other_read() -> None:
    sent = Remembered().payload({"messages": ["a"]})["messages"]
    assert (again(sent)(str.upper, "a"), again(sent)(str.title, "abc"), again(sent)(str.upper, "abc")) == (
        *("A", "Abc", "ABC"),
    )


def test_what_does_not_come_again_is_dropped() -> None:
    remembered, asked = Remembered(most=10_000), list[int]()
    for at in [*range(1000), 0, 999]:
        remembered.read(lambda one: asked.append(one) or one, at)
    assert len(asked) == 1002  # another function each time: nothing is shared
    assert len(remembered._new) + len(remembered._old) < 30


def test_something_large_is_not_kept() -> None:
    remembered = Remembered()
    large, small = {"content": "x" * 300_000}, {"content": "x"}
    assert remembered.read(read, large) is not remembered.read(read, large)
    assert remembered.read(read, small) is remembered.read(read, small)


@pytest.mark.parametrize("payload", [None, [1], "text", 5])
def test_a_payload_that_is_no_object_stays(payload: Any) -> None:
    assert Remembered().payload(payload) is payload
