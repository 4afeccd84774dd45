"""OTLP JSON lines, parsed by the official protobuf package."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from recorder.core.conversation import Conversation
from recorder.core.exchange import fold
from recorder.core.messages import NOT_AS_WRITTEN, Anomaly, TokenCounts
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from tests.building import URL, ExchangeBuilder, delta
from tests.unit.formats.made import HOSTILE, called, said, told

QUESTION = {"model": "m", "messages": [{"role": "user", "content": "q"}], "stream": True}


def parsed(*exchanges: Rebuilt, conversation: Conversation | None = None) -> list[Span]:
    """Return the spans. OTLP has ids in hex, where protobuf's own JSON has base64: nothing else is changed."""
    found = []
    for piece in render("otlp", exchanges, conversation):
        assert isinstance(piece, str)
        assert piece.count("\n") == 1
        line = json.loads(piece.encode(), parse_constant=pytest.fail)
        (span,) = line["resourceSpans"][0]["scopeSpans"][0]["spans"]
        for holder in (span, *span.get("links", ())):
            for key, size in (("traceId", 32), ("spanId", 16)):
                assert len(holder[key]) == size
                holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
        for message in (TracesData(), ExportTraceServiceRequest()):
            json_format.ParseDict(line, message)
        found.append(message.resource_spans[0].scope_spans[0].spans[0])
    return found


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [plain(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, str(kind))


def attributes(*exchanges: Rebuilt, conversation: Conversation | None = None) -> dict[str, Any]:
    (span,) = parsed(*exchanges, conversation=conversation)
    found = {item.key: plain(item.value) for item in span.attributes}
    assert len(found) == len(span.attributes)
    return found


def exchange(builder: ExchangeBuilder) -> Rebuilt:
    folded = fold(builder.events)
    assert folded is not None
    return rebuild(folded)


def answered(*values: Any, end: str = "response_completed", payload: Any = QUESTION, url: str = URL) -> Rebuilt:
    builder = ExchangeBuilder().request(payload, url=url).response()
    return exchange(builder.sse(*values, done=end == "response_completed").event(end, {}))


WHOLE = answered(
    delta(role="assistant", content="Hold"),
    delta(content=".", finish="stop"),
    {
        "id": "chatcmpl-1",
        "choices": [],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 3,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    },
)


def test_a_whole_answer() -> None:
    (span,) = parsed(WHOLE)
    assert span.name == "chat m"
    assert span.kind == Span.SPAN_KIND_CLIENT
    assert span.start_time_unix_nano == WHOLE.exchange.started_ns
    assert span.end_time_unix_nano == WHOLE.exchange.started_ns + (WHOLE.exchange.duration_ns or 0)
    assert span.status.code == Status.STATUS_CODE_UNSET
    found = attributes(WHOLE)
    assert json.loads(found.pop("gen_ai.input.messages")) == [
        {"role": "user", "parts": [{"type": "text", "content": "q"}]}
    ]
    assert json.loads(found.pop("gen_ai.output.messages")) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hold."}], "finish_reason": "stop"}
    ]
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.002,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "api.example.test",
        "server.port": 443,
        "url.full": URL,
        "recorder.call.id": "call-1",
        "recorder.exchange.id": WHOLE.id,
        "recorder.verdict": "complete",
    }


def test_64_bit_integers_are_text_and_enums_numbers() -> None:
    (line,) = map(json.loads, render("otlp", [WHOLE]))
    (span,) = line["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert span["startTimeUnixNano"] == str(WHOLE.exchange.started_ns)
    assert span["kind"] == 3
    assert {"key": "http.response.status_code", "value": {"intValue": "200"}} in span["attributes"]


@pytest.mark.parametrize(
    ("end", "verdict", "error"),
    [
        ("response_truncated", "truncated", "truncated"),
        ("consumer_closed", "aborted_by_client", None),
        ("recorder_closed", "unknown", None),
    ],
)
def test_an_answer_that_is_not_whole_says_so(end: str, verdict: str, error: str | None) -> None:
    one = answered(delta(role="assistant", content="cut he"), end=end)
    found = attributes(one)
    assert found["recorder.verdict"] == verdict
    assert found.get("error.type") == error
    assert found["gen_ai.response.finish_reasons"] == ["error"]
    (message,) = json.loads(found["gen_ai.output.messages"])
    assert "finish_reason" not in message
    (span,) = parsed(one)
    assert span.status.code == (Status.STATUS_CODE_ERROR if error else Status.STATUS_CODE_UNSET)


def test_where_no_provider_sends_reasons_there_are_none() -> None:
    assert "gen_ai.response.finish_reasons" not in attributes(answered(delta(content="x")))


def errored(status: int, body: bytes) -> Rebuilt:
    headers = [("content-type", "application/json")]
    return exchange(ExchangeBuilder().request(QUESTION).response(status, headers=headers).chunks(body).completed())


@pytest.mark.parametrize(
    ("one", "error"),
    [
        (exchange(ExchangeBuilder().request(QUESTION).event("request_failed", {"kind": "dns"})), "dns"),
        (errored(429, b'{"error": {"code": "rate_limit_exceeded", "type": "requests"}}'), "rate_limit_exceeded"),
        (errored(400, b'{"error": {"code": null, "type": "invalid_request_error"}}'), "invalid_request_error"),
        (errored(503, b"upstream connect error"), "503"),
        (errored(500, b'{"error": {"code": "a whole sentence\\u202e", "type": {}}}'), "500"),
        (errored(502, b'{"error": {"code": 502}}'), "502"),
        (answered(delta(content="x"), {"error": {"message": "overloaded"}}), "errored"),
    ],
    ids=["dns", "code", "type", "status", "sentence", "number", "frame"],
)
def test_what_failed_has_a_type(one: Rebuilt, error: str) -> None:
    assert one.verdict == "errored"
    assert attributes(one)["error.type"] == error
    (span,) = parsed(one)
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "errored")


