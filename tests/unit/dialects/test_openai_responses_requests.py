"""The OpenAI Responses dialect: how it is recognised, and its requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.conversation import turn_of
from recorder.core.messages import MediaPart, OtherPart, ReasoningPart, TextPart, ToolResultPart
from recorder.core.rebuilt import as_json
from recorder.dialects.base import Clues, choose
from recorder.dialects.openai_responses import DIALECT
from tests.building import delta as chat_delta
from tests.unit.dialects.responses import (
    CALLED,
    CREATED,
    HELLO,
    URL,
    call,
    completed,
    done,
    event,
    exchange,
    message,
    read,
    response,
    streamed,
    text,
)
from tests.unit.dialects.wire import document, sse

ELSEWHERE = "https://gateway.example.test/llm"


@pytest.mark.parametrize("kind", ["", "text/event-stream", "application/json"])
@pytest.mark.parametrize(
    ("url", "body", "name"),
    [
        (ELSEWHERE, sse(*HELLO), "openai_responses"),
        (ELSEWHERE, sse(*CALLED[4:6]), "openai_responses"),
        (ELSEWHERE, b": OPENROUTER PROCESSING\n\n" + sse(*HELLO), "openai_responses"),
        (ELSEWHERE, sse(event("created", response=response(instructions="x" * 70000))), "openai_responses"),
        (
            ELSEWHERE,
            sse({"response": response(instructions="x" * 70000), "type": "response.created"}),
            "openai_responses",
        ),
        (ELSEWHERE, sse(HELLO[4], named="type")[:40], "openai_responses"),
        (URL, b"event: resp", "openai_responses"),
        (URL, b"", "openai_responses"),
        (ELSEWHERE, sse({"type": "error", "code": "c", "message": "m", "sequence_number": 3}), "openai_responses"),
        (ELSEWHERE, document(response()), "openai_responses"),
        (ELSEWHERE, document(response(output=[message(text("Hi"))]))[:-9], "openai_responses"),
        (ELSEWHERE, document({"status": "completed", "output": [message(text("Hi"))]}), "openai_responses"),
        (URL, document({"error": {"message": "m"}}), "openai_responses"),
        (URL + "/resp_1?stream=true&starting_after=3", b'{"error": {}}', "openai_responses"),
        (URL, sse({"type": "keepalive", "sequence_number": 0}), "openai_responses"),
        (URL, sse(chat_delta(content="x")), "openai_chat"),
        (URL, sse({"type": "message_start"}), "opaque"),
        (ELSEWHERE, sse({"type": "error", "error": {}}), "opaque"),
        (ELSEWHERE, document({"object": "list", "data": []}), "opaque"),
        (ELSEWHERE, document({"object": "response", "deleted": True}), "opaque"),
        (ELSEWHERE, document({"status": "completed", "output": ["https://a.test/image.png"]}), "opaque"),
    ],
)
def test_the_bytes_tell_the_dialect(url: str, kind: str, body: bytes, name: str) -> None:
    found = choose(Clues(url, kind, body)).name
    assert (found == "openai_responses") == (name == "openai_responses")
    if name == "openai_chat":
        assert found == name


def test_requests_are_read_as_messages() -> None:
    payload = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "Buy"},
            {
                "role": "developer",
                "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
            },
            {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "Z"},
            message(text("Will do"), status="completed"),
            call("{}"),
            {"type": "function_call_output", "call_id": "call_1", "output": "done"},
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "low"},
                    {"type": "input_image", "file_id": "f1"},
                    {"type": "input_file", "filename": "a.txt", "file_data": "QUJD"},
                    {"type": "input_file", "filename": "b.txt", "file_data": "data:text/plain;base64,QUJD"},
                    {"type": "input_audio", "input_audio": {"format": "wav", "data": "QUJD"}},
                ],
            },
            {"type": "item_reference", "id": "msg_0"},
            5,
        ],
    }
    reading = DIALECT.read_request(URL, payload)
    assert reading is not None
    assert (reading.dialect, reading.model, reading.choices) == ("openai_responses", "m", None)
    said = reading.messages
    roles = ["system", "user", "developer", "assistant", "tool", "user", None, None]
    assert [one.role for one in said] == roles
    assert [one.text for one in said[:3]] == ["Be brief.", "Buy", "ab"]
    assert said[3].parts[:2] == (ReasoningPart("", encrypted="Z"), TextPart("Will do"))
    assert said[3].tool_calls[0].complete
    assert (said[4].tool_call_id, said[4].parts) == ("call_1", (ToolResultPart("call_1", None, "done"),))
    media = [part for part in said[5].parts if isinstance(part, MediaPart)]
    assert [(one.kind, one.media_type, one.file_id, one.size) for one in media] == [
        ("image", "image/png", None, 3),
        ("image", None, "f1", None),
        ("file", None, None, 3),
        ("file", "text/plain", None, 3),
        ("audio", "audio/wav", None, 3),
    ]
    assert said[6].parts == (OtherPart("item_reference", {"type": "item_reference", "id": "msg_0"}),)


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("mcp_approval_response", "user"),
        ("compaction_trigger", "user"),
        ("program_output", "tool"),
        ("local_shell_call_output", "tool"),
        ("item_reference", None),
        ("program", "assistant"),
    ],
)
def test_items_that_do_not_say_whose_they_are_are_of_who_sends_such_ones(kind: str, role: str | None) -> None:
    reading = DIALECT.read_request(URL, {"input": [{"type": kind, "id": "x"}]})
    assert reading is not None
    assert [one.role for one in reading.messages] == [role]


@pytest.mark.parametrize(
    ("url", "payload", "texts"),
    [
        (URL, {"input": "hi"}, ["hi"]),
        (URL, {"input": "hi", "instructions": ""}, ["hi"]),
        (URL + "/?a=b", {"prompt": {"id": "p"}}, []),
        (ELSEWHERE, {"input": "hi", "store": False}, ["hi"]),
        (ELSEWHERE, {"input": [{"role": "user", "content": "hi"}]}, ["hi"]),
        (ELSEWHERE, {"input": [{"type": "item_reference", "id": "x"}]}, [""]),
        (ELSEWHERE, {"input": "hi", "model": "embed"}, None),
        (ELSEWHERE, {"input": ["hi"], "model": "embed"}, None),
        (ELSEWHERE, {"input": "hi", "voice": "alloy", "instructions": "slowly"}, None),
        (ELSEWHERE, {"input": [{"type": "image_url"}]}, None),
        (URL, {"messages": []}, None),
        (URL, {"model": "m"}, None),
        (URL, [1], None),
    ],
)
def test_other_requests_are_not_read(url: str, payload: Any, texts: list[str] | None) -> None:
    reading = DIALECT.read_request(url, payload)
    assert (None if reading is None else [one.text for one in reading.messages]) == texts


def test_a_request_that_goes_on_belongs_to_the_answer_before() -> None:
    first = {"instructions": "Be brief.", "input": [{"role": "user", "content": "Buy"}]}
    said = [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        message(text("Will do")),
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search"}},
        call('{"lots":10}'),
    ]
    answer = streamed(CREATED, *[done(item, at) for at, item in enumerate(said)], completed(*said))
    asked = first["input"]
    assert isinstance(asked, list)
    result = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
    second = first | {"input": [*asked, *said, result]}
    readings = [DIALECT.read_request(URL, payload) for payload in (first, second)]
    assert readings[0] is not None
    assert readings[1] is not None
    before = turn_of("a", 1, readings[0].messages, [answer.choices[0].message])
    after = turn_of("b", 2, readings[1].messages, [])
    assert before.answers[0] in after.keys


KINDS = [
    *(f"response.{name}" for name in ("created", "completed", "incomplete", "failed", "output_item.added", "x.delta")),
    *(f"response.{name}" for name in ("output_item.done", "content_part.added", "content_part.done", "refusal.delta")),
    *(f"response.output_text.{name}" for name in ("delta", "done", "annotation.added")),
    *(f"response.function_call_arguments.{name}" for name in ("delta", "done")),
    *(f"response.reasoning_summary_text.{name}" for name in ("delta", "done")),
    *("response.image_generation_call.partial_image", "response.", "error", "keepalive"),
    *("message", "reasoning", "function_call", "mcp_call", "custom_tool_call", "image_generation_call"),
    *("function_call_output", "web_search_call", "output_text", "refusal", "summary_text", "url_citation"),
    *("completed", "in_progress", "response", "{}", "", "a"),
]
FIELDS = [
    *("type", "response", "item", "part", "delta", "output_index", "content_index", "summary_index", "item_id", "id"),
    *("sequence_number", "text", "refusal", "arguments", "input", "code", "annotation", "annotations", "logprobs"),
    *("output", "status", "error", "incomplete_details", "reason", "usage", "content", "summary", "name", "call_id"),
    *("result", "partial_image_b64", "encrypted_content", "role", "object", "queries", "output_format", "code"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=25,
)
EVENTS = st.builds(
    lambda kind, fields: fields | {"type": kind},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6),
)


@settings(max_examples=150, deadline=None)
@given(values=st.lists(EVENTS, max_size=6), cut=st.integers(0, 400), json_body=st.booleans())
def test_never_raises_and_any_partition_reads_the_same(values: list[Any], cut: int, json_body: bool) -> None:
    body = document(values[0] | {"object": "response"}) if json_body and values else sse(*values)
    clues = Clues(URL, "", body)
    assert 0 <= DIALECT.claims(clues) <= 1
    whole = read(body)
    for choice in whole.choices:
        for part in choice.message.parts:
            assert list(part.ranges) == sorted(part.ranges)
    json.dumps(as_json(exchange(body, "")), allow_nan=False)
    for value in values:
        DIALECT.read_request(URL, value)
        DIALECT.read_request(ELSEWHERE, {"input": [value], "instructions": values})
    reader = DIALECT.reader(clues)
    for piece in (body[:cut], body[cut:]):
        reader.feed(piece)
    assert reader.close() == whole
