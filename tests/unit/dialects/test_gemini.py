"""Gemini, quirk by quirk."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.messages import (
    Answer,
    Choice,
    CitationPart,
    MediaPart,
    OtherPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, choose
from recorder.dialects.gemini import DIALECT
from recorder.dialects.rebuild import rebuild
from tests.building import URL as CHAT
from tests.building import ExchangeBuilder
from tests.unit.dialects.wire import JSON, SSE, document, sse

URL = "https://ai.example/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
VERTEX = "https://eu.example/v1/projects/p/locations/l/publishers/google/models/gemini-x:streamGenerateContent"
USAGE = {"promptTokenCount": 8, "totalTokenCount": 8}


def said(*parts: Any, finish: Any = None, **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, **fields}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "gemini-x", "responseId": "r"}


def crlf(*values: Any) -> bytes:
    return sse(*values).replace(b"\n", b"\r\n")


def array(*values: Any) -> bytes:
    """As Google prints it: each value by itself, commas between them."""
    return (
        b"[" + b"\n,\r\n".join(json.dumps(value, indent=2, ensure_ascii=False).encode() for value in values) + b"\n]\n"
    )


CALL = {"functionCall": {"name": "buy", "args": {"lots": 10}}, "thoughtSignature": "sig"}
#: Whole answers for the contract suite.
STREAMS = [
    (SSE, crlf(said({"text": "Kurs"}), said({"text": " €"}, finish="STOP"))),
    (
        SSE,
        crlf(
            said({"text": "hm", "thought": True}),
            said({"text": "m", "thought": True}),
            said({"text": "ok"}),
            said({"text": "", "thoughtSignature": "sig"}, finish="STOP"),
        ),
    ),
    (SSE, crlf(said(CALL), said({"functionCall": {"name": "sell", "args": {}, "id": "c"}}, finish="STOP"))),
    (JSON, array(said({"text": '[{"Kurs\\'}), said({"text": '"€"'}, CALL, finish=1))),
    (JSON, document(said({"text": "Hi"}, CALL, finish="STOP"))),
]


def read(body: bytes, url: str = URL, kind: str = "", *, chosen: bool = True) -> Answer:
    clues = Clues(url, kind, body)
    assert not chosen or choose(clues).name == "gemini"
    reader = DIALECT.reader(clues)
    reader.feed(body)
    return reader.close()


def streamed(*values: Any) -> Answer:
    return read(crlf(*values))


def only(answer: Answer) -> Choice:
    (choice,) = answer.choices
    return choice


def rebuilt(body: bytes, kind: str = SSE, status: int = 200, url: str = URL, request: Any = None) -> Rebuilt:
    built = ExchangeBuilder().request(request or {}, url=url)
    exchange = fold(built.response(status, headers=[("content-type", kind)]).chunks(body).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def kinds(answer: Answer) -> list[str]:
    return [fact.kind for fact in answer.anomalies]


def test_text_in_pieces_with_usage_that_adds_up() -> None:
    usage = {"promptTokenCount": 8, "candidatesTokenCount": 5, "thoughtsTokenCount": 21, "totalTokenCount": 34}
    answer = streamed(
        said({"text": "Hel"}), said({"text": "lo"}), said({"text": "!"}, finish="STOP") | {"usageMetadata": usage}
    )
    choice = only(answer)
    assert (choice.message.role, choice.message.parts) == ("model", (TextPart("Hello!"),))
    assert (choice.finish_reasons, choice.finish, choice.failed) == (("STOP",), "stop", False)
    assert answer.usage_reports == (USAGE, usage)
    assert answer.tokens is not None
    assert (answer.tokens.input, answer.tokens.output, answer.tokens.reasoning, answer.tokens.total) == (8, 5, 21, 34)
    assert (answer.ids, answer.models, answer.anomalies, answer.whole) == (("r",), ("gemini-x",), (), None)


def test_what_was_not_sent_is_absent() -> None:
    answer = streamed({"candidates": [{"content": {"parts": [{"text": "x"}]}}]})
    choice = only(answer)
    assert (choice.message.role, choice.finish, choice.finish_reasons, choice.logprobs) == (None, None, (), None)
    assert (answer.tokens, answer.usage_reports, answer.models, answer.ids, answer.extras) == (None, (), (), (), {})
    assert rebuilt(crlf({"candidates": [{"content": {"parts": [{"text": "x"}]}}]})).verdict == "truncated"


def test_each_part_knows_its_bytes() -> None:
    events = [
        crlf(value)
        for value in (said({"text": "a"}), said({"text": "t", "thought": True}), said({"text": "b"}, finish="STOP"))
    ]
    body = b"".join(events)
    first, second = len(events[0]), len(events[0] + events[1])
    ranges = [part.ranges for part in only(read(body)).message.parts]
    assert ranges == [((0, first),), ((first, second),), ((second, len(body)),)]
    values = array(*[json.loads(event[6:]) for event in events])
    for part, value in zip(only(read(values)).message.parts, json.loads(values), strict=True):
        ((start, end),) = part.ranges
        assert json.loads(values[start:end]) == value


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
    assert (first.arguments_text, first.extras) == ('{"lots":10}', {"thoughtSignature": "sig"})
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


def test_several_candidates_and_an_index_that_is_left_out() -> None:
    def one(index: int | None, text: str, **fields: Any) -> dict[str, Any]:
        place = {} if index is None else {"index": index}
        return {"content": {"parts": [{"text": text}]}, **place, **fields}

    answer = streamed(
        {"candidates": [one(None, "a1"), one(1, "b1")]},
        {"candidates": [one(1, "b2", finishReason="STOP")]},
        {"candidates": [one(None, "a2", finishReason="MAX_TOKENS")]},
    )
    assert [(choice.index, choice.message.text, choice.finish) for choice in answer.choices] == [
        (0, "a1a2", "length"),
        (1, "b1b2", "stop"),
    ]
    unnumbered = streamed({"candidates": [one(None, "a"), one(None, "b")]})
    assert [(choice.index, choice.message.text) for choice in unnumbered.choices] == [(0, "a"), (1, "b")]
    odd = streamed({"candidates": [7, {"index": "1", **one(None, "b")}, one(0, "a")]})
    assert [(choice.index, choice.message.text) for choice in odd.choices] == [(0, "a"), (1, "b")]
    assert kinds(odd) == ["choice_malformed", "choice_without_index"]


def test_a_candidate_of_many_that_never_came_is_missed() -> None:
    asked = {"contents": [], "generationConfig": {"candidateCount": 2}}
    body = crlf(said({"text": "a"}, finish="STOP"))
    assert rebuilt(body, request=asked).verdict == "truncated"
    assert rebuilt(body).verdict == "complete"


@pytest.mark.parametrize(
    ("reason", "finish", "failed"),
    [
        ("STOP", "stop", False),
        (1, "stop", False),
        ("MAX_TOKENS", "length", False),
        (2, "length", False),
        ("SAFETY", "content_filter", False),
        (3, "content_filter", False),
        ("RECITATION", "content_filter", False),
        ("IMAGE_SAFETY", "content_filter", False),
        ("MALFORMED_FUNCTION_CALL", "error", True),
        ("UNEXPECTED_TOOL_CALL", "error", True),
        ("OTHER", "other", False),
        (5, "other", False),
        (10, "other", False),  # Vertex: MODEL_ARMOR, AI Studio: MALFORMED_FUNCTION_CALL
        ("SOMETHING_NEW", "other", False),
    ],
)
def test_finish_reasons_by_name_and_by_number(reason: Any, finish: str, failed: bool) -> None:
    choice = only(streamed(said({"text": "a"}, finish=reason)))
    assert (choice.finish_reason, choice.finish, choice.failed) == (str(reason), finish, failed)


@pytest.mark.parametrize("reason", ["FINISH_REASON_UNSPECIFIED", 0])
def test_an_unspecified_finish_reason_is_none(reason: Any) -> None:
    choice = only(streamed(said({"text": "a"}, finish=reason)))
    assert (choice.finish_reasons, choice.extras) == ((), {"finishReason": reason})


def test_finish_reasons_that_repeat_or_change() -> None:
    answer = streamed(*[said({"text": text}, finish="STOP") for text in "abc"], said(finish="OTHER"))
    assert (only(answer).message.text, only(answer).finish_reasons) == ("abc", ("STOP", "OTHER"))
    assert kinds(answer) == ["delta_after_finish", "finish_reason_repeated", "finish_reason_changed"]


def test_a_finish_without_parts_or_content() -> None:
    answer = streamed(
        said({"text": "a"}), {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}
    )
    assert (only(answer).message.text, only(answer).finish) == ("a", "length")
    blocked = {"candidates": [{"finishReason": "SAFETY", "safetyRatings": [{"blocked": True}]}]}
    assert only(streamed(blocked)).extras == {"safetyRatings": [{"blocked": True}]}
    assert rebuilt(crlf(blocked)).verdict == "complete"


def test_a_failed_model_is_errored() -> None:
    failed = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Malformed: f("}]}
    assert rebuilt(crlf(failed)).verdict == "errored"


@pytest.mark.parametrize("wrap", [crlf, array, document])
def test_a_blocked_prompt_is_an_error(wrap: Any) -> None:
    feedback = {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": []}
    found = rebuilt(wrap({"promptFeedback": feedback, "usageMetadata": USAGE, "modelVersion": "m"}))
    assert (found.answer.dialect, found.verdict, found.answer.errors) == ("gemini", "errored", (feedback,))
    assert (found.answer.choices, found.answer.usage, found.answer.extras) == ((), USAGE, {"promptFeedback": feedback})
    rated = streamed(said({"text": "a"}, finish="STOP") | {"promptFeedback": {"safetyRatings": []}})
    assert rated.errors == ()


def test_logprobs_are_joined() -> None:
    def some(token: str) -> dict[str, Any]:
        return {"chosenCandidates": [{"token": token}], "topCandidates": [{"candidates": []}], "sum": token}

    answer = streamed(said({"text": "a"}, logprobsResult=some("a")), said({"text": "b"}, logprobsResult=some("b")))
    logprobs = only(answer).logprobs
    assert logprobs is not None
    assert (logprobs["chosenCandidates"], logprobs["sum"]) == ([{"token": "a"}, {"token": "b"}], "b")


def test_an_array_is_read_as_it_arrives_and_a_cut_one_keeps_what_came() -> None:
    values = [said({"text": "a"}), said({"text": "b"}), said(CALL, finish="STOP")]
    body = array(*values)
    whole = read(body)
    assert (whole.shape, whole.whole, whole.events, whole.unparsed_tail_bytes) == ("json", None, 3, 0)
    assert only(whole).message.text == "ab"
    cut = read(body[: body.index(b"functionCall")])
    assert (cut.whole, cut.events, only(cut).message.parts) == (False, 2, (TextPart("ab"),))
    assert cut.unparsed_tail_bytes > 0
    assert kinds(cut) == ["document_unparsed"]
    unclosed = rebuilt(body.rstrip()[:-1], JSON)
    assert (unclosed.verdict, unclosed.answer.whole, unclosed.answer.unparsed_tail_bytes) == ("truncated", False, 0)
    assert rebuilt(body, JSON).verdict == "complete"


def test_a_closed_array_without_a_finish_reason_is_not_complete() -> None:
    assert rebuilt(array(said({"text": "a"})), JSON).verdict == "truncated"


def test_a_cut_array_is_recognised_without_any_whole_value() -> None:
    for body in (array(said({"text": "a" * 99}))[:90], document({"candidates": [{"finishReason": "STOP"}]})[:45]):
        assert DIALECT.claims(Clues("", "", body)) == 0.9


ERROR = {"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED", "details": [{"a": 1}]}}


@pytest.mark.parametrize("url", [URL, VERTEX])
@pytest.mark.parametrize("body", [document(ERROR), array(ERROR), crlf(ERROR)])
def test_errors_of_any_form_under_any_content_type(url: str, body: bytes) -> None:
    for kind in (SSE, JSON, ""):
        found = rebuilt(body, kind, url=url)
        assert (found.answer.dialect, found.answer.errors, found.verdict) == ("gemini", (ERROR["error"],), "errored")
    assert DIALECT.claims(Clues(CHAT, "", body)) == 0.0


@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\r\n\r\n"])
def test_an_error_without_data_after_the_stream_began(ending: bytes) -> None:
    body = crlf(said({"text": "a"})) + json.dumps(ERROR, indent=2).replace("\n", "\r\n").encode() + ending
    found = rebuilt(body)
    assert (found.verdict, found.answer.errors) == ("errored", (ERROR["error"],))
    assert only(found.answer).message.text == "a"


def test_code_assist_wraps_each_value_once_more() -> None:
    values = [{"response": said({"text": text}), "traceId": "t"} for text in "ab"]
    answer = read(crlf(*values, {"response": said(finish="STOP"), "traceId": "t"}), "https://assist.example/v1:x")
    assert (only(answer).message.text, only(answer).finish, answer.extras["traceId"]) == ("ab", "stop", "t")
    reading = DIALECT.read_request(
        "", {"model": "m", "request": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}}
    )
    assert reading is not None
    assert (reading.model, reading.messages[0].text) == ("m", "x")


def test_values_that_are_none() -> None:
    answer = read(
        b'[7, null, {}, {"candidates": 5}, {"candidates": [{"content": 5}]}, {"candidates": []}]', chosen=False
    )
    assert answer.events == 6
    assert kinds(answer) == [
        *("not_an_object", "not_an_object", "no_candidates", "candidates_malformed", "content_malformed"),
        "no_candidates",
    ]


@pytest.mark.parametrize(
    ("url", "body", "claim"),
    [
        ("", crlf(said({"text": "a"})), 1.0),
        (CHAT, array(said({"text": "a"})), 1.0),
        ("", crlf({"candidates": [{"finishReason": "STOP"}]}), 0.95),
        ("", crlf({"usageMetadata": USAGE}), 0.9),
        ("", crlf({"promptFeedback": {"blockReason": "SAFETY"}}), 0.9),
        (URL, b"", 0.5),
        (VERTEX, b"[", 0.5),
        ("https://l-example/v1beta1/projects/p/locations/l/endpoints/1:generateContent", b"", 0.5),
        ("https://example/v1/publishers/google/models/m%3AstreamGenerateContent?key=k", b"", 0.5),
        (VERTEX.replace("streamGenerateContent", "streamRawPredict"), b"", 0.0),
        (URL, b'{"object":"chat.completion","choices":[]}', 0.0),
        (URL, b"<html>", 0.0),
        (URL.replace("streamGenerateContent", "embedContent"), document({"embedding": {"values": []}}), 0.0),
        (
            URL.replace("streamGenerateContent", "embedContent"),
            document({"embedding": {}, "usageMetadata": USAGE}),
            0.0,
        ),
        ("", crlf({"candidates": [{"content": "x", "author": "1"}]}), 0.0),
        ("", crlf({"type": "response.created", "response": {"object": "response"}}), 0.0),
        ("", crlf({"event_type": "content.delta", "delta": {"text": "a"}}), 0.0),
        ("", b'{"candidates":[]}\n{"candidates":[]}\n', 0.0),
    ],
)
def test_claims(url: str, body: bytes, claim: float) -> None:
    assert DIALECT.claims(Clues(url, "", body)) == claim


def test_reads_requests() -> None:
    payload = {
        "systemInstruction": {"parts": [{"text": "be brief"}], "role": "user"},
        "contents": [
            {"role": "user", "parts": [{"text": "look"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}, "id": "c"}}]},
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "f", "id": "c", "response": {"output": "15°"}}},
                    {"function_response": {"name": "g", "response": {"error": "boom"}, "parts": [{}]}},
                ],
            },
            {"parts": {"text": "one"}},
        ],
        "generation_config": {"candidate_count": 3},
    }
    reading = DIALECT.read_request(VERTEX, payload)
    assert reading is not None
    assert (reading.dialect, reading.model, reading.choices) == ("gemini", "gemini-x", 3)
    system, user, model, tool, plain = reading.messages
    assert (system.role, system.text, user.role, user.text) == ("system", "be brief", "user", "look")
    assert user.parts[1] == MediaPart("image", "image/png", None, None, 3, hashlib.sha256(b"\0\0\0").hexdigest())
    (call,) = model.tool_calls
    assert (call.id, call.arguments, call.complete) == ("c", {"a": 1}, True)
    good, bad = tool.parts
    assert good == ToolResultPart("c", "f", "15°", None, {"output": "15°"})
    assert isinstance(bad, ToolResultPart)
    assert (bad.call_id, bad.name, bad.text, bad.failed) == (None, "g", None, True)
    assert (plain.role, plain.text) == (None, "one")


def test_a_system_instruction_that_is_a_text_and_a_model_that_is_named() -> None:
    reading = DIALECT.read_request("", {"system_instruction": "s", "contents": [], "model": "models/m"})
    assert reading is not None
    assert ([message.text for message in reading.messages], reading.model) == (["s"], "models/m")
    for url in (VERTEX, VERTEX.replace(":stream", "%3Astream"), VERTEX + "?alt=sse"):
        named = DIALECT.read_request(url, {"contents": []})
        assert named is not None
        assert named.model == "gemini-x"


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"contents": "x"}, {"contents": [1]}, {"messages": []}, {"request": 5}]
)
def test_other_requests_are_not_read(payload: Any) -> None:
    assert DIALECT.read_request(URL, payload) is None


def test_roles_that_change_and_fields_of_the_content() -> None:
    other = {"candidates": [{"content": {"role": "user", "parts": {"text": "b"}, "x": 1}}]}
    answer = streamed(said({"text": "a"}), other)
    message = only(answer).message
    assert (message.role, message.text, message.extras, kinds(answer)) == ("model", "ab", {"x": [1]}, ["role_changed"])
