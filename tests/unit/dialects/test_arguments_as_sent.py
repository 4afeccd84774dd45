"""Arguments that come as a JSON value are shown as they stand in the body, and numbers with all of their digits."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.holes import without_holes
from recorder.core.message_json import part_json
from recorder.core.messages import Answer, ToolCallPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.dialects.remembered import Remembered
from tests.building import ExchangeBuilder
from tests.unit.dialects.answers import kinds, rebuilt_from
from tests.unit.dialects.wire import EVENTSTREAM, JSON, NDJSON, SSE, framed

ARGUMENTS = (
    '{ "price": 2.50,\t"amount": 12345678901234567890.123456789, "tiny": 1.0000000000000000001, "é": "\\u00e9" }'
)
VALUE = {
    "price": 2.5,
    "amount": Decimal("12345678901234567890.123456789"),
    "tiny": Decimal("1.0000000000000000001"),
    "é": "é",
}
#: Stands in a template for the arguments.
HERE = "~arguments~"


def text_of(template: Any, arguments: str = ARGUMENTS) -> str:
    return json.dumps(template, ensure_ascii=False).replace(f'"{HERE}"', arguments)


def event(template: Any, arguments: str = ARGUMENTS) -> bytes:
    named = f"event: {template['type']}\n" if isinstance(template.get("type"), str) else ""
    return f"{named}data: {text_of(template, arguments)}\n\n".encode()


def answer_of(body: bytes, kind: str, url: str) -> Answer:
    return rebuilt_from(body, kind, url).answer


GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent"
CALLED = {"functionCall": {"name": "buy", "args": HERE}}
CANDIDATE = {"candidates": [{"content": {"role": "model", "parts": [CALLED]}, "finishReason": "STOP", "index": 0}]}
CLAUDE = "https://api.anthropic.com/v1/messages"
USE = {"type": "tool_use", "id": "t", "name": "buy", "input": HERE}
MESSAGE = {
    "id": "msg",
    "type": "message",
    "role": "assistant",
    "model": "c",
    "content": [{"type": "text", "text": "Hi"}, USE],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
STARTED = MESSAGE | {"content": [], "stop_reason": None}
OLLAMA = "http://localhost:11434/api/chat"
LOCAL = {
    "model": "l",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "buy", "arguments": HERE}}]},
    "done": True,
    "done_reason": "stop",
}
CONVERSE = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse"
INVOKE = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke-with-response-stream"
CONVERSED: Any = {
    "output": {
        "message": {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "buy", "input": HERE}}]}
    },
    "stopReason": "tool_use",
}
COHERE = "https://api.cohere.com/v1/chat"
COMMAND = {"text": "", "generation_id": "g", "finish_reason": "COMPLETE"}
COMMAND |= {"tool_calls": [{"name": "buy", "parameters": HERE}]}
COHERE_2 = "https://api.cohere.com/v2/chat"
FUNCTION = {"id": "t", "type": "function", "function": {"name": "buy", "arguments": HERE}}
COMMAND_2 = {"id": "1", "finish_reason": "TOOL_CALL", "message": {"role": "assistant", "tool_calls": [FUNCTION]}}
CHAT = "https://api.example.test/v1/chat/completions"
CHUNK = {
    "id": "c",
    "object": "chat.completion.chunk",
    "model": "m",
    "choices": [{"index": 0, "delta": {"tool_calls": [FUNCTION | {"index": 0}]}, "finish_reason": "tool_calls"}],
}
RESPONSES = "https://api.openai.com/v1/responses"
ITEM = {"type": "function_call", "id": "fc", "call_id": "t", "name": "buy", "arguments": HERE, "status": "completed"}
RESPONSE = {"id": "r", "object": "response", "status": "completed", "model": "m", "output": [ITEM]}
ANSWERS = {
    "gemini": (event(CANDIDATE), SSE, GEMINI),
    "gemini array": (f"[{text_of(CANDIDATE)}\n]".encode(), JSON, GEMINI),
    "gemini crlf": (event(CANDIDATE).replace(b"\n\n", b"\r\n\r\n"), SSE, GEMINI),
    "anthropic document": (text_of(MESSAGE).encode(), JSON, CLAUDE),
    "anthropic document with a BOM": (b"\xef\xbb\xbf" + text_of(MESSAGE).encode(), JSON, CLAUDE),
    "anthropic start event": (
        event({"type": "message_start", "message": STARTED})
        + event({"type": "content_block_start", "index": 0, "content_block": USE})
        + event({"type": "content_block_stop", "index": 0})
        + event({"type": "message_delta", "delta": {"stop_reason": "tool_use"}})
        + event({"type": "message_stop"}),
        SSE,
        CLAUDE,
    ),
    "ollama line": (text_of(LOCAL).encode() + b"\n", NDJSON, OLLAMA),
    "ollama document": (text_of(LOCAL).encode(), JSON, OLLAMA),
    "converse document": (text_of(CONVERSED).encode(), JSON, CONVERSE),
    "invoke": (
        b"".join(
            framed("chunk", {"bytes": base64.b64encode(text_of(value).encode()).decode()})
            for value in (
                {"type": "message_start", "message": STARTED},
                {"type": "content_block_start", "index": 0, "content_block": USE},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
                {"type": "message_stop"},
            )
        ),
        EVENTSTREAM,
        INVOKE,
    ),
    "cohere v1": (text_of(COMMAND).encode(), JSON, COHERE),
    "cohere v2": (text_of(COMMAND_2).encode(), JSON, COHERE_2),
    "chat chunk": (event(CHUNK) + b"data: [DONE]\n\n", SSE, CHAT),
    "responses": (text_of(RESPONSE).encode(), JSON, RESPONSES),
}


def calls_in(answer: Answer) -> list[ToolCallPart]:
    return [call for choice in answer.choices for call in choice.message.tool_calls]


@pytest.mark.parametrize("name", ANSWERS)
def test_of_an_answer_they_are_what_stands_in_the_body(name: str) -> None:
    (call,) = calls_in(answer_of(*ANSWERS[name]))
    assert (call.arguments_text, call.complete, call.arguments) == (ARGUMENTS, True, VALUE)


@pytest.mark.parametrize("name", [name for name, (_, kind, _) in ANSWERS.items() if kind != EVENTSTREAM])
def test_a_name_that_comes_twice_is_found_in_what_was_sent(name: str) -> None:
    body, kind, url = ANSWERS[name]
    answer = answer_of(body.replace(ARGUMENTS.encode(), b'{"q": 1, "q": 2}'), kind, url)
    (call,) = calls_in(answer)
    assert (call.arguments_text, call.complete, "tool_argument_repeated" in kinds(answer)) == (
        *('{"q": 1, "q": 2}', False, True),
    )


SAID = {"role": "user", "content": "Buy"}
REQUESTS = {
    "anthropic": (CLAUDE, {"model": "c", "max_tokens": 9, "messages": [SAID, {"role": "assistant", "content": [USE]}]}),
    "gemini": (
        GEMINI,
        {"contents": [{"role": "user", "parts": [{"text": "Buy"}]}, {"role": "model", "parts": [CALLED]}]},
    ),
    "code assist": (
        "https://cloudcode-pa.googleapis.com/v1internal:streamGenerateContent",
        {"model": "g", "request": {"contents": [{"role": "model", "parts": [CALLED]}]}},
    ),
    "converse": (CONVERSE, {"messages": [CONVERSED["output"]["message"]]}),
    "ollama": (OLLAMA, {"model": "l", "messages": [SAID, LOCAL["message"]]}),
    "cohere v1": (
        COHERE,
        {"message": "", "chat_history": [{"role": "CHATBOT", "message": "", "tool_calls": COMMAND["tool_calls"]}]},
    ),
    "cohere v2": (COHERE_2, {"model": "c", "messages": [SAID, COMMAND_2["message"]]}),
    "chat": (CHAT, {"model": "m", "messages": [SAID, {"role": "assistant", "tool_calls": [FUNCTION]}]}),
    "responses": (RESPONSES, {"model": "m", "input": [SAID, ITEM]}),
}


def asked(url: str, body: str, remembered: Remembered | None = None) -> Rebuilt:
    exchange = fold(ExchangeBuilder().request(body.encode(), url=url).response().events)
    assert exchange is not None
    return rebuild(exchange, remembered)


def sent_calls(rebuilt: Rebuilt) -> Iterator[ToolCallPart]:
    return (call for message in rebuilt.request_messages for call in message.tool_calls)


@pytest.mark.parametrize("remembered", [None, Remembered()])
@pytest.mark.parametrize("name", REQUESTS)
def test_of_a_request_they_are_what_was_sent(name: str, remembered: Remembered | None) -> None:
    url, template = REQUESTS[name]
    for arguments in (ARGUMENTS, ARGUMENTS.replace("0001", "0002"), '{"price":2.50}', '{"price":2.5}'):
        (call,) = sent_calls(asked(url, " " + text_of(template, arguments), remembered))
        assert (call.arguments_text, call.name) == (arguments, "buy")


def test_many_calls_of_one_document_each_have_their_own() -> None:
    texts = [f'{{"q": {number}.0000000000000000{number}}}' for number in range(1, 40)]
    listed = ",".join(json.dumps(USE).replace(f'"{HERE}"', text) for text in texts)
    body = text_of(MESSAGE | {"content": HERE}, f"[{listed}]")
    assert [call.arguments_text for call in calls_in(answer_of(body.encode(), JSON, CLAUDE))] == texts


def test_a_value_that_comes_again_otherwise_is_another_one_however_late_the_digit() -> None:
    first, last = '{"q": 1.000000000000000001}', '{"q": 1.000000000000000099}'
    answer = answer_of(event(CHUNK, first) + event(CHUNK, last) + b"data: [DONE]\n\n", SSE, CHAT)
    assert "tool_arguments_replaced" in kinds(answer)
    same = answer_of(event(CHUNK, first) + event(CHUNK, first) + b"data: [DONE]\n\n", SSE, CHAT)
    assert "tool_arguments_replaced" not in kinds(same)


def test_a_number_beyond_any_float_stays_what_it_is_and_its_call_is_not_whole() -> None:
    (call,) = calls_in(answer_of(event(CANDIDATE, '{"e": 1e400}'), SSE, GEMINI))
    assert (call.arguments_text, call.complete) == ('{"e": 1e400}', False)


@pytest.mark.parametrize("value", ["5", "1.50", "null", "true", "[]", "{}"])
def test_a_value_that_is_no_object_too(value: str) -> None:
    (call,) = calls_in(answer_of(text_of(LOCAL, value).encode(), JSON, OLLAMA))
    assert call.arguments_text == ("" if value == "null" else value)


def test_arguments_in_pieces_have_exact_numbers() -> None:
    def piece(path: str, **value: Any) -> dict[str, Any]:
        return {"functionCall": {"partialArgs": [{"jsonPath": path, **value}], "willContinue": True}}

    parts = [
        {"functionCall": {"name": "buy", "willContinue": True}},
        piece("$.q", numberValue=HERE),
        piece("$.n", stringValue="x"),
        {"functionCall": {}},
    ]
    body = b"".join(
        event({"candidates": [{"content": {"role": "model", "parts": [one]}, "index": 0}]}, "0.10000000000000000001")
        for one in parts
    )
    body += event({"candidates": [{"finishReason": "STOP", "index": 0}]})
    (call,) = calls_in(answer_of(body, SSE, GEMINI))
    assert (call.complete, call.arguments_text) == (True, '{"q":0.10000000000000000001,"n":"x"}')


@pytest.mark.parametrize(
    ("number", "text"),
    [("1e999", "1E+999"), ("1E400", "1E+400"), ("1e99999999999999999999", "Infinity"), ("NaN", "NaN")],
)
def test_a_piece_with_a_number_beyond_floats_leaves_a_call_that_is_not_complete(number: str, text: str) -> None:
    piece = {"functionCall": {"name": "buy", "partialArgs": [{"jsonPath": "$.q", "numberValue": HERE}]}}
    said = {"candidates": [{"content": {"role": "model", "parts": [piece]}, "index": 0, "finishReason": "STOP"}]}
    answer = answer_of(event(said, number), SSE, GEMINI)
    (call,) = calls_in(answer)
    assert (answer.dialect, call.complete, call.arguments_text) == ("gemini", False, f'{{"q":{text}}}')


def test_a_call_that_is_shown_again_has_the_same_numbers() -> None:
    (call,) = calls_in(answer_of(*ANSWERS["gemini"]))
    shown = part_json(call)
    assert (shown["arguments_text"], shown["arguments"]) == (ARGUMENTS, VALUE)
    assert without_holes(answer_of(*ANSWERS["gemini"]), (), ANSWERS["gemini"][0]).anomalies == ()
