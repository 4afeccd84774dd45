"""The content blocks of Bedrock Converse: calls and results of tools, reasoning, citations, images."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from recorder.core.messages import CitationPart, MediaPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.converse_frames import STARTED, called, ended, opened, parts, piece, read, stopped


def test_a_call_in_fragments() -> None:
    call = called(0, type="tool_use") + piece(0, toolUse={"input": '{"q": 2.'}) + piece(0, toolUse={"input": "50}"})
    assert parts(STARTED, call, stopped(0), ended("tool_use")) == (
        ToolCallPart('{"q": 2.50}', "t1", "buy", True, {"q": 2.5}, 0),
    )


def test_a_call_without_arguments_has_none() -> None:
    assert parts(STARTED, called(), piece(0, toolUse={"input": ""}), stopped(0), ended("tool_use")) == (
        ToolCallPart("", "t1", "buy", True, {}, 0),
    )


@pytest.mark.parametrize("sent", ["", '{"q": 1', '{"q": 1}'])
@pytest.mark.parametrize("reason", ["max_tokens", "content_filtered", "guardrail_intervened", "malformed_tool_use"])
def test_a_call_that_was_cut_is_never_complete(sent: str, reason: str) -> None:
    begun = STARTED + called() + piece(0, toolUse={"input": sent})
    for body in (begun, begun + ended(reason), begun + stopped(0) + ended(reason)):
        (call,) = parts(body)
        assert (call.complete, call.arguments_text) == (False, sent)


def test_a_tool_that_the_provider_runs() -> None:
    result = {"toolUseId": "t1", "type": "interpreter_result", "status": "success"}
    output = [{"json": {"stdOut": "7"}}, {"text": "seven"}]
    answer = read(
        STARTED
        + called(0, type="server_tool_use")
        + piece(0, toolUse={"input": "{}"})
        + stopped(0)
        + opened(1, toolResult=result)
        + piece(1, toolResult=output[:1])
        + piece(1, toolResult=output[1:])
        + stopped(1)
        + ended()
    )
    call, found = answer.choices[0].message.parts
    assert call == ToolCallPart("{}", "t1", "buy", True, {}, 0, extras={"type": "server_tool_use"})
    assert found == ToolResultPart("t1", None, "seven", False, {**result, "content": output})
    assert len(found.ranges) == 1
    failed = opened(0, toolResult={"toolUseId": "t1", "status": "error"})
    assert parts(STARTED, failed, piece(0, toolResult=[{"text": "no"}])) == (ToolResultPart("t1", None, "no", True),)


def test_reasoning_its_signature_and_what_only_the_provider_reads() -> None:
    sealed = [base64.b64encode(part).decode() for part in (b"a", b"bc", b"abc")]
    assert parts(
        STARTED,
        piece(0, reasoningContent={"text": "so "}),
        piece(0, reasoningContent={"text": "so"}),
        piece(0, reasoningContent={"signature": "s"}),
        stopped(0),
        piece(1, reasoningContent={"redactedContent": sealed[0]}),
        piece(1, reasoningContent={"redactedContent": sealed[1]}),
        piece(1, reasoningContent={"mood": 1}),
    ) == (ReasoningPart("so so", signature="s"), ReasoningPart("", encrypted=sealed[2], details=({"mood": 1},)))


def test_citations_come_before_the_text_and_are_kept_after_it() -> None:
    near = {"title": "policy", "sourceContent": [{"text": "20 days"}], "location": {"documentChar": {"start": 0}}}
    far = {"location": {"web": {"url": "https://a.example", "domain": "a.example"}}}
    assert parts(STARTED, piece(0, citation=near), piece(0, citation=far), piece(0, text="20"), stopped(0)) == (
        TextPart("20"),
        CitationPart(near, "20 days", None, "policy"),
        CitationPart(far, None, "https://a.example"),
    )


def test_images_come_in_pieces() -> None:
    def source(data: bytes) -> dict[str, Any]:
        return {"source": {"bytes": base64.b64encode(data).decode()}}

    (image, failed, stored) = parts(
        STARTED,
        opened(0, image={"format": "png"}),
        piece(0, image=source(b"ab")),
        piece(0, image=source(b"c")),
        opened(1, image={"format": "png"}),
        piece(1, image={"error": {"message": "no"}}),
        opened(2, image={"format": "webp"}),
        piece(2, image={"source": {"s3Location": {"uri": "s3://b/k"}}}),
    )
    assert isinstance(image, MediaPart)
    assert (image.kind, image.media_type, image.size, image.extras) == ("image", "image/png", 3, {})
    assert failed.extras == {"format": "png", "error": {"message": "no"}}
    assert (stored.url, stored.media_type) == ("s3://b/k", "image/webp")


def test_a_block_for_each_piece_of_text() -> None:
    body = b"".join(piece(index, text=text) + stopped(index) for index, text in enumerate("abc"))
    answer = read(STARTED + body + ended())
    assert answer.choices[0].message.text == "abc"
    assert answer.anomalies == ()


def test_blocks_interleave_and_tools_owe_a_start() -> None:
    answer = read(
        STARTED + piece(4, text="b") + piece(1, text="a") + piece(4, text="b") + piece(5, toolUse={"input": "{}"})
    )
    assert answer.choices[0].message.parts == (TextPart("a"), TextPart("bb"), ToolCallPart("{}", index=5))
    assert kinds(answer) == ["block_not_started"]
