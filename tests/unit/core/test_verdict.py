"""Every row of the verdict's table, through the whole rebuild."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder, delta

STARTED: tuple[Any, ...] = (delta(role="assistant", content="Buy"), delta(content=" or hold"))
FINISHED = (*STARTED, delta(finish="stop"))
OTHER_URL = "https://api.example.test/v1/other"


def asked(n: int | None = None) -> ExchangeBuilder:
    payload = {"messages": [{"role": "user", "content": "hi"}], "stream": True} | ({"n": n} if n else {})
    return ExchangeBuilder().request(payload)


def ended(builder: ExchangeBuilder, kind: str | None, facts: dict[str, Any] | None = None) -> Rebuilt:
    if kind is not None:
        builder.event(kind, facts or {})
    exchange = fold(builder.events)
    assert exchange is not None
    return rebuild(exchange)


@pytest.mark.parametrize(
    ("kind", "facts", "answer", "done", "verdict"),
    [
        ("response_completed", {}, FINISHED, True, "complete"),
        ("response_completed", {}, FINISHED, False, "complete"),
        ("response_completed", {}, STARTED, True, "complete"),  # Snowflake never sends a finish reason
        ("response_completed", {}, STARTED, False, "truncated"),
        ("response_completed", {}, (), True, "unknown"),
        ("response_completed", {}, (), False, "truncated"),
        ("response_truncated", {}, STARTED, False, "truncated"),
        ("response_truncated", {}, FINISHED, True, "truncated"),
        ("response_failed", {"kind": "reset", "phase": "body"}, STARTED, False, "truncated"),
        ("response_failed", {"kind": "timeout", "phase": "body"}, STARTED, False, "truncated"),
        ("response_failed", {"kind": "malformed", "phase": "body"}, STARTED, False, "errored"),
        ("consumer_closed", {}, FINISHED, True, "complete"),
        ("consumer_closed", {}, FINISHED, False, "complete"),
        ("consumer_closed", {}, STARTED, False, "aborted_by_client"),
        ("consumer_abandoned", {}, STARTED, False, "aborted_by_client"),
        ("process_died", {}, STARTED, False, "aborted_by_client"),
        ("process_died", {}, FINISHED, True, "complete"),
        ("recorder_closed", {}, STARTED, False, "unknown"),
        ("recorder_closed", {}, FINISHED, True, "complete"),
        (None, {}, FINISHED, True, "unknown"),
    ],
)
def test_streams(kind: str | None, facts: dict[str, Any], answer: tuple[Any, ...], done: bool, verdict: str) -> None:
    rebuilt = ended(asked().response().sse(*answer, done=done), kind, facts)
    assert rebuilt.answer.dialect == "openai_chat"
    assert rebuilt.verdict == verdict
    assert rebuilt.evidence.transport_end == kind
    assert rebuilt.evidence.sentinel_seen == done
    assert rebuilt.evidence.failure == (facts if kind == "response_failed" else None)


def test_no_answer_at_all() -> None:
    failed = ended(asked(), "request_failed", {"kind": "refused", "phase": "connect"})
    assert failed.verdict == "errored"
    assert failed.evidence.failure == {"kind": "refused", "phase": "connect"}
    assert ended(asked(), "response_failed", {"kind": "timeout", "phase": "head"}).verdict == "errored"
    assert ended(asked(), "consumer_closed").verdict == "aborted_by_client"
    assert ended(asked(), "request_failed", {"kind": "interrupted", "phase": "send"}).verdict == "aborted_by_client"
    assert ended(asked(), "response_failed", {"kind": "interrupted", "phase": "head"}).verdict == "aborted_by_client"
    assert ended(asked(), None).verdict == "unknown"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_statuses_of_failure(status: int) -> None:
    body = b'{"error": {"message": "no"}}'
    rebuilt = ended(
        asked().response(status, "x", [("content-type", "application/json")]).chunks(body), "response_completed"
    )
    assert rebuilt.verdict == "errored"
    assert rebuilt.evidence.http_status == status
    assert rebuilt.evidence.error_frames == ({"message": "no"},)


def test_201_is_a_success() -> None:
    assert ended(asked().response(201, "Created").sse(*FINISHED), "response_completed").verdict == "complete"


def test_an_error_under_status_200() -> None:
    rebuilt = ended(asked().response().sse(*FINISHED, {"error": {"code": 502}}), "response_completed")
    assert rebuilt.verdict == "errored"


def test_every_choice_that_was_asked_for_must_be_finished() -> None:
    one = (delta(0, content="a"), delta(0, "stop"))
    two = (*one, delta(1, content="b"))
    assert ended(asked(2).response().sse(*one, done=False), "consumer_closed").verdict == "aborted_by_client"
    mixed = ended(asked(2).response().sse(*two, done=True), "response_completed")
    assert mixed.verdict == "unknown"
    assert mixed.evidence.finish_reasons == {0: "stop", 1: None}
    assert mixed.evidence.choices_missing == 0
    assert ended(asked(2).response().sse(*two, done=True), "consumer_closed").verdict == "unknown"
    assert ended(asked(2).response().sse(*two, delta(1, "stop"), done=False), "consumer_closed").verdict == "complete"


@pytest.mark.parametrize("kind", ["response_completed", "consumer_closed", "process_died", "recorder_closed"])
@pytest.mark.parametrize("answer", [FINISHED, STARTED])
def test_a_choice_that_never_came_before_the_end_marker_is_unknown(kind: str, answer: tuple[Any, ...]) -> None:
    rebuilt = ended(asked(3).response().sse(*answer, done=True), kind)
    assert rebuilt.verdict == "unknown"
    assert (rebuilt.evidence.choices_asked, rebuilt.evidence.choices_missing) == (3, 2)
    assert [(fact.kind, fact.detail) for fact in rebuilt.anomalies] == [
        ("choices_missing", "3 choices were asked for, 1 came")
    ]
    assert as_json(rebuilt)["evidence"]["choices_missing"] == 2


def test_a_choice_that_may_still_have_come_is_not_missing() -> None:
    cut = ended(asked(2).response().sse(*FINISHED, done=False), "response_completed")
    assert (cut.verdict, cut.evidence.choices_missing, cut.anomalies) == ("truncated", 0, ())
    failed = ended(asked(2).response().sse(*FINISHED, {"error": {"code": 502}}), "response_completed")
    assert (failed.verdict, failed.evidence.choices_missing) == ("errored", 0)
    assert "choices_missing" not in as_json(failed)["evidence"]


@pytest.mark.parametrize(("n", "verdict"), [(None, "complete"), (1, "complete"), (2, "unknown")])
def test_a_document_with_too_few_choices(n: int | None, verdict: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Buy"}, "finish_reason": "stop"}
    body = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
    for kind in ("response_completed", "consumer_closed"):
        builder = asked(n).response(headers=[("content-type", "application/json")], framing="length", length=len(body))
        rebuilt = ended(builder.chunks(body), kind)
        assert (rebuilt.verdict, rebuilt.evidence.choices_missing) == (verdict, 1 if n == 2 else 0)


@pytest.mark.parametrize("kind", ["response_completed", "consumer_closed"])
def test_an_answer_that_came_to_its_end_without_any_choice_is_unknown_in_both_shapes(kind: str) -> None:
    body = b'{"object": "chat.completion", "choices": []}'
    head = {"headers": [("content-type", "application/json")], "framing": "length", "length": len(body)}
    document = ended(asked().response(**head).chunks(body), kind)
    for rebuilt in (document, ended(asked().response().sse(done=True), kind)):
        assert (rebuilt.verdict, rebuilt.evidence.choices_missing) == ("unknown", 1)
        assert rebuilt.anomalies[0].detail == "one choice was asked for, 0 came"


def test_more_choices_than_asked_for_lack_nothing() -> None:
    both = (delta(0, "stop", content="a"), delta(1, "stop", content="b"))
    assert ended(asked(1).response().sse(*both), "response_completed").verdict == "complete"


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource"])
@pytest.mark.parametrize("kind", ["response_completed", "consumer_closed"])
def test_a_finish_reason_that_says_failure_is_errored_without_an_error_object(kind: str, reason: str) -> None:
    rebuilt = ended(asked().response().sse(*STARTED, delta(finish=reason)), kind)
    assert rebuilt.verdict == "errored"
    assert (rebuilt.evidence.failed_choices, rebuilt.evidence.error_frames) == ((0,), ())
    assert rebuilt.evidence.finish_reasons == {0: reason}
    assert [fact.kind for fact in rebuilt.anomalies] == ["finish_reason_failed"]
    assert as_json(rebuilt)["evidence"]["failed_choices"] == [0]


def test_one_failed_choice_of_two_is_errored_whatever_reason_follows() -> None:
    both = (delta(0, "stop", content="a"), delta(1, "error", content="b"), delta(1, "stop"))
    rebuilt = ended(asked(2).response().sse(*both), "response_completed")
    assert (rebuilt.verdict, rebuilt.evidence.failed_choices) == ("errored", (1,))


def test_a_hole_in_the_recording_is_unknown() -> None:
    gap = {"events": 1, "bytes": 1, "from_ns": 1, "to_ns": 2, "reason": "full"}
    with_gap = asked().response().sse(*FINISHED).event("gap_recorded", gap)
    assert ended(with_gap, "response_completed").verdict == "unknown"
    holed = asked().response().sse(*FINISHED).completed()
    del holed.events[3]
    assert ended(holed, None).verdict == "unknown"


def test_a_coding_that_is_cut_is_truncated() -> None:
    coded = gzip.compress("".join(f"data: {json.dumps(value)}\n\n" for value in FINISHED).encode())
    headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")]
    whole = ended(asked().response(headers=headers).chunks(coded), "response_completed")
    assert (whole.verdict, whole.answer_messages[0].text) == ("complete", "Buy or hold")
    cut = ended(asked().response(headers=headers).chunks(coded[:-3]), "response_completed")
    assert (cut.verdict, cut.evidence.coding_cut) == ("truncated", True)


def test_a_coding_that_is_not_known_is_unknown() -> None:
    headers = [("content-type", "text/event-stream"), ("content-encoding", "exi")]
    rebuilt = ended(asked().response(headers=headers).chunks(b"\x80\x01"), "response_completed")
    assert (rebuilt.verdict, rebuilt.answer.dialect) == ("unknown", "opaque")
    assert [fact.kind for fact in rebuilt.anomalies] == ["coding_unknown"]
    aborted = ended(asked().response(headers=headers).chunks(b"\x80\x01"), "consumer_closed")
    assert aborted.verdict == "aborted_by_client"


@pytest.mark.parametrize(
    ("body", "framing", "kind", "verdict"),
    [
        (b'{"data": []}', "length", "response_completed", "complete"),
        (b'{"data": []}', "close", "response_completed", "complete"),
        (b"plain text", "close", "response_completed", "unknown"),
        (b"plain text", "chunked", "response_completed", "complete"),
        (b"plain text", "length", "consumer_closed", "complete"),
        (b"plain", "length", "consumer_closed", "aborted_by_client"),
        (b"plain text", "chunked", "consumer_closed", "aborted_by_client"),
        (b"data: x\n\n", "chunked", "response_completed", "unknown"),
        (b'{"a":1}\n{"a":2}\n', "chunked", "response_completed", "unknown"),
        (b"", "none", "response_completed", "complete"),
    ],
)
def test_bodies_of_no_known_dialect(body: bytes, framing: str, kind: str, verdict: str) -> None:
    builder = ExchangeBuilder().request(None, method="GET", url=OTHER_URL)
    length = {"length": 10 if body.startswith(b"plain") else len(body)} if framing == "length" else {}
    builder.response(200, "OK", [], framing=framing, **length).chunks(*([body] if body else []))
    rebuilt = ended(builder, kind)
    assert (rebuilt.answer.dialect, rebuilt.verdict) == ("opaque", verdict)


@pytest.mark.parametrize(("status", "framing"), [(204, "none"), (307, "length"), (304, "none"), (200, "none")])
def test_answers_without_a_message_have_nothing_to_finish(status: int, framing: str) -> None:
    builder = asked().response(status, "x", [], framing=framing, **({"length": 0} if framing == "length" else {}))
    assert ended(builder, "response_completed").verdict == "complete"


def test_chunks_without_a_head_are_still_read() -> None:
    rebuilt = ended(asked().sse(*FINISHED), "response_completed")
    assert rebuilt.answer_messages[0].text == "Buy or hold"
    assert rebuilt.verdict == "complete"
    assert rebuilt.evidence.http_status is None


def _call(index: int, arguments: str) -> dict[str, Any]:
    return {"index": index, "id": f"c{index}", "type": "function", "function": {"name": "buy", "arguments": arguments}}


@pytest.mark.parametrize(
    ("calls", "done", "verdict"),
    [
        (['{"a":1}', '{"a":'], False, "unknown"),  # Together sends a finish reason after each call
        (['{"a":1}', '{"a":'], True, "complete"),
        (['{"a":1}', '{"a":2}'], False, "complete"),
        (['{"a":'], False, "complete"),
        (['{"a":1}', "no JSON"], False, "complete"),
    ],
)
def test_a_call_that_breaks_off_after_the_finish_reason(calls: list[str], done: bool, verdict: str) -> None:
    first, *rest = (delta(tool_calls=[_call(index, text)]) for index, text in enumerate(calls))
    rebuilt = ended(asked().response().sse(first, delta(finish="tool_calls"), *rest, done=done), "response_completed")
    assert rebuilt.verdict == verdict
