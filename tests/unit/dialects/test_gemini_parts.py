"""The parts of a Gemini message: thoughts, calls, code, media, citations."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from recorder.core.messages import (
    CitationPart,
    MediaPart,
    OtherPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tests.unit.dialects.answers import kinds, only
from tests.unit.dialects.gemini_values import CALL, said, streamed


def test_thoughts_are_reasoning_and_a_signature_belongs_to_its_thought() -> None:
    answer = streamed(
        said({"text": "**A**", "thought": True}),
        said({"text": " more", "thought": True, "thoughtSignature": "s1"}),
        said({"text": "B", "thought": True}),
        said({"text": "said"}, finish="STOP"),
    )
    assert only(answer).message.parts == (
        ReasoningPart("**A** more", signature="s1"),
        ReasoningPart("B"),
        TextPart("said"),
    )


def test_a_signature_on_text_or_on_empty_text_is_reasoning_that_is_not_shown() -> None:
    answer = streamed(
        said({"text": "\n", "thoughtSignature": "s1"}),
        said({"text": "ok"}),
        said({"text": "", "thoughtSignature": "s2"}),
    )
    assert only(answer).message.parts == (
        TextPart("\n"),
        ReasoningPart("", signature="s1"),
        TextPart("ok"),
        ReasoningPart("", signature="s2"),
    )
    assert only(answer).message.text == "\nok"
    assert only(streamed(said({"thoughtSignature": "s"}))).message.parts == (ReasoningPart("", signature="s"),)


def test_empty_text_is_no_part() -> None:
    assert only(streamed(said({"text": ""}, {"text": "", "thought": True}, finish="STOP"))).message.parts == ()


def test_calls_are_whole_with_or_without_an_id() -> None:
    named = {"functionCall": {"name": "now", "id": "c1"}}
    first, second = only(streamed(said(CALL), said(named, finish="STOP"))).message.tool_calls
    assert (first.name, first.id, first.arguments, first.complete) == ("buy", None, {"lots": 10}, True)
    assert (first.arguments_text, first.extras) == ('{"lots": 10}', {"thoughtSignature": "sig"})
    assert (second.id, second.arguments_text, second.arguments, second.complete) == ("c1", "", {}, True)


@pytest.mark.parametrize("reason", [None, "MAX_TOKENS", 2, "SAFETY", "MALFORMED_FUNCTION_CALL"])
def test_a_call_without_a_finish_that_says_so_is_not_complete(reason: Any) -> None:
    (call,) = only(streamed(said(CALL, finish=reason))).message.tool_calls
    assert (call.name, call.complete) == ("buy", False)


def test_arguments_of_another_kind_are_kept() -> None:
    text = {"functionCall": {"name": "f", "args": '{"a":1}'}}
    nan = {"functionCall": {"name": "f", "args": {"a": float("nan")}}}
    (call,) = only(streamed(said(text, finish="STOP"))).message.tool_calls
    assert (call.arguments_text, call.arguments, call.complete) == ('{"a":1}', {"a": 1}, True)
    (call,) = only(streamed(said(nan, finish="STOP"))).message.tool_calls
    assert not call.complete


def _pieces(*fields: dict[str, Any], finish: str | None = "STOP") -> ToolCallPart:
    answer = streamed(*[said({"functionCall": item}) for item in fields], said({"text": ""}, finish=finish))
    (call,) = only(answer).message.tool_calls
    return call


def test_vertex_streams_arguments_in_pieces_by_path() -> None:
    call = _pieces(
        {"name": "f", "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "Ber", "willContinue": True}], "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "lin"}], "willContinue": True},
        {
            "partialArgs": [
                {"jsonPath": "$.days[0].n", "numberValue": 3},
                {"jsonPath": "$['days'][1]", "boolValue": True},
                {"jsonPath": "$.none", "nullValue": "NULL_VALUE"},
            ],
            "willContinue": True,
        },
        {},
    )
    assert call.complete
    assert call.arguments == {"city": "Berlin", "days": [{"n": 3}, True], "none": None}
    assert len(call.extras["partialArgs"]) == 5


def test_a_call_in_pieces_that_is_cut_or_does_not_fit_is_not_complete() -> None:
    piece = {"jsonPath": "$.city", "stringValue": "Ber", "willContinue": True}
    cut = _pieces({"name": "f", "willContinue": True}, {"partialArgs": [piece], "willContinue": True})
    assert (cut.complete, cut.arguments_text) == (False, '{"city":"Ber"}')
    for path in ("$.city.x", "$[0]", "$..x", "city", "$.list[2]", 7):
        odd = {"jsonPath": path, "stringValue": "x"}
        assert not _pieces(
            {"name": "f", "partialArgs": [piece, {"jsonPath": "$.list[0]", "boolValue": True}, odd]}
        ).complete
    assert not _pieces({"name": "f", "partialArgs": [piece, 7]}).complete


def test_two_calls_in_pieces_are_two_calls() -> None:
    piece = [{"jsonPath": "$.a", "numberValue": 1}]
    answer = streamed(
        said({"functionCall": {"name": "f", "willContinue": True}}),
        said({"functionCall": {"partialArgs": piece}}, {"functionCall": {"name": "g", "partialArgs": piece}}),
        said({"text": ""}, finish="STOP"),
    )
    calls = only(answer).message.tool_calls
    assert [(call.name, call.arguments, call.complete) for call in calls] == [
        ("f", {"a": 1}, True),
        ("g", {"a": 1}, True),
    ]


def test_a_piece_may_say_the_id_and_the_name_of_its_call_again() -> None:
    def text(value: str, **more: Any) -> list[dict[str, Any]]:
        return [{"jsonPath": "$.q", "stringValue": value, **more}]

    first = {"name": "f", "id": "1", "willContinue": True, "partialArgs": text("a", willContinue=True)}
    call = _pieces(first, {"name": "f", "id": "1", "partialArgs": text("b")})
    assert (call.id, call.name, call.arguments, call.complete) == ("1", "f", {"q": "ab"}, True)
    assert not _pieces(first, {"name": "g", "id": "1", "partialArgs": text("b")}).complete
    other = {"name": "f", "id": "2", "willContinue": True, "partialArgs": text("x", willContinue=True)}
    ends = [{"id": "1", "partialArgs": text("b")}, {"name": "f", "id": "2", "partialArgs": text("y")}]
    pieces = [{"functionCall": piece} for piece in (first, other, *ends)]
    calls = only(streamed(*map(said, pieces), said({"text": ""}, finish="STOP"))).message.tool_calls
    assert [(call.id, call.arguments, call.complete) for call in calls] == [
        ("1", {"q": "ab"}, True),
        ("2", {"q": "xy"}, True),
    ]
    again = [{"functionCall": {"name": "f", "id": "1", "args": {}}}] * 2
    assert len(only(streamed(said(*again, finish="STOP"))).message.tool_calls) == 2


def test_code_that_google_runs_and_its_result() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1", "id": "x"}, "thoughtSignature": "s"}
    result = {"outcome": "OUTCOME_OK", "output": "1\n", "id": "x"}
    failed = {"outcome": "OUTCOME_FAILED"}
    parts = only(streamed(said(code, {"codeExecutionResult": result}, {"codeExecutionResult": failed}))).message.parts
    assert parts == (
        OtherPart("executableCode", code),
        ToolResultPart("x", None, "1\n", False, result),
        ToolResultPart(failed=True, value=failed),
    )


def test_images_by_reference_and_files() -> None:
    data = b"\x89PNG"
    inline = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(data).decode()}}
    file = {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/f"}}
    other = {"inlineData": {"mimeType": "application/pdf", "data": ""}, "thoughtSignature": "s"}
    image, video, pdf = only(streamed(said(inline, file, other, finish="STOP"))).message.parts
    assert image == MediaPart("image", "image/png", None, None, 4, hashlib.sha256(data).hexdigest())
    assert video == MediaPart("video", "video/mp4", "gs://b/f")
    assert isinstance(pdf, MediaPart)
    assert (pdf.kind, pdf.extras) == ("file", {"thoughtSignature": "s"})


def test_parts_that_are_not_known_are_kept() -> None:
    odd = [{"toolCall": {"toolType": "X"}}, "text", {"text": 7}, {"functionCall": "f"}, {"inlineData": 1}]
    parts = only(streamed(said(*odd))).message.parts
    assert [(part.kind, part.value) for part in parts if isinstance(part, OtherPart)] == [
        ("toolCall", odd[0]),
        ("part", "text"),
        ("text", odd[2]),
        ("functionCall", odd[3]),
        ("inlineData", odd[4]),
    ]
    beside = only(streamed(said({"text": "a", "videoMetadata": {"fps": 1}})))
    assert beside.message.extras == {"videoMetadata": [{"fps": 1}]}


def test_citations_of_both_services() -> None:
    studio = {"startIndex": 1, "endIndex": 9, "uri": "https://a.example", "license": "MIT"}
    vertex = {"uri": "https://b.example", "title": "B"}
    answer = streamed(
        said({"text": "a"}, citationMetadata={"citationSources": [studio]}),
        said({"text": "b"}, citationMetadata={"citationSources": [studio]}),
        said({"text": "c"}, citationMetadata={"citations": [vertex]}, finish="STOP"),
    )
    parts = only(answer).message.parts
    assert [part for part in parts if isinstance(part, CitationPart)] == [
        CitationPart(studio, None, "https://a.example"),
        CitationPart(vertex, None, "https://b.example", "B"),
    ]
    assert only(answer).message.text == "abc"


def test_grounding_is_cited_once_and_kept_whole() -> None:
    web = {"web": {"uri": "https://a.example", "title": "A"}}
    own = {"retrievedContext": {"text": "Paris is", "fileSearchStore": "s"}}
    support = {"segment": {"endIndex": 5, "text": "Paris"}, "groundingChunkIndices": [0]}
    first = {"groundingChunks": [web], "webSearchQueries": ["q"]}
    second = {"groundingChunks": [web, own], "groundingSupports": [support]}
    visited = {"urlMetadata": [{"retrievedUrl": "https://a.example"}]}
    answer = streamed(
        said({"text": "a"}, groundingMetadata={}, urlContextMetadata=visited),
        said({"text": "b"}, groundingMetadata=first),
        said({"text": "c"}, groundingMetadata=second, finish="STOP"),
    )
    cited = [part for part in only(answer).message.parts if isinstance(part, CitationPart)]
    assert cited == [CitationPart(web, None, "https://a.example", "A"), CitationPart(own, "Paris is")]
    assert only(answer).message.extras == {"groundingMetadata": [first, second], "urlContextMetadata": [visited]}


def _in_two(first: dict[str, Any], last: dict[str, Any]) -> tuple[ToolCallPart, list[str]]:
    begun = {"functionCall": {"name": "f", "willContinue": True, **first}}
    answer = streamed(said(begun), said({"functionCall": last}), said({"text": ""}, finish="STOP"))
    (call,) = only(answer).message.tool_calls
    return call, kinds(answer)


@pytest.mark.parametrize("steps", [1, 200, 201, 2_000, 60_000])
def test_a_path_leads_no_deeper_than_json_may(steps: int) -> None:
    call, found = _in_two({}, {"partialArgs": [{"jsonPath": "$" + ".a" * steps, "numberValue": 1}]})
    assert (call.name, call.complete) == ("f", steps <= 200)
    assert found == ([] if steps <= 200 else ["partial_args_broken"])


@pytest.mark.parametrize("last", [[{"jsonPath": "$.q", "stringValue": ""}], []])
def test_a_text_of_which_more_was_to_come_is_not_whole(last: list[dict[str, Any]]) -> None:
    piece = {"jsonPath": "$.q", "stringValue": "a", "willContinue": True}
    call, found = _in_two({"partialArgs": [piece]}, {"partialArgs": last})
    assert (call.arguments_text, call.complete) == ('{"q":"a"}', bool(last))
    assert found == ([] if last else ["partial_args_broken"])


def test_one_path_has_one_value() -> None:
    one, other = ({"partialArgs": [{"jsonPath": "$.q", "numberValue": number}]} for number in (1, 100))
    call, found = _in_two(one, other)
    assert (call.arguments_text, call.complete, found) == ('{"q":1}', False, ["partial_args_broken"])


def test_a_piece_that_nothing_began_is_a_hole() -> None:
    answer = streamed(said({"functionCall": {"partialArgs": [{"jsonPath": "$.q", "numberValue": 1}]}}, finish="STOP"))
    assert (kinds(answer), len(answer.holes)) == (["tool_call_not_begun"], 1)
