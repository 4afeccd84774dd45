"""What ``show --json`` and ``list --json`` print; absent is absent; the schemas hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recorder.core.events import TYPE_CODES
from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt, as_json, summary
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder, delta

SCHEMAS = Path(__file__).resolve().parents[3] / "docs" / "schema"


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")))


def rebuilt(builder: ExchangeBuilder) -> Rebuilt:
    exchange = fold(builder.events)
    assert exchange is not None
    return rebuild(exchange)


def nulls(value: Any, path: str = "") -> list[str]:
    """Return the paths of nulls outside of values that are shown as they came."""
    if value is None:
        return [path]
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in ("json", "usage", "logprobs", "provider_fields")}
        return [found for key, item in kept.items() for found in nulls(item, f"{path}/{key}")]
    if isinstance(value, list):
        return [found for item in value for found in nulls(item, path)]
    return []


def shown(builder: ExchangeBuilder, **facts: Any) -> dict[str, Any]:
    value = as_json(rebuilt(builder), **facts)
    validator("show").validate(value)
    validator("list").validate(summary(rebuilt(builder)))
    assert nulls(value) == []
    json.dumps(value, allow_nan=False).encode()
    return value


def full() -> ExchangeBuilder:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    logged = delta(content="x")
    logged["choices"][0]["logprobs"] = {"content": [{"token": "x", "logprob": float("-inf")}]}
    payload = {
        "model": "asked",
        "n": 1,
        "messages": [
            {"role": "user", "name": "bo", "content": [{"type": "image_url"}, {"type": "text", "text": "hi"}]},
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
        ],
    }
    return (
        ExchangeBuilder()
        .request(payload, conversation="c-1", name="desk", redacted=["header:authorization"])
        .response(redacted=["header:set-cookie"])
        .sse(
            delta(role="assistant", reasoning="hm"),
            delta(refusal="no"),
            logged,
            delta(tool_calls=[call]),
            delta(1, content="y", annotations=[1]),
            delta(finish="stop") | {"usage": {"total_tokens": 1}, "provider": "P"},
            delta(finish="tool_calls") | {"usage": {"total_tokens": 2}},
        )
        .completed()
    )


def test_everything_at_once() -> None:
    value = shown(full(), conversation="c-9", parent="01900000-0001-7000-8000-000000000009")
    assert (value["conversation"], value["parent"], value["conversation_name"]) == (
        "c-9",
        "01900000-0001-7000-8000-000000000009",
        "desk",
    )
    assert (value["model"], value["model_requested"], value["models_answered"]) == ("m-1", "asked", ["m-1"])
    assert value["request"]["json"]["model"] == "asked"
    assert value["request"]["redacted"] == ["header:authorization"]
    assert [message["source"] for message in value["messages"]] == ["request", "request", "answer", "answer"]
    assert value["messages"][0]["parts"] == [
        {"type": "other", "kind": "image_url", "value": {"type": "image_url"}},
        {"type": "text", "text": "hi"},
    ]
    first, second = value["choices"]
    assert [part["type"] for part in first["message"]["parts"]] == ["reasoning", "text", "refusal", "tool_call"]
    assert first["message"]["parts"][3] == {
        "type": "tool_call",
        "id": "c",
        "name": "f",
        "index": 0,
        "arguments_text": '{"a":1}',
        "complete": True,
        "arguments": {"a": 1},
        "origin": {"bytes": [[558, 812]], "chunks": [4, 4], "first_ms": 5.0, "last_ms": 5.0},
    }
    assert (first["finish_reason"], first["finish_reasons"]) == ("tool_calls", ["stop", "tool_calls"])
    assert first["logprobs"]["content"][0]["logprob"] == "-Infinity"
    assert second["message"]["fields"] == {"annotations": [[1]]}
    assert "finish_reason" not in second
    assert (value["usage"], value["usage_reports"]) == ({"total_tokens": 2}, [{"total_tokens": 1}, {"total_tokens": 2}])
    assert value["evidence"]["finish_reasons"] == {"0": "tool_calls"}
    assert value["evidence"]["unfinished_choices"] == [1]
    assert [finding["kind"] for finding in value["findings"]] == ["finish_reason_changed"]
    assert value["provider_fields"]["provider"] == "P"
    assert value["provider_ids"] == ["chatcmpl-1"]


def test_a_line_of_the_list() -> None:
    line = summary(rebuilt(full()))
    assert line == {
        "id": "01900000-0001-7000-8000-000000000000",
        "conversation": "c-1",
        "started_at": "2026-09-21T14:13:21.000000000Z",
        "method": "POST",
        "url": URL,
        "status": 200,
        "model": "m-1",
        "verdict": "unknown",
        "chunks": 8,
        "bytes": len(rebuilt(full()).exchange.body),
        "duration_ms": 10.0,
        "first_chunk_ms": 2.0,
        "dialect": "openai_chat",
        "finish": ["tool_calls"],
        "tools": ["f"],
        "tokens": {"total": 2},
    }


def test_nothing_came_back() -> None:
    value = shown(ExchangeBuilder().request(b"a=b\xff").event("request_failed", {"kind": "dns", "phase": "connect"}))
    assert value["request"]["body"] == "a=b\ufffd"
    assert value["evidence"]["failure"] == {"kind": "dns", "phase": "connect"}
    for absent in ("response", "status", "model", "first_chunk_ms", "usage", "conversation", "parent", "provider_ids"):
        assert absent not in value


def test_an_unfinished_tool_call_shows_no_arguments() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"q":1}'}}
    value = shown(
        ExchangeBuilder()
        .request({})
        .response()
        .sse(delta(tool_calls=[call]), done=False)
        .event("response_truncated", {})
    )
    (part,) = value["choices"][0]["message"]["parts"]
    assert (part["complete"], part["arguments_text"]) == (False, '{"q":1}')
    assert "arguments" not in part


def test_only_chunks_and_strange_text() -> None:
    value = shown(
        ExchangeBuilder().sse(delta(role="a\ud800", content="\ud83d", function_call={"name": "f"}), done=False)
    )
    assert "request" not in value
    assert value["choices"][0]["message"]["role"] == "a\ufffd"
    assert value["choices"][0]["message"]["parts"][1]["legacy"] is True


def test_findings_are_counted_by_kind_and_long_ones_are_cut() -> None:
    value = shown(ExchangeBuilder().request({}).response().sse("{" + "x" * 500, "{", delta(content="a")).completed())
    (finding,) = value["findings"]
    assert (finding["kind"], finding["count"], finding["start"], len(finding["detail"])) == ("data_unparsed", 2, 0, 201)


@pytest.mark.parametrize(
    "builder",
    [
        ExchangeBuilder().request({}).response(status=0, reason="", headers=[]),
        ExchangeBuilder().completed(),
        ExchangeBuilder().event("gap_recorded", {"events": 1}),
    ],
)
def test_half_recorded_exchanges_are_shown(builder: ExchangeBuilder) -> None:
    assert shown(builder)["verdict"] == "unknown"


@pytest.mark.parametrize("name", ["show", "list", "events", "verify"])
def test_the_schemas_are_schemas_and_refuse_nulls(name: str) -> None:
    check = validator(name)
    Draft202012Validator.check_schema(check.schema)
    assert not check.is_valid({"id": None})


def test_the_schema_of_events_and_of_verify() -> None:
    event = {
        "exchange": "01900000-0001-7000-8000-000000000000",
        "version": 1,
        "type": "chunk_received",
        "at": "2026-09-21T14:13:21.000000000Z",
        "elapsed_ns": 0,
        "hash": "0" * 64,
    }
    check = validator("events")
    check.validate(event)
    check.validate(event | {"position": 4, "size": 3, "data": "YWJj", "facts": {}})
    for wrong in ({"type": "other"}, {"data": "YQ=="}, {"hash": "xx"}, {"position": None}, {"at": "2026-09-21"}):
        assert not check.is_valid(event | wrong)
    finding = {"exchange": "e", "version": 1, "field": "hash", "kind": "hash", "detail": "d"}
    check = validator("verify")
    check.validate(
        {
            "verdicts": {"unmodified": "yes", "complete_in_range": "yes"},
            "findings": [finding],
            "events": 1,
            "exchanges": 1,
        }
    )
    assert not check.is_valid({"verdicts": {}, "findings": [{}], "events": 1, "exchanges": 1})


def test_the_schema_of_events_knows_every_type() -> None:
    assert set(validator("events").schema["properties"]["type"]["enum"]) == set(TYPE_CODES)
