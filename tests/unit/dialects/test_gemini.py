"""Gemini, quirk by quirk."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.messages import TextPart
from recorder.dialects.base import Clues
from recorder.dialects.gemini import DIALECT
from tests.building import URL as CHAT
from tests.unit.dialects.answers import kinds, only
from tests.unit.dialects.gemini_values import CALL, URL, USAGE, VERTEX, crlf, read, rebuilt, said, streamed
from tests.unit.dialects.wire import JSON, SSE, document


def array(*values: Any) -> bytes:
    """As Google prints it: each value by itself, commas between them."""
    return (
        b"[" + b"\n,\r\n".join(json.dumps(value, indent=2, ensure_ascii=False).encode() for value in values) + b"\n]\n"
    )


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


def test_roles_that_change_and_fields_of_the_content() -> None:
    other = {"candidates": [{"content": {"role": "user", "parts": {"text": "b"}, "x": 1}}]}
    answer = streamed(said({"text": "a"}), other)
    message = only(answer).message
    assert (message.role, message.text, message.extras, kinds(answer)) == ("model", "ab", {"x": [1]}, ["role_changed"])
