"""What curl writes: the body of an answer alone, or with its head before it."""

from __future__ import annotations

import json

import pytest

from recorder.errors import ImportRefused
from recorder.formats.importing.base import LACKS, Foreign, Refused
from tests.building import delta
from tests.unit.formats.importing.reading import one, read, rebuilt_of, recording

SSE = b"".join(
    b"data: %s\n\n" % (piece if isinstance(piece, bytes) else json.dumps(piece).encode())
    for piece in (delta(content="It "), delta(content="is.", finish="stop"), b"[DONE]")
)
NDJSON = b"".join(
    json.dumps({"model": "m", "created_at": "2026-01-02T03:04:05Z", **one}).encode() + b"\n"
    for one in (
        {"message": {"role": "assistant", "content": "It "}, "done": False},
        {"message": {"role": "assistant", "content": "is."}, "done": False},
        {"message": {"role": "assistant", "content": ""}, "done_reason": "stop", "done": True},
    )
)
JSON = json.dumps(
    {"id": "x", "object": "chat.completion", "model": "m",
     "choices": [{"index": 0, "message": {"role": "assistant", "content": "It is."}, "finish_reason": "stop"}]}
).encode()  # fmt: skip


def head(start: str = "HTTP/1.1 200 OK", kind: str = "text/event-stream", *lines: str) -> bytes:
    return "\r\n".join([start, *([f"Content-Type: {kind}"] if kind else []), *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [(SSE, "text/event-stream"), (NDJSON, "application/x-ndjson"), (JSON, "application/json")],
    ids=["sse", "ndjson", "json"],
)
@pytest.mark.parametrize(
    ("start", "version", "reason"),
    [("HTTP/1.1 200 OK", "HTTP/1.1", "OK"), ("HTTP/2 200 ", "HTTP/2", ""), ("HTTP/3 200", "HTTP/3", "")],
)
def test_an_answer_with_its_head(body: bytes, kind: str, start: str, version: str, reason: str) -> None:
    told = recording(head(start, kind, "x-request-id: r") + body)
    assert told.format == "http"
    (found,) = told.entries
    assert isinstance(found, Foreign)
    assert (found.status, found.reason, found.body) == (200, reason, body)
    assert found.response_headers == (("Content-Type", kind), ("x-request-id", "r"))
    assert found.versions == {"response": version}
    assert "request" in found.missing
    assert {"response_head", "http_version", "response_body"}.isdisjoint(found.missing)
    assert set(found.missing) <= LACKS.keys()
    rebuilt = rebuilt_of(found)
    assert [message.text for message in rebuilt.answer_messages] == ["It is."]
    assert rebuilt.exchange.lacks("end")


def test_line_ends_that_were_changed_and_a_mark_before_them() -> None:
    found = one(b"\xef\xbb\xbf" + head("HTTP/1.1 200 OK", "text/plain").replace(b"\r\n", b"\n") + b"x\n\ny")
    assert (found.response_headers, found.body) == ((("Content-Type", "text/plain"),), b"x\n\ny")
    assert "response_bytes" not in found.missing
    wide = one((head().decode() + SSE.decode()).encode("utf-16"))
    assert "response_bytes" in wide.missing


@pytest.mark.parametrize(
    "before",
    [
        head("HTTP/1.1 100 Continue", ""),
        head("HTTP/1.1 103 Early Hints", "", "link: </a>; rel=preload"),
        head("HTTP/1.1 200 Connection established", ""),
        head("HTTP/1.0 200 Connection Established", "", "Via: proxy"),
        head("HTTP/1.1 200 OK", ""),
        head("HTTP/1.1 200 Connection established", "") + head("HTTP/1.1 100 Continue", ""),
    ],
)
def test_heads_that_belong_to_no_answer(before: bytes) -> None:
    found = one(before + head("HTTP/2 200 ") + SSE)
    assert (found.status, found.body, found.versions) == (200, SSE, {"response": "HTTP/2"})


@pytest.mark.parametrize(
    ("first", "lacks"),
    [
        (head("HTTP/1.1 307 Temporary Redirect", "text/html", "Location: /v2", "Content-Length: 154"), True),
        (head("HTTP/2 302 ", "", "location: /v2", "content-length: 0"), False),
        (head("HTTP/1.1 401 Unauthorized", "text/plain", "WWW-Authenticate: Digest realm=x"), True),
        (head("HTTP/1.1 304 Not Modified", "", "etag: x"), False),
    ],
)
def test_an_answer_that_led_to_another_request_is_an_exchange_of_its_own(first: bytes, lacks: bool) -> None:
    hop, last = read(first + head("HTTP/1.1 100 Continue", "") + head() + SSE)
    assert isinstance(hop, Foreign)
    assert isinstance(last, Foreign)
    assert (hop.number, last.number, hop.body, last.body) == (1, 2, b"", SSE)
    assert ("response_body" in hop.missing) is lacks
    assert hop.header("location") == ("/v2" if b"ocation" in first else None)


def test_answers_one_after_the_other() -> None:
    told = head("HTTP/1.1 200 OK", "application/json", f"content-length: {len(JSON)}")
    first, second = read(told + JSON + head() + SSE)
    assert isinstance(first, Foreign)
    assert isinstance(second, Foreign)
    assert (first.body, first.end, second.body, second.end) == (JSON, "response_completed", SSE, None)


@pytest.mark.parametrize("length", [5, 6, 10**9])
def test_a_length_that_is_not_that_of_the_body_divides_nothing(length: int) -> None:
    found = one(head("HTTP/1.1 200 OK", "text/plain", f"Content-Length: {length}") + b"hello HTTP/1.1 200 OK")
    assert (found.body, found.end) == (b"hello HTTP/1.1 200 OK", None)


def test_an_answer_without_its_body() -> None:
    assert "response_body" in one(head("HTTP/2 200 ", "application/json", "content-length: 70")).missing
    assert "response_body" in one(head("HTTP/2 200 ", "application/json")).missing
    assert "response_body" not in one(head("HTTP/2 200 ", "application/json", "content-length: 0")).missing
    assert one(head("HTTP/1.1 204 No Content", "")).end == "response_completed"


def test_frames_of_chunks_are_taken_off_where_they_are_there() -> None:
    framed = head("HTTP/1.1 200 OK", "text/plain", "Transfer-Encoding: chunked")
    assert one(framed + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").body == b"abcde"
    for body in (b"abcde", b"12\n", b"0\n", b"3\r\nab"):
        assert one(framed + body).body == body


def test_what_is_no_dump_of_http() -> None:
    with pytest.raises(ImportRefused, match="no end"):
        read(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
    with pytest.raises(ImportRefused, match="no answers"):
        read(head("HTTP/1.1 100 Continue", ""))
    with pytest.raises(ImportRefused, match="none of the known formats"):
        read(b"HTTP/1.1 is a protocol\n")
    (refused,) = read(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\nx")
    assert refused == Refused(1, "a line among its headers has no colon")
    assert one(b"HTTP/1.1 200 OK\r\na: b\r\n  c\r\n\r\nx").response_headers == (("a", "b c"),)


@pytest.mark.parametrize("body", [NDJSON, NDJSON[:-30], NDJSON.splitlines()[-1], b"\n" + NDJSON], ids=len)
def test_lines_of_ollama_alone(body: bytes) -> None:
    told = recording(body)
    assert told.format == "ndjson"
    (found,) = told.entries
    assert isinstance(found, Foreign)
    assert (found.body, found.status, found.end) == (body, None, None)
    assert {"request", "response_head", "end"} <= set(found.missing)


def test_what_lines_of_ollama_say() -> None:
    rebuilt = rebuilt_of(one(NDJSON))
    assert [message.text for message in rebuilt.answer_messages] == ["It is."]
    generated = NDJSON.replace(b'"message": {"role": "assistant", "content": "is."}', b'"response": "is."')
    first = json.dumps({"model": "m", "response": "It ", "done": False}).encode() + b"\n"
    assert recording(first + generated).format == "ndjson"


@pytest.mark.parametrize(
    "line",
    [
        {"model": "m", "done": False},
        {"model": 1, "message": {}, "done": False},
        {"model": "m", "message": {}, "done": "no"},
        {"model": "m", "message": "x", "done": True},
    ],
)
def test_other_json_is_none_of_ollama(line: dict[str, object]) -> None:
    with pytest.raises(ImportRefused):
        read(json.dumps(line) + "\n" + json.dumps(line) + "\n")
