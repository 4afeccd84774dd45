"""The OpenAI Responses dialect: what a stream and a document say, and how they end."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.messages import OtherPart, ReasoningPart, TextPart, TokenCounts, ToolCallPart
from recorder.core.rebuilt import as_json
from tests.unit.dialects.responses import (
    CALLED,
    CREATED,
    HELLO,
    USAGE,
    added,
    call,
    completed,
    delta,
    done,
    event,
    exchange,
    message,
    numbered,
    parts,
    read,
    response,
    streamed,
    text,
)
from tests.unit.dialects.wire import JSON, SSE, document, sse

#: Whole answers for the contract suite.
STREAMS = [
    (SSE, sse(*numbered(*HELLO), named="type")),
    (SSE, sse(*CALLED)),
    (
        SSE,
        sse(
            CREATED,
            added({"id": "rs_1", "type": "reasoning", "summary": []}),
            delta("reasoning_text", "hm"),
            added(message(status="in_progress"), 1),
            delta("output_text", "ok", 1),
            completed(),
            done=True,
        ),
    ),
    (JSON, document(response(output=[message(text("Hi")), call('{"a":1}')], usage=USAGE, error=None))),
]


def test_text_is_told_once_however_often_it_is_sent() -> None:
    answer = streamed(*numbered(*HELLO))
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.parts) == ("assistant", (TextPart("Kurs €"),))
    assert (choice.finish_reasons, choice.finish, choice.failed) == (("completed",), "stop", False)
    assert (answer.ids, answer.models, answer.sentinel_seen, answer.events) == (("resp_1",), ("m-1",), True, 10)
    assert answer.anomalies == ()
    assert choice.message.extras == {"items": [{"id": "msg_1", "type": "message", "status": "completed"}]}


def test_usage_is_as_reported_and_counted_in_one_form() -> None:
    answer = streamed(*HELLO)
    assert answer.usage_reports == (USAGE,)
    assert answer.tokens == TokenCounts(input=30, output=9, total=39, cached=8, cache_written=2, reasoning=4)


def test_what_was_not_sent_is_absent() -> None:
    answer = streamed(delta("output_text", "x"))
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.text, choice.message.extras) == (None, "x", {})
    assert (choice.finish_reason, choice.finish, choice.logprobs) == (None, None, None)
    assert (answer.usage, answer.tokens, answer.models, answer.ids, answer.extras) == (None, None, (), (), {})


def test_text_comes_from_the_events_of_its_deltas() -> None:
    body = sse(*HELLO)
    (part,) = parts(read(body))
    ((start, end),) = part.ranges
    assert body[start:end] == sse(HELLO[4], HELLO[5])


def test_a_call_has_its_id_its_name_and_whole_arguments() -> None:
    reasoning, asked = parts(streamed(*CALLED))
    assert reasoning == ReasoningPart("**Buy**", ("summary",), encrypted="CCC")
    assert isinstance(asked, ToolCallPart)
    assert (asked.id, asked.name, asked.arguments_text, asked.index) == ("call_1", "buy", '{"lots":10}', 1)
    assert (asked.complete, asked.arguments) == (True, {"lots": 10})
    assert asked.extras == {"status": "completed", "item_id": "fc_1"}


@pytest.mark.parametrize("upto", range(9, 13))
def test_a_call_is_not_complete_before_its_item_is_done(upto: int) -> None:
    (called,) = streamed(*CALLED[:upto]).choices[0].message.tool_calls
    assert not called.complete
    assert exchange(sse(*CALLED[:upto])).verdict == "truncated"


def test_a_call_whose_item_is_done_is_complete_though_the_stream_is_cut() -> None:
    rebuilt = exchange(sse(*CALLED[:13]))
    assert rebuilt.verdict == "truncated"
    assert rebuilt.answer.choices[0].message.tool_calls[0].complete


def test_a_call_that_was_cut_by_the_limit_is_not_complete_even_if_it_parses() -> None:
    cut = [CREATED, added(call("", "in_progress")), delta("function_call_arguments", "{}")]
    ending = event("incomplete", response=response("incomplete", incomplete_details={"reason": "max_output_tokens"}))
    for item in (call("{}", "incomplete"), call("{}", None)):
        (choice,) = streamed(*cut, done(item), ending).choices
        assert (choice.finish_reason, choice.finish) == ("max_output_tokens", "length")
        assert not choice.message.tool_calls[0].complete
    assert not streamed(*cut, ending).choices[0].message.tool_calls[0].complete
    earlier = streamed(*cut, done(call("{}")), added(message(), 1), delta("output_text", "The", 1), ending)
    assert earlier.choices[0].message.tool_calls[0].complete


@pytest.mark.parametrize("arguments", ['{"a":1', '{"a":NaN}', ""])
def test_arguments_that_do_not_parse_are_not_complete(arguments: str) -> None:
    (called,) = streamed(completed(call(arguments))).choices[0].message.tool_calls
    assert (called.complete, called.arguments_text) == (False, arguments)


@pytest.mark.parametrize(
    ("status", "fields", "reason", "finish", "verdict"),
    [
        ("completed", {}, "completed", "stop", "complete"),
        (
            "incomplete",
            {"incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
            "length",
            "complete",
        ),
        (
            "incomplete",
            {"incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
            "complete",
        ),
        ("incomplete", {"incomplete_details": None}, "incomplete", "other", "complete"),
        ("failed", {"error": {"code": "server_error"}}, "failed", "error", "errored"),
        ("failed", {}, "failed", "error", "errored"),
        ("cancelled", {}, "cancelled", "cancelled", "complete"),
    ],
)
def test_how_a_response_ends(status: str, fields: dict[str, Any], reason: str, finish: str, verdict: str) -> None:
    body = response(status, [message(text("Hi"))], **fields)
    for sent, kind in ((sse(CREATED, event(status, response=body)), SSE), (document(body), JSON)):
        rebuilt = exchange(sent, kind)
        (choice,) = rebuilt.answer.choices
        assert (choice.finish_reason, choice.finish, rebuilt.verdict) == (reason, finish, verdict)
        assert choice.message.text == "Hi"
        assert rebuilt.answer.errors == ((fields["error"],) if "error" in fields else ())


@pytest.mark.parametrize("status", ["queued", "in_progress"])
@pytest.mark.parametrize("output", [(), (message(text("so far")),), (call("{}", None),)])
def test_a_document_of_a_response_that_is_being_made_is_not_complete(status: str, output: tuple[Any, ...]) -> None:
    rebuilt = exchange(document(response(status, output)), JSON)
    assert rebuilt.answer.dialect == "openai_responses"
    assert (rebuilt.verdict, rebuilt.evidence.finished) == ("unknown", False)
    assert as_json(rebuilt)["evidence"]["answer_pending"] is True
    for choice in rebuilt.answer.choices:
        assert choice.finish_reasons == ()
        assert not any(called.complete for called in choice.message.tool_calls)


@pytest.mark.parametrize("upto", range(10))
def test_a_stream_without_its_final_event_is_not_complete(upto: int) -> None:
    for ended in (False, True):
        rebuilt = exchange(sse(*HELLO[:upto], done=ended) or b"\n")
        assert rebuilt.verdict != "complete"


def test_other_fields_of_the_response_are_kept() -> None:
    answer = streamed(
        event("created", response=response("in_progress", service_tier="auto")),
        completed(service_tier="default", metadata={"a": "b"}, output_text="again", user=None),
    )
    assert answer.extras == {
        "object": "response",
        "status": "completed",
        "service_tier": "default",
        "metadata": {"a": "b"},
    }


def test_a_compacted_conversation_is_a_document() -> None:
    sealed = {"type": "compaction", "encrypted_content": "Z"}
    rebuilt = exchange(document({"id": "r", "object": "response.compaction", "output": [sealed]}), JSON)
    assert (rebuilt.answer.dialect, rebuilt.verdict) == ("openai_responses", "complete")
    assert parts(rebuilt.answer) == (OtherPart("compaction", sealed),)