def test_a_conversation_is_a_trace_and_what_is_extended_is_linked() -> None:
    first, second = (told([said("user", "q")], said("assistant", "a"), number=number) for number in (1, 2))
    tree = Conversation(first.id, "desk", (first.id, second.id), {second.id: first.id})
    one, two = parsed(first, second, conversation=tree)
    assert one.trace_id == two.trace_id == first.exchange.stream
    assert one.span_id != two.span_id
    assert not one.links
    assert not two.parent_span_id
    assert [(link.trace_id, link.span_id) for link in two.links] == [(one.trace_id, one.span_id)]
    found = attributes(first, conversation=tree)
    assert (found["gen_ai.conversation.id"], found["recorder.conversation.name"]) == (first.id, "desk")


@pytest.mark.parametrize("identity", ["desk", "", "00000000-0000-0000-0000-000000000000", "\ud800"])
def test_ids_that_are_no_uuids_make_ids_all_the_same(identity: str) -> None:
    (span,) = parsed(WHOLE, conversation=Conversation(identity))
    (again,) = parsed(WHOLE, conversation=Conversation(identity))
    assert any(span.trace_id)
    assert (span.trace_id, span.span_id) == (again.trace_id, again.span_id)


def test_without_a_conversation_there_is_no_conversation_id() -> None:
    assert "gen_ai.conversation.id" not in attributes(WHOLE)
    opened = exchange(ExchangeBuilder().request(QUESTION, conversation="o", name="desk"))
    assert attributes(opened)["gen_ai.conversation.id"] == "o"
    assert attributes(opened)["recorder.conversation.name"] == "desk"


def test_an_exchange_whose_end_was_not_seen() -> None:
    running = exchange(ExchangeBuilder().request(QUESTION))
    (span,) = parsed(running)
    assert span.end_time_unix_nano == 0
    builder = ExchangeBuilder().request(QUESTION).response().sse(delta(content="x"), done=False)
    died = exchange(builder.event("process_died", {}, instance=b"o" * 16))
    (span,) = parsed(died)
    assert span.end_time_unix_nano == died.exchange.started_ns + 2_000_000


def test_a_retry_is_counted() -> None:
    assert attributes(exchange(ExchangeBuilder().request(QUESTION, attempt=3)))["http.request.resend_count"] == 2


def test_what_is_no_call_of_a_model_is_an_http_span() -> None:
    one = exchange(
        ExchangeBuilder().request(method="GET", url="http://[::1]:8080/models").response().chunks(b"\0").completed()
    )
    (span,) = parsed(one)
    assert span.name == "GET"
    found = attributes(one)
    assert not [key for key in found if key.startswith("gen_ai.")]
    assert (found["server.address"], found["server.port"]) == ("::1", 8080)


@pytest.mark.parametrize("url", ["", "nonsense", "http://[", "https://h:99999/", f"https://h/{HOSTILE}"])
def test_no_url_is_too_strange(url: str) -> None:
    one = told([said("user", "q")], said("assistant", "a"))
    request = replace(one.exchange.request, url=url)
    found = attributes(replace(one, exchange=replace(one.exchange, request=request)))
    assert found.get("server.port") in (None, 443)


def test_hostile_content_and_numbers() -> None:
    payload = {"model": HOSTILE, "seed": 10**30, "temperature": float("nan"), "top_p": "1", "max_tokens": True}
    one = told(
        [said("user", HOSTILE)],
        said("assistant", HOSTILE, called("f", '{"a', complete=False)),
        payload={**payload, "stop": [HOSTILE], "n": 2},
    )
    assert one.reading is not None
    tokens = TokenCounts(input=10**30)
    one = replace(one, reading=replace(one.reading, model=HOSTILE), answer=replace(one.answer, tokens=tokens))
    found = attributes(replace(one, anomalies=(Anomaly(NOT_AS_WRITTEN, HOSTILE),)))
    mended = HOSTILE.replace("\ud800", "\ufffd")
    assert found["gen_ai.request.model"] == mended
    assert found["recorder.not_as_written"] == mended
    assert found["gen_ai.request.seed"] == found["gen_ai.usage.input_tokens"] == str(10**30)
    assert json.loads(found["gen_ai.output.messages"])[0]["parts"][1]["complete"] is False
    for absent in ("temperature", "top_p", "max_tokens"):
        assert f"gen_ai.request.{absent}" not in found
