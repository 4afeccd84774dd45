"""From an exchange to what it says: what goes round the answer may be untrue, absent or of somebody else."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder, delta
from tests.unit.dialects.answers import rebuilt_from
from tests.unit.dialects.anthropic_events import URL as MESSAGES_URL
from tests.unit.dialects.anthropic_events import ended, opened, started, stopped, text
from tests.unit.dialects.wire import JSON, NDJSON, SSE, ndjson, sse

OTHER = "https://api.example.test/v1/anything"
STREAM = sse(delta(role="assistant", content="Kurs €"), delta(finish="stop"), done=True)
ANTHROPIC = sse(started(), opened(0), text(0, "Kurs €"), stopped(0), *ended(), named="type")


def under(headers: list[tuple[str, str]], body: bytes, url: str = URL) -> Rebuilt:
    built = ExchangeBuilder().request({"messages": []}, url=url).response(headers=headers).chunks(body)
    exchange = fold(built.completed().events)
    assert exchange is not None
    return rebuild(exchange)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
def test_an_answer_that_is_plain_under_a_content_encoding_is_read(coding: str) -> None:
    rebuilt = under([("content-type", SSE), ("content-encoding", coding)], STREAM)
    assert (rebuilt.answer.dialect, rebuilt.verdict) == ("openai_chat", "complete")
    assert rebuilt.answer_messages[0].text == "Kurs €"
    assert [fact.kind for fact in rebuilt.anomalies] == ["coding_absent"]
    origin = rebuilt.arrivals.of(rebuilt.answer_messages[0].parts[0].ranges)
    assert origin is not None
    assert (origin.first_chunk, origin.last_chunk) == (1, 1)


@pytest.mark.parametrize(
    ("headers", "body", "facts"),
    [
        ([("content-encoding", "gzip")], gzip.compress(STREAM), []),
        ([("content-encoding", "deflate")], zlib.compress(STREAM), []),
        ([], gzip.compress(STREAM), ["coding_undeclared"]),
    ],
)
def test_an_answer_under_its_coding_is_read(headers: list[tuple[str, str]], body: bytes, facts: list[str]) -> None:
    rebuilt = under([("content-type", SSE), *headers], body)
    assert (rebuilt.answer_messages[0].text, rebuilt.verdict) == ("Kurs €", "complete")
    assert [fact.kind for fact in rebuilt.anomalies] == facts


@pytest.mark.parametrize(
    "told",
    [
        None,
        "",
        "**REDACTED**",
        "text/event-stream;charset=UTF-8",
        "text/event-stream; charset=utf-8",
        "TEXT/EVENT-STREAM",
        "application/json",
        "application/octet-stream",
        "text/plain",
    ],
)
@pytest.mark.parametrize(
    ("url", "body", "dialect"),
    [(URL, STREAM, "openai_chat"), (OTHER, STREAM, "openai_chat"), (MESSAGES_URL, ANTHROPIC, "anthropic_messages")],
)
def test_a_content_type_that_is_untrue_redacted_or_absent_changes_nothing(
    told: str | None, url: str, body: bytes, dialect: str
) -> None:
    rebuilt = under([] if told is None else [("content-type", told)], body, url)
    assert (rebuilt.answer.dialect, rebuilt.answer.shape, rebuilt.verdict) == (dialect, "sse", "complete")
    assert (rebuilt.answer_messages[0].text, rebuilt.anomalies) == ("Kurs €", ())


def test_an_error_document_under_the_content_type_of_events_is_one() -> None:
    body = json.dumps({"error": {"code": 404, "message": "no such model"}}, indent=2).encode()
    rebuilt = rebuilt_from(body, SSE, URL, status=404)
    assert (rebuilt.answer.shape, rebuilt.verdict) == ("json", "errored")
    assert rebuilt.answer.errors == ({"code": 404, "message": "no such model"},)


def test_an_error_is_the_only_event_after_keepalives() -> None:
    body = b": OPENROUTER PROCESSING\n\n" * 2 + sse({"error": {"code": 502, "message": "gone"}})
    rebuilt = rebuilt_from(body, SSE, URL)
    assert (rebuilt.answer.errors, rebuilt.answer.choices) == (({"code": 502, "message": "gone"},), ())
    assert rebuilt.verdict == "errored"


REPLICATE = (
    b"event: output\nid: 1:0\ndata:  did\n\nevent: output\nid: 2:0\ndata: \n\n: hi\n\n"
    b"event: output\nid: 3:0\ndata: a\ndata: b\n\nevent: done\nid: 4:0\ndata: {}\n\n"
)
INTERACTION = (
    b'event: content.delta\ndata: {"index":0,"delta":{"text":"hi","type":"text"},"event_type":"content.delta"}\n\n'
    b"event: done\ndata: [DONE]\n\n"
)
ASSISTANT = (
    b'event: thread.message.delta\ndata: {"id":"msg","object":"thread.message.delta","delta":{"content":[]}}\n\n'
    b"event: done\ndata: [DONE]\n\n"
)
RESULT = {
    "custom_id": "a",
    "result": {"type": "succeeded", "message": {"id": "m", "type": "message", "role": "assistant", "content": []}},
}


@pytest.mark.parametrize(
    ("url", "kind", "body", "shape"),
    [
        ("http://tools.example.test/mcp", SSE, sse({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}), "sse"),
        (f"{OTHER}/audio/transcriptions", SSE, sse({"type": "transcript.text.delta", "delta": "hi"}), "sse"),
        ("https://stream.example.test/v1/streams/x", SSE, REPLICATE, "sse"),
        ("https://api.example.test/v1beta/interactions", SSE, INTERACTION, "sse"),
        ("https://api.example.test/v1/threads/t/runs", SSE, ASSISTANT, "sse"),
        ("http://127.0.0.1:8080/completion", SSE, sse({"content": "a", "stop": False, "tokens": [1]}), "sse"),
        ("http://127.0.0.1:11434/api/pull", NDJSON, ndjson({"status": "pulling"}, {"status": "success"}), "ndjson"),
        (f"{MESSAGES_URL}/batches/b/results", "application/x-jsonl", ndjson(RESULT, RESULT), "ndjson"),
    ],
    ids=["mcp", "transcription", "replicate", "interactions", "assistants", "llama.cpp", "pull", "batch"],
)
def test_streams_of_other_protocols_are_opaque(url: str, kind: str, body: bytes, shape: str) -> None:
    rebuilt = rebuilt_from(body, kind, url)
    answer = rebuilt.answer
    assert (answer.dialect, answer.understood, answer.shape, rebuilt.verdict) == ("opaque", False, shape, "unknown")
    assert (answer.choices, answer.errors, answer.usage) == ((), (), None)
    assert answer.events == (body.count(b"\n\n") - body.count(b": hi") if shape == "sse" else 0)


def test_a_line_of_a_hundred_thousand_bytes_and_a_stream_of_five_thousand_events() -> None:
    long = "€" * 33_625  # 100,875 bytes: more than the 64 KiB that asyncio reads as a line
    assert rebuilt_from(sse(delta(content=long), delta(finish="stop")), SSE, URL).answer_messages[0].text == long
    many = rebuilt_from(sse(*[delta(content="a")] * 4_834, delta(finish="stop"), done=True), SSE, URL)
    assert (many.answer.events, many.answer_messages[0].text, many.verdict) == (4_835, "a" * 4_834, "complete")


def test_the_ids_that_a_provider_gives_in_its_headers_are_kept() -> None:
    told = {"x-generation-id": "gen-1", "X-Request-Id": "req-9", "apim-request-id": "a", "server": "s"}
    found = as_json(under([("content-type", SSE), *told.items()], STREAM))["provider_request_ids"]
    assert found == {"x-generation-id": "gen-1", "x-request-id": "req-9", "apim-request-id": "a"}


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((delta(content="a"), delta(finish="stop")), "complete"),
        ((delta(content="a"), delta(finish="stop"), {"choices": [], "usage": {"total_tokens": 3}}), "complete"),
        ((delta(content="a"),), "truncated"),
        (({**delta(content="a"), "usage": None},), "truncated"),  # the chunk with the usage never came
    ],
)
def test_without_done_the_finish_reason_tells(values: tuple[Any, ...], verdict: str) -> None:
    """Cerebras, Writer, Perplexity, the router of Hugging Face and some forks of llama.cpp send no ``[DONE]``."""
    rebuilt = rebuilt_from(sse(*values), SSE, URL)
    assert (rebuilt.verdict, rebuilt.answer.sentinel_seen) == (verdict, False)
    named = sse(*values) + b"event: done\ndata: [DONE]\n\n"
    assert rebuilt_from(named, SSE, URL).answer.sentinel_seen
    assert rebuilt_from(sse(*values[:1]), JSON, URL).verdict == "truncated"
