"""Foreign exchanges as event streams: ids, redaction, what is told of what is missing, and replay."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from recorder.core.chain import check
from recorder.core.exchange import Exchange, fold
from recorder.core.redaction import MARKER, Redaction
from recorder.core.tape import render
from recorder.dialects.rebuild import rebuild
from recorder.formats.importing.base import Cut, Foreign, Origin
from recorder.recording.imports import File, Identities, Made, Writer

FILE = File("a.har", "0" * 64, 10, "har", "1.2", "Browser 1")
NOW = 1_790_000_000_000_000_000
SSE = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def foreign(**changes: Any) -> Foreign:
    made = Foreign(
        1,
        "POST",
        "https://api.example.test/v1?key=topsecret1&a=b",
        (("Authorization", "Bearer topsecret2"), ("accept", "*/*")),
        b'{"messages": []}',
        200,
        "OK",
        (("content-type", "text/event-stream"), ("transfer-encoding", "chunked")),
        SSE,
        missing=("chunk_boundaries", "chunk_times", "started_at", "head_time", "end_time"),
    )
    return replace(made, **changes)


def made(one: Foreign, *rules: str) -> Made:
    writer = Writer(Redaction(b"key", rules), b"i" * 16, lambda size: b"s" * size, NOW)
    result = writer.made(Identities().of(one), one, FILE)
    check(result.opened, result.events)
    return result


def folded(one: Foreign, *rules: str) -> Exchange:
    exchange = fold(made(one, *rules).events)
    assert exchange is not None
    assert exchange.anomalies == ()
    return exchange


def test_the_first_event_says_where_it_comes_from() -> None:
    events = made(foreign()).events
    assert [event.type for event in events] == [
        *("imported", "request_sent", "response_started", "chunk_received", "response_completed")
    ]
    facts = events[0].facts
    assert {name: facts[name] for name in ("file", "sha256", "size", "entry", "format", "version", "creator")} == {
        "file": "a.har",
        "sha256": "0" * 64,
        "size": 10,
        "entry": 1,
        "format": "har",
        "version": "1.2",
        "creator": "Browser 1",
    }
    assert facts["missing"] == sorted(foreign().missing)


def test_ids_are_made_of_what_is_in_it() -> None:
    ids = Identities()
    first, second = ids.of(foreign()), ids.of(foreign())
    assert first == Identities().of(foreign(number=7)) != second
    assert first[6] >> 4 == 8
    assert first[8] >> 6 == 0b10
    assert first == Identities().of(foreign(missing=()))
    for changes in ({"body": b"x"}, {"status": 201}, {"started_ns": 1}, {"payload": b""}, {"url": "https://b.test"}):
        assert Identities().of(foreign(**changes)) != first
    own = Origin(b"o" * 16, "call-7", 2)
    kept = folded(foreign(origin=own))
    assert (kept.stream, kept.call, kept.attempt) == (b"o" * 16, "call-7", 2)


def test_credentials_are_replaced() -> None:
    result = made(foreign(payload=b'{"pin": "topsecret3"}', failure={}), "body:pin")
    written = b"".join((event.meta or "").encode() + (event.body or b"") for event in result.events)
    assert b"topsecret" not in written
    assert len(MARKER.findall(written.decode("latin-1"))) == 4  # the URL stands in the head and in the facts
    request = folded(foreign(payload=b'{"pin": "topsecret3"}'), "body:pin").request
    assert request is not None
    assert set(request.redacted) == {"header:authorization", "url:key", "body:/pin"}


def test_what_an_error_says_has_no_credentials() -> None:
    error = {"type": "", "message": "GET https://u:topsecret@a.test?api_key=topsecret failed"}
    failed = foreign(status=None, body=b"", end="request_failed", failure={"kind": "other", "error": error})
    assert "topsecret" not in (made(failed).events[-1].meta or "")


def test_times_that_are_not_known_stay_unknown() -> None:
    exchange = folded(foreign())
    assert exchange.lacks("started_at")
    assert (exchange.first_chunk_ns, exchange.duration_ns, exchange.head_ns) == (None, None, None)
    assert exchange.imported_ns == NOW + 1
    part = rebuild(exchange).answer_messages[0].parts[0]
    origin = rebuild(exchange).arrivals.of(part.ranges)
    assert origin is not None
    assert (origin.first_chunk, origin.first_ns) == (None, None)


def test_times_that_are_known_are_kept() -> None:
    cuts = (Cut(10, 3_000), Cut(len(SSE), 5_000))
    timed = foreign(started_ns=1_000_000, head_ns=2_000, end_ns=6_000, cuts=cuts, missing=())
    exchange = folded(timed)
    assert (exchange.started_ns, exchange.head_ns, exchange.first_chunk_ns, exchange.duration_ns) == (
        *(1_000_000, 2_000, 3_000, 6_000),
    )
    assert [(chunk.start, chunk.end) for chunk in exchange.chunks] == [(0, 10), (10, len(SSE))]
    assert [event.wall_ns for event in made(timed).events[1:]] == [
        1_000_000,
        1_002_000,
        1_003_000,
        1_005_000,
        1_006_000,
    ]


def test_cuts_without_times_tell_chunks_and_no_times() -> None:
    exchange = folded(foreign(cuts=(Cut(10), Cut(len(SSE))), missing=("chunk_times", "started_at")))
    rebuilt = rebuild(exchange)
    origin = rebuilt.arrivals.of(rebuilt.answer_messages[0].parts[0].ranges)
    assert origin is not None
    assert (origin.first_chunk, origin.last_chunk, origin.first_ns) == (1, 2, None)


@pytest.mark.parametrize(
    ("headers", "body", "framing", "aside"),
    [
        ([("Content-Encoding", "gzip"), ("X-Length", "9")], b"plain", "close", ["Content-Encoding"]),
        ([("Content-Length", "9")], b"plain", "close", ["Content-Length"]),
        ([("content-encoding", "br")], b'{"a": 1}', "close", ["content-encoding"]),
        ([("content-encoding", "gzip")], gzip.compress(b"x", mtime=0), "close", []),
        ([("content-encoding", "br")], b"\x8b\xff\x00", "close", []),
        ([("content-encoding", "deflate")], b"K\x04\x00", "close", []),  # "a" without the wrapper, and valid UTF-8
        ([("content-length", "2")], b"hi", "length", []),
        ([("content-length", "**REDACTED**")], b"hi", "close", ["content-length"]),
        ([("transfer-encoding", "Chunked")], b"hi", "chunked", []),
        ([("transfer-encoding", "**REDACTED**")], b"hi", "close", []),
    ],
)  # fmt: skip
def test_headers_that_contradict_the_body_are_set_aside(
    headers: list[tuple[str, str]], body: bytes, framing: str, aside: list[str]
) -> None:
    exchange = folded(foreign(response_headers=tuple(headers), body=body))
    assert exchange.response is not None
    assert exchange.response.framing == framing
    kept = [name for name, _ in exchange.response.headers]
    assert kept == [name for name, _ in headers if name not in aside]
    told = (exchange.imported or {}).get("set_aside", [])
    assert [name for _, name, _ in told] == aside
    assert exchange.lacks("content_coding") == ("content-encoding" in [name.lower() for name in aside])


def test_values_that_were_replaced_before_are_told() -> None:
    fields = (("authorization", "REDACTED"), ("x-api-key", "**FILTERED**"), ("x", "XXXXXXXX"), ("y", "redacted later"))
    exchange = folded(foreign(request_headers=fields, response_headers=(("id", "<REQUEST_ID>"),)))
    assert (exchange.imported or {})["replaced"] == [
        *("request:authorization", "request:x-api-key", "request:x", "response:id")
    ]
    assert exchange.lacks("header_values")


def test_a_line_break_in_a_header_makes_no_header() -> None:
    exchange = folded(foreign(request_headers=(("a", "b\r\nInjected: c"), ("ü", "日本")), url="https://[x/?a=\r\nb"))
    assert exchange.request is not None
    assert [name for name, _ in exchange.request.headers] == ["a", "ü".encode().decode("latin-1")]


def test_an_answer_alone() -> None:
    lacks = ("request", "response_head", "end", "chunk_boundaries", "chunk_times", "started_at")
    exchange = folded(Foreign(1, body=SSE, end=None, missing=lacks))
    assert (exchange.request, exchange.response, exchange.body) == (None, None, SSE)
    rebuilt = rebuild(exchange)
    assert rebuilt.verdict == "complete"
    assert rebuilt.answer_messages[0].text == "hi"
    shorter = rebuild(folded(Foreign(1, body=SSE[:-16].replace(b'"stop"', b"null"), end=None, missing=lacks)))
    assert shorter.verdict == "unknown"


def test_a_pair_of_messages_without_http() -> None:
    lacks = ("request_head", "response_head", "chunk_boundaries", "chunk_times", "started_at")
    body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}]}).encode()
    payload = json.dumps({"messages": [{"role": "user", "content": "q"}]}).encode()
    rebuilt = rebuild(folded(Foreign(1, payload=payload, body=body, end=None, missing=lacks)))
    assert [message.text for message in (*rebuilt.request_messages, *rebuilt.answer_messages)] == ["q", "a"]


def test_gaps_of_what_was_exported_stay_gaps() -> None:
    exchange = folded(foreign(gaps=True))
    assert len(exchange.gaps) == 1
    assert rebuild(exchange).verdict == "unknown"


def test_an_imported_answer_can_be_given_again() -> None:
    tape = render(made(foreign()).events[1:])
    wire = b"".join(read.data for read in tape.reads)
    head, _, body = wire.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"%x\r\n" % len(SSE) + SSE + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "changes", "missing"),
    [
        ({"content-length": "12"}, {}, True),
        ({"content-length": "0"}, {}, False),
        ({}, {}, False),
        ({"content-length": "20", "content-encoding": "gzip"}, {}, False),  # nothing, coded
        ({"content-length": "12"}, {"status": 204}, False),
        ({"content-length": "12"}, {"method": "HEAD"}, False),
        ({"content-length": "12"}, {"end": "response_truncated"}, False),
    ],
)
def test_a_body_that_its_head_announces_and_that_is_not_there_is_missing(
    headers: dict[str, str], changes: dict[str, Any], missing: bool
) -> None:
    exchange = folded(foreign(body=b"", response_headers=tuple(headers.items()), **changes))
    assert exchange.lacks("response_body") == missing
    assert (rebuild(exchange).verdict == "unknown") or not missing
