"""What finish reasons come down to, and what they make of calls, in each dialect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recorder.core.messages import FINISHES, Answer
from recorder.dialects.finishes import CUTTING, finish_of
from tests.building import delta
from tests.unit.dialects import (
    anthropic_events,
    chat,
    converse_frames,
    gemini_values,
    responses,
    test_cohere_v1,
    test_cohere_v2,
    test_ollama,
)
from tests.unit.dialects.answers import only
from tests.unit.dialects.wire import document, ndjson, sse


@pytest.mark.parametrize(
    ("finish", "reasons"),
    [
        ("stop", ("stop", "STOP", "end_turn", "COMPLETE", "eos_token", "stop-sequence", "stop: END_TURN")),
        ("stop", ("endTurn", "EndTurn", "stopSequence", "eos_found", "end_of_turn", "endOfText", "stop: endTurn")),
        (
            "length",
            ("maxTokens", "MaxTokens", "max_new_tokens", "maxOutput", "max_length", "token_limit", "TIME_LIMIT"),
        ),
        ("tool_calls", ("toolUse", "ToolUse", "toolCalls", "functionCall", "function_calls")),
        ("content_filter", ("contentFilter", "ContentFiltered", "guardrailIntervened")),
        ("length", ("length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length", "stop: MAX_TOKENS")),
        ("tool_calls", ("tool_calls", "tool-calls", "tool_use", "function_call", "TOOL_CALL")),
        ("content_filter", ("content_filter", "content-filter", "content_filtered", "guardrail_intervened")),
        ("content_filter", ("recitation", "prohibited_content", "SAFETY", "SPII", "sensitive", "ERROR_TOXIC")),
        ("content_filter", ("content_filter: RECITATION", "content_filter: PROHIBITED_CONTENT", "content_filter: NEW")),
        ("refusal", ("refusal",)),
        ("error", ("error", "malformed_function_call", "MALFORMED_FUNCTION_CALL", "unexpected_tool_call", "failed")),
        ("error", ("function_call_filter: MALFORMED_FUNCTION_CALL", "function_call_filter: NEW", "network_error")),
        ("error", ("function_call_filter", "malformed_tool_use", "malformed_model_output", "timeout")),
        ("paused", ("pause_turn", "CONTINUATION")),
        ("cancelled", ("abort", "aborted", "cancelled", "canceled", "USER_CANCEL")),
        ("other", ("", "new", "OTHER", "stop: NEW", "NEW: stop", ":", "stopped", "toolUseNot", '{"type": "stop"}')),
    ],
)
def test_words_of_all_providers(finish: str, reasons: tuple[str, ...]) -> None:
    assert finish in FINISHES
    assert [finish_of(reason) for reason in reasons] == [finish] * len(reasons)


def test_a_dialect_has_words_of_its_own() -> None:
    assert (finish_of("1", {"1": "stop"}), finish_of("1")) == ("stop", "other")


def _called_in_chat(reason: str) -> Answer:
    call = chat.tool(id="c1", type="function", name="buy", arguments='{"lots":10}')
    return chat.streamed(delta(tool_calls=[call]), delta(finish=reason))


def _called_in_gemini(reason: str) -> Answer:
    return gemini_values.streamed(gemini_values.said(gemini_values.CALL, finish=reason))


def _called_in_anthropic(reason: str) -> Answer:
    blocks = [
        event
        for at in (0, 1)
        for event in (
            anthropic_events.opened(at, "tool_use", **anthropic_events.CALL),
            anthropic_events.arguments(at, '{"lots":10}'),
            anthropic_events.stopped(at),
        )
    ]
    return anthropic_events.streamed(anthropic_events.started(), *blocks, *anthropic_events.ended(reason))


def _called_in_converse(reason: str) -> Answer:
    calls = [
        frame
        for at in (0, 1)
        for frame in (
            converse_frames.called(at),
            converse_frames.piece(at, toolUse={"input": '{"lots":10}'}),
            converse_frames.stopped(at),
        )
    ]
    return converse_frames.read(b"".join([converse_frames.STARTED, *calls, converse_frames.ended(reason)]))


def _called_in_responses(reason: str) -> Answer:
    ended = responses.response(
        "incomplete" if reason != "completed" else reason,
        [responses.call('{"lots":10}')],
        incomplete_details={"reason": reason},
    )
    return responses.read(document(ended))


def _called_in_ollama(reason: str) -> Answer:
    calls = test_ollama.chat(tool_calls=test_ollama.CALLS)
    return test_ollama.read(ndjson(calls, test_ollama.done(test_ollama.chat(), reason)))


def _called_in_cohere_v1(reason: str) -> Answer:
    calls = [{"name": "buy", "parameters": {"lots": 10}}]
    return test_cohere_v1.read(
        document({"text": "", "generation_id": "g", "tool_calls": calls, "finish_reason": reason})
    )


def _called_in_cohere_v2(reason: str) -> Answer:
    call = test_cohere_v2.call(0, '{"lots":10}')
    return test_cohere_v2.read(sse(test_cohere_v2.START, *call, test_cohere_v2.end(reason), named="type"))


_DIALECTS = [
    (_called_in_chat, "tool_calls"),
    (_called_in_gemini, "STOP"),
    (_called_in_anthropic, "tool_use"),
    (_called_in_converse, "tool_use"),
    (_called_in_responses, "completed"),
    (_called_in_ollama, "stop"),
    (_called_in_cohere_v1, "COMPLETE"),
    (_called_in_cohere_v2, "TOOL_CALL"),
]


@pytest.mark.parametrize(("called", "ordinary"), _DIALECTS)
def test_a_reason_that_is_not_known_makes_no_call_complete(called: Callable[[str], Answer], ordinary: str) -> None:
    calls = only(called(ordinary)).message.tool_calls
    assert calls
    assert all(call.complete for call in calls)
    choice = only(called("halted_for_review"))
    assert (choice.finish_reasons, choice.finish, choice.failed) == (("halted_for_review",), "other", False)
    assert len(choice.message.tool_calls) == len(calls)
    assert not any(call.complete for call in choice.message.tool_calls)


@pytest.mark.parametrize(
    "reason",
    [
        *("content_filter: RECITATION", "content_filter: PROHIBITED_CONTENT", "content_filtered", "recitation"),
        *("guardrail_intervened", "refusal", "max_output_tokens", "max_tokens", "aborted", "pause_turn"),
        *("function_call_filter: MALFORMED_FUNCTION_CALL", "malformed_function_call", "error", "OTHER"),
    ],
)
def test_what_gateways_pass_through_in_chat(reason: str) -> None:
    answer = _called_in_chat(reason)
    choice = only(answer)
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, choice.finish, call.complete) == (reason, finish_of(reason), False)
    assert choice.finish in CUTTING
    failed = choice.finish == "error"
    assert choice.failed is failed
    assert ("finish_reason_failed" in [fact.kind for fact in answer.anomalies]) is failed


def test_a_call_of_which_google_says_that_it_is_malformed_is_an_error() -> None:
    chunks = (delta(content="x"), delta(finish="function_call_filter: MALFORMED_FUNCTION_CALL"))
    assert chat.verdict(sse(*chunks, done=True)) == "errored"
