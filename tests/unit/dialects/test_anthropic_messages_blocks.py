"""The content blocks of Anthropic Messages: thinking, citations, calls and results of tools."""

from __future__ import annotations

import pytest

from recorder.core.messages import CitationPart, OtherPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tests.unit.dialects.anthropic_events import (
    CALL,
    arguments,
    ended,
    opened,
    parts,
    piece,
    started,
    stopped,
    streamed,
    text,
)


def test_thinking_with_a_signature_that_replaces_the_one_before() -> None:
    answer = streamed(
        started(),
        opened(0, "thinking", thinking="", signature=""),
        piece(0, "thinking_delta", thinking="so "),
        piece(0, "thinking_delta", thinking="so"),
        piece(0, "signature_delta", signature="one"),
        piece(0, "signature_delta", signature="two"),
        stopped(0),
        *ended(),
    )
    assert parts(answer) == (ReasoningPart("so so", signature="two"),)


def test_a_signature_without_thinking() -> None:
    answer = streamed(started(), opened(0, "thinking", thinking=""), piece(0, "signature_delta", signature="s"))
    assert parts(answer) == (ReasoningPart("", signature="s"),)


def test_redacted_thinking_is_kept_as_sent() -> None:
    answer = streamed(started(), opened(0, "redacted_thinking", data="c2VhbGVk"), stopped(0), *ended())
    assert parts(answer) == (ReasoningPart("", encrypted="c2VhbGVk"),)


def test_citations_follow_the_text_of_their_block() -> None:
    web = {"type": "web_search_result_location", "cited_text": "q", "url": "https://a.example", "title": "A"}
    page = {"type": "page_location", "cited_text": "p", "document_title": "facts.pdf", "document_index": 0}
    answer = streamed(
        started(),
        opened(0, citations=[]),
        piece(0, "citations_delta", citation=web),
        text(0, "Said."),
        piece(0, "citations_delta", citation=page),
        stopped(0),
        *ended(),
    )
    assert parts(answer) == (
        TextPart("Said."),
        CitationPart(web, "q", "https://a.example", "A"),
        CitationPart(page, "p", None, "facts.pdf"),
    )


def test_a_call_in_fragments() -> None:
    answer = streamed(
        started(),
        opened(1, "tool_use", **CALL, caller={"type": "direct"}),
        arguments(1, ""),
        arguments(1, '{"price": 2.'),
        arguments(1, "50}"),
        stopped(1),
        *ended("tool_use"),
    )
    (call,) = answer.choices[0].message.tool_calls
    assert call == ToolCallPart(
        '{"price": 2.50}', "toolu_1", "buy", True, {"price": 2.5}, 1, extras={"caller": {"type": "direct"}}
    )


def test_a_call_without_arguments_has_none() -> None:
    answer = streamed(started(), opened(0, "tool_use", **CALL), arguments(0, ""), stopped(0), *ended("tool_use"))
    assert parts(answer) == (ToolCallPart("", "toolu_1", "buy", True, {}, 0),)


def test_arguments_may_be_in_the_start_event() -> None:
    whole = CALL | {"input": {"lots": 1}}
    answer = streamed(started(), opened(0, "tool_use", **whole), stopped(0), *ended("tool_use"))
    assert parts(answer) == (ToolCallPart('{"lots": 1}', "toolu_1", "buy", True, {"lots": 1}, 0),)


@pytest.mark.parametrize("sent", ["", '{"q": 1', '{"q": 1}'])
def test_a_call_that_was_cut_is_never_complete(sent: str) -> None:
    begun = [started(), opened(0, "tool_use", **CALL), arguments(0, sent)]
    assert not streamed(*begun).choices[0].message.tool_calls[0].complete
    for end in ([stopped(0)], []):
        for reason in ("max_tokens", "refusal", "model_context_window_exceeded"):
            (call,) = streamed(*begun, *end, *ended(reason)).choices[0].message.tool_calls
            assert (call.complete, call.arguments_text) == (False, sent)


def test_a_call_before_the_block_that_was_cut_is_complete() -> None:
    answer = streamed(
        started(),
        opened(0, "tool_use", **CALL),
        arguments(0, '{"q":1}'),
        stopped(0),
        opened(1, "tool_use", **CALL),
        arguments(1, '{"q'),
        *ended("max_tokens"),
    )
    assert [call.complete for call in answer.choices[0].message.tool_calls] == [True, False]


def test_a_call_whose_stop_event_is_missing_is_finished_with_the_message() -> None:
    begun = [started(), opened(0, "tool_use", **CALL), arguments(0, '{"q":1}')]
    assert streamed(*begun, *ended("tool_use")).choices[0].message.tool_calls[0].complete
    failed = streamed(*begun, {"type": "error", "error": {"type": "api_error", "message": "x"}})
    assert not failed.choices[0].message.tool_calls[0].complete


def test_arguments_that_do_not_parse_are_kept_as_text() -> None:
    answer = streamed(started(), opened(0, "tool_use", **CALL), arguments(0, "{no"), stopped(0), *ended("tool_use"))
    (call,) = answer.choices[0].message.tool_calls
    assert (call.arguments_text, call.complete) == ("{no", False)


def test_tools_that_the_provider_runs() -> None:
    found = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"type": "web_search_result"}]}
    failed = {"type": "x_tool_result", "tool_use_id": "srv_1", "content": {"type": "x_tool_result_error"}}
    said = {
        "type": "mcp_tool_result",
        "tool_use_id": "m",
        "is_error": False,
        "content": [{"type": "text", "text": "A"}],
    }
    advised = {
        "type": "advisor_tool_result",
        "tool_use_id": "srv_1",
        "content": {"type": "advisor_result", "text": "4"},
    }
    answer = streamed(
        started(),
        opened(0, "server_tool_use", id="srv_1", name="web_search", input={}),
        arguments(0, "{}"),
        stopped(0),
        opened(1, "mcp_tool_use", id="m", name="ask", input={}, server_name="wiki"),
        stopped(1),
        *(
            {"type": "content_block_start", "index": index, "content_block": block}
            for index, block in enumerate([found, failed, said, advised], 2)
        ),
        *ended(),
    )
    assert parts(answer) == (
        ToolCallPart("{}", "srv_1", "web_search", True, {}, 0, extras={"type": "server_tool_use"}),
        ToolCallPart("", "m", "ask", True, {}, 1, extras={"type": "mcp_tool_use", "server_name": "wiki"}),
        ToolResultPart("srv_1", value=found),
        ToolResultPart("srv_1", failed=True, value=failed),
        ToolResultPart("m", text="A", failed=False, value=said),
        ToolResultPart("srv_1", text="4", value=advised),
    )


def test_compaction_and_blocks_of_later_versions_are_kept_as_sent() -> None:
    answer = streamed(
        started(),
        opened(0, "compaction", content=None),
        piece(0, "compaction_delta", content="So far.", encrypted_content="e"),
        stopped(0),
        opened(1, "fallback", to={"model": "m-2"}),
        stopped(1),
        *ended(),
    )
    assert parts(answer) == (
        OtherPart("compaction", {"type": "compaction", "content": "So far.", "encrypted_content": "e"}),
        OtherPart("fallback", {"type": "fallback", "to": {"model": "m-2"}}),
    )
    assert answer.anomalies == ()
