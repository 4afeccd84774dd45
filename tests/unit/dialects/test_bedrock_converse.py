"""The Bedrock Converse dialect, quirk by quirk."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from recorder.core.messages import CitationPart, OtherPart, ReasoningPart, TextPart, TokenCounts, ToolCallPart
from recorder.dialects.base import Clues, choose
from recorder.dialects.bedrock_converse import DIALECT
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.converse_frames import (
    METADATA,
    STARTED,
    URL,
    USAGE,
    called,
    ended,
    opened,
    piece,
    read,
    rebuilt,
    stopped,
)
from tests.unit.dialects.wire import EVENTSTREAM, JSON, SSE, document, excepted, frame, framed, sse

DOCUMENT = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                {"text": "Hi"},
                {"toolUse": {"toolUseId": "t1", "name": "buy", "input": {"lots": 1}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": USAGE,
    "metrics": {"latencyMs": 5},
}


#: Whole answers for the contract suite.
STREAMS = [
    (EVENTSTREAM, STARTED + piece(0, text="Kurs ") + piece(0, text="€") + stopped(0) + ended()),
    (
        EVENTSTREAM,
        STARTED
        + piece(0, reasoningContent={"text": "hm"})
        + piece(0, reasoningContent={"signature": "s"})
        + stopped(0)
        + called(1)
        + piece(1, toolUse={"input": ""})
        + piece(1, toolUse={"input": '{"lots":1'})
        + piece(1, toolUse={"input": "0}"})
        + stopped(1)
        + ended("tool_use"),
    ),
    (JSON, document(DOCUMENT)),
]


def test_text_and_metadata_after_the_stop_reason() -> None:
    answer = read(STARTED + piece(0, text="Hel") + piece(0, text="lo") + stopped(0) + ended())
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.parts) == ("assistant", (TextPart("Hello"),))
    assert (choice.finish_reasons, choice.finish, choice.extras) == (("end_turn",), "stop", {})
    assert (answer.sentinel_seen, answer.usage_reports, answer.events) == (True, (USAGE,), 6)
    assert answer.tokens == TokenCounts(input=5, output=7, total=12, cached=3)
    assert (answer.extras, answer.anomalies) == ({"metrics": {"latencyMs": 5}}, ())


def test_it_is_complete_with_its_stop_reason_and_truncated_without() -> None:
    whole = STARTED + piece(0, text="a") + stopped(0) + ended()
    assert rebuilt(whole).verdict == "complete"
    assert rebuilt(whole[: -len(METADATA)]).verdict == "complete"
    assert rebuilt(STARTED + piece(0, text="a") + stopped(0)).verdict == "truncated"


@pytest.mark.parametrize(
    ("reason", "finish", "verdict"),
    [
        ("end_turn", "stop", "complete"),
        ("stop_sequence", "stop", "complete"),
        ("tool_use", "tool_calls", "complete"),
        ("max_tokens", "length", "complete"),
        ("model_context_window_exceeded", "length", "complete"),
        ("guardrail_intervened", "content_filter", "complete"),
        ("content_filtered", "content_filter", "complete"),
        ("malformed_model_output", "error", "errored"),
        ("malformed_tool_use", "error", "errored"),
        ("something_new", "other", "complete"),
        (7, "other", "complete"),
    ],
)
def test_stop_reasons(reason: Any, finish: str, verdict: str) -> None:
    found = rebuilt(STARTED + ended(reason))
    assert (found.answer.choices[0].finish, found.verdict) == (finish, verdict)
    assert found.answer.choices[0].finish_reason == str(reason)


def test_an_exception_frame_is_an_error_under_status_200() -> None:
    body = STARTED + piece(0, text="a") + excepted("throttlingException", "Too many")
    found = rebuilt(body)
    error = {":exception-type": "throttlingException", "message": "Too many"}
    assert (found.verdict, found.answer.errors, found.answer.choices[0].message.text) == ("errored", (error,), "a")
    alone = rebuilt(excepted("modelStreamErrorException", "no"), "")
    assert (alone.answer.dialect, alone.verdict) == ("bedrock_converse", "errored")
    told = {":message-type": "error", ":error-code": "500", ":error-message": "lost"}
    unmodeled = rebuilt(STARTED + frame(b"", told) + frame(b"<html>", told))
    assert unmodeled.answer.errors == (
        {":error-code": "500", ":error-message": "lost"},
        {":error-code": "500", ":error-message": "lost", "payload": "<html>"},
    )


@pytest.mark.parametrize("byte", [5, 30, -20])
def test_a_damaged_frame_leaves_the_answer_unfinished(byte: int) -> None:
    whole = [STARTED, called(), piece(0, toolUse={"input": '{"q":1'}), piece(0, toolUse={"input": "0"})]
    damaged = bytearray(whole[3])
    damaged[byte] ^= 1
    found = rebuilt(b"".join([*whole[:3], damaged, piece(0, toolUse={"input": "}"}), stopped(0), ended("tool_use")]))
    assert found.verdict == "unknown"
    assert kinds(found.answer) == ["frame_damaged"]
    (call,) = found.answer.choices[0].message.tool_calls
    assert (call.arguments_text, call.complete, call.arguments) == ('{"q":1}', False, None)


def test_a_damaged_first_frame_too() -> None:
    damaged = bytearray(STARTED)
    damaged[0] ^= 0x40
    body = bytes(damaged) + piece(0, text="a") + stopped(0) + ended()
    for kind, url, shape in ((EVENTSTREAM, "http://gateway.example/", "eventstream"), ("", URL, "binary")):
        found = rebuilt(body, kind, url)
        assert (found.answer.dialect, found.verdict, found.answer.shape) == ("bedrock_converse", "unknown", shape)
        assert found.answer.choices[0].message.text == "a"


def test_a_cut_frame_is_the_tail() -> None:
    answer = read(STARTED + piece(0, text="a")[:-1])
    assert (kinds(answer), answer.unparsed_tail_bytes) == (["unparsed_tail"], len(piece(0, text="a")) - 1)


def test_a_payload_that_is_no_json_is_a_fact() -> None:
    told = {":event-type": "contentBlockDelta", ":message-type": "event"}
    assert kinds(read(STARTED + frame(b"{no", told) + frame(b"7", told))) == ["data_unparsed", "not_an_object"]


def test_a_document() -> None:
    answer = read(document(DOCUMENT), JSON)
    (choice,) = answer.choices
    assert choice.message.parts == (
        ReasoningPart("hm", signature="s"),
        TextPart("Hi"),
        ToolCallPart('{\n       "lots": 1\n      }', "t1", "buy", True, {"lots": 1}),
    )
    assert (choice.message.role, choice.finish, answer.usage) == ("assistant", "tool_calls", USAGE)
    assert answer.extras == {"metrics": {"latencyMs": 5}}
    cut = read(document(DOCUMENT | {"stopReason": "max_tokens"}), JSON)
    assert not cut.choices[0].message.tool_calls[0].complete


def test_blocks_of_a_document_that_have_no_form_of_their_own() -> None:
    cited = {"content": [{"text": "20"}, {"text": " days"}], "citations": [{"title": "policy"}]}
    content = [{"citationsContent": cited}, {"guardContent": {"text": {"text": "x"}}}, {"cachePoint": {}}, 7]
    message = {"output": {"message": {"role": "assistant", "content": content}, "x": 1}, "stopReason": "end_turn"}
    answer = read(document(message), JSON)
    assert answer.choices[0].message.parts == (
        TextPart("20 days"),
        CitationPart({"title": "policy"}, title="policy"),
        OtherPart("guardContent", content[1]),
        OtherPart("cachePoint", content[2]),
        OtherPart("content", 7),
    )
    assert answer.extras == {"x": 1}


@pytest.mark.parametrize("value", [{"message": "no"}, {"Message": "no"}, {"__type": "ThrottlingException"}])
def test_error_documents_under_its_url(value: dict[str, Any]) -> None:
    found = rebuilt(document(value), JSON)
    assert (found.answer.dialect, found.answer.errors, found.verdict) == ("bedrock_converse", (value,), "errored")


def test_server_sent_events_with_the_same_values() -> None:
    body = sse(
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": USAGE}, "note": 1},
    )
    found = rebuilt(body, SSE, "https://gateway.example/x")
    assert (found.answer.dialect, found.verdict) == ("bedrock_converse", "complete")
    assert (found.answer.choices[0].message.text, found.answer.usage) == ("Hi", USAGE)
    assert found.answer.extras == {"note": 1}
    error = {"throttlingException": {"message": "no"}}
    assert rebuilt(sse({"messageStart": {"role": "assistant"}}, error), SSE).answer.errors == (error,)


def test_unknown_events_starts_deltas_and_fields_are_kept() -> None:
    answer = read(
        framed("initial-response", {})
        + framed("messageStart", {"role": "assistant", "mood": 1})
        + framed("newEvent", {"a": 1})
        + opened(0, newStart={"b": 1})
        + piece(0, newDelta={"c": 1})
        + piece(0, text=7)
        + ended(additionalModelResponseFields={"d": 1})
    )
    assert answer.choices[0].message.extras == {"newStart": [{"b": 1}], "newDelta": [{"c": 1}], "text": [7]}
    assert answer.extras == {
        "mood": 1,
        "newEvent": {"a": 1},
        "additionalModelResponseFields": {"d": 1},
        "metrics": {"latencyMs": 5},
    }
    assert kinds(answer) == ["unknown_event", "unknown_start", "unknown_delta"]


def test_what_is_out_of_order_is_a_fact() -> None:
    answer = read(
        STARTED
        + framed("messageStart", {"role": "user"})
        + framed("contentBlockStart", {"contentBlockIndex": 0, "start": 1})
        + framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": 1})
        + ended()
        + ended("max_tokens")
        + piece(0, text="late")
    )
    assert answer.choices[0].finish_reasons == ("end_turn", "max_tokens")
    assert kinds(answer) == [
        "role_changed",
        "start_malformed",
        "delta_malformed",
        "after_end_marker",
        "finish_reason_changed",
    ]


@pytest.mark.parametrize(
    ("body", "claimed"),
    [
        (STREAMS[0][1][:40], True),
        (document(DOCUMENT)[:120], True),
        (b"", True),
        (document({"object": "chat.completion", "choices": []}), False),
        (document({"output": {"choices": []}}), False),
        (framed("chunk", {"bytes": base64.b64encode(b'{"generation": "a", "stop_reason": null}').decode()}), False),
        (b"<html>no</html>", False),
    ],
)
def test_what_it_claims_under_its_url(body: bytes, claimed: bool) -> None:
    assert (choose(Clues(URL, "", body)).name == "bedrock_converse") is claimed


def test_what_it_claims_by_the_bytes_alone() -> None:
    for kind, body in STREAMS:
        for told in (kind, "", "text/plain"):
            assert DIALECT.claims(Clues("", told, body)) >= 0.9
    assert DIALECT.claims(Clues("", "", document({"metadata": {"usage": {}}}))) == 0.0
    assert DIALECT.claims(Clues("", "", framed("records", {}))) == 0.0
    large = framed("messageStart", {"role": "assistant", "p": "x" * 70_000})
    assert DIALECT.claims(Clues("", "", large)) == 1.0
